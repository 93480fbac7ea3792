package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Instances makes temporary RDS instances from snapshots.
type Instances interface {
	// Sweep deletes those of a region whose drill died, by the expiry they are tagged
	// with, and returns their identifiers.
	Sweep(ctx context.Context, region string) ([]string, error)
	// Start restores a snapshot into a new instance and returns when it is available.
	// Also after an error, what was begun is tagged and swept. An error wraps
	// repo.ErrDamaged when the snapshot itself is gone or can not be used.
	Start(ctx context.Context, w InstanceWish) (Instance, error)
}

// InstanceWish is what is restored, and into what.
type InstanceWish struct {
	Snapshot *repo.RDSSnapshot
	LookInto bool // somebody will log in to it
	Into     job.DrillInstance
	Name     string    // of the drill
	ID       string    // of its report
	Expires  time.Time // when a sweep may delete it
}

// Instance is one that is available.
type Instance struct {
	Identifier string
	Version    string // of the engine
	Isolation  []string
	// Connect logs in to the database that checks are run in.
	Connect func(context.Context) (postgres.Target, error)
	Delete  func(context.Context) error
}

// slack is how much later than the drill's own limit its instance expires.
const slack = time.Hour

// deleting is how long RDS may be busy with an instance before it is left to the
// next drill.
const deleting = 15 * time.Minute

// drillSnapshot restores a snapshot of RDS. What is in it has no record to be held
// against: that AWS makes an instance of it, and the checks, are the proof.
func (r *run) drillSnapshot(ctx context.Context, m *repo.Manifest) (err error) {
	if m.RDS == nil {
		return fmt.Errorf("%s: %w: it names no snapshot", r.ref, repo.ErrDamaged)
	}
	if r.Instances == nil {
		return errors.New("nothing that makes RDS instances is at hand")
	}
	swept, err := r.Instances.Sweep(ctx, m.RDS.Region)
	for _, name := range swept {
		r.Log.Info("deleted the instance of a drill that died", "instance", name)
	}
	if err != nil {
		r.warn("RDS instances of drills that died may be left: %s", oneLine(err.Error()))
	}
	var instance Instance
	defer func() {
		if instance.Delete == nil {
			return
		}
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleting)
		defer cancel()
		if err := r.phase(drillreport.PhaseRemoving, false, func() error { return instance.Delete(ending) }); err != nil {
			r.warn("instance %s is left of the drill, and the next one deletes it after it expires: %s", instance.Identifier, oneLine(err.Error()))
		}
	}()
	err = r.phase("restoring the snapshot", true, func() (err error) {
		instance, err = r.Instances.Start(ctx, InstanceWish{
			Snapshot: m.RDS, LookInto: len(r.Drill.Checks) > 0, Into: *r.Drill.Into.RDSInstance, Name: r.Name, ID: r.report.ID, Expires: r.Now().Add(r.Limit + slack).UTC(),
		})
		return err
	})
	r.report.Into.Where, r.report.Into.Version, r.report.Into.Isolation = instance.Identifier, instance.Version, instance.Isolation
	if err != nil {
		return err
	}
	if len(r.Drill.Checks) == 0 {
		return nil
	}
	return r.phase(drillreport.PhaseChecks, false, func() error {
		return r.checks(ctx, func(ctx context.Context) (*pgx.Conn, error) {
			t, err := instance.Connect(ctx)
			if err != nil {
				return nil, err
			}
			return t.Connect(ctx)
		})
	})
}
