// Package point makes one recovery point of any kind: it takes the lease, clears
// what dead runs left, dates the point, has its contents written, and either
// commits it or removes what was stored.
//
// What lives here: everything that does not depend on what is backed up. What
// must not: where the bytes come from (the packages beside this one, one a kind),
// the storage format (package repo), flags and printing (the faces).
package point

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

const (
	defaultStall = 10 * time.Minute
	// abortTime bounds the clean-up after a failure; the next run does the rest.
	abortTime = 15 * time.Second
)

// Options of Take: what is the same for every kind.
type Options struct {
	Repo   *repo.Repository
	Source string // name of what is backed up
	Verify string // "streamed" (default) or "stored"
	Hold   bool   // hold the new point

	Policy         string // stamped into the manifest
	PolicyRevision int
	Job            string
	RunnerVersion  string
	// Run is when the run began that this point is one of; zero is its own start.
	Run time.Time
	// RandomHost: this machine has another name in each run, as a container has. It
	// then says nothing about whose disk was read.
	RandomHost bool

	StorageClass string            // of the data objects; "" = the bucket's default
	Tags         map[string]string // of the data objects, such as repo.TierTags; stores without tags ignore them
	Tier         string            // stamped into the manifest: the tier Tags say

	StallTimeout time.Duration // no progress for so long aborts; default 10 min
	MaxDuration  time.Duration // the whole backup; 0 = no limit
	LeaseTTL     time.Duration // default repo.LeaseTTL

	// Imported makes the point one of a file that another program wrote: dated Start,
	// which may not be in the future, and made once a file. See imported.go.
	Imported *repo.Imported
	Start    time.Time

	// Parent chooses the point that the new one builds on, "" for none, under the
	// source's lease and before the new one is begun. nil: none. What it warns of and
	// times is noted as what fill does.
	Parent func(ctx context.Context, w *Writing) (id string, err error)
	// Compressors work on chunks of the large stream at once; default 2, which keep up
	// with what one reader delivers.
	Compressors int
	// Memory of the point's large stream; zero is the default.
	Memory Memory

	// Clock dates the point; nil is time.Now. One that is far from the server's is
	// noticed as any wrong clock is.
	Clock func() time.Time

	Self     repo.Holder
	Log      *slog.Logger
	Progress *Progress // may be nil
}

// Memory is what a point holds in memory at once; see repo.WriterOptions.
type Memory struct {
	Chunk    int // plain bytes that are compressed at once
	Buffers  int // of these
	Parts    int // in flight to the store
	PartSize int // bytes
}

// Result of a backup that was committed.
type Result struct {
	Manifest *repo.Manifest
	Swept    repo.Swept // what dead runs had left
	Warnings []string   // things the user should know; exit code 3
	// Doubt is why nothing should be deleted on the strength of this backup,
	// good as it is: a wrong clock, another server. "" = rotation may follow.
	Doubt string
}

// Errors a caller may test for.
var (
	// ErrStalled: nothing moved for the stall timeout.
	ErrStalled = errors.New("the backup made no progress")
	// ErrTooLong: the backup ran into its maximum duration.
	ErrTooLong = errors.New("the backup took longer than its maximum duration")
	// ErrEmpty: what was to be backed up is empty, which no backup is.
	ErrEmpty = errors.New("there is nothing to back up")
)

// Defaults fills in what was not given.
func (o *Options) Defaults() {
	if o.StallTimeout <= 0 {
		o.StallTimeout = defaultStall
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

// Limit bounds ctx by the maximum duration. Its cause then says what to change.
func (o Options) Limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if o.MaxDuration <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, o.MaxDuration, fmt.Errorf("%w of %s: raise max_duration, or back up less at once", ErrTooLong, o.MaxDuration))
}

// OriginHost is the machine whose disk is read or whose program runs, for the
// manifest's origin; "" where its name would be another one in each run.
func (o Options) OriginHost() string {
	if o.RandomHost {
		return ""
	}
	return o.Self.Host
}

// Fill writes the contents of a point. It returns the manifest with what only
// the kind knows: server, tool, verification, totals.
type Fill func(ctx context.Context, w *Writing) (*repo.Manifest, error)

// Take makes one recovery point of a kind. Nothing is visible before fill
// verified it to its end; on any error nothing is, and what was stored is removed
// again. what names in errors what of the source is backed up, such as
// "database app".
func Take(ctx context.Context, o Options, kind, what string, fill Fill) (Result, error) {
	o.Defaults()
	if err := repo.CheckSource(o.Source); err != nil {
		return Result{}, err
	}
	ctx, stop := o.Limit(ctx)
	defer stop()
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
	w := &Writing{Options: o, kind: kind, result: &result, durations: map[string]float64{}}
	if err := w.take(ctx, fill); err != nil {
		return result, fmt.Errorf("back up %s (%s): %w", o.Source, what, err)
	}
	return result, nil
}

// take makes the point, or removes again what was stored of it.
func (w *Writing) take(ctx context.Context, fill Fill) error {
	start, err := w.begin(ctx)
	if err != nil {
		return err
	}
	if err := w.checkImported(ctx); err != nil {
		return err
	}
	parent := ""
	if w.Parent != nil {
		if parent, err = w.Parent(ctx, w); err != nil {
			return because(ctx, err)
		}
	}
	w.PointWriter, err = w.Repo.NewPoint(w.Source, w.kind, start, repo.WriterOptions{
		Parent: parent, VerifyStored: w.Verify == "stored", StorageClass: w.StorageClass, Tags: w.Tags, Chunk: w.Memory.Chunk, Buffers: w.Memory.Buffers, Parts: w.Memory.Parts, PartSize: w.Memory.PartSize,
	})
	if err != nil {
		return err
	}
	w.start = start
	if err = w.finish(ctx, fill); err == nil {
		return nil
	}
	// Before the clean-up, during which more may go wrong that is not the reason.
	err = because(ctx, err)
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	if err := w.Abort(cleanup); err != nil {
		w.Log.Warn("what was stored of the failed backup could not be removed; the next backup clears it", "point", w.Ref().String(), "error", err)
	}
	return err
}

// because puts first why the context ended, where that is the reason.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// finish has everything stored and commits it.
func (w *Writing) finish(ctx context.Context, fill Fill) error {
	m, err := fill(ctx, w)
	if err != nil {
		return err
	}
	m.End, m.Runner = w.Clock(), w.RunnerVersion
	m.Verification.Level = w.Verify
	m.Skipped = w.skipped
	m.Policy, m.PolicyRevision, m.Job, m.Tier, m.Durations = w.Policy, w.PolicyRevision, w.Job, w.Tier, w.durations
	m.Host, m.Run = w.Self.Host, w.Run.UTC()
	if w.Run.IsZero() {
		m.Run = w.start.UTC()
	}
	w.stampImported(m)
	w.doubt(ctx, m)
	w.Progress.At("committing")
	if err := w.Commit(ctx, m); err != nil {
		return err
	}
	w.result.Manifest = m
	if w.Hold {
		if err := w.Repo.Hold(ctx, w.Ref(), repo.Mark{At: time.Now(), By: w.Self.Host, Why: "asked for at backup"}); err != nil {
			w.Warn("the backup is good but could not be held: %v; run `pgbackup-runner hold %s`", err, w.Ref().ID)
		}
	}
	return nil
}
