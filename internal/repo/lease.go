package repo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
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
	// Wait is false for those who would rather not wait one TTL to see whether
	// a holder on another host is alive.
	NoWait bool
}

// Lease is the right to change what is stored of one source.
type Lease struct {
	repo *Repository
	key  string
	ttl  time.Duration
	log  *slog.Logger
	ctx  context.Context
	lost context.CancelCauseFunc
	stop chan struct{}
	done sync.WaitGroup

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
	if opts.TTL <= 0 {
		opts.TTL = LeaseTTL
	}
	l := &Lease{repo: r, key: locksPrefix + escape(source) + ".json", ttl: opts.TTL, log: r.log, stop: make(chan struct{})}
	now := time.Now()
	opts.Self.Nonce = rand.Text()
	l.doc = leaseDocument{Format: 1, Holder: opts.Self, What: opts.What, Taken: now.UTC(), Renewed: now.UTC()}
	if err := l.take(ctx, source, opts.NoWait); err != nil {
		return nil, nil, err
	}
	l.ctx, l.lost = context.WithCancelCause(ctx)
	l.done.Go(l.renew)
	return l, l.ctx, nil
}

func (l *Lease) take(ctx context.Context, source string, noWait bool) error {
	var watched string // the ETag of the present holder, unchanged since watching
	var since time.Time
	for {
		err := l.write(ctx, objstore.Condition{IfAbsent: true})
		if err == nil || !errors.Is(err, objstore.ErrPrecondition) {
			return l.wrap("take", err)
		}
		current, etag, err := l.read(ctx)
		if errors.Is(err, objstore.ErrNotFound) {
			continue
		}
		if err != nil {
			return l.wrap("read", err)
		}
		locked := &LockedError{Source: source, Holder: current.Holder, What: current.What, Since: current.Taken}
		if etag != watched {
			if watched != "" && !current.Released {
				return locked // it was renewed before our eyes: alive
			}
			watched, since = etag, time.Now()
		}
		state := current.Holder.state(l.doc.Holder)
		switch {
		case current.Released, state == gone, time.Since(since) >= l.ttl:
			err := l.write(ctx, objstore.Condition{IfMatch: etag})
			if errors.Is(err, objstore.ErrPrecondition) {
				continue // somebody else was faster: look again
			}
			if err == nil && !current.Released {
				l.log.Warn("took over the lease of a run that died", "source", source, "holder", current.Holder.String(), "since", current.Taken)
			}
			return l.wrap("take", err)
		case state == running, noWait:
			return locked
		}
		if err := pause(ctx, min(l.ttl/12, 5*time.Second)); err != nil {
			return err
		}
	}
}

func (l *Lease) wrap(verb string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s lease %s of %s: %w", verb, l.key, l.repo.URL(), err)
}

func (l *Lease) read(ctx context.Context) (leaseDocument, string, error) {
	body, info, err := l.repo.store.Get(ctx, l.key, objstore.GetOptions{})
	if err != nil {
		return leaseDocument{}, "", err
	}
	defer body.Close()
	var doc leaseDocument
	if err := json.NewDecoder(body).Decode(&doc); err != nil {
		// A lease nobody can read belongs to nobody we can ask: it is waited
		// for like one of another host.
		doc = leaseDocument{What: "run with an unreadable lease", Holder: Holder{Host: "an unknown host"}, Taken: info.Modified}
	}
	return doc, info.ETag, nil
}

// write stores the document under the condition. After an unclear answer the
// lease is read back: what we find is what is.
func (l *Lease) write(ctx context.Context, c objstore.Condition) error {
	begun := time.Now()
	data, err := json.Marshal(l.doc)
	if err != nil {
		return err
	}
	info, err := l.repo.store.Put(ctx, l.key, data, objstore.PutOptions{Condition: c, ContentType: "application/json"})
	if err != nil {
		current, etag, readErr := l.read(ctx)
		if readErr != nil || current.Holder != l.doc.Holder || current.Renewals != l.doc.Renewals || current.Released != l.doc.Released {
			return err
		}
		info.ETag = etag
	}
	l.etag, l.seen = info.ETag, begun
	return nil
}

func (l *Lease) renew() {
	tick := time.NewTicker(l.ttl / 3)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.ctx.Done():
			return
		case <-tick.C:
		}
		if err := l.renewOnce(); err != nil {
			l.lost(fmt.Errorf("%w: %w", ErrLeaseLost, err))
			return
		}
	}
}

// renewOnce returns an error only when the lease is gone, or may be: a store
// that does not answer is asked again until the TTL is used up.
func (l *Lease) renewOnce() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, cancel := context.WithDeadline(l.ctx, l.seen.Add(l.ttl))
	defer cancel()
	l.doc.Renewals++
	l.doc.Renewed = time.Now().UTC()
	err := l.write(ctx, objstore.Condition{IfMatch: l.etag})
	switch {
	case err == nil:
		return nil
	case l.ctx.Err() != nil:
		return nil // ending anyway
	case errors.Is(err, objstore.ErrPrecondition), errors.Is(err, objstore.ErrNotFound):
		return l.wrap("renew", err)
	case time.Since(l.seen) >= l.ttl:
		return l.wrap("renew", fmt.Errorf("no answer for %s: %w", l.ttl, err))
	}
	l.log.Warn("the lease could not be renewed, trying again", "lease", l.key, "error", err)
	return nil
}

// Release gives the lease back. It uses a context of its own, so that a run
// that was interrupted still lets the next one in.
func (l *Lease) Release() error {
	close(l.stop)
	l.lost(nil)
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	l.doc.Released = true
	err := l.write(ctx, objstore.Condition{IfMatch: l.etag})
	if errors.Is(err, objstore.ErrPrecondition) {
		return nil // no longer ours to give
	}
	return l.wrap("release", err)
}
