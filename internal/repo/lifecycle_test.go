package repo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"pgregory.net/rapid"
)

// memoryDir is a temporary folder in memory where there is one: what is tested
// with it makes hundreds of repositories, and crashes of processes, not of
// machines.
func memoryDir(t testing.TB) string {
	t.Helper()
	if root, err := os.MkdirTemp("/dev/shm", "pgbackup-test-"); err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(root) })
		return root
	}
	return t.TempDir()
}

// life is a repository in which runs come, die and sleep.
type life struct {
	*Repository
	want     map[string][]byte // what each id ever begun must read as
	sleepers []*PointWriter    // runs that lost their lease and do not know it
	seed     uint64
}

// fate draws what befalls one run: nothing, one failed call, or its death, which
// is that no call gets through from then on. An answer may be lost while the
// write happens.
func (l *life) fate(t *rapid.T) *Repository {
	kind := rapid.SampledFrom([]string{"lives", "lives", "one call fails", "one answer is lost", "dies", "dies after a write"}).Draw(t, "fate")
	at := rapid.IntRange(1, 40).Draw(t, "at call")
	calls := 0
	m := &meddler{Store: l.Store()}
	switch kind {
	case "one call fails":
		m.before = func(string, string) error {
			if calls++; calls == at {
				return errReset
			}
			return nil
		}
	case "one answer is lost":
		m.after = func(string, string) error {
			if calls++; calls == at {
				return errReset
			}
			return nil
		}
	case "dies":
		m.before = func(string, string) error {
			if calls++; calls >= at {
				return errDead
			}
			return nil
		}
	case "dies after a write":
		m.after = func(string, string) error {
			if calls++; calls >= at {
				return errDead
			}
			return nil
		}
		m.before = func(string, string) error {
			if calls >= at {
				return errDead
			}
			return nil
		}
	}
	return l.over(m)
}

// backup is what a run does between taking its lease and giving it back.
func (l *life) backup(t *rapid.T) {
	ctx := context.Background()
	r := l.fate(t)
	if _, err := r.Sweep(ctx, "app"); err != nil {
		return
	}
	p := l.begin(t, r)
	if p == nil {
		return
	}
	if err := p.Commit(ctx, &Manifest{End: clock}); err != nil {
		_ = p.Abort(ctx)
	}
}

func (l *life) begin(t *rapid.T, r *Repository) *PointWriter {
	l.seed++
	data := pseudorandom(l.seed, rapid.IntRange(0, 600).Draw(t, "bytes"))
	p, err := begin(context.Background(), r, "app", pieces(data, rapid.IntRange(1, 5).Draw(t, "chunks")),
		WriterOptions{chunksPerObject: 2, Parts: 1})
	if p != nil {
		l.want[p.Ref().ID] = data
		if p.Ref().ID != "" && len(data) > 0 && err == nil {
			return p
		}
		_ = p.Abort(context.Background())
	}
	return nil
}

// check is the promise: every point that is listed reads to its end, byte for
// byte.
func (l *life) check(t *rapid.T) {
	points, err := l.List(context.Background(), Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		got, err := readAll(context.Background(), l.Repository, p.Ref)
		if err != nil {
			t.Fatalf("%s is listed and can not be read: %v", p.Ref, err)
		}
		want := l.want[p.ID]
		if !bytes.Equal(got, want) {
			t.Fatalf("%s reads as something else", p.Ref)
		}
	}
}

// orphans are data objects without a committed manifest.
func (l *life) orphans(t *rapid.T) []string {
	ctx := context.Background()
	var orphans []string
	for info, err := range l.Store().List(ctx, pointsPrefix) {
		if err != nil {
			t.Fatal(err)
		}
		path, _ := cutLast(strings.TrimPrefix(info.Key, pointsPrefix))
		if m, err := l.Store().Head(ctx, manifestsPrefix+path+".json", ""); errors.Is(err, objstore.ErrNotFound) || m.Size == 0 {
			orphans = append(orphans, info.Key)
		}
	}
	return orphans
}

func TestWhateverDiesOrSleepsAtAnyCallEveryListedPointReadsAndTheNextSweepLeavesNoOrphan(t *testing.T) {
	t.Parallel()
	root := memoryDir(t)
	rapid.Check(t, func(t *rapid.T) {
		at, err := os.MkdirTemp(root, "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(at) }()
		store, err := dir.Open(at)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		opts := CreateOptions{Now: clock}
		if rapid.Bool().Draw(t, "sealed") {
			opts.Key = outerKey
		}
		r, err := Create(context.Background(), store, opts)
		if err != nil {
			t.Fatal(err)
		}
		r.pause = 0
		l := &life{Repository: r, want: map[string][]byte{}}
		t.Repeat(map[string]func(*rapid.T){
			"":       l.check,
			"backup": l.backup,
			"fall asleep before the commit": func(t *rapid.T) {
				if p := l.begin(t, l.fate(t)); p != nil {
					l.sleepers = append(l.sleepers, p)
				}
			},
			"wake and commit": func(t *rapid.T) {
				if len(l.sleepers) == 0 {
					return
				}
				p := l.sleepers[0]
				l.sleepers = l.sleepers[1:]
				if err := p.Commit(context.Background(), &Manifest{}); err != nil && rapid.Bool().Draw(t, "aborts") {
					_ = p.Abort(context.Background())
				}
			},
			"rotate": func(t *rapid.T) {
				points, err := l.List(context.Background(), Filter{})
				if err != nil {
					t.Fatal(err)
				}
				if len(points) > 0 {
					_ = l.fate(t).Delete(context.Background(), rapid.SampledFrom(points).Draw(t, "point").Ref, Tombstone{})
				}
			},
			"sweep": func(t *rapid.T) {
				r := l.fate(t)
				if len(l.sleepers) > 0 && rapid.Bool().Draw(t, "somebody wakes meanwhile") {
					m, p := r.store.(*meddler), l.sleepers[0]
					l.sleepers = l.sleepers[1:]
					before, calls, at := m.before, 0, rapid.IntRange(1, 8).Draw(t, "at call")
					m.before = func(op, key string) error {
						if calls++; calls == at {
							_ = p.Commit(context.Background(), &Manifest{})
						}
						if before != nil {
							return before(op, key)
						}
						return nil
					}
				}
				_, _ = r.Sweep(context.Background(), "app")
			},
		})
		l.sleepers = nil
		if _, err := l.Sweep(context.Background(), "app"); err != nil {
			t.Fatal(err)
		}
		l.check(t)
		if orphans := l.orphans(t); len(orphans) > 0 {
			t.Fatalf("orphans after a sweep: %q", slices.Compact(orphans))
		}
		if n, err := store.PendingUploads(context.Background(), pointsPrefix); err != nil || n != 0 {
			t.Fatalf("%d uploads are left: %v", n, err)
		}
	})
}
