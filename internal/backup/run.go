package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

const (
	defaultLock = time.Minute
	// dumpLockWait is how long pg_dump may wait for its own locks. Whoever waits
	// for a table exclusively between us and pg_dump holds up everybody who wants
	// that table, so we give way soon and start over behind it.
	dumpLockWait = 5 * time.Second
	// compressors work on chunks at once. Two keep up with one pg_dump, which
	// delivers 250–300 MB/s at most, and bound memory.
	compressors = 2
)

// Run takes one backup. Nothing is visible before it was verified to its end;
// on any error nothing is, and what was stored is removed again.
func Run(ctx context.Context, o Options) (point.Result, error) {
	o.defaults()
	if err := repo.CheckSource(o.Source); err != nil {
		return point.Result{}, err
	}
	ctx, cancel := o.Limit(ctx)
	defer cancel()
	o.Progress.At("connecting")
	found, err := inspect(ctx, o)
	if err != nil {
		return point.Result{}, err
	}
	return point.Take(ctx, o.Options, logical.Kind, "database "+o.Target.Database, func(ctx context.Context, w *point.Writing) (*repo.Manifest, error) {
		r := &run{Options: o, inspected: found, point: w}
		return r.fill(ctx)
	})
}

func (o *Options) defaults() {
	o.Defaults()
	if o.LockTimeout <= 0 {
		o.LockTimeout = defaultLock
	}
}

// inspect finds out, before anything is locked or written, whether there are
// tools that may dump this server and whether the role may read what is selected.
func inspect(ctx context.Context, o Options) (found inspected, err error) {
	ctx, stop := context.WithTimeoutCause(ctx, o.StallTimeout, fmt.Errorf("%w for %s: %s does not answer", point.ErrStalled, o.StallTimeout, o.Target))
	defer stop()
	defer func() {
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
	}()
	conn, err := o.Target.Connect(ctx)
	if err != nil {
		return found, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	major, err := postgres.ServerMajor(conn)
	if err != nil {
		return found, err
	}
	if found.tools, err = postgres.FindTools(ctx, major); err != nil {
		return found, err
	}
	problems, err := postgres.CheckRights(ctx, conn, o.Selection)
	if err != nil {
		return found, fmt.Errorf("look at what may be read of %s: %w", o.Target, err)
	}
	if len(problems) > 0 {
		return found, &postgres.RightsError{User: o.Target.User, Problems: problems}
	}
	found.database, err = postgres.ReadDatabaseProperties(ctx, conn)
	return found, err
}

// inspected is what inspect found out.
type inspected struct {
	database postgres.DatabaseProperties
	tools    postgres.Tools
}

// run is one backup under way.
type run struct {
	Options
	inspected
	point    *point.Writing
	snapshot *postgres.Snapshot
}

// fill stores everything and describes it.
func (r *run) fill(ctx context.Context) (*repo.Manifest, error) {
	dumped, err := r.dump(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.point.Timed("globals", func() error { return r.globals(ctx) }); err != nil {
		return nil, err
	}
	return r.describe(ctx, dumped)
}

// globals stores roles and tablespaces. A server that does not let them be read
// still gets its data backed up: the manifest and a warning say so.
func (r *run) globals(ctx context.Context) error {
	if !r.Globals {
		return nil
	}
	// pg_dumpall gives no sign of life while it works: it has the stall timeout for all of it.
	limited, stop := context.WithTimeoutCause(ctx, r.StallTimeout, fmt.Errorf("%w for %s", point.ErrStalled, r.StallTimeout))
	defer stop()
	g, err := postgres.DumpGlobals(limited, r.tools, r.Target)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		r.point.Skip("roles and tablespaces (globals)", err.Error())
		r.point.Warn("roles and tablespaces are not in this backup: %v", err)
		return nil
	}
	if g.WithoutPasswords {
		r.point.Skip("passwords of roles", "the role "+r.Target.User+" may not read pg_authid")
	}
	return r.point.WriteStream(ctx, logical.StreamGlobals, g.SQL)
}

// describe stores the table list and the index, and makes the manifest.
func (r *run) describe(ctx context.Context, d *dumped) (*repo.Manifest, error) {
	index, err := json.Marshal(d.index)
	if err != nil {
		return nil, err
	}
	if err := r.point.WriteStream(ctx, repo.StreamIndex, index); err != nil {
		return nil, err
	}
	tables, totals, err := logical.EncodeRecords(d.data)
	if err != nil {
		return nil, err
	}
	if err := r.point.WriteStream(ctx, logical.StreamTables, tables); err != nil {
		return nil, err
	}
	s := r.snapshot.Server
	m := &repo.Manifest{
		Tool: "pg_dump " + r.tools.Version,
		Server: repo.Server{
			Version: s.Version, Major: s.Major, SystemIdentifier: s.SystemIdentifier, Database: r.Target.Database,
			Encoding: r.database.Encoding, Collate: r.database.Collate, Ctype: r.database.CType,
			LocaleProvider: r.database.LocaleProvider, Locale: r.database.Locale, ICURules: r.database.ICURules,
			InRecovery: s.InRecovery, Clock: s.Clock, Extensions: d.extensions,
		},
		Verification: repo.Verification{Archive: true, Reference: "pg_restore " + r.tools.Version},
		Totals:       totals,
	}
	if sel := repo.Selection(r.Selection); sel.IncludeTables != nil || sel.ExcludeTables != nil || sel.IncludeSchemas != nil || sel.ExcludeSchemas != nil {
		m.Selection = &sel
	}
	return m, nil
}
