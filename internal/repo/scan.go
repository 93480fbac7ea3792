package repo

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
)

// listers is how many listings are under way at once. A store answers one
// listing page after page; several sources it answers side by side.
const listers = 8

// part is one listing of a scan.
type part struct {
	family string // manifests/, holds/, …
	prefix string
	exact  bool // only the object of exactly that key
}

// scan lists everything of some families (top folders of the layout) that a
// filter's prefix covers, shared out over the sources where the store can tell
// them apart, and gives what read makes of each part, in no order that means
// anything: nothing may depend on how the work was shared out.
func scan[T any](ctx context.Context, r *Repository, f Filter, families []string, read func(family string, found iter.Seq[objstore.Info]) T) ([]T, error) {
	parts, err := r.parts(ctx, f, families)
	if err != nil {
		return nil, err
	}
	results := make([]T, len(parts))
	err = parallel.Each(ctx, listers, len(parts), func(ctx context.Context, i int) error {
		p := parts[i]
		var failed error
		results[i] = read(p.family, func(yield func(objstore.Info) bool) {
			for info, err := range r.store.List(ctx, p.prefix) {
				if err != nil {
					failed = fmt.Errorf("list %s of %s: %w", strings.TrimSuffix(p.family, "/"), r.URL(), err)
					return
				}
				if p.exact && info.Key != p.prefix {
					continue
				}
				if !yield(info) {
					return
				}
			}
		})
		return failed
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// parts shares a scan out: one listing a family and source.
func (r *Repository) parts(ctx context.Context, f Filter, families []string) ([]part, error) {
	folders, can := r.store.(objstore.FolderLister)
	if f.Source != "" || !can {
		var parts []part
		for _, family := range families {
			parts = append(parts, part{family: family, prefix: family + f.prefix()})
		}
		return parts, nil
	}
	below := make([][]string, len(families))
	err := parallel.Each(ctx, listers, len(families), func(ctx context.Context, i int) (err error) {
		if below[i], err = folders.Folders(ctx, families[i]); err != nil {
			err = fmt.Errorf("list %s of %s: %w", strings.TrimSuffix(families[i], "/"), r.URL(), err)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var parts []part
	for i, family := range families {
		for _, prefix := range below[i] {
			parts = append(parts, part{family: family, prefix: prefix, exact: !strings.HasSuffix(prefix, "/")})
		}
	}
	return parts, nil
}
