package repo

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

func TestADeletionThatDiesAnywhereIsFinishedByTheNextSweep(t *testing.T) {
	t.Parallel()
	for moment := 1; ; moment++ {
		r := newRepo(t, newStore(t), false)
		data := pseudorandom(12, 900)
		ref := put(t, r, "app", pieces(data, 9), WriterOptions{chunksPerObject: 2})
		calls := 0
		dying := r.over(&meddler{Store: r.Store(), before: func(string, string) error {
			if calls++; calls >= moment {
				return errDead
			}
			return nil
		}})
		died := dying.Delete(t.Context(), ref, Tombstone{Reasons: []string{"test"}})
		for _, p := range wantPoints(t, r) { // before its manifest went, it is whole
			wantReads(t, r, p.Ref, data)
		}
		if _, err := r.Sweep(t.Context(), "app"); err != nil {
			t.Fatal(err)
		}
		if points := wantPoints(t, r); len(points) == 1 {
			wantReads(t, r, ref, data)
			if err := r.Delete(t.Context(), ref, Tombstone{}); err != nil {
				t.Errorf("died at call %d, then deleted again: %v", moment, err)
			}
		}
		if keys := keysOf(t, r.Store(), pointsPrefix); len(keys) != 0 {
			t.Errorf("died at call %d: orphans %q", moment, keys)
		}
		if n := len(keysOf(t, r.Store(), tombstonesPrefix)); n != 1 {
			t.Errorf("died at call %d: %d tombstones", moment, n)
		}
		if died == nil {
			if moment < 6 {
				t.Errorf("a deletion made only %d calls", calls)
			}
			return
		}
	}
}

func TestATombstoneTellsOfTheDeletionThatHappenedNotOfOneThatWasKilled(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	ref := put(t, r, "app", pieces([]byte("x"), 1), WriterOptions{})
	dying := r.over(&meddler{Store: r.Store(), before: func(op, _ string) error {
		if op == "delete" {
			return errDead
		}
		return nil
	}})
	if err := dying.Delete(t.Context(), ref, Tombstone{By: "killed", Reasons: []string{"old rules"}, Deleted: clock}); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	if n := len(wantPoints(t, r)); n != 1 {
		t.Fatalf("%d points", n)
	}
	later := clock.AddDate(0, 0, 9)
	if err := r.Delete(t.Context(), ref, Tombstone{By: "ada", Reasons: []string{"new rules"}, Deleted: later}); err != nil {
		t.Fatal(err)
	}
	stone, err := r.Tombstone(t.Context(), ref)
	if err != nil || stone.By != "ada" || len(stone.Reasons) != 1 || stone.Reasons[0] != "new rules" || !stone.Deleted.Equal(later) {
		t.Errorf("%+v, %v", stone, err)
	}
	// What is gone is not deleted anew.
	if err := r.Delete(t.Context(), ref, Tombstone{By: "eve"}); err != nil {
		t.Fatal(err)
	}
	if stone, err := r.Tombstone(t.Context(), ref); err != nil || stone.By != "ada" {
		t.Errorf("%+v, %v", stone, err)
	}
}

func TestSweepOfOneSourceTouchesNoOther(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	for _, source := range []string{"a", "a@b", "a/b", "a-b", "aa"} {
		if _, err := begin(t.Context(), r, source, pieces([]byte("x"), 1), WriterOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	live, err := r.Store().Create(t.Context(), Ref{Source: "a@b", Kind: "logical", ID: NewID(clock)}.DataPrefix()+"archive.0000", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = live.Abort() }()
	if swept, err := r.Sweep(t.Context(), "a"); err != nil || swept.Points != 1 || swept.Uploads != 0 {
		t.Errorf("swept %+v: %v", swept, err)
	}
	if n := len(keysOf(t, r.Store(), pointsPrefix)); n != 8 {
		t.Errorf("%d objects of the others are left, want 8", n)
	}
}

func TestSweepClearsNothingBesideAManifestItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	ref := put(t, r, "app", pieces([]byte("x"), 1), WriterOptions{})
	// Somebody renamed the manifest: its data looks abandoned now.
	manifest := raw(t, r.Store(), ref.ManifestKey())
	overwrite(t, r.Store(), ref.ManifestKey()+".bak", manifest)
	if err := r.Store().Delete(t.Context(), ref.ManifestKey()); err != nil {
		t.Fatal(err)
	}
	swept, err := r.Sweep(t.Context(), "app")
	if err != nil || swept.Points != 0 || swept.Left == nil || !strings.Contains(swept.Left.Error(), ".bak") {
		t.Errorf("swept %+v: %v", swept, err)
	}
	overwrite(t, r.Store(), ref.ManifestKey(), manifest)
	wantReads(t, r, ref, []byte("x"))
}

func TestAHoldIsHonouredHoweverLateItComes(t *testing.T) {
	t.Parallel()
	for moment := 1; ; moment++ {
		r := newRepo(t, newStore(t), false)
		ref := put(t, r, "app", pieces([]byte("x"), 1), WriterOptions{})
		calls, held := 0, errors.New("not tried")
		deleter := r.over(&meddler{Store: r.Store(), before: func(string, string) error {
			if calls++; calls == moment {
				held = r.Hold(context.Background(), ref, Mark{At: clock})
			}
			return nil
		}})
		deleted := deleter.Delete(t.Context(), ref, Tombstone{})
		points := wantPoints(t, r)
		switch {
		case held == nil && len(points) != 1:
			t.Errorf("held at call %d and told so, and yet it is gone", moment)
		case held == nil && !errors.Is(deleted, ErrHeld):
			t.Errorf("held at call %d: %v", moment, deleted)
		case held == nil && len(keysOf(t, r.Store(), tombstonesPrefix)) != 0:
			t.Errorf("held at call %d: a tombstone says it is gone", moment)
		case deleted == nil && len(points) != 0:
			t.Errorf("deleted, and yet it is there")
		}
		if calls < moment {
			return
		}
	}
}

func TestMarksAddUpToAState(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := newRepo(t, newStore(t), false)
	ref := put(t, r, "app", pieces([]byte("x"), 1), WriterOptions{})
	want := func(what string, held, condemned bool) {
		t.Helper()
		l := wantListed(t, r, 1)[0]
		if l.Held != held || l.Condemned != condemned || l.Verified() == condemned {
			t.Errorf("%s: held %v, condemned %v", what, l.Held, l.Condemned)
		}
	}
	do := func(f func(context.Context, Ref, Mark) error) {
		t.Helper()
		if err := f(ctx, ref, Mark{At: clock, By: "ada", Why: "why"}); err != nil {
			t.Fatal(err)
		}
	}
	do(r.Release)
	do(r.Clear)
	if len(keysOf(t, r.Store(), holdsPrefix))+len(keysOf(t, r.Store(), condemnedPrefix)) != 0 {
		t.Error("releasing what is not held leaves marks")
	}
	do(r.Hold)
	do(r.Hold)
	want("held twice", true, false)
	if n := len(keysOf(t, r.Store(), holdsPrefix)); n != 1 {
		t.Errorf("%d marks", n)
	}
	do(r.Release)
	want("released", false, false)
	do(r.Hold)
	do(r.Condemn)
	want("held and condemned", true, true)
	do(r.Release)
	do(r.Clear)
	want("released and cleared", false, false)

	// Old marks may be expired by somebody; new ones still count as newer.
	if err := r.Store().Delete(ctx, holdsPrefix+ref.path()+"/000001-held.json", holdsPrefix+ref.path()+"/000002-released.json"); err != nil {
		t.Fatal(err)
	}
	do(r.Hold)
	want("held after marks were lost", true, false)
	do(r.Release)

	// Two that raced for one number: the one that keeps wins.
	overwrite(t, r.Store(), holdsPrefix+ref.path()+"/000009-held.json", []byte("{}"))
	overwrite(t, r.Store(), holdsPrefix+ref.path()+"/000009-released.json", []byte("{}"))
	want("raced", true, false)
	do(r.Release)
	want("released after the race", false, false)

	overwrite(t, r.Store(), holdsPrefix+ref.path()+"/000002-embargoed.json", []byte("{}"))
	overwrite(t, r.Store(), condemnedPrefix+ref.path()+"/junk", []byte("{}"))
	want("marks of a newer program", true, true)
	if err := r.Delete(ctx, ref, Tombstone{}); !errors.Is(err, ErrHeld) {
		t.Errorf("delete under an unreadable hold: %v", err)
	}
	if err := r.Release(ctx, ref, Mark{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "embargoed") {
		t.Errorf("release over an unreadable hold: %v", err)
	}
}

func TestAPointIsFoundByIDBeginningLatestAndNothingElse(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := newRepo(t, newStore(t), false)
	if _, err := r.Find(ctx, "latest", Filter{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("latest of nothing: %v", err)
	}
	var refs []Ref
	for i := range 3 {
		p, err := r.NewPoint("app", "logical", clock.AddDate(0, 0, i), WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(p.WriteStream(ctx, "archive", []byte("x")), p.Commit(ctx, &Manifest{})); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, p.Ref())
	}
	find := func(name string, f Filter, want Ref, wantErr error) {
		t.Helper()
		got, err := r.Find(ctx, name, f)
		if !errors.Is(err, wantErr) || wantErr == nil && got.Ref != want {
			t.Errorf("find %q: %v, %v; want %v, %v", name, got.Ref, err, want, wantErr)
		}
	}
	find(refs[1].ID, Filter{}, refs[1], nil)
	find(refs[1].String(), Filter{Source: "app"}, refs[1], nil)
	find("20260303", Filter{}, refs[2], nil)
	find("202603", Filter{}, Ref{}, ErrAmbiguous)
	find("2027", Filter{}, Ref{}, ErrNotFound)
	find("", Filter{}, Ref{}, ErrNotFound)
	find(refs[1].ID, Filter{Source: "ap"}, Ref{}, ErrNotFound)
	find(refs[1].ID, Filter{Source: "app", Kind: "physical"}, Ref{}, ErrNotFound)
	find("latest", Filter{}, refs[2], nil)
	if err := r.Condemn(ctx, refs[2], Mark{}); err != nil {
		t.Fatal(err)
	}
	find("latest", Filter{}, refs[1], nil)
	overwrite(t, r.Store(), refs[1].ManifestKey(), []byte("{"))
	find("latest", Filter{}, refs[0], nil)
	put(t, r, "shop", pieces([]byte("x"), 1), WriterOptions{})
	find("latest", Filter{}, Ref{}, ErrAmbiguous)
	find("latest", Filter{Source: "app"}, refs[0], nil)
}
