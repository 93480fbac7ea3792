package drill

import (
	"context"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/scratch"
)

// planRecovery says what a drill of a whole server would do.
func (r *run) planRecovery(ctx context.Context) (Planned, error) {
	r.report.Recovery = &drillreport.Recovery{}
	m, err := r.chooseMoment(ctx)
	p := Planned{Point: r.report.Point}
	if err != nil {
		return p, err
	}
	say := func(format string, args ...any) { p.Steps = append(p.Steps, fmt.Sprintf(format, args...)) }
	rec := r.report.Recovery
	say("choose a moment from %s to %s, which %d base backups and the archived WAL reach", exact(rec.From), exact(rec.To), r.report.Point.Among)
	switch {
	case r.Drill.Chosen() == job.DrillRandom:
		say("take %s (random, with seed %d)", exact(m.at), r.report.Point.Seed)
	case m.at.IsZero():
		say("take the end of the archived WAL (latest)")
	default:
		say("take %s (%s)", exact(m.at), r.Drill.Chosen())
	}
	if r.Drill.Archived {
		say("bring the base backup back from its archive class first, if it is in one")
	}
	programs, err := scratch.FindExactly(ctx, m.base.Manifest.Server.Major, "")
	if err != nil {
		return p, err
	}
	full := m.base.Manifest.Physical.Full
	if full == 0 {
		full = m.base.Manifest.Totals.Bytes
	}
	say("restore the files of base backup %s, %s, into a directory of its own", r.ref, bytesize.Text(full))
	say("start a scratch server of PostgreSQL %s there that listens on a socket only, does not archive, and replays WAL up to the moment", programs.Version)
	say("hold the newest heartbeat and commit in it against the moment")
	r.planLook(say)
	return p, nil
}
