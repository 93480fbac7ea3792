// Package physical takes base backups of whole servers over the replication
// protocol.
//
// What lives here: the order of the steps; what of the server's tars becomes the one
// tar of a point; when a base backup is good: every file as the server's own manifest
// says, no page with a wrong checksum, and the log written meanwhile in the repository;
// on which backup an incremental one builds. What must not: the protocol (package
// postgres/replication), the format of backup_manifest (package postgres/basemanifest),
// what every kind does alike (package point), flags and printing (the faces).
package physical

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/replication"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Options of Run and Plan.
type Options struct {
	point.Options
	Target postgres.Target // any database of the server; its role needs REPLICATION
	What   job.Physical    // but for its server
}

// Preview is what a backup would do, from a dry run.
type Preview struct {
	Source     string `json:"source"`
	Server     string `json:"server"`
	System     string `json:"system_identifier"`
	Standby    bool   `json:"standby,omitempty"`
	Archive    string `json:"archive"` // of the server's log; "" where there is none yet
	Parent     string `json:"parent,omitempty"`
	Repository string `json:"repository"`
	Sealed     bool   `json:"sealed"`

	Skipped  []repo.Skipped `json:"skipped,omitempty"`
	Warnings []string       `json:"-"`
}

// Run takes one base backup. A server whose log does not come into the repository is
// refused before anything is read.
func Run(ctx context.Context, o Options) (point.Result, error) {
	o.Defaults()
	ctx, stop := o.Limit(ctx)
	defer stop()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r := &run{Options: o, abort: fail}
	if err := r.connect(ctx); err != nil {
		return point.Result{}, fmt.Errorf("back up %s (server %s): %w", o.Source, o.Target, err)
	}
	defer r.conn.Close()
	take := o.Options
	take.Parent = r.begin
	return point.Take(ctx, take, string(job.KindPhysical), "server "+o.Target.String(), r.fill)
}

// Plan says what Run would do. The server notices a connection and nothing else.
func Plan(ctx context.Context, o Options) (Preview, error) {
	o.Defaults()
	if err := repo.CheckSource(o.Source); err != nil {
		return Preview{}, err
	}
	p := Preview{Source: o.Source, Repository: o.Repo.URL(), Sealed: o.Repo.Sealed()}
	r := &run{Options: o}
	if err := r.connect(ctx); err != nil {
		return p, fmt.Errorf("back up %s (server %s): %w", o.Source, o.Target, err)
	}
	defer r.conn.Close()
	p.Server, p.System, p.Standby = r.server.cluster.Version, r.server.System, r.server.cluster.InRecovery
	if r.found {
		p.Archive = r.archive.String()
	}
	p.Skipped = append(p.Skipped, r.server.unknown()...)
	parent, why, err := r.parent(ctx, o.Clock())
	if why != "" {
		p.Warnings = append(p.Warnings, fallback(why))
	}
	p.Parent = parent.ID
	return p, err
}

// unknown is what the manifest will not have.
func (s server) unknown() []repo.Skipped {
	if s.noSQL == nil {
		return nil
	}
	return []repo.Skipped{{What: "the server's clock, settings and superuser", Why: "it was not asked by SQL: " + s.noSQL.Error()}}
}

// connect asks the server about itself and looks for the archive of its log.
func (r *run) connect(ctx context.Context) (err error) {
	ctx, stop := context.WithTimeoutCause(ctx, r.StallTimeout, fmt.Errorf("%w for %s: %s does not answer", point.ErrStalled, r.StallTimeout, r.Target))
	defer stop()
	if r.conn, err = replication.Connect(ctx, r.Target); err != nil {
		return because(ctx, err)
	}
	defer func() {
		if err != nil {
			r.conn.Close()
			err = because(ctx, err)
		}
	}()
	if r.server, err = inspect(ctx, r.Options, r.conn); err != nil {
		return err
	}
	return r.lookForArchive(ctx)
}

// walTimeout is how long to wait for WAL.
func (r *run) walTimeout() time.Duration {
	if limit, exact := r.What.WALTimeout.Exact(); exact && limit > 0 {
		return limit
	}
	return job.DefaultWALTimeout
}
