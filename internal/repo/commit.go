package repo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

const (
	// commitAttempts bounds how often an unanswered commit is asked again.
	commitAttempts = 5
	// commitTime bounds a commit altogether.
	commitTime = 2 * time.Minute
	// commitPause is the first pause before a commit is sent again.
	commitPause = time.Second
)

// commit writes a manifest if absent. An answer is not believed before the
// store was read back: a 412 may be our own earlier success, and a time-out may
// hide one. It is not interrupted half way, so that Ctrl-C leaves a clear state:
// either there is a point or there is none.
func (r *Repository) commit(ctx context.Context, ref Ref, data []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTime)
	defer cancel()
	opts, err := r.locked(ctx, objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}, ContentType: "application/json"})
	if err != nil {
		return fmt.Errorf("commit %s: %w", ref, err)
	}
	var last error
	for attempt := range commitAttempts {
		if attempt > 0 {
			if err := pause(ctx, time.Duration(attempt)*r.pause); err != nil {
				return fmt.Errorf("commit %s: %w", ref, errors.Join(last, err))
			}
		}
		stands, err := r.tryCommit(ctx, ref, data, opts)
		if stands {
			return r.refuseDeleted(ctx, ref)
		}
		last = err
		if final(err) {
			break
		}
	}
	return fmt.Errorf("commit %s: %w", ref, last)
}

// errUnconfirmed: whether the manifest is there is not known.
var errUnconfirmed = errors.New("the store did not confirm the manifest")

// final tells the errors after which asking again is of no use.
func final(err error) bool {
	for _, e := range []error{ErrFenced, errTaken, objstore.ErrDenied, objstore.ErrNoSpace, objstore.ErrNoBucket, objstore.ErrInvalidKey, objstore.ErrUnsupported} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

var errTaken = errors.New("another manifest already has its key")

// tryCommit sends the manifest once and reports whether it stands.
func (r *Repository) tryCommit(ctx context.Context, ref Ref, data []byte, opts objstore.PutOptions) (bool, error) {
	key := ref.ManifestKey()
	_, err := r.store.Put(ctx, key, data, opts)
	if err == nil {
		return true, nil
	}
	stored, readErr := readSmall(ctx, r.store, key, maxManifest)
	switch {
	case readErr == nil && string(stored) == string(data):
		return true, nil
	case readErr == nil && len(stored) == 0:
		return false, fmt.Errorf("%w: its lease was lost (was this machine asleep, or the store unreachable?); nothing of it is kept, the next backup starts anew", ErrFenced)
	case readErr == nil:
		return false, fmt.Errorf("%w: %s", errTaken, key)
	case final(err):
		return false, err
	case errors.Is(readErr, objstore.ErrNotFound):
		return false, fmt.Errorf("%w: %w", errUnconfirmed, err)
	}
	return false, fmt.Errorf("%w: %w", errUnconfirmed, errors.Join(err, readErr))
}

// refuseDeleted looks for a tombstone after the manifest was written. There is
// one when the first answer was lost, this machine then slept, another run saw
// the point and deleted it by the rules, and our repeated write brought the
// manifest back without its data. A tombstone is written before its manifest
// goes, so whoever comes back this late finds it.
func (r *Repository) refuseDeleted(ctx context.Context, ref Ref) error {
	_, err := r.store.Head(ctx, ref.tombstoneKey(), "")
	switch {
	case errors.Is(err, objstore.ErrNotFound):
		return nil
	case err != nil:
		r.log.Warn("could not look for a tombstone of the new recovery point", "point", ref.String(), "error", err)
		return nil
	}
	if err := r.store.Delete(ctx, ref.ManifestKey()); err != nil {
		return fmt.Errorf("commit %s: it was deleted by another run meanwhile, and its manifest could not be removed again; the next backup does: %w", ref, err)
	}
	return fmt.Errorf("commit %s: %w: it was committed, seen and deleted by another run while this one waited for the answer", ref, ErrFenced)
}

// Abort removes what was stored for a point that is not to be. When a commit was
// sent, its manifest may exist, or still be on its way: the point is fenced off
// first, and if the manifest turns out to be there, nothing is removed.
func (p *PointWriter) Abort(ctx context.Context) error {
	p.mu.Lock()
	tried := p.tried
	p.mu.Unlock()
	if tried {
		won, err := p.repo.fence(ctx, p.ref)
		if err != nil {
			return err
		}
		if !won {
			return fmt.Errorf("recovery point %s was committed after all and is kept", p.ref)
		}
	}
	return p.repo.deleteData(ctx, p.ref)
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
