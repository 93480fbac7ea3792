package drill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
)

// place is a server that a point is restored to, and a database of it that is not
// there yet.
type place interface {
	lookedAt
	// start readies the server; its phases are noted by the place.
	start(ctx context.Context, m *repo.Manifest) error
	// about says where it is.
	about() drillreport.Place
	// fresh tells that nobody else uses the server: roles may be made at will.
	fresh() bool
	// lacking makes roles that the backup names and the server lacks, or says which
	// others take their part.
	lacking(ctx context.Context, roles []string) (instead map[string]string, err error)
	// restored is called when the database is complete.
	restored(ctx context.Context) error
	// trouble is what is wrong with the place itself, "" for nothing that is known.
	trouble() string
	// stop removes all of it, also after a start that failed.
	stop(ctx context.Context) error
}

// lookedAt is a database that was restored.
type lookedAt interface {
	// target is the database, as whoever may do everything in it.
	target() postgres.Target
	// reader connects for statements of the user: as somebody who may read all and
	// change nothing, where that can be had.
	reader(ctx context.Context) (*pgx.Conn, error)
	// programs is the folder of PostgreSQL's own programs, "" for wherever they are.
	programs() string
	// doubt is why what is found wrong in indexes may not be the backup's fault, "" for
	// nothing that is known.
	doubt(ctx context.Context) string
}

// drillDatabase restores into a place and looks at what came back.
func (r *run) drillDatabase(ctx context.Context, m *repo.Manifest) (err error) {
	var at place
	if r.Drill.Into.Database != nil {
		at = &scratchDatabase{run: r}
	} else {
		at = &scratchCluster{run: r}
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), ending)
		defer cancel()
		if stopped := r.phase(drillreport.PhaseRemoving, false, func() error { return at.stop(ending) }); stopped != nil {
			r.warn("something is left of the drill: %s", oneLine(stopped.Error()))
		}
	}()
	err = at.start(ctx, m)
	r.report.Into = at.about()
	if err != nil {
		return err
	}
	if err := r.restore(ctx, m, at); err != nil {
		if why := at.trouble(); why != "" {
			r.unsure = append(r.unsure, why)
		}
		return err
	}
	if err := at.restored(ctx); err != nil {
		return err
	}
	return r.look(ctx, at)
}

// restoreSteps are the steps of package restore as they follow each other; others
// come after them, by name.
var restoreSteps = []string{"schema", "tables", "sequences and large objects", "indexes and constraints", drillreport.PhaseComparing, "properties of the database", "statistics"}

// restore brings the point back and holds it against its record.
func (r *run) restore(ctx context.Context, m *repo.Manifest, at place) error {
	o := restore.Options{
		Repo: r.Repo, Ref: r.ref, Target: at.target(), Jobs: r.Drill.Jobs, Isolated: true, Log: r.Log, Progress: r.Progress,
		// On a server of others nothing but the database is made.
		Globals: at.fresh() && hasGlobals(m), NoOwner: !at.fresh(), NoPrivileges: !at.fresh(),
	}
	result, err := restore.Run(ctx, o)
	if missing := (*restore.MissingRoles)(nil); errors.As(err, &missing) {
		// Roles that the backup names and does not have are no fault of it, and
		// nothing was restored yet.
		if o.RoleMap, err = at.lacking(ctx, missing.Names); err != nil {
			return err
		}
		result, err = restore.Run(ctx, o)
	}
	r.report.Warnings = append(r.report.Warnings, result.Warnings...)
	r.report.LeftOut = result.LeftOut
	rest := maps.Clone(result.Durations)
	for _, name := range restoreSteps {
		if seconds, ok := rest[name]; ok {
			r.took(name, seconds, name != drillreport.PhaseComparing)
			delete(rest, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		r.took(name, rest[name], true)
	}
	if c := result.Comparison; c != nil {
		r.report.Contents = drillreport.Contents{Tables: c.Tables, Rows: c.Rows, Bytes: c.Bytes, LargeObjects: c.LargeObjects, Sequences: c.Sequences, Differences: c.Differences}
	}
	return err
}

// look holds what was restored against what the user expects of it.
func (r *run) look(ctx context.Context, at lookedAt) error {
	if r.Drill.AmCheck {
		if err := r.phase(drillreport.PhaseAmCheck, false, func() error { return r.amcheck(ctx, at) }); err != nil {
			return err
		}
	}
	if len(r.Drill.Checks) == 0 {
		return nil
	}
	return r.phase(drillreport.PhaseChecks, false, func() error { return r.checks(ctx, at.reader) })
}

// errStopped: the drill was told to end.
func errStopped(ctx context.Context, what string) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, context.Cause(ctx))
}

// hasGlobals tells whether the roles of the server travel with the point.
func hasGlobals(m *repo.Manifest) bool { return len(m.Stream(logical.StreamGlobals)) > 0 }
