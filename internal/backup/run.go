package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

const (
	defaultStall = 10 * time.Minute
	defaultLock  = time.Minute
	// dumpLockWait is how long pg_dump may wait for its own locks. Whoever waits
	// for a table exclusively between us and pg_dump holds up everybody who wants
	// that table, so we give way soon and start over behind it.
	dumpLockWait = 5 * time.Second
	// abortTime bounds the clean-up after a failure; the next run does the rest.
	abortTime = 15 * time.Second
	// compressors work on chunks at once. Two keep up with one pg_dump, which
	// delivers 250–300 MB/s at most, and bound memory.
	compressors = 2
)

// Run takes one backup. Nothing is visible before it was verified to its end;
// on any error nothing is, and what was stored is removed again.
func Run(ctx context.Context, o Options) (Result, error) {
	o.defaults()
	if err := repo.CheckSource(o.Source); err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.MaxDuration > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, o.MaxDuration, fmt.Errorf("%w of %s: raise max_duration, or back up fewer tables at once", ErrTooLong, o.MaxDuration))
		defer stop()
	}
	o.Progress.step("connecting")
	found, err := inspect(ctx, o)
	if err != nil {
		return Result{}, err
	}
	lease, ctx, err := o.Repo.TakeLease(ctx, o.Source, repo.LeaseOptions{What: "backup", Self: o.Self, TTL: o.LeaseTTL})
	if err != nil {
		return Result{}, err
	}
	defer func() {
		if err := lease.Release(); err != nil {
			o.Log.Warn("the lease was not given back; the next run waits until it ends by itself", "error", err)
		}
	}()
	var result Result
	if result.Swept, err = o.Repo.Sweep(ctx, o.Source); err != nil {
		return Result{}, err
	}
	if result.Swept.Left != nil {
		result.Warnings = append(result.Warnings, result.Swept.Left.Error())
	}
	run := &run{Options: o, inspected: found, result: &result, durations: map[string]float64{}}
	if err := run.take(ctx); err != nil {
		return result, fmt.Errorf("back up %s (database %s): %w", o.Source, o.Target.Database, err)
	}
	return result, nil
}

func (o *Options) defaults() {
	if o.StallTimeout <= 0 {
		o.StallTimeout = defaultStall
	}
	if o.LockTimeout <= 0 {
		o.LockTimeout = defaultLock
	}
	if o.Verify == "" {
		o.Verify = "streamed"
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = &Progress{}
	}
}

// inspect finds out, before anything is locked or written, whether there are
// tools that may dump this server and whether the role may read what is selected.
func inspect(ctx context.Context, o Options) (found inspected, err error) {
	ctx, stop := context.WithTimeoutCause(ctx, o.StallTimeout, fmt.Errorf("%w for %s: %s does not answer", ErrStalled, o.StallTimeout, o.Target))
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
	result *Result

	newest     *repo.Listed // before this backup, nil for none
	snapshot   *postgres.Snapshot
	snapshotAt time.Time // on our clock, for comparison with the server's
	point      *repo.PointWriter
	skipped    []repo.Skipped
	durations  map[string]float64
}

// timed measures a step for the manifest.
func (r *run) timed(step string, f func() error) error {
	r.Progress.step(step)
	begun := time.Now()
	err := f()
	r.durations[step] = time.Since(begun).Seconds()
	return err
}

// take makes the point, or removes again what was stored of it.
func (r *run) take(ctx context.Context) error {
	start, err := r.begin(ctx)
	if err != nil {
		return err
	}
	r.point, err = r.Repo.NewPoint(r.Source, logical.Kind, start, repo.WriterOptions{
		VerifyStored: r.Verify == "stored", StorageClass: r.StorageClass, Tags: r.Tags,
	})
	if err != nil {
		return err
	}
	err = r.fill(ctx)
	if err == nil {
		return nil
	}
	// Before the clean-up, during which more may go wrong that is not the reason.
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	if err := r.point.Abort(cleanup); err != nil {
		r.Log.Warn("what was stored of the failed backup could not be removed; the next backup clears it", "point", r.point.Ref().String(), "error", err)
	}
	return err
}

// fill stores everything and commits it.
func (r *run) fill(ctx context.Context) error {
	dumped, err := r.dump(ctx)
	if err != nil {
		return err
	}
	if err := r.timed("globals", func() error { return r.globals(ctx) }); err != nil {
		return err
	}
	manifest, err := r.describe(ctx, dumped)
	if err != nil {
		return err
	}
	r.doubt(ctx, r.newest)
	r.Progress.step("committing")
	if err := r.point.Commit(ctx, manifest); err != nil {
		return err
	}
	r.result.Manifest = manifest
	if r.Hold {
		if err := r.Repo.Hold(ctx, r.point.Ref(), repo.Mark{At: time.Now(), By: r.Self.Host, Why: "asked for at backup"}); err != nil {
			r.warn("the backup is good but could not be held: %v; run `pgbackup-runner hold %s`", err, r.point.Ref().ID)
		}
	}
	return nil
}

// globals stores roles and tablespaces. A server that does not let them be read
// still gets its data backed up: the manifest and a warning say so.
func (r *run) globals(ctx context.Context) error {
	if !r.Globals {
		return nil
	}
	// pg_dumpall gives no sign of life while it works: it has the stall timeout for all of it.
	limited, stop := context.WithTimeoutCause(ctx, r.StallTimeout, fmt.Errorf("%w for %s", ErrStalled, r.StallTimeout))
	defer stop()
	g, err := postgres.DumpGlobals(limited, r.tools, r.Target)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		r.skip("roles and tablespaces (globals)", err.Error())
		r.warn("roles and tablespaces are not in this backup: %v", err)
		return nil
	}
	if g.WithoutPasswords {
		r.skip("passwords of roles", "the role "+r.Target.User+" may not read pg_authid")
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
		End:  r.Clock(),
		Tool: "pg_dump " + r.tools.Version, Runner: r.RunnerVersion,
		Server: repo.Server{
			Version: s.Version, Major: s.Major, SystemIdentifier: s.SystemIdentifier, Database: r.Target.Database,
			Encoding: r.database.Encoding, Collate: r.database.Collate, Ctype: r.database.CType,
			LocaleProvider: r.database.LocaleProvider, Locale: r.database.Locale, ICURules: r.database.ICURules,
			InRecovery: s.InRecovery, Clock: s.Clock,
		},
		Verification: repo.Verification{Level: r.Verify, Archive: true, Reference: "pg_restore " + r.tools.Version},
		Totals:       totals, Skipped: r.skipped,
		Policy: r.Policy, PolicyRevision: r.PolicyRevision, Job: r.Job, Tier: r.Tier, Durations: r.durations,
	}
	if sel := repo.Selection(r.Selection); sel.IncludeTables != nil || sel.ExcludeTables != nil || sel.IncludeSchemas != nil || sel.ExcludeSchemas != nil {
		m.Selection = &sel
	}
	return m, nil
}

func (r *run) skip(what, why string) {
	r.skipped = append(r.skipped, repo.Skipped{What: what, Why: why})
}

func (r *run) warn(format string, args ...any) {
	r.result.Warnings = append(r.result.Warnings, fmt.Sprintf(format, args...))
}
