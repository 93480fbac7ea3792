package runbook

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/approval"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// page is a runbook being written.
type page struct {
	Facts
	strings.Builder
}

// Markdown is the runbook.
func (f Facts) Markdown() []byte {
	p := &page{Facts: f}
	p.head()
	p.promised()
	p.contacts()
	p.there()
	p.begin()
	p.deletedRows()
	p.droppedTable()
	p.corruptDatabase()
	p.lostServer()
	p.archivedServer()
	p.lostInstance()
	p.otherKinds()
	p.lostRegion()
	p.lostKey()
	return []byte(p.String())
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// text is a paragraph.
func (p *page) text(format string, args ...any) { p.line(format+"\n", args...) }

// shell is a block of commands; what is empty is left out.
func (p *page) shell(lines ...string) {
	p.line("```sh")
	for _, l := range lines {
		if l != "" {
			p.line("%s", l)
		}
	}
	p.line("```\n")
}

func (p *page) head() {
	p.text("# Recovering %s", plain(cmp.Or(p.Title, "PostgreSQL")))
	p.text("Written %s from `%s`. Ids and times below are of that moment: `pgbackup-runner runbook` writes this page anew.", moment(p.Written), p.Repository)
}

func (p *page) promised() {
	if p.Policy == nil {
		return
	}
	p.text("## What is promised")
	p.line("| | |\n|---|---|")
	p.line("| Policy | %s, revision %d |", plain(p.Policy.Name), p.Revision)
	if p.Policy.Environment != "" {
		p.line("| Environment | %s |", plain(p.Policy.Environment))
	}
	for _, o := range []struct {
		what string
		d    fmt.Stringer
		none bool
	}{{"Work that may be lost (RPO)", p.Policy.Objectives.RPO, p.Policy.Objectives.RPO.IsZero()}, {"Time to be back (RTO)", p.Policy.Objectives.RTO, p.Policy.Objectives.RTO.IsZero()}} {
		if !o.none {
			p.line("| %s | %s |", o.what, o.d)
		}
	}
	p.line("")
	if approval.Needed(p.Policy.Environment) {
		p.text("This is production: whatever creates or overwrites a database asks for a code with today's date in UTC, such as `%s` on the day this was written, which goes into the audit log. The commands below take it from `$APPROVAL`, so that nothing is overwritten by a command that was only copied.", approval.Code(p.Written))
	}
}

func (p *page) contacts() {
	if len(p.Contacts) == 0 {
		return
	}
	p.text("## Who to call")
	p.line("| who | role | how |\n|---|---|---|")
	for _, c := range p.Contacts {
		p.line("| %s | %s | %s |", plain(c.Name), plain(c.Role), plain(c.Reach))
	}
	p.line("")
}

func (p *page) there() {
	p.text("## What can be restored")
	if len(p.Sources) == 0 {
		p.text("**Nothing.** There is no recovery point in `%s`.", p.Repository)
		return
	}
	p.line("| source | kind | newest good point | its age | oldest | points | last proven restore | last drill |\n|---|---|---|---|---|---|---|---|")
	for _, s := range p.Sources {
		p.line("| %s | %s | %s | %s | %s | %s | %s | %s |", plain(s.Source), plain(s.Kind), s.newest(), s.age(p.Written), s.oldest(), s.count(), s.proven(), s.drilled())
	}
	p.line("")
	for _, s := range p.Sources {
		if s.Newest == nil {
			p.text("**%s (%s) has no good recovery point.**", plain(s.Source), plain(s.Kind))
		}
		if s.Last != nil && s.Last.Outcome != drillreport.Proven {
			p.text("**The last drill of %s, on %s, did not prove its backup (%s):** %s", plain(s.Source), moment(s.Last.Start), s.Last.Outcome, plain(s.Last.Reason))
		}
	}
	if p.Strange > 0 {
		p.text("%d files among the manifests can not be read: `pgbackup-runner list` names them.", p.Strange)
	}
}

func (s Source) newest() string {
	if s.Newest == nil {
		return "**none**"
	}
	return fmt.Sprintf("`%s`, %s", s.Newest.ID, bytes(s.Newest.StoredSize()))
}

func (s Source) age(now time.Time) string {
	if s.Newest == nil {
		return "–"
	}
	return span(now.Sub(s.Newest.Start))
}

func (s Source) oldest() string {
	if s.Oldest == nil {
		return "–"
	}
	return moment(s.Oldest.Start)
}

func (s Source) count() string {
	if s.Condemned > 0 {
		return fmt.Sprintf("%d, and %d bad", s.Points, s.Condemned)
	}
	return fmt.Sprint(s.Points)
}

func (s Source) proven() string {
	if s.Proven == nil {
		return "**never**"
	}
	text := fmt.Sprintf("%s, in %s", moment(s.Proven.Start), span(time.Duration(s.Proven.RTO.Seconds*float64(time.Second))))
	if kept := s.Proven.RTO.Kept; kept != nil && !*kept {
		text += " (longer than promised)"
	}
	return text
}

func (s Source) drilled() string {
	if s.Last == nil {
		return "–"
	}
	return fmt.Sprintf("%s, %s", moment(s.Last.Start), s.Last.Outcome)
}

func (p *page) begin() {
	p.text("## Before you begin")
	p.text("On a machine with `pgbackup-runner` and PostgreSQL's client programs, that reaches both the repository and the server to restore to. Its password goes into `PGPASSWORD` or `~/.pgpass`, not onto a command line.")
	p.shell(
		"export SERVER=postgres://postgres@db.example.org:5432   # the server to restore to",
		p.keyLine(),
		p.approvalLine(),
		p.runner("doctor"),
		p.runner("list"),
	)
	if p.Sealed {
		p.text("The repository is encrypted: without its key nothing can be restored. %s", p.keyText())
	}
}

// keyLine puts a key that lives in the environment before the rest.
func (p *page) keyLine() string {
	if name, ok := strings.CutPrefix(p.Key, "env:"); ok && p.Sealed {
		return "export " + quoted(name) + "=…   # the encryption key"
	}
	return ""
}

// approvalLine asks whoever restores for the day's code.
func (p *page) approvalLine() string {
	if p.Policy == nil || !approval.Needed(p.Policy.Environment) {
		return ""
	}
	return "export APPROVAL=" + approval.Prefix + "…   # and today's date in UTC, as YYYYMMDD"
}

func (p *page) keyText() string {
	if p.Key == "" {
		return "Give it with `--key`."
	}
	return fmt.Sprintf("It is `%s`.", p.Key)
}

// runner is a command line with where the repository is.
func (p *page) runner(words ...string) string {
	line := "pgbackup-runner " + strings.Join(words, " ")
	if p.Job != "" {
		return line + " --job " + quoted(p.Job)
	}
	line += " --repository " + quoted(p.Repository)
	if p.Key != "" {
		line += " --key " + quoted(p.Key)
	}
	return line
}

// approved is a command that production asks a code for.
func (p *page) approved(words ...string) string {
	line := p.runner(words...)
	if p.Policy != nil && approval.Needed(p.Policy.Environment) {
		line += ` --approval "$APPROVAL"`
	}
	return line
}

// databases are the sources that a database can be made of.
func (p *page) databases() []Source { return p.ofKind(string(job.KindLogical)) }

func (p *page) ofKind(kinds ...string) []Source {
	var list []Source
	for _, s := range p.Sources {
		for _, k := range kinds {
			if s.Kind == k && s.Newest != nil {
				list = append(list, s)
			}
		}
	}
	return list
}

// database is the name of the database that a source is of.
func (s Source) database() string { return cmp.Or(s.Newest.Server.Database, "app") }

// at is the URI of a database of the server, for a shell that knows $SERVER.
func at(database string) string { return `"$SERVER/` + uri(database) + `"` }

// uri escapes the name of a database for the path of a URI inside double quotes.
func uri(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-', c == '.':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func (p *page) each(sources []Source, write func(Source)) {
	for _, s := range sources {
		p.text("### %s", plain(s.Source))
		write(s)
	}
}
