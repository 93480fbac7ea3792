package repo

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
)

// extension is extended/<source>/<until>-<random>.json: points whose objects were
// all locked until then, and WAL that was, beyond the time that they were written with.
// One such file tells of many points, so that a rotation knows from a few reads which of a million
// need locking. It is written after the locks, so it never claims one that is not,
// and removed when its time has come.
type extension struct {
	Format int       `json:"format"`
	Mode   string    `json:"mode"`
	Until  time.Time `json:"until"`
	At     time.Time `json:"at"`
	By     string    `json:"by,omitempty"`
	Points []string  `json:"points"` // <kind>/<id>, escaped as in keys
	WAL    []walRun  `json:"wal,omitempty"`
}

const (
	// extensionPoints is how many points one file tells of, and how many are locked
	// again when a rotation dies in between.
	extensionPoints = 5000
	maxExtension    = 4 << 20
	extensionTime   = "20060102T150405Z"
	// samples is how many points are asked about whose lock is only known from files.
	samples = 3
)

// Extended says what ExtendLocks did.
type Extended struct {
	Points int       // that were locked for longer
	Until  time.Time // zero when there were none
}

// ExtendLocks locks the given points of one source for the whole time of the
// protection again, of those that are locked for less than half of it. The caller
// holds the source's lease, and has decided that these points stay. Where the
// repository is not protected it does nothing. After an error, what was done stands
// and is not done again.
func (r *Repository) ExtendLocks(ctx context.Context, source string, points []*Listed, by string) (Extended, error) {
	p, is, err := r.Protection(ctx)
	locker, can := r.store.(objstore.Locker)
	if err != nil || !is || len(points) == 0 {
		return Extended{}, err
	}
	if !can {
		return Extended{}, fmt.Errorf("extend locks of %s: %w", source, objstore.ErrUnsupported)
	}
	now := time.Now()
	known, err := r.knownLocks(ctx, source, p, now)
	if err != nil {
		return Extended{}, err
	}
	history, err := r.protectionHistory(ctx)
	if err != nil {
		return Extended{}, err
	}
	var due, fine []*Listed
	enough := p.half(now)
	for _, l := range points {
		if history.writtenUntil(l, p).Before(enough) && (len(known) == 0 || known[pointName(l.Ref)].Before(enough)) {
			due = append(due, l)
		} else {
			fine = append(fine, l)
		}
	}
	if wrong := r.sampleLocks(ctx, fine, p, now); wrong != nil {
		r.log.Warn("points are not locked as they should be, so all of this source are locked again: somebody may have tampered with the repository", "source", source, "error", wrong)
		due = append(due, fine...)
	}
	done := Extended{}
	for batch := range slices.Chunk(due, extensionPoints) {
		n, err := r.extendBatch(ctx, locker, source, batch, p, by)
		if done.Points += n; n > 0 {
			done.Until = p.until(now)
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// extendBatch locks some points and notes it. A point that can not be locked keeps
// none of the others from it.
func (r *Repository) extendBatch(ctx context.Context, locker objstore.Locker, source string, points []*Listed, p Protection, by string) (int, error) {
	until := p.until(time.Now())
	problems := make([]error, len(points))
	err := parallel.Each(ctx, lockers, len(points), func(ctx context.Context, i int) error {
		problems[i] = r.lockPoint(ctx, locker, points[i], until, p.Mode)
		if problems[i] != nil && !errors.Is(problems[i], ErrDamaged) && !errors.Is(problems[i], ErrNotFound) {
			return problems[i] // a right that is missing is so for all
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("extend locks of %s: %w", source, err)
	}
	note := extension{Format: 1, Mode: p.Mode, Until: until.Truncate(time.Second), At: time.Now().UTC(), By: by}
	for i, l := range points {
		if problems[i] == nil {
			note.Points = append(note.Points, pointName(l.Ref))
		}
	}
	if len(note.Points) > 0 {
		if err := r.putOnce(ctx, note.key(source), note); err != nil {
			return 0, fmt.Errorf("extend locks of %s: %w", source, err)
		}
	}
	if problem := errors.Join(problems...); problem != nil {
		return len(note.Points), fmt.Errorf("extend locks of %s: %w", source, problem)
	}
	return len(note.Points), nil
}

func (e extension) key(source string) string {
	return extendedPrefix + escape(source) + "/" + e.Until.Format(extensionTime) + "-" + strings.ToLower(crand.Text()[:8]) + ".json"
}

// lockPoint locks every object of a point, the versions that its manifest names.
func (r *Repository) lockPoint(ctx context.Context, locker objstore.Locker, l *Listed, until time.Time, mode string) error {
	m := l.Manifest
	if m == nil {
		var err error
		if m, err = r.Manifest(ctx, l.Ref); err != nil {
			return err
		}
	}
	for _, o := range m.Objects {
		key := l.DataPrefix() + o.Name
		err := locker.Lock(ctx, key, o.VersionID, until, mode)
		if o.VersionID != "" && errors.Is(err, objstore.ErrNotFound) {
			err = locker.Lock(ctx, key, "", until, mode) // a copied repository has other versions
		}
		if err != nil {
			return fmt.Errorf("lock %s: %w", l.Ref, r.missing(err))
		}
	}
	if err := locker.Lock(ctx, l.ManifestKey(), "", until, mode); err != nil {
		return fmt.Errorf("lock %s: %w", l.Ref, notFound(err))
	}
	return nil
}

// pointName names a point within its source.
func pointName(ref Ref) string { return escape(ref.Kind) + "/" + ref.ID }

// writtenUntil is until when the objects of a point are locked at least that were
// written under p or something firmer: by the time it began, for its first objects
// are not much younger, and the weakest protection there was until it was there.
func (h protectionHistory) writtenUntil(l *Listed, p Protection) time.Time {
	from, to := l.Start, l.Committed
	if to.Before(from) {
		from = to
	}
	since := from.Add(-protectionsFresh) // what its writer went by may have been as old
	var until time.Time
	for i, one := range h {
		over := i+1 < len(h) && !h[i+1].At.After(since)
		switch {
		case over:
		case one.At.After(since) && i == 0:
			return time.Time{} // it began before anything was locked
		case one.At.After(to):
		case one.IsZero() || firm(one.Mode, p.Mode) < 0:
			return time.Time{}
		case until.IsZero() || one.until(from).Before(until):
			until = one.until(from)
		}
	}
	return until
}

// knownLocks is what the extensions of a source say of points, by pointName.
func (r *Repository) knownLocks(ctx context.Context, source string, p Protection, now time.Time) (map[string]time.Time, error) {
	notes, err := r.extensions(ctx, source, p, now)
	known := map[string]time.Time{}
	for _, note := range notes {
		for _, name := range note.Points {
			if note.Until.After(known[name]) {
				known[name] = note.Until
			}
		}
	}
	return known, err
}

// extensions reads those of a source that p makes no less firm, and removes those whose
// time has come. One that is not understood, or says more than can have been set, is
// passed over: a point is then locked once more.
func (r *Repository) extensions(ctx context.Context, source string, p Protection, now time.Time) ([]extension, error) {
	prefix := extendedPrefix + escape(source) + "/"
	var keys, over []string
	for info, err := range r.store.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list the locks of %s: %w", source, err)
		}
		text, _, _ := strings.Cut(strings.TrimPrefix(info.Key, prefix), "-")
		until, err := time.Parse(extensionTime, text)
		switch {
		case err != nil || until.After(p.until(now).Add(time.Minute)):
		case until.Before(now):
			over = append(over, info.Key)
		default:
			keys = append(keys, info.Key)
		}
	}
	notes := make([]extension, len(keys))
	err := parallel.Each(ctx, loaders, len(keys), func(ctx context.Context, i int) error {
		data, err := readSmall(ctx, r.store, keys[i], maxExtension)
		if err == nil {
			err = decodeOne(data, &notes[i])
		}
		if err != nil {
			notes[i] = extension{}
			r.log.Warn("a note about locks can not be read; its points are locked again", "key", keys[i], "error", err)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	notes = slices.DeleteFunc(notes, func(note extension) bool {
		return note.Format != 1 || firm(note.Mode, p.Mode) < 0 || note.Until.After(p.until(now).Add(time.Minute))
	})
	if len(over) > 0 {
		if err := r.store.Delete(ctx, over...); err != nil {
			r.log.Warn("notes about locks that ended could not be removed; the next rotation tries again", "source", source, "error", err)
		}
	}
	return notes, nil
}

// sampleLocks asks the store about a few of the points that should be locked: files
// in the repository are only worth as much as who may write there.
func (r *Repository) sampleLocks(ctx context.Context, fine []*Listed, p Protection, now time.Time) error {
	for range min(samples, len(fine)) {
		l := fine[rand.IntN(len(fine))]
		mode, until, err := r.lockOf(ctx, l.Ref)
		switch {
		case ctx.Err() != nil, errors.Is(err, objstore.ErrTransient), errors.Is(err, objstore.ErrDenied), errors.Is(err, objstore.ErrLockUnknown):
			return nil //nolint:nilerr // a sample that can not be taken says nothing
		case err != nil:
			return err
		case firm(mode, p.Mode) < 0 || until.Before(p.half(now).Add(-time.Minute)):
			return fmt.Errorf("%s is locked until %s only", l.Ref, until.Format(time.RFC3339))
		}
	}
	return nil
}
