package runbook

import (
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// What to do where a server has base backups and its log is archived.

func (p *page) archivedServer() {
	servers := p.servers()
	if len(servers) == 0 {
		return
	}
	p.text("## The server is gone, and its log is archived")
	p.text("The whole server, as it was in any second that its log reaches: with the newest base backup before, and the log since. As root, or as the user that the server is to run as, on a machine with PostgreSQL's programs of the same major version. The data directory is a new or empty one; into the old one, with the server stopped, add `--delta`: only what differs is fetched then, and log that was never archived is removed.")
	p.each(servers, func(s Source) {
		p.needs(s)
		p.reaches(s.Log)
		p.shell(
			"export DATA=/var/lib/postgresql/"+fmt.Sprint(s.Newest.Server.Major)+"/main   # the data directory: new, or empty",
			p.runner("wal status", "--source", quoted(s.Source)),
		)
		p.text("To the newest moment. The first command says step by step what would be done, and does nothing:")
		p.recover(s, "--target latest")
		p.text("To a moment, such as the last one before a mistake: put it in place of the time, by the server's clock.")
		p.recover(s, "--target-time "+s.moment())
	})
	p.text("The server is started where nobody can connect, until it has come to the target; which transaction that is is said, and then it serves, on a new timeline. Take a base backup then. To fetch single rows while the server goes on living, recover a copy into another directory with `--archive-mode off --port 5433`, and dump them from there.")
}

// recover restores a base backup and the log after it, first as a dry run.
func (p *page) recover(s Source, target string) {
	words := []string{"restore", target, "--source", quoted(s.Source), `--to-directory "$DATA" --start`}
	p.shell(p.runner(append(words, "--dry-run")...), p.approved(words...))
}

// reaches says from when to when can be recovered.
func (p *page) reaches(l *Log) {
	const asks = "`wal status` below tells."
	switch {
	case l == nil || l.Problem != "":
		why := ""
		if l != nil {
			why = ": " + plain(l.Problem)
		}
		p.text("What its log reaches was not found out%s. %s", why, asks)
	case l.From.IsZero():
		p.text("**No base backup leads to a moment that can be recovered:** the log that they need is not archived. %s", asks)
	case l.Gap != nil:
		p.text("Every moment from **%s** to **%s** can be recovered. **The log has a gap after that:** nothing that was committed since can be recovered, and the newest moment is the one before the gap.", second(l.From), second(l.To))
	default:
		p.text("Every moment from **%s** to **%s** can be recovered, and later ones as the log goes on coming in.", second(l.From), second(l.To))
	}
	if l != nil && l.Before != nil {
		p.text("The log has a gap before that: what was committed between %s and %s can not be recovered. Of earlier moments `wal status` tells which can.", ifKnown(l.Before.Before), ifKnown(l.Before.After))
	}
}

// moment is one that can be recovered to: the newest whole second of the window.
func (s Source) moment() string {
	at := s.Newest.End
	if s.Log != nil && !s.Log.To.IsZero() {
		if at = s.Log.To.Truncate(time.Second); at.Before(s.Log.From) {
			at = s.Log.To
		}
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// second is a moment as targets of a recovery are given.
func second(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func ifKnown(t time.Time) string {
	if t.IsZero() {
		return "an unknown moment"
	}
	return second(t)
}

// servers are the sources that a whole server can be recovered of.
func (p *page) servers() []Source { return p.ofKind(string(job.KindPhysical)) }
