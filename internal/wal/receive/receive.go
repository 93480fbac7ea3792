// Package receive streams a server's write-ahead log into a repository: finished
// segments at once, the unfinished one every few seconds, so that losing the server and
// this machine costs seconds.
//
// What was received lies in a spool on this machine until it is durable in the
// repository, and only then the server is told that it may forget it (or, if the job
// says so, when the spool has it). One of several receivers of a source works, the
// others wait for its lease. What it stores is written once and is the same whoever
// stores it: two at work by mistake waste time and harm nothing.
//
// What lives here: where to begin, the spool, what is stored when, and what is told to
// the server. What must not: the replication protocol (package postgres/replication),
// the form of what is stored (package repo), flags and exit codes (the runner).
package receive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/spool"
)

// ErrOtherSystem: the server that is streamed from was replaced by one with another
// history from its first day on, such as one made by initdb or pg_upgrade.
var ErrOtherSystem = errors.New("another database system")

// Options of Run.
type Options struct {
	Repo   *repo.Repository
	Source string          // of the archive, and of the base backups of the server
	Target postgres.Target // several hosts with target_session_attrs=primary follow a failover
	WAL    job.WAL         // of mode receive
	Self   repo.Holder
	Log    *slog.Logger
	Now    func() time.Time
	// LeaseTTL is for how long a receiver that is not heard of keeps others out; 0 is
	// repo.LeaseTTL.
	LeaseTTL time.Duration
	// Report is told every few seconds how it stands; nil is nobody. It must not take
	// long.
	Report func(State)
}

// State is how a receiver stands.
type State struct {
	Archive  repo.WALArchive
	Timeline pgwal.Timeline
	Received pgwal.LSN // up to here it came from the server
	Stored   pgwal.LSN // up to here, without a hole, it is in the repository
	Server   pgwal.LSN // up to here the server said it wrote
	// Lag is how long the oldest of what was received waits to be stored, or, when that is
	// longer, since when there is no connection to the server.
	Lag time.Duration
	// Spooled is in the spool and not stored as a whole segment, in bytes.
	Spooled int64
	// Retained is what the server keeps for the slot, in bytes; -1 is not known.
	Retained int64
	// Connected: the server streams.
	Connected bool
}

// Run receives until ctx ends, and then returns nil: what was received is stored before
// that, within finalTime. It waits while another receiver of the source is at work. An
// error is one that trying again does not mend: at the beginning whatever is wrong with
// the server's answers or the repository, later ErrOtherSystem, or what is in the
// archive differs from what the server has (repo.ErrWALDiffers).
func Run(ctx context.Context, o Options) error {
	r, err := newReceiver(o)
	if err != nil {
		return err
	}
	for first := true; ; first = false {
		err := r.turn(ctx, first)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it was told to end, and what broke when everything was stopped was told
		case errors.Is(err, errTakenOver):
			r.Log.Warn("another receiver took over; waiting for it to end", "source", r.Source)
		case err != nil:
			return fmt.Errorf("receive the WAL of %s: %w", r.Source, err)
		}
	}
}

// turn waits for the lease and works under it.
func (r *receiver) turn(ctx context.Context, first bool) error {
	lease, held, err := r.waitForLease(ctx, first)
	if err != nil {
		return err
	}
	return r.work(ctx, lease, held)
}

type receiver struct {
	Options
	every   time.Duration
	limit   int64 // of the spool, in bytes
	slot    string
	spooled bool // what is in the spool is confirmed already

	met       bool   // a stream was begun once
	system    string // of the server, once known
	leaseLost atomic.Bool
	pieces    map[pgwal.Segment][]span // of the archive, as it was when it was looked at
	last      *segment                 // that was begun
	histories map[string]bool          // names of those that are known to be in the archive
	watch     slotWatch                // what was told of the slot
	seldom    seldom
}

func newReceiver(o Options) (*receiver, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.WAL.Spool == "" {
		o.WAL.Spool = spool.Default()
	}
	if err := (repo.WALArchive{Source: o.Source, System: "1"}).Check(); err != nil {
		return nil, err
	}
	r := &receiver{
		Options: o, every: job.DefaultWALEvery, limit: job.DefaultSpoolLimit, slot: o.WAL.Slot,
		spooled: o.WAL.Confirm == job.ConfirmSpooled, histories: map[string]bool{},
	}
	if every, ok := o.WAL.Every.Exact(); ok && every > 0 {
		r.every = every
	}
	if o.WAL.SpoolLimit > 0 {
		r.limit = o.WAL.SpoolLimit
	}
	if r.slot == "" {
		r.slot = SlotName(o.Source)
	}
	r.watch.limit = o.WAL.SlotLimit
	if r.watch.limit == 0 {
		r.watch.limit = job.DefaultSlotLimit
	}
	return r, nil
}

// seldom holds back warnings that repeat.
type seldom struct {
	mu   sync.Mutex
	told map[string]time.Time
}

// due tells whether a warning was not told for a minute.
func (s *seldom) due(what string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, told := s.told[what]; told && now.Sub(last).Abs() < time.Minute {
		return false
	}
	if s.told == nil {
		s.told = map[string]time.Time{}
	}
	s.told[what] = now
	return true
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
