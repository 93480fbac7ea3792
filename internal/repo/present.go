package repo

import (
	"context"
	"fmt"
	"strings"
)

// MissingData compares the data that is stored of a source with what the loaded
// manifests of its points promise, by names and sizes alone: one LIST, nothing is
// read. It returns what is wrong with each point that is not complete. A point
// whose data is gone must not be the reason to delete another.
func (r *Repository) MissingData(ctx context.Context, source string, points []Listed) (map[Ref]error, error) {
	prefix := pointsPrefix + escape(source) + "/"
	sizes := map[string]int64{}
	for info, err := range r.store.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list data of %s: %w", source, err)
		}
		sizes[strings.TrimPrefix(info.Key, prefix)] = info.Size
	}
	missing := map[Ref]error{}
	for _, p := range points {
		if p.Source != source || p.Manifest == nil {
			continue
		}
		for _, o := range p.Manifest.Objects {
			key := p.DataPrefix() + o.Name
			size, ok := sizes[strings.TrimPrefix(key, prefix)]
			switch {
			case !ok:
				missing[p.Ref] = fmt.Errorf("%w: its object %s is gone", ErrDamaged, key)
			case size != o.Size:
				missing[p.Ref] = fmt.Errorf("%w: its object %s has %d bytes, the manifest says %d", ErrDamaged, key, size, o.Size)
			}
		}
	}
	return missing, nil
}
