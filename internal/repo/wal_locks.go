package repo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// walRun is files of an archive, from one to another in the order of a listing, that
// were all locked: what came between them later was locked when it was written, for as
// long and from a later moment on.
type walRun struct {
	System   string         `json:"system_identifier"`
	Timeline pgwal.Timeline `json:"timeline"`
	First    string         `json:"first"` // names
	Last     string         `json:"last"`
}

func (w walRun) has(f WALFile) bool {
	return w.Timeline == f.Timeline && w.System == f.Archive.System && w.First <= f.Name && f.Name <= w.Last
}

// ExtendWALLocks is ExtendLocks of the files of an archive that stay, all of them in the
// order of a listing. Pieces are never locked. Extended.Points counts files.
func (r *Repository) ExtendWALLocks(ctx context.Context, a WALArchive, files []WALFile, by string) (Extended, error) {
	failed := func(done Extended, err error) (Extended, error) {
		return done, fmt.Errorf("extend locks of the WAL of %s: %w", a, err)
	}
	p, is, err := r.Protection(ctx)
	locker, can := r.store.(objstore.Locker)
	switch {
	case err != nil || !is || len(files) == 0:
		return Extended{}, err
	case !can:
		return failed(Extended{}, objstore.ErrUnsupported)
	}
	now := time.Now()
	notes, err := r.extensions(ctx, a.Source, p, now)
	if err != nil {
		return failed(Extended{}, err)
	}
	history, err := r.protectionHistory(ctx)
	if err != nil {
		return failed(Extended{}, err)
	}
	enough := p.half(now)
	var known []walRun
	for _, note := range notes {
		if !note.Until.Before(enough) {
			known = append(known, note.WAL...)
		}
	}
	var runs [][]WALFile // that are due, next to each other
	var fine []WALFile
	broken := true
	for _, f := range files {
		switch {
		case f.IsPiece():
		case !history.writtenUntil(&Listed{Start: f.Modified, Committed: f.Modified}, p).Before(enough), slices.ContainsFunc(known, func(w walRun) bool { return w.has(f) }):
			fine, broken = append(fine, f), true
		case broken || len(runs[len(runs)-1]) == extensionPoints || runs[len(runs)-1][0].Timeline != f.Timeline:
			runs, broken = append(runs, []WALFile{f}), false
		default:
			runs[len(runs)-1] = append(runs[len(runs)-1], f)
		}
	}
	if wrong := r.sampleWAL(ctx, locker, fine, p, now); wrong != nil {
		r.log.Warn("WAL is not locked as it should be, so all of it is locked again: somebody may have tampered with the repository", "archive", a.String(), "error", wrong)
		runs = append(runs, fine)
	}
	return r.lockRuns(ctx, locker, a, runs, p, by)
}

// WALLocks tells of files when the store locks them at least until, by when they were
// stored and what was declared then, without asking it; zero where that does not say.
// DeleteWAL asks.
func (r *Repository) WALLocks(ctx context.Context) (until func(WALFile) time.Time, err error) {
	p, is, err := r.Protection(ctx)
	if err != nil {
		return nil, err
	}
	history, err := r.protectionHistory(ctx)
	if err != nil {
		return nil, err
	}
	return func(f WALFile) time.Time {
		if !is || f.IsPiece() {
			return time.Time{}
		}
		return history.writtenUntil(&Listed{Start: f.Modified, Committed: f.Modified}, p)
	}, nil
}

// lockRuns locks files and notes it, some thousand at a time, so that who is killed does
// little of it again.
func (r *Repository) lockRuns(ctx context.Context, locker objstore.Locker, a WALArchive, runs [][]WALFile, p Protection, by string) (Extended, error) {
	done := Extended{}
	note := extension{}
	pending := 0
	flush := func() error {
		if pending == 0 {
			return nil
		}
		if err := r.putOnce(ctx, note.key(a.Source), note); err != nil {
			return err
		}
		done.Points, done.Until, pending = done.Points+pending, note.Until, 0
		return nil
	}
	for _, run := range runs {
		if pending == 0 {
			note = extension{Format: 1, Mode: p.Mode, Until: p.until(time.Now()).Truncate(time.Second), At: time.Now().UTC(), By: by, Points: []string{}}
		}
		err := parallel.Each(ctx, lockers, len(run), func(ctx context.Context, i int) error {
			err := locker.Lock(ctx, run[i].Key(), "", note.Until, p.Mode)
			if errors.Is(err, objstore.ErrNotFound) {
				return nil // gone meanwhile
			}
			return err
		})
		if err != nil {
			return done, fmt.Errorf("extend locks of the WAL of %s: %w", a, errors.Join(err, flush()))
		}
		first, last := run[0], run[len(run)-1]
		if first.Timeline == last.Timeline { // else it is what a sample found wrong
			note.WAL = append(note.WAL, walRun{System: a.System, Timeline: first.Timeline, First: first.Name, Last: last.Name})
		}
		if pending += len(run); pending >= extensionPoints {
			if err := flush(); err != nil {
				return done, err
			}
		}
	}
	return done, flush()
}

// sampleWAL asks the store about a few of the files that should be locked.
func (r *Repository) sampleWAL(ctx context.Context, locker objstore.Locker, fine []WALFile, p Protection, now time.Time) error {
	for range min(samples, len(fine)) {
		f := fine[rand.IntN(len(fine))]
		mode, until, err := locker.LockedUntil(ctx, f.Key(), "")
		switch {
		case err != nil: // which says nothing, or that it is gone
			return nil //nolint:nilerr // see above
		case firm(mode, p.Mode) < 0 || until.Before(p.half(now).Add(-time.Minute)):
			return fmt.Errorf("%s is locked until %s only", f.Key(), until.Format(time.RFC3339))
		}
	}
	return nil
}
