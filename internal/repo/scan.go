package repo

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
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
	err = eachOf(ctx, len(parts), func(ctx context.Context, i int) error {
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
	err := eachOf(ctx, len(families), func(ctx context.Context, i int) (err error) {
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

// eachOf does n things, listers at once. After the first failure nothing more is
// begun, and that failure is returned.
func eachOf(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(listers, n) {
		wg.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					fail(err)
				}
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}
