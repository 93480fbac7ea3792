package repo

import (
	"context"
	"iter"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// Sizes gives the stored bytes of each point by its Ref.String, from LISTs of the
// data alone. Data that no manifest names yet, or any more, is in it too.
func (r *Repository) Sizes(ctx context.Context, f Filter) (map[string]int64, error) {
	parts, err := scan(ctx, r, f, []string{pointsPrefix}, func(_ string, infos iter.Seq[objstore.Info]) map[string]int64 {
		return sumSizes(infos, f.Kind)
	})
	if err != nil {
		return nil, err
	}
	total := 0
	for _, sizes := range parts {
		total += len(sizes)
	}
	all := make(map[string]int64, total)
	for _, sizes := range parts {
		for name, size := range sizes {
			all[name] += size
		}
	}
	return all, nil
}

// sumSizes adds up the objects of each point; they follow one another.
func sumSizes(infos iter.Seq[objstore.Info], kind string) map[string]int64 {
	sizes := map[string]int64{}
	folder, name := "", "" // of the point the last object belonged to
	for info := range infos {
		at, _ := cutLast(strings.TrimPrefix(info.Key, pointsPrefix))
		if at != folder {
			folder, name = at, ""
			if ref, err := parsePath(at); err == nil && (kind == "" || ref.Kind == kind) {
				name = ref.String()
			}
		}
		if name != "" {
			sizes[name] += info.Size
		}
	}
	return sizes
}
