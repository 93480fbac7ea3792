package repo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
)

// ErrRetained: the store locks the point, see Protection, and it is not deleted. A
// store would take the deletion of a locked object, and hide it, while it stays and
// is paid for; so refusing is ours.
var ErrRetained = errors.New("it is locked by the store")

// locked adds to opts that what is written can not be deleted, where the repository
// is protected. The time is that of this machine: it is held against the store's
// clock, which no start of a backup is.
func (r *Repository) locked(ctx context.Context, opts objstore.PutOptions) (objstore.PutOptions, error) {
	p, is, err := r.Protection(ctx)
	if err != nil || !is {
		return opts, err
	}
	opts.LockMode, opts.LockUntil = p.Mode, p.until(time.Now())
	return opts, nil
}

// ProtectSelf locks what all points need: repository.json, the keys, and what says
// how long anything is locked. A deleted key costs every point that it seals. What
// is locked for more than half of the time is left alone. It does nothing where the
// repository is not protected, and fails with ErrUndeclared, when all is done, where
// nothing says any more that it is.
func (r *Repository) ProtectSelf(ctx context.Context) error {
	p, is, err := r.Protection(ctx)
	locker, can := r.store.(objstore.Locker)
	if err != nil || !is || !can {
		return err
	}
	keys := []string{repositoryKey}
	for _, prefix := range []string{keysPrefix, protectionPrefix} {
		for info, err := range r.store.List(ctx, prefix) {
			if err != nil {
				return fmt.Errorf("list %s of %s: %w", strings.TrimSuffix(prefix, "/"), r.URL(), err)
			}
			keys = append(keys, info.Key)
		}
	}
	now := time.Now()
	err = parallel.Each(ctx, lockers, len(keys), func(ctx context.Context, i int) error {
		mode, until, err := locker.LockedUntil(ctx, keys[i], "")
		if errors.Is(err, objstore.ErrLockUnknown) || err == nil && (firm(mode, p.Mode) < 0 || until.Before(p.half(now))) {
			err = locker.Lock(ctx, keys[i], "", p.until(now), p.Mode)
		}
		if err != nil && !errors.Is(notFound(err), ErrNotFound) { // retired meanwhile
			return fmt.Errorf("lock the repository's own files: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.Undeclared(ctx)
}

// half is until when something must be locked at least to be left alone.
func (p Protection) half(now time.Time) time.Time {
	return now.Add(p.until(now).Sub(now) / 2)
}

// firm compares two modes: below zero when a is weaker than b.
func firm(a, b string) int {
	rank := func(mode string) int {
		return slices.Index([]string{"", objstore.Governance, objstore.Compliance}, mode)
	}
	return rank(a) - rank(b)
}

// Retained tells until when the store locks a point, by asking it about the
// manifest, which is locked last and longest; zero for not at all. Where nothing
// declares a lock the store is asked too, by what any reader may: the declaration may
// be what somebody removed. A store that does not say is taken to lock as declared.
func (r *Repository) Retained(ctx context.Context, ref Ref) (mode string, until time.Time, err error) {
	mode, until, err = r.lockOf(ctx, ref)
	if errors.Is(err, objstore.ErrLockUnknown) {
		var history protectionHistory
		if history, err = r.protectionHistory(ctx); err == nil {
			mode, until = history.presumed(ref, time.Now())
		}
	}
	return mode, until, err
}

// lockOf is what the store says of the lock of a point's manifest.
func (r *Repository) lockOf(ctx context.Context, ref Ref) (mode string, until time.Time, err error) {
	history, err := r.protectionHistory(ctx)
	locker, can := r.store.(objstore.Locker)
	if err != nil || !can {
		return "", time.Time{}, err
	}
	if len(history) == 0 {
		var info objstore.Info
		info, err = r.store.Head(ctx, ref.ManifestKey(), "")
		mode, until = info.LockMode, info.LockUntil
	} else {
		mode, until, err = locker.LockedUntil(ctx, ref.ManifestKey(), "")
	}
	switch {
	case errors.Is(err, objstore.ErrNotFound):
		return "", time.Time{}, nil
	case errors.Is(err, objstore.ErrUnsupported): // a copy in a bucket without locks
		return "", time.Time{}, nil
	case err != nil:
		return "", time.Time{}, fmt.Errorf("whether the store locks %s: %w", ref, err)
	}
	return mode, until, nil
}

// presumed is how a point is locked by what is declared now, where the store does not
// say. Where the lock was ended, it is what was declared when the point began.
func (h protectionHistory) presumed(ref Ref, now time.Time) (mode string, until time.Time) {
	p, from := h.current(), now
	if p.IsZero() {
		from, _ = ParseID(ref.ID)
		for _, one := range h {
			if !one.At.After(from.Add(protectionsFresh)) && !one.IsZero() {
				p = one.Protection
			}
		}
	}
	if p.IsZero() || !p.until(from).After(now) {
		return "", time.Time{}
	}
	return p.Mode + " as declared: the store itself does not say", p.until(from)
}

func (r *Repository) refuseRetained(ctx context.Context, ref Ref) error {
	mode, until, err := r.Retained(ctx, ref)
	if err == nil && !until.IsZero() {
		err = fmt.Errorf("%w until %s (%s)", ErrRetained, until.Format(time.RFC3339), mode)
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", ref, err)
	}
	return nil
}

// lockers is how many locks are set or read at once.
const lockers = 16

// legalHold holds every object of a point in the store, or lifts that, where the
// repository is or was protected. It can be repeated.
func (r *Repository) legalHold(ctx context.Context, ref Ref, on bool) error {
	history, err := r.protectionHistory(ctx)
	locker, can := r.store.(objstore.Locker)
	if err != nil || len(history) == 0 || !can {
		return err
	}
	versions, err := r.versionsOf(ctx, ref)
	if err != nil {
		return err
	}
	keys := slices.Sorted(maps.Keys(versions))
	return parallel.Each(ctx, lockers, len(keys), func(ctx context.Context, i int) error {
		err := locker.LegalHold(ctx, keys[i], versions[keys[i]], on)
		if versions[keys[i]] != "" && errors.Is(err, objstore.ErrNotFound) {
			err = locker.LegalHold(ctx, keys[i], "", on) // a copied repository has other versions
		}
		if errors.Is(err, objstore.ErrUnsupported) || !on && errors.Is(err, objstore.ErrNotFound) {
			return nil // a copy in a bucket without locks, or nothing to let go of
		}
		return err
	})
}

// versionsOf are the keys of a point's objects, with their versions as far as its
// manifest can be read.
func (r *Repository) versionsOf(ctx context.Context, ref Ref) (map[string]string, error) {
	versions := map[string]string{ref.ManifestKey(): ""}
	m, err := r.Manifest(ctx, ref)
	switch {
	case err == nil:
		for _, o := range m.Objects {
			versions[ref.DataPrefix()+o.Name] = o.VersionID
		}
		return versions, nil
	case !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewerFormat) && !errors.Is(err, ErrNotFound):
		return nil, err
	}
	for info, err := range r.store.List(ctx, ref.DataPrefix()) {
		if err != nil {
			return nil, fmt.Errorf("list data of %s: %w", ref, err)
		}
		versions[info.Key] = ""
	}
	return versions, nil
}
