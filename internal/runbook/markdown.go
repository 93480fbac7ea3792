package runbook

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/approval"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
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
		p.text("This is production: whatever creates or overwrites a database asks for today's code, which is `%s` today and is written into the audit log. The commands below work it out.", approval.Code(p.Written))
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
		line += ` --approval ` + approval.Prefix + `$(date -u +%Y%m%d)`
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

func (p *page) deletedRows() {
	if len(p.databases()) == 0 {
		return
	}
	p.text("## Rows were deleted or changed by mistake")
	p.text("Bring the table back beside the live database, from before it happened, and copy the rows over. The live database goes on working. Put the table in place of `public.orders` and the moment before the mistake in place of the time.")
	p.each(p.databases(), func(s Source) {
		p.shell(
			p.approved("restore", s.Newest.Start.UTC().Format(time.RFC3339), "--source", quoted(s.Source), "--table public.orders", "--to-database", at(s.database()+"_rescue")),
			"psql "+at(s.database()+"_rescue")+` -c "\copy (select * from public.orders where id in (1, 2, 3)) to stdout" \`,
			"  | psql "+at(s.database())+` -c "\copy public.orders from stdin"`,
			`dropdb --maintenance-db "$SERVER/postgres" `+quoted(s.database()+"_rescue"),
		)
	})
}

func (p *page) droppedTable() {
	if len(p.databases()) == 0 {
		return
	}
	p.text("## A table was dropped")
	p.text("Into the live database itself; what the table needs and is not there is named before anything is made.")
	p.each(p.databases(), func(s Source) {
		p.shell(p.approved("restore", s.Newest.ID, "--source", quoted(s.Source), "--table public.orders", "--to-database", at(s.database())))
	})
}

func (p *page) corruptDatabase() {
	if len(p.databases()) == 0 {
		return
	}
	p.text("## The database is corrupt, or a release went wrong")
	p.text("Restores beside the broken database, compares every row, and only then swaps the names: until then the old one answers. It is kept as `…_before_<time>` until somebody drops it.")
	p.each(p.databases(), func(s Source) {
		p.expected(s)
		p.shell(
			p.runner("restore latest", "--source", quoted(s.Source), "--to-database", at(s.database()), "--replace --dry-run"),
			p.approved("restore latest", "--source", quoted(s.Source), "--to-database", at(s.database()), "--replace"),
		)
		p.text("To the state before a moment: the moment, such as `%s`, in place of `latest`.", s.Newest.Start.UTC().Format(time.RFC3339))
	})
}

func (p *page) expected(s Source) {
	if s.Proven == nil {
		p.text("No drill has proven how long this takes; the newest point has %s of rows.", bytes(s.Newest.Totals.Bytes))
		return
	}
	p.text("The drill of %s took %s for %s of rows; there are %s now.", moment(s.Proven.Start),
		span(time.Duration(s.Proven.RTO.Seconds*float64(time.Second))), bytes(s.Proven.Contents.Bytes), bytes(s.Newest.Totals.Bytes))
}

func (p *page) lostServer() {
	if len(p.databases()) == 0 {
		return
	}
	p.text("## The server is lost")
	p.text("On a new server: roles first, then the database. What the new server lacks (extensions, locales, roles) is named before anything is made.")
	p.each(p.databases(), func(s Source) {
		p.needs(s)
		p.shell(
			p.runner("restore", s.Newest.ID, "--source", quoted(s.Source), "--to-database", at(s.database()), "--globals --dry-run"),
			p.approved("restore", s.Newest.ID, "--source", quoted(s.Source), "--to-database", at(s.database()), "--globals --analyze"),
		)
	})
}

func (p *page) needs(s Source) {
	text := fmt.Sprintf("PostgreSQL %d or newer", s.Newest.Server.Major)
	if len(s.Newest.Server.Extensions) > 0 {
		names := make([]string, len(s.Newest.Server.Extensions))
		for i, e := range s.Newest.Server.Extensions {
			names[i] = plain(e)
		}
		text += ", with the extensions " + strings.Join(names, ", ")
	}
	p.text("It needs %s.", text)
}

func (p *page) lostInstance() {
	snapshots := p.ofKind(repo.KindRDSSnapshot)
	if len(snapshots) == 0 {
		return
	}
	p.text("## The RDS instance is lost")
	p.text("Always into a new instance; the old one, if it is there, is not touched.")
	p.each(snapshots, func(s Source) {
		name := s.Newest.RDS.Database
		p.shell(
			p.runner("rds restore", s.Newest.ID, "--to", quoted(name+"-restored"), "--verify-only"),
			p.approved("rds restore", s.Newest.ID, "--to", quoted(name+"-restored")),
		)
	})
}

func (p *page) otherKinds() {
	files := p.ofKind(string(job.KindFiles), string(job.KindConfig))
	texts := p.ofKind(string(job.KindGlobals), string(job.KindCommand))
	if len(files)+len(texts) == 0 {
		return
	}
	p.text("## Files, configuration and the rest")
	p.each(files, func(s Source) {
		p.shell(p.runner("restore", s.Newest.ID, "--source", quoted(s.Source), "--kind", s.Kind, "--to-directory /tmp/restored"))
	})
	p.each(texts, func(s Source) {
		p.shell(p.runner("restore", s.Newest.ID, "--source", quoted(s.Source), "--kind", s.Kind, "--to-file /tmp/restored."+s.Kind))
	})
}

func (p *page) lostRegion() {
	p.text("## The region is lost")
	if p.Replica == "" {
		p.text("There is no second copy in another region: what was in `%s` is lost with it.", p.Repository)
		return
	}
	p.text("The copy is `%s`. What was written in the last minutes may not have reached it: the command says how far behind it is.", p.Replica)
	replica := *p
	replica.Builder = strings.Builder{}
	replica.Repository, replica.Job = p.Replica, ""
	p.shell(replica.runner("list"))
	p.each(p.databases(), func(s Source) {
		p.shell(replica.approved("restore latest", "--source", quoted(s.Source), "--to-database", at(s.database()), "--globals"))
	})
}

func (p *page) lostKey() {
	p.text("## The key is lost")
	if !p.Sealed {
		p.text("The repository is not encrypted by pgbackup: there is no key to lose.")
		return
	}
	p.text("%s Whoever wrapped the repository with a second key can still open it; `key list` says which there are. A secret that was deleted in Secrets Manager can be restored for 7 to 30 days, a KMS key that is scheduled for deletion can be kept:", p.keyText())
	p.shell(
		"aws secretsmanager restore-secret --secret-id NAME",
		"aws kms cancel-key-deletion --key-id ARN && aws kms enable-key --key-id ARN",
		p.runner("key list"),
	)
	p.text("Without any of them the backups can not be read by anybody. Take a new one into a new repository at once: `pgbackup-runner init`, then `backup`.")
}
