package repo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// EachWAL yields the files of an archive and a timeline (0 is all) in the order of
// their keys: by timeline, then by segment, a segment before its pieces, the pieces by
// where they begin. It keeps none of them, so that a million files need no memory. Keys
// that are not pgbackup's are passed over. After an error it ends.
func (r *Repository) EachWAL(ctx context.Context, a WALArchive, t pgwal.Timeline) iter.Seq2[WALFile, error] {
	return func(yield func(WALFile, error) bool) {
		if err := a.Check(); err != nil {
			yield(WALFile{}, err)
			return
		}
		prefix := a.prefix()
		if t != 0 {
			prefix += t.String() + "/"
		}
		for info, err := range r.store.List(ctx, prefix) {
			if err != nil {
				yield(WALFile{}, fmt.Errorf("list the WAL of %s in %s: %w", a, r.URL(), err))
				return
			}
			timeline, base, _ := strings.Cut(info.Key[len(a.prefix()):], "/")
			f, err := parseWALName(a, base)
			if err != nil || f.Timeline.String() != timeline {
				continue
			}
			f.Stored, f.Modified = info.Size, info.Modified
			if !yield(f, nil) {
				return
			}
		}
	}
}

// ListWAL is all that EachWAL yields: about 200 bytes of memory a file. Without any the
// result is empty.
func (r *Repository) ListWAL(ctx context.Context, a WALArchive, t pgwal.Timeline) ([]WALFile, error) {
	var files []WALFile
	for f, err := range r.EachWAL(ctx, a, t) {
		if err != nil {
			return nil, err
		}
		f.Name = strings.Clone(f.Name) // else it keeps the whole key
		files = append(files, f)
	}
	return files, nil
}

// deleteBatch is how many keys one call deletes.
const deleteBatch = 1000

// DeleteWAL removes files. What is not there any more is not an error. Those that the
// store locks stay and are ErrRetained, after all others are gone.
func (r *Repository) DeleteWAL(ctx context.Context, files []WALFile) error {
	kept := make([]error, len(files))
	history, err := r.protectionHistory(ctx)
	if err != nil {
		return fmt.Errorf("delete WAL of %s: %w", r.URL(), err)
	}
	if locker, can := r.store.(objstore.Locker); can && len(history) > 0 {
		err := parallel.Each(ctx, lockers, len(files), func(ctx context.Context, i int) (err error) {
			if !files[i].IsPiece() { // which are never locked
				kept[i], err = r.retainedWAL(ctx, locker, files[i])
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("delete WAL of %s: %w", r.URL(), err)
		}
	}
	problems := []error{}
	keys := make([]string, 0, min(len(files), deleteBatch))
	flush := func() {
		if len(keys) > 0 {
			problems = append(problems, r.store.Delete(ctx, keys...))
		}
		keys = keys[:0]
	}
	for i, f := range files {
		if kept[i] != nil {
			problems = append(problems, kept[i])
			continue
		}
		if keys = append(keys, f.Key()); len(keys) == deleteBatch {
			flush()
		}
	}
	flush()
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("delete WAL of %s: %w", r.URL(), err)
	}
	return nil
}

// retainedWAL is ErrRetained for a file that the store locks now.
func (r *Repository) retainedWAL(ctx context.Context, locker objstore.Locker, f WALFile) (retained, failed error) {
	mode, until, err := locker.LockedUntil(ctx, f.Key(), "")
	switch {
	case errors.Is(err, objstore.ErrNotFound), errors.Is(err, objstore.ErrUnsupported):
		return nil, nil
	case errors.Is(err, objstore.ErrLockUnknown):
		return fmt.Errorf("%s: %w, or may be: the store does not say", f.Key(), ErrRetained), nil
	case err != nil:
		return nil, fmt.Errorf("whether the store locks %s: %w", f.Key(), err)
	case until.IsZero():
		return nil, nil
	}
	return fmt.Errorf("%s: %w until %s (%s)", f.Key(), ErrRetained, until.Format("2006-01-02T15:04:05Z07:00"), mode), nil
}
