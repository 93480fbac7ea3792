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
}

// Sweep clears what dead runs of a source left: data without a manifest, and
// unfinished uploads. The caller holds the source's lease, so no live run of
// this program writes there; a sleeper that lost its lease and wakes up later
// is fenced off: before its data goes, a 0-byte manifest takes the place where
// it would commit, and its own If-None-Match then fails.
func (r *Repository) Sweep(ctx context.Context, source string) (Swept, error) {
	var swept Swept
	below := escape(source) + "/"
	committed, deleted := map[string]bool{}, map[string]bool{}
	// Data is listed before manifests: a point committed in between is seen.
	data, err := r.dataRefs(ctx, below)
	if err != nil {
		return swept, err
	}
	for info, err := range r.store.List(ctx, manifestsPrefix+below) {
		if err != nil {
			return swept, fmt.Errorf("sweep %s: %w", source, err)
		}
		ref, err := parseManifestKey(info.Key)
		if err != nil {
			return swept, fmt.Errorf("sweep %s: %s is not understood, so nothing is cleared: %w", source, info.Key, err)
		}
		committed[ref.path()] = info.Size > 0
	}
	for info, err := range r.store.List(ctx, tombstonesPrefix+below) {
		if err != nil {
			return swept, fmt.Errorf("sweep %s: %w", source, err)
		}
		deleted[strings.TrimSuffix(strings.TrimPrefix(info.Key, tombstonesPrefix), ".json")] = true
	}
	for _, ref := range data {
		if committed[ref.path()] {
			continue
		}
		if _, fenced := committed[ref.path()]; !fenced && !deleted[ref.path()] {
			won, err := r.fence(ctx, ref)
			if err != nil {
				return swept, err
			}
			if !won {
				continue // it committed at this very moment
			}
		}
		if err := r.deleteData(ctx, ref); err != nil {
			return swept, err
		}
		r.log.Info("cleared the data of a backup that never finished", "point", ref.String())
		swept.Points++
	}
	uploads, err := r.store.AbortUploads(ctx, pointsPrefix+below)
	swept.Uploads = uploads
	if err != nil {
		return swept, fmt.Errorf("sweep %s: abort uploads: %w", source, err)
	}
	return swept, nil
}

// dataRefs returns the points that have data objects below a source.
func (r *Repository) dataRefs(ctx context.Context, below string) ([]Ref, error) {
	var refs []Ref
	for info, err := range r.store.List(ctx, pointsPrefix+below) {
		if err != nil {
			return nil, fmt.Errorf("list data of %s: %w", r.URL(), err)
		}
		path, _, _ := cutLast(strings.TrimPrefix(info.Key, pointsPrefix))
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
