package rotate

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// What happens in these tests is dated by hand: files that were just written carry
// the real time, which is not the one of the tests.

// at dates what was written since the last call: manifests to a minute after their
// point began, everything else to when.
func (f *fixture) at(when time.Time) {
	f.t.Helper()
	for _, family := range []string{"manifests", "holds", "condemned", "tombstones", "policies"} {
		err := filepath.WalkDir(filepath.Join(f.dir, family), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return ignoreMissing(err)
			}
			info, err := entry.Info()
			if err != nil || time.Since(info.ModTime()).Abs() > time.Hour {
				return err
			}
			stamp := when
			if family == "manifests" {
				id, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".json"), "~")
				start, err := repo.ParseID(id)
				if err != nil {
					return err
				}
				stamp = start.Add(time.Minute)
			}
			return os.Chtimes(path, stamp, stamp)
		})
		if err != nil {
			f.t.Fatal(err)
		}
	}
}

func ignoreMissing(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// started commits a point of a source that started then, made under a policy.
func (f *fixture) started(source string, start time.Time, policyName string) repo.Ref {
	f.t.Helper()
	w, err := f.NewPoint(source, "logical", start, repo.WriterOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	if err := w.WriteStream(f.t.Context(), "archive", []byte(fmt.Sprint(source, start))); err != nil {
		f.t.Fatal(err)
	}
	m := &repo.Manifest{End: start.Add(time.Minute)}
	if policyName != "" {
		m.Policy, m.PolicyRevision = policyName, 1
	}
	if err := w.Commit(f.t.Context(), m); err != nil {
		f.t.Fatal(err)
	}
	return w.Ref()
}

// refs of the points that are there.
func (f *fixture) refs() []repo.Ref {
	f.t.Helper()
	listed, err := f.List(f.t.Context(), repo.Filter{})
	if err != nil {
		f.t.Fatal(err)
	}
	var refs []repo.Ref
	for _, l := range listed {
		refs = append(refs, l.Ref)
	}
	return refs
}

// wouldGo are the points that a rotation under a policy would delete.
func (f *fixture) wouldGo(d policy.Document, when time.Time) []string {
	f.t.Helper()
	out, err := Plan(f.t.Context(), f.under(d, when))
	if err != nil {
		f.t.Fatal(err)
	}
	return refsOf(out.Delete)
}

func (f *fixture) under(d policy.Document, when time.Time) Options {
	f.t.Helper()
	rules, err := d.Rules()
	if err != nil {
		f.t.Fatal(err)
	}
	return Options{Repo: f.Repository, Rules: rules, Now: when, Policy: d.Name, By: "me@here", Self: repo.Self(), LeaseTTL: time.Second}
}

func refsOf(list []Decision) []string {
	var refs []string
	for _, d := range list {
		refs = append(refs, d.ref.String())
	}
	slices.Sort(refs)
	return refs
}

// rotated runs a rotation under a policy and gives the refs that it deleted.
func (f *fixture) rotated(d policy.Document, when time.Time) []string {
	f.t.Helper()
	out, err := Run(f.t.Context(), f.under(d, when))
	if err != nil {
		f.t.Fatal(err)
	}
	f.at(when)
	return refsOf(out.Delete)
}

func doc(keep retention.Keep) policy.Document {
	return policy.Document{Format: policy.Format, Name: "prod", Retention: keep}
}

func (f *fixture) review(old *policy.Document, next policy.Document, asOf, when time.Time) *Review {
	f.t.Helper()
	r, err := ReviewChange(f.t.Context(), ReviewOptions{Repo: f.Repository, Old: old, New: next, AsOf: asOf, Now: when})
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// codeOf is the code for the loss of those points.
func (f *fixture) codeOf(old *policy.Document, next policy.Document, refs []string) string {
	f.t.Helper()
	rules, err := ReviewOptions{Repo: f.Repository, Old: old, New: next}.rules()
	if err != nil {
		f.t.Fatal(err)
	}
	var set impact.Set
	for _, ref := range refs {
		set.Add(impact.SetOf(ref))
	}
	return rules.code(set)
}

// approves asks a review for a code; t is a test's or a check's.
func approves(t interface {
	Helper()
	Fatal(args ...any)
}, r *Review, code string) (time.Time, bool) {
	t.Helper()
	at, ok, err := r.Approves(context.Background(), code)
	if err != nil {
		t.Fatal(err)
	}
	return at, ok
}

// anyPolicy draws rules, sometimes with a ceiling and a time zone.
func anyPolicy(t *rapid.T, label string) policy.Document {
	some := func(name string, most int) int {
		return max(0, rapid.IntRange(-most, most).Draw(t, label+" "+name))
	}
	days := func(name string, most int) duration.Duration {
		return duration.Of(time.Duration(some(name, most)) * 24 * time.Hour)
	}
	d := doc(retention.Keep{
		KeepLast: some("last", 4), KeepHourly: some("hourly", 3), KeepDaily: some("daily", 8), KeepWeekly: some("weekly", 3), KeepMonthly: some("monthly", 1),
		KeepWithin: days("within", 9), KeepWithinDaily: days("within daily", 12),
	})
	if d.Retention.IsZero() {
		d.Retention.KeepLast = 1
	}
	if rapid.Bool().Draw(t, label+" has a zone") {
		d.Timezone = "Pacific/Auckland"
	}
	if ceiling := days("ceiling", 40); !ceiling.IsZero() {
		d.Storage.ExpireAfter = ceiling
		if d.Validate() != nil {
			d.Storage.ExpireAfter = duration.Duration{}
		}
	}
	return d
}

// anyStart draws when a point started, before a moment.
func anyStart(t *rapid.T, before time.Time, days int) time.Time {
	return before.Add(-time.Duration(rapid.IntRange(1, days*24*4).Draw(t, "quarters of an hour")) * 15 * time.Minute)
}

func without(list []string, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// folder is one of a test's own, in memory where the system has such a place: what
// is tested by hundreds of repositories waits for the disk otherwise.
func folder(t testing.TB) string {
	t.Helper()
	name, err := os.MkdirTemp("/dev/shm", "pgbackup-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(name) })
	return name
}

// repositoryIn opens the repository in a folder, or makes one.
func repositoryIn(t testing.TB, root string, create bool) *repo.Repository {
	t.Helper()
	store, err := dir.Create(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	var r *repo.Repository
	if create {
		r, err = repo.Create(t.Context(), store, repo.CreateOptions{Now: now})
	} else {
		r, err = repo.Open(t.Context(), store, repo.OpenOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func opened(t *testing.T, root string, create bool) *fixture {
	t.Helper()
	return &fixture{repositoryIn(t, root, create), root, t}
}

// stock is repositories to draw from: making one takes far longer than copying it.
type stock struct {
	t      *testing.T
	folder string
	dirs   []string
	drawn  *int
}

// newStock makes n repositories; fill says what is in each.
func newStock(t *testing.T, n int, fill func(f *fixture, random *rand.Rand)) stock {
	t.Helper()
	s := stock{t: t, folder: folder(t), drawn: new(int)}
	for seed := range n {
		f := opened(t, filepath.Join(s.folder, fmt.Sprint(seed)), true)
		fill(f, rand.New(rand.NewPCG(uint64(seed), 0)))
		f.at(now.Add(-time.Hour))
		s.dirs = append(s.dirs, f.dir)
	}
	return s
}

// draw gives a copy of one of them, times of files included.
func (s stock) draw(t *rapid.T) *fixture {
	*s.drawn++
	from, to := rapid.SampledFrom(s.dirs).Draw(t, "repository"), filepath.Join(s.folder, fmt.Sprint("copy", *s.drawn))
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.Chtimes(filepath.Join(to, strings.TrimPrefix(path, from)), info.ModTime(), info.ModTime())
	})
	if err != nil {
		t.Fatal(err)
	}
	return opened(s.t, to, false)
}
