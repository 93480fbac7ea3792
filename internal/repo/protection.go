package repo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// Protection says how long what is written can not be deleted by anybody: S3
// Object Lock, set on the objects of points, of the repository itself and of its
// keys. The zero value is none.
type Protection struct {
	Mode string `json:"mode"` // objstore.Governance or objstore.Compliance; "" for none
	Days int    `json:"days"` // from the moment something is written
}

// IsZero reports whether nothing is protected.
func (p Protection) IsZero() bool { return p == Protection{} }

// maxProtectionDays is what S3 allows: one hundred years.
const maxProtectionDays = 36500

// Validate says why a protection is none that a store could keep.
func (p Protection) Validate() error {
	switch {
	case p.IsZero():
		return nil
	case p.Mode != objstore.Governance && p.Mode != objstore.Compliance:
		return fmt.Errorf("object lock mode %q is not known: it is %s, which a permission may lift, or %s, which nobody can", p.Mode, objstore.Governance, objstore.Compliance)
	case p.Days < 1 || p.Days > maxProtectionDays:
		return fmt.Errorf("objects can be locked for 1 to %d days, not for %d", maxProtectionDays, p.Days)
	}
	return nil
}

// until is when what is written now may be deleted.
func (p Protection) until(now time.Time) time.Time { return now.UTC().AddDate(0, 0, p.Days) }

// storedProtection is protection/<n>.json. The highest number is in force.
type storedProtection struct {
	Format int `json:"format"`
	Protection
	At time.Time `json:"at"`
	By string    `json:"by,omitempty"`

	number int // 0: it is not there and was worked out, see undeclared
}

// protectionHistory is every protection there was, oldest first.
type protectionHistory []storedProtection

func (h protectionHistory) current() Protection {
	if len(h) == 0 {
		return Protection{}
	}
	return h[len(h)-1].Protection
}

func (h protectionHistory) highest() int {
	if len(h) == 0 {
		return 0
	}
	return h[len(h)-1].number
}

// undeclared reports whether what is in force was worked out from a lock of the
// store: the files that said so are gone.
func (h protectionHistory) undeclared() bool { return len(h) > 0 && h.highest() == 0 }

// protections keeps what was read of them.
type protections struct {
	mu  sync.Mutex
	at  time.Time // when it was read; zero: not yet
	all protectionHistory
}

// protectionsFresh is how long what was read is gone by: a receiver of WAL runs for
// months.
const protectionsFresh = time.Hour

// Protection is what is in force; false for none.
func (r *Repository) Protection(ctx context.Context) (Protection, bool, error) {
	all, err := r.protectionHistory(ctx)
	p := all.current()
	return p, !p.IsZero(), err
}

// SetProtection puts p in force from now on; the zero value ends it, and what is
// locked stays so until its time. What is in force already is not written again.
// Points that are there are locked by the next rotation, the repository's own
// files and keys at once. A store that can not lock is objstore.ErrUnsupported.
func (r *Repository) SetProtection(ctx context.Context, p Protection, now time.Time, by string) error {
	failed := func(err error) error { return fmt.Errorf("protect repository %s: %w", r.URL(), err) }
	if err := p.Validate(); err != nil {
		return failed(err)
	}
	if _, ok := r.store.(objstore.Locker); !ok && !p.IsZero() {
		return failed(fmt.Errorf("%w: only a bucket with S3 Object Lock can lock objects", objstore.ErrUnsupported))
	}
	r.protections.forget()
	all, err := r.protectionHistory(ctx)
	if err != nil {
		return err
	}
	if all.current() != p || all.undeclared() {
		data, err := json.Marshal(storedProtection{Format: 1, Protection: p, At: now.UTC(), By: by})
		if err != nil {
			return failed(err)
		}
		err = putNext(ctx, r.store, protectionPrefix, all.highest()+1, func(n int) string { return fmt.Sprintf("%06d.json", n) }, data)
		if err != nil {
			return failed(err)
		}
		r.protections.forget()
	}
	if err := r.ProtectSelf(ctx); err != nil {
		return failed(err)
	}
	return nil
}

func (p *protections) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.all = time.Time{}, nil
}

// protectionHistory is read once, and now and then again. When that fails, what was
// read before still stands: a backup of many hours does not fail at its end for it.
func (r *Repository) protectionHistory(ctx context.Context) (protectionHistory, error) {
	known := r.protections
	known.mu.Lock()
	defer known.mu.Unlock()
	if !known.at.IsZero() && time.Since(known.at) < protectionsFresh {
		return known.all, nil
	}
	all, err := r.readProtections(ctx)
	switch {
	case err == nil:
		known.at, known.all = time.Now(), all
	case !known.at.IsZero():
		r.log.Warn("going by an earlier look at how long objects are locked", "error", err)
	default:
		return nil, err
	}
	return known.all, nil
}

func (r *Repository) readProtections(ctx context.Context) (protectionHistory, error) {
	var all protectionHistory
	for info, err := range r.store.List(ctx, protectionPrefix) {
		if err != nil {
			return nil, fmt.Errorf("list what protects %s: %w", r.URL(), err)
		}
		n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(info.Key, protectionPrefix), ".json"))
		if err != nil || n < 1 {
			continue // a stranger's file
		}
		one, err := r.readProtection(ctx, info.Key)
		if err != nil {
			return nil, err
		}
		one.number = n
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b storedProtection) int { return cmp.Compare(a.number, b.number) })
	if len(all) > 0 {
		return all, nil
	}
	return r.lockedUndeclared(ctx)
}

// ErrUndeclared: the store locks the repository, and nothing says for how long what
// is written is to be locked.
var ErrUndeclared = errors.New("nothing declares the lock of the repository any more")

// lockedUndeclared is what repository.json itself is locked for, where no file says
// for how long what is written is locked. Any identity that may delete can hide those
// files; the lock of what lies beside them only ends with its time.
func (r *Repository) lockedUndeclared(ctx context.Context) (protectionHistory, error) {
	if _, can := r.store.(objstore.Locker); !can {
		return nil, nil
	}
	info, err := r.store.Head(ctx, repositoryKey, "")
	if errors.Is(err, objstore.ErrNotFound) || err == nil && info.LockUntil.IsZero() {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("whether the store locks %s: %w", r.URL(), err)
	}
	const day = 24 * time.Hour
	// The rest of a day counts as one, and a minute of clocks that differ does not.
	days := int((time.Until(info.LockUntil) + day - time.Minute) / day)
	found := storedProtection{Protection: Protection{Mode: info.LockMode, Days: max(days, 1)}}
	if err := found.Validate(); err != nil {
		return nil, fmt.Errorf("how the store locks %s: %w", r.URL(), err)
	}
	r.log.Warn("going by the lock of the repository itself", "error", r.undeclared(found.Protection))
	return protectionHistory{found}, nil
}

func (r *Repository) undeclared(p Protection) error {
	return fmt.Errorf("%w: in %s there is no file below %s, and %s is locked (%s) for %d more days: somebody removed the declaration, or the bucket locks by default. "+
		"What is written goes on being locked for as long. Look who may delete in the repository, and apply the repository with its object_lock again",
		ErrUndeclared, r.URL(), protectionPrefix, repositoryKey, p.Mode, p.Days)
}

// Undeclared is ErrUndeclared, with what to do, where the store locks the repository
// and the files that say so are gone; nil otherwise, also when that cannot be seen.
func (r *Repository) Undeclared(ctx context.Context) error {
	all, err := r.protectionHistory(ctx)
	if err != nil || !all.undeclared() {
		return nil //nolint:nilerr // who needs to know how to lock fails by that error
	}
	return r.undeclared(all.current())
}

// readProtection fails on what it does not understand: to guess could mean to
// write what should be locked without a lock.
func (r *Repository) readProtection(ctx context.Context, key string) (storedProtection, error) {
	var one storedProtection
	data, err := readSmall(ctx, r.store, key, maxHeader)
	if err == nil {
		if err = decodeOne(data, &one); err != nil {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	switch {
	case err != nil && !errors.Is(err, ErrDamaged):
		return one, fmt.Errorf("read %s of %s: %w", key, r.URL(), err)
	case err == nil && one.Format > 1:
		err = fmt.Errorf("%w: format %d, this pgbackup reads up to 1; use a newer pgbackup", ErrNewerFormat, one.Format)
	case err == nil:
		if invalid := one.Validate(); invalid != nil {
			err = fmt.Errorf("%w: %w", ErrDamaged, invalid)
		}
	}
	if err != nil {
		return one, fmt.Errorf("read %s of %s, which says how long what is stored is locked: %w; restore it from a version or a replica, or remove it and apply the repository again", key, r.URL(), err)
	}
	return one, nil
}
