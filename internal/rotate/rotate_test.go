package rotate

import (
	"context"
	"errors"
	"fmt"
	"os"
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

var now = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)

// fixture is a repository on a real directory.
type fixture struct {
	*repo.Repository
	dir string
	t   *testing.T
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	root := filepath.Join(t.TempDir(), "repo")
	store, err := dir.Create(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r, err := repo.Create(t.Context(), store, repo.CreateOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{r, root, t}
}

// point commits one that started days before now.
func (f *fixture) point(source string, days int) repo.Ref {
	f.t.Helper()
	w, err := f.NewPoint(source, "logical", now.AddDate(0, 0, -days), repo.WriterOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	if err := w.WriteStream(f.t.Context(), "archive", []byte(fmt.Sprint(source, days))); err != nil {
		f.t.Fatal(err)
	}
	if err := w.Commit(f.t.Context(), &repo.Manifest{End: now.AddDate(0, 0, -days).Add(time.Minute)}); err != nil {
		f.t.Fatal(err)
	}
	return w.Ref()
}

func (f *fixture) points(source string, days ...int) []repo.Ref {
	refs := make([]repo.Ref, len(days))
	for i, d := range days {
		refs[i] = f.point(source, d)
	}
	return refs
}

// options are those of a rotation under policy prod, as it is in the repository.
func (f *fixture) options(keep retention.Keep) Options {
	f.t.Helper()
	revision, err := f.NewestRevision(f.t.Context(), "prod")
	if err != nil {
		f.t.Fatal(err)
	}
	return Options{Repo: f.Repository, Rules: retention.Rules{Keep: keep}, Now: now, By: "me@here", Policy: "prod", PolicyRevision: revision,
		Self: repo.Self(), LeaseTTL: time.Second}
}

// ids that are listed, of all sources.
func (f *fixture) ids() []string {
	f.t.Helper()
	listed, err := f.List(f.t.Context(), repo.Filter{})
	if err != nil {
		f.t.Fatal(err)
	}
	var ids []string
	for _, l := range listed {
		ids = append(ids, l.ID)
	}
	slices.Sort(ids)
	return ids
}

// files below a folder of the repository.
func (f *fixture) files(below string) []string {
	f.t.Helper()
	var found []string
	for info, err := range f.Store().List(f.t.Context(), below) {
		if err != nil {
			f.t.Fatal(err)
		}
		found = append(found, info.Key)
	}
	return found
}

func idsOf(list []Decision) []string {
	ids := []string{}
	for _, d := range list {
		ids = append(ids, d.ID)
	}
	slices.Sort(ids)
	return ids
}

func want(refs ...repo.Ref) []string {
	ids := []string{}
	for _, r := range refs {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	return ids
}

func TestAPlanShowsWhatWouldGoAndTouchesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.points("a", 0, 1, 2, 3)
	before := f.files("")
	out, err := Plan(t.Context(), f.options(retention.Keep{KeepLast: 2}))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(idsOf(out.Keep), want(p[0], p[1])) || !slices.Equal(idsOf(out.Delete), want(p[2], p[3])) {
		t.Errorf("keeps %v, deletes %v", idsOf(out.Keep), idsOf(out.Delete))
	}
	for _, d := range slices.Concat(out.Keep, out.Delete) {
		if len(d.Reasons) == 0 || d.Bytes <= 0 || d.Source != "a" || d.Start.IsZero() {
			t.Errorf("decision without its reasons or facts: %+v", d)
		}
	}
	if after := f.files(""); !slices.Equal(before, after) {
		t.Errorf("the plan wrote: %v, then %v", before, after)
	}
}

func TestARotationDeletesPointAndDataAndLeavesATombstoneWithTheReasons(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.revise("prod", retention.Keep{KeepLast: 1}, good())
	p := f.points("a", 0, 1, 2)
	q := f.points("b", 5, 6)
	out, err := Run(t.Context(), f.options(retention.Keep{KeepLast: 1}))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.ids(), want(p[0], q[0])) || !slices.Equal(idsOf(out.Delete), want(p[1], p[2], q[1])) {
		t.Errorf("left are %v, deleted were %v", f.ids(), idsOf(out.Delete))
	}
	if data := f.files("points/"); len(data) != 2 {
		t.Errorf("data left: %v", data)
	}
	body, err := os.ReadFile(filepath.Join(f.dir, "tombstones", "a", "logical", p[2].ID+".json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{`"me@here"`, `"prod"`, `"policy_revision":1`, "keep_last"} {
		if !strings.Contains(string(body), s) {
			t.Errorf("the tombstone lacks %s: %s", s, body)
		}
	}
	again, err := Run(t.Context(), f.options(retention.Keep{KeepLast: 1}))
	if err != nil || len(again.Delete) > 0 {
		t.Errorf("a second rotation deletes %v, %v", idsOf(again.Delete), err)
	}
}

func TestNothingOfASourceIsDeletedWhileAManifestOfItCanNotBeRead(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(f *fixture, ref repo.Ref) error{
		"garbage": func(f *fixture, ref repo.Ref) error {
			return os.WriteFile(filepath.Join(f.dir, ref.ManifestKey()), []byte(`{"manifest":{"format":1,`), 0o600)
		},
		"newer format": func(f *fixture, ref repo.Ref) error {
			return os.WriteFile(filepath.Join(f.dir, ref.ManifestKey()), []byte(`{"manifest":{"format":99}}`), 0o600)
		},
		"stranger's file": func(f *fixture, _ repo.Ref) error {
			return os.WriteFile(filepath.Join(f.dir, "manifests/a/logical/readme.txt"), []byte("x"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			p := f.points("a", 0, 1, 2, 3)
			q := f.points("b", 0, 1)
			if err := damage(f, p[2]); err != nil {
				t.Fatal(err)
			}
			out, err := Run(t.Context(), f.options(retention.Keep{KeepLast: 1}))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(idsOf(out.Delete), want(q[1])) {
				t.Errorf("deleted %v, want only %s of the healthy source", idsOf(out.Delete), q[1].ID)
			}
			if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "manifests/a/logical/") {
				t.Errorf("warnings: %q", out.Warnings)
			}
			if left := f.ids(); !slices.Contains(left, p[3].ID) {
				t.Errorf("the oldest is gone, left are %v", left)
			}
		})
	}
}

func TestASourceThatAnotherRunHoldsIsLeftAloneAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.points("a", 0, 1)
	q := f.points("b", 0, 1)
	lease, _, err := f.TakeLease(t.Context(), "a", repo.LeaseOptions{What: "backup", Self: repo.Self()})
	if err != nil {
		t.Fatal(err)
	}
	out, err := Run(t.Context(), f.options(retention.Keep{KeepLast: 1}))
	if !errors.Is(err, repo.ErrLocked) || !slices.Equal(out.Locked, []string{"a"}) {
		t.Errorf("got %v, locked %v; want ErrLocked for a", err, out.Locked)
	}
	if !slices.Equal(f.ids(), want(p[0], p[1], q[0])) {
		t.Errorf("left are %v", f.ids())
	}
	if !slices.Contains(idsOf(out.Keep), p[1].ID) {
		t.Errorf("the point of the locked source is not told as kept: %+v", out.Keep)
	}
	// With nothing to delete there, the other run is no trouble.
	if _, err := Run(t.Context(), f.options(retention.Keep{KeepLast: 5})); err != nil {
		t.Errorf("nothing to delete in the locked source: %v", err)
	}
	if err := lease.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), f.options(retention.Keep{KeepLast: 1})); err != nil || !slices.Equal(f.ids(), want(p[0], q[0])) {
		t.Errorf("after the release: %v, left are %v", err, f.ids())
	}
}

func TestHeldAndCondemnedPointsStayAndTakeNoSlot(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.points("a", 0, 1, 2, 3)
	if err := f.Condemn(t.Context(), p[0], repo.Mark{At: now}); err != nil {
		t.Fatal(err)
	}
	if err := f.Hold(t.Context(), p[3], repo.Mark{At: now}); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), f.options(retention.Keep{KeepLast: 1})); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.ids(), want(p[0], p[1], p[3])) {
		t.Errorf("left are %v, want the condemned, the newest good and the held one", f.ids())
	}
}

// dying is a store that goes away after some deletions, as a killed process does.
type dying struct {
	objstore.Store
	left int
}

var errDied = errors.New("killed")

func (d *dying) Delete(ctx context.Context, keys ...string) error {
	if d.left--; d.left < 0 {
		return errDied
	}
	return d.Store.Delete(ctx, keys...)
}

func TestARotationThatDiedAnywhereIsFinishedByTheNext(t *testing.T) {
	t.Parallel()
	for left := range 6 {
		f := newFixture(t)
		p := f.points("a", 0, 1, 2, 3)
		r, err := repo.Open(t.Context(), &dying{f.Store(), left}, repo.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		opts := f.options(retention.Keep{KeepLast: 1})
		opts.Repo = r
		out, err := Run(t.Context(), opts)
		if !errors.Is(err, errDied) {
			t.Fatalf("after %d deletions: %v", left, err)
		}
		if len(out.Delete)+len(out.Keep) != 4 {
			t.Errorf("after %d deletions: the outcome does not tell of every point: %+v", left, out)
		}
		if _, err := Run(t.Context(), f.options(retention.Keep{KeepLast: 1})); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(f.ids(), want(p[0])) || len(f.files("points/")) != 1 {
			t.Errorf("after %d deletions and a second run: points %v, data %v", left, f.ids(), f.files("points/"))
		}
	}
}

func TestOneKindIsRotatedAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.points("a", 0, 1)
	opts := f.options(retention.Keep{KeepLast: 1})
	opts.Filter.Kind = "physical"
	if out, err := Run(t.Context(), opts); err != nil || len(out.Delete)+len(out.Keep) != 0 {
		t.Errorf("another kind: %+v, %v", out, err)
	}
	opts.Filter = repo.Filter{}
	opts.Match = func(source string) bool { return source != "a" }
	if out, err := Run(t.Context(), opts); err != nil || len(out.Delete)+len(out.Keep) != 0 {
		t.Errorf("another source: %+v, %v", out, err)
	}
	if len(f.ids()) != 2 {
		t.Errorf("left are %v", f.ids())
	}
}

func TestRulesThatKeepNothingAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.points("a", 0, 1)
	for _, run := range []func(context.Context, Options) (Outcome, error){Plan, Run} {
		if _, err := run(t.Context(), f.options(retention.Keep{})); err == nil || !strings.Contains(err.Error(), "keeps nothing") {
			t.Errorf("got %v", err)
		}
	}
	if len(f.ids()) != 2 {
		t.Error("something was deleted")
	}
}

func TestTheGuardRefusesWhatAnEngineGoneWrongWouldDelete(t *testing.T) {
	t.Parallel()
	listed := func(id int, mark func(*repo.Listed)) repo.Listed {
		l := repo.Listed{Ref: repo.Ref{Source: "a", Kind: "logical", ID: fmt.Sprint(id)}, Start: now.AddDate(0, 0, -id)}
		if mark != nil {
			mark(&l)
		}
		return l
	}
	condemned := func(l *repo.Listed) { l.Condemned = true }
	held := func(l *repo.Listed) { l.Held = true }
	future := func(l *repo.Listed) { l.Start = now.AddDate(1, 0, 0) }
	for _, c := range []struct {
		name   string
		points []repo.Listed
		doomed []int
		safe   bool
	}{
		{"older points", []repo.Listed{listed(1, nil), listed(2, nil), listed(3, nil)}, []int{2, 3}, true},
		{"the newest", []repo.Listed{listed(1, nil), listed(2, nil)}, []int{1}, false},
		{"everything", []repo.Listed{listed(1, nil), listed(2, nil)}, []int{1, 2}, false},
		{"the last good beside a condemned", []repo.Listed{listed(1, condemned), listed(2, nil), listed(3, nil)}, []int{2, 3}, false},
		{"older than the last good beside a condemned", []repo.Listed{listed(1, condemned), listed(2, nil), listed(3, nil)}, []int{3}, true},
		{"the last good beside one of the future", []repo.Listed{listed(1, future), listed(2, nil)}, []int{2}, false},
		{"a held one", []repo.Listed{listed(1, nil), listed(2, held)}, []int{2}, false},
		{"a condemned one", []repo.Listed{listed(1, nil), listed(2, condemned)}, []int{2}, false},
		{"nothing", []repo.Listed{listed(1, condemned)}, nil, true},
	} {
		var doomed []Decision
		for _, id := range c.doomed {
			doomed = append(doomed, Decision{ref: repo.Ref{Source: "a", Kind: "logical", ID: fmt.Sprint(id)}})
		}
		if err := guard(c.points, doomed, now); (err == nil) != c.safe || err != nil && !errors.Is(err, ErrUnsafe) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
