package rotate

import (
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// million is a store with a million manifests, in memory, that answers a listing
// as S3 does: a thousand keys after a wait.
type million struct {
	objstore.Store // everything else
	infos          []objstore.Info
	folders        []string
	page           time.Duration // wait for a page
}

const pageKeys = 1000

func newMillion(b *testing.B, points, sources int, page time.Duration) *million {
	b.Helper()
	store, err := dir.Create(filepath.Join(b.TempDir(), "repo"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	if _, err := repo.Create(b.Context(), store, repo.CreateOptions{Now: now}); err != nil {
		b.Fatal(err)
	}
	m := &million{Store: store, page: page, infos: make([]objstore.Info, points)}
	for i := range m.infos {
		start := now.Add(-time.Duration(i/sources) * time.Hour)
		ref := repo.Ref{Source: fmt.Sprintf("db%03d@pg.example.org", i%sources), Kind: "logical", ID: start.Format("20060102T150405Z") + "-abcdefgh"}
		m.infos[i] = objstore.Info{Key: ref.ManifestKey(), Size: 2000, Modified: start.Add(10 * time.Minute)}
	}
	slices.SortFunc(m.infos, func(a, b objstore.Info) int { return strings.Compare(a.Key, b.Key) })
	for i := range sources {
		m.folders = append(m.folders, fmt.Sprintf("manifests/db%03d@pg.example.org/", i))
	}
	return m
}

func (m *million) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	if !strings.HasPrefix(prefix, "manifests/") {
		return m.Store.List(ctx, prefix)
	}
	return func(yield func(objstore.Info, error) bool) {
		from, _ := slices.BinarySearchFunc(m.infos, prefix, func(i objstore.Info, p string) int { return strings.Compare(i.Key, p) })
		for n, info := range m.infos[from:] {
			if !strings.HasPrefix(info.Key, prefix) {
				return
			}
			if n%pageKeys == 0 {
				time.Sleep(m.page)
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (m *million) Folders(ctx context.Context, prefix string) ([]string, error) {
	if prefix == "manifests/" {
		time.Sleep(m.page)
		return m.folders, nil
	}
	return m.Store.(objstore.FolderLister).Folders(ctx, prefix)
}

// withoutFolders hides that listings can be shared out.
type withoutFolders struct{ objstore.Store }

// BenchmarkListAndDecideMillion holds R7 from the listing on: what the store takes
// for its pages shows, shared out over the sources; what is ours does not.
func BenchmarkListAndDecideMillion(b *testing.B) {
	const points = 1_000_000
	rules := retention.Rules{Keep: retention.Keep{KeepLast: 3, KeepHourly: 48, KeepDaily: 30, KeepWeekly: 12, KeepMonthly: 12, KeepYearly: 7}}
	for _, c := range []struct {
		name    string
		sources int
		page    time.Duration
		alone   bool
	}{
		{"100 sources", 100, 0, false},
		{"one source", 1, 0, false},
		{"100 sources, 10 ms a page", 100, 10 * time.Millisecond, false},
		{"100 sources, 10 ms a page, in one go", 100, 10 * time.Millisecond, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			var store objstore.Store = newMillion(b, points, c.sources, c.page)
			if c.alone {
				store = withoutFolders{store}
			}
			r, err := repo.Open(b.Context(), store, repo.OpenOptions{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var listing, deciding time.Duration
			for b.Loop() {
				begun := time.Now()
				listed, err := r.List(b.Context(), repo.Filter{})
				if err != nil || len(listed) != points {
					b.Fatalf("%d points, %v", len(listed), err)
				}
				listing += time.Since(begun)
				begun = time.Now()
				plan := decideKeys(listed, rules, now, nil)
				if len(plan.Keep)+len(plan.Delete) != points {
					b.Fatal("points are missing")
				}
				deciding += time.Since(begun)
			}
			b.ReportMetric(listing.Seconds()/float64(b.N), "s-listing")
			b.ReportMetric(deciding.Seconds()/float64(b.N), "s-deciding")
		})
	}
}
