package repo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// Swept says what Sweep cleared.
type Swept struct {
	Points  int // ids whose data had no manifest
	Uploads int // unfinished uploads
	// Left is why nothing was cleared: something below the source's manifests is
	// not understood, and it may be the mangled manifest of the very data that
	// looks abandoned. Not a reason to go without a backup, so not an error.
	Left error
}

// Sweep clears what dead runs of a source left: data without a manifest, and
// unfinished uploads. The caller holds the source's lease and has not begun a
// point, so no live run of this program writes there; a sleeper that lost its
// lease and wakes up later is fenced off: before its data goes, a 0-byte
// manifest takes the place where it would commit, and its own If-None-Match then
// fails. What it stores after that is cleared by the next Sweep.
func (r *Repository) Sweep(ctx context.Context, source string) (Swept, error) {
	var swept Swept
	below := escape(source) + "/"
	// Data is listed before manifests: a point committed in between is seen.
	data, err := r.dataRefs(ctx, below)
	if err != nil {
		return swept, err
	}
	marks, err := r.commitMarks(ctx, below)
	if err != nil {
		return swept, fmt.Errorf("sweep %s: %w", source, err)
	}
	if marks.strange != nil {
		swept.Left = fmt.Errorf("sweep %s: nothing is cleared: %w", source, marks.strange)
		r.log.Warn("what dead runs left is not cleared", "source", source, "error", marks.strange)
		return swept, nil //nolint:nilerr // it is reported in Left: nothing failed, nothing was cleared
	}
	for _, ref := range data {
		cleared, err := r.sweepPoint(ctx, ref, marks)
		if err != nil {
			return swept, fmt.Errorf("sweep %s: %w", source, err)
		}
		if cleared {
			swept.Points++
		}
	}
	if err := r.buryResurrected(ctx, data, marks); err != nil {
		return swept, fmt.Errorf("sweep %s: %w", source, err)
	}
	// Small objects are put through uploads too where the store is a directory,
	// and so is the lease, whose writer may have been killed while it wrote.
	for _, prefix := range []string{pointsPrefix + below, manifestsPrefix + below, tombstonesPrefix + below, locksPrefix + escape(source) + ".json"} {
		n, err := r.store.AbortUploads(ctx, prefix)
		swept.Uploads += n
		if err != nil {
			return swept, fmt.Errorf("sweep %s: abort uploads: %w", source, err)
		}
	}
	return swept, nil
}

// sweepPoint clears the data of one id unless it is committed.
func (r *Repository) sweepPoint(ctx context.Context, ref Ref, marks commitMarks) (bool, error) {
	path := ref.path()
	if marks.committed[path] {
		return false, nil
	}
	// A tombstone takes the fence's part: nobody commits over one (see commit).
	if !marks.fenced[path] && !marks.deleted[path] {
		won, err := r.fence(ctx, ref)
		if err != nil {
			return false, err
		}
		if !won {
			return false, nil // it committed at this very moment
		}
	}
	if err := r.deleteData(ctx, ref); err != nil {
		return false, err
	}
	if marks.deleted[path] {
		r.log.Info("finished the deletion of a recovery point", "point", ref.String())
	} else {
		r.log.Info("cleared the data of a backup that never finished", "point", ref.String())
	}
	return true, nil
}

// buryResurrected removes manifests that came back after their point was
// deleted: a commit whose answer was lost, sent again by a machine that slept
// through the deletion. They have a tombstone and no data at all. With data, a
// tombstone is only what a deletion left that died before it removed anything.
func (r *Repository) buryResurrected(ctx context.Context, data []Ref, marks commitMarks) error {
	stored := make(map[string]bool, len(data))
	for _, ref := range data {
		stored[ref.path()] = true
	}
	for path, key := range marks.keys {
		if !marks.deleted[path] || stored[path] {
			continue
		}
		r.log.Warn("removing the manifest of a deleted recovery point that came back without its data", "key", key)
		if err := r.store.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// commitMarks is what the keys below one source say, by <source>/<kind>/<id>.
type commitMarks struct {
	committed map[string]bool   // has a manifest
	keys      map[string]string // of those manifests
	fenced    map[string]bool   // has a 0-byte manifest
	deleted   map[string]bool   // has a tombstone
	strange   error             // the first key that is not understood
}

func (r *Repository) commitMarks(ctx context.Context, below string) (commitMarks, error) {
	m := commitMarks{committed: map[string]bool{}, keys: map[string]string{}, fenced: map[string]bool{}, deleted: map[string]bool{}}
	for info, err := range r.store.List(ctx, manifestsPrefix+below) {
		if err != nil {
			return m, err
		}
		ref, err := parseManifestKey(info.Key)
		switch {
		case err != nil:
			m.strange = errors.Join(m.strange, err)
		case info.Size > 0:
			m.committed[ref.path()] = true
			m.keys[ref.path()] = info.Key
		default:
			m.fenced[ref.path()] = true
		}
	}
	for info, err := range r.store.List(ctx, tombstonesPrefix+below) {
		if err != nil {
			return m, err
		}
		m.deleted[strings.TrimSuffix(strings.TrimPrefix(info.Key, tombstonesPrefix), ".json")] = true
	}
	return m, nil
}

// dataRefs returns the points that have data objects below a source.
func (r *Repository) dataRefs(ctx context.Context, below string) ([]Ref, error) {
	var refs []Ref
	for info, err := range r.store.List(ctx, pointsPrefix+below) {
		if err != nil {
			return nil, fmt.Errorf("list data of %s: %w", r.URL(), err)
		}
		path, _ := cutLast(strings.TrimPrefix(info.Key, pointsPrefix))
		ref, err := parsePath(path)
		if err != nil {
			continue // not ours to delete
		}
		if len(refs) == 0 || refs[len(refs)-1] != ref {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

// fence puts the 0-byte manifest of an abandoned id and reports whether it did;
// false means that the id has a manifest.
func (r *Repository) fence(ctx context.Context, ref Ref) (bool, error) {
	_, err := r.store.Put(ctx, ref.ManifestKey(), nil, objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}})
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, objstore.ErrPrecondition) {
		return false, fmt.Errorf("fence off %s: %w", ref, err)
	}
	info, err := r.store.Head(ctx, ref.ManifestKey(), "")
	if err != nil {
		return false, fmt.Errorf("fence off %s: %w", ref, err)
	}
	return info.Size == 0, nil
}
