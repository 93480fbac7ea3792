package runbook

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// What to do, one disaster after the other.

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
	p.each(p.servers(), func(s Source) {
		p.shell(
			replica.runner("wal status", "--source", quoted(s.Source)),
			replica.approved("restore --target latest", "--source", quoted(s.Source), `--to-directory "$DATA" --start`),
		)
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
