package drill

import (
	"context"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/scratch"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Planned is what a drill would do.
type Planned struct {
	Point drillreport.Point `json:"point"`
	Steps []string          `json:"steps"`
}

// Plan says what Run would do, and changes nothing. It fails where Run would say
// that it could not run, as far as that can be seen from here.
func Plan(ctx context.Context, o Options) (Planned, error) {
	o.defaults()
	r := newRun(o)
	if r.wholeServer() {
		return r.planRecovery(ctx)
	}
	m, err := r.choose(ctx)
	p := Planned{Point: r.report.Point}
	if err != nil {
		return p, err
	}
	say := func(format string, args ...any) { p.Steps = append(p.Steps, fmt.Sprintf(format, args...)) }
	if r.report.Point.Seed != 0 {
		say("take %s, %s of %d with seed %d", r.ref, r.report.Point.Chosen, r.report.Point.Among, r.report.Point.Seed)
	} else {
		say("take %s (%s), %s", r.ref, r.report.Point.Chosen, bytesize.Text(m.StoredSize()))
	}
	if o.Drill.Archived {
		say("bring it back from its archive class first, if it is in one")
	}
	if err := r.planPlace(ctx, m, say); err != nil {
		return p, err
	}
	r.planLook(say)
	return p, nil
}

// planLook is what follows the restore.
func (r *run) planLook(say func(string, ...any)) {
	if r.Drill.AmCheck {
		say("look at tables and indexes with pg_amcheck")
	}
	for _, c := range r.Drill.Checks {
		say("check %q", c.Name)
	}
	say("remove all of it, and store a report as drill %s in %s", r.Name, r.Reports.URL())
	if r.Reports == r.Repo {
		say("mark the point as bad if that is what it is")
	}
}

func (r *run) planPlace(ctx context.Context, m *repo.Manifest, say func(string, ...any)) error {
	into := r.Drill.Into
	switch {
	case into.RDSInstance != nil:
		if m.RDS == nil {
			return fmt.Errorf("%s: %w: it names no snapshot", r.ref, repo.ErrDamaged)
		}
		say("restore snapshot %s into a temporary RDS instance in %s", m.RDS.Snapshot, m.RDS.Region)
		return nil
	case into.Database != nil:
		server, err := r.databaseServer(ctx)
		if err != nil {
			return err
		}
		conn, err := server.Connect(ctx)
		if err != nil {
			return err
		}
		postgres.CloseSoon(conn)
		say("restore it into a new database %s… on %s, without owners and rights", databasePrefix, server.Host)
	default:
		programs, err := scratch.FindPrograms(ctx, m.Server.Major, "")
		if err != nil {
			return err
		}
		say("start a scratch server of PostgreSQL %s (the backup is of %d) that listens on a socket only", programs.Version, m.Server.Major)
		say("restore it into database %s there", databaseName(m.Server.Database))
	}
	say("compare rows, bytes and hash of %d tables with the backup's", m.Totals.Tables)
	return nil
}
