package repo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// LeaseTTL is how long a lease lives without renewal. A holder renews it three
// times in that span and stops its own work when it could not.
const LeaseTTL = 60 * time.Second

// leaseDocument is locks/<name>.json. It is never deleted: on some servers the
// delete marker would block the next taker.
type leaseDocument struct {
	Format   int       `json:"format"`
	Holder   Holder    `json:"holder"`
	What     string    `json:"what"` // "backup", "rotate"
	Taken    time.Time `json:"taken"`
	Renewed  time.Time `json:"renewed"` // for people; nobody compares clocks
	Renewals int       `json:"renewals"`
	Released bool      `json:"released"`
}

// LeaseOptions of TakeLease.
type LeaseOptions struct {
	What string // the verb that wants it, told to whoever comes second
	Self Holder
	TTL  time.Duration // default LeaseTTL
	// NoWait is for those who would rather be told that it is locked than wait one
	// TTL to see whether a holder on another host is alive.
	NoWait bool
}

// Lease is the right to change what is stored of one source.
type Lease struct {
	store objstore.Store
	key   string
	ttl   time.Duration
	log   *slog.Logger
	ctx   context.Context
	lost  context.CancelCauseFunc
	stop  chan struct{}
	once  sync.Once // of Release
	done  sync.WaitGroup

	mu   sync.Mutex
	doc  leaseDocument
	etag string
	seen time.Time // monotonic: when the last successful write was begun
}

// LockedError says who holds a lease. It is ErrLocked.
type LockedError struct {
	Source string
	Holder Holder
	What   string
	Since  time.Time
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("%s is locked: a %s by pid %d on %s has been running since %s; wait for it, or stop it there",
		e.Source, e.What, e.Holder.PID, e.Holder.Host, e.Since.UTC().Format(time.RFC3339))
}

// Unwrap makes errors.Is(err, ErrLocked) true.
func (e *LockedError) Unwrap() error { return ErrLocked }

// TakeLease takes the lease of a source, or fails with a LockedError. A holder
// that is gone from this host is replaced at once, one elsewhere after it has
// not renewed for a TTL on our clock. The returned context ends, with cause
// ErrLeaseLost, when the lease is lost: work under it then stops.
func (r *Repository) TakeLease(ctx context.Context, source string, opts LeaseOptions) (*Lease, context.Context, error) {
	if err := CheckSource(source); err != nil {
		return nil, nil, err
	}
	return TakeLeaseAt(ctx, r.store, locksPrefix+escape(source)+".json", source, opts, r.log)
}

// hold renews the lease until it is released, lost, or its work ended. After a
// failure it asks again soon. A TTL after the last renewal that is known to have
// succeeded others may take over, so the work is stopped to the moment, by a
// timer of its own: a store that hangs must not hold that up.
func (l *Lease) hold() {
	var trouble atomic.Pointer[error]
	tooLate := func() {
		err := fmt.Errorf("%w: it was not renewed for %s", ErrLeaseLost, l.ttl)
		if last := trouble.Load(); last != nil {
			err = fmt.Errorf("%w: %w", err, *last)
		}
		l.lost(err)
	}
	watchdog := time.AfterFunc(time.Until(l.expires()), tooLate)
	defer watchdog.Stop()
	tick := time.NewTimer(l.ttl / 3)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		err := l.renew()
		switch {
		case err == nil:
			watchdog.Reset(time.Until(l.expires()))
			tick.Reset(l.ttl / 3)
		case isTaken(err):
			l.lost(fmt.Errorf("%w: %w", ErrLeaseLost, err))
			return
		default:
			if l.ctx.Err() == nil {
				l.log.Warn("the lease could not be renewed, trying again", "lease", l.key, "error", err)
			}
			trouble.Store(&err)
			tick.Reset(l.ttl / 12)
		}
	}
}

// isTaken tells the errors that mean the lease is somebody else's now.
func isTaken(err error) bool {
	return errors.Is(err, objstore.ErrPrecondition) || errors.Is(err, objstore.ErrNotFound)
}

// expires is when others may take the lease over.
func (l *Lease) expires() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen.Add(l.ttl)
}

func (l *Lease) renew() error {
	ctx, cancel := context.WithDeadline(l.ctx, l.expires())
	defer cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doc.Renewals++
	l.doc.Renewed = time.Now().UTC()
	return l.wrap("renew", l.replaceOwn(ctx))
}

// StoreClock is the time at which the store says it was when the lease was last
// written: a clock beside this machine's own, where the store has one. Zero when
// the store does not tell.
func (l *Lease) StoreClock(ctx context.Context) (theirs, ours time.Time, err error) {
	l.mu.Lock()
	ours = l.seen
	l.mu.Unlock()
	info, err := l.store.Head(ctx, l.key, "")
	return info.Modified, ours, l.wrap("look at", err)
}

// Release gives the lease back. It uses a context of its own, so that a run
// that was interrupted still lets the next one in. Releasing again, or what was
// lost, does nothing.
func (l *Lease) Release() (err error) {
	l.once.Do(func() {
		close(l.stop)
		l.lost(nil)
		l.done.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), releaseTime)
		defer cancel()
		l.doc.Released = true
		if err = l.replaceOwn(ctx); isTaken(err) {
			err = nil // no longer ours to give
		}
		err = l.wrap("release", err)
	})
	return err
}

// releaseTime bounds how long a run that ends waits for the store.
const releaseTime = 15 * time.Second
