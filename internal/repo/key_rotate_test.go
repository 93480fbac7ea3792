package repo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// rotateKey is a whole rotation, as the command does it.
func rotateKey(ctx context.Context, store objstore.Store, from, to seal.Wrapper) error {
	r, err := Open(ctx, store, withKey(from))
	if err != nil {
		return err
	}
	keys, err := r.Keys(ctx)
	if err != nil {
		return err
	}
	above := 0
	var old []int
	for _, k := range keys {
		if k.ID == from.KeyID() {
			above = max(above, k.Number)
			old = append(old, k.Number)
		}
	}
	if _, _, err := r.EnsureKey(ctx, to, "file:/next", above, time.Now(), "me@here"); err != nil {
		return err
	}
	for _, n := range old {
		if err := r.RetireKey(ctx, n, to); err != nil {
			return err
		}
	}
	return nil
}

// readable are the keys that open the repository and its points.
func readable(t *testing.T, store objstore.Store, ref Ref, keys map[string]seal.Wrapper) (names []string) {
	t.Helper()
	for name, k := range keys {
		r, err := Open(t.Context(), store, withKey(k))
		if err != nil {
			continue
		}
		if _, err := readAll(t.Context(), r, ref); err != nil {
			t.Errorf("%s opens the repository and not its points: %v", name, err)
		}
		names = append(names, name)
	}
	return names
}

// C3
func TestAKeyRotationKilledAnywhereLeavesAKeyThatOpensAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	done := false
	for n := 0; !done; n++ {
		for _, when := range []string{"before", "after"} {
			store := newStore(t)
			ref := put(t, newRepo(t, store, true), "app", pieces(pseudorandom(3, 900), 2), WriterOptions{})
			next := seal.Local{Key: seal.NewKey()}
			keys := map[string]seal.Wrapper{"old": outerKey, "new": next}
			calls := 0
			die := func(string, string) error {
				if calls++; calls > n {
					return errDead
				}
				return nil
			}
			m := &meddler{Store: store, before: die}
			if when == "after" {
				m.before, m.after = nil, die
			}
			err := rotateKey(t.Context(), m, outerKey, next)
			if got := readable(t, store, ref, keys); len(got) == 0 {
				t.Fatalf("killed %s call %d nothing opens the repository any more", when, n)
			}
			if err == nil {
				done = true
			}
			again := rotateKey(t.Context(), store, outerKey, next)
			if again != nil && !errors.Is(again, seal.ErrWrongKey) { // it was done but for the answer
				t.Errorf("killed %s call %d, then repeated: %v", when, n, again)
			}
			if got := readable(t, store, ref, keys); fmt.Sprint(got) != "[new]" {
				t.Errorf("killed %s call %d and repeated, it opens with %v", when, n, got)
			}
		}
	}
}

func TestRotationsAtOnceNeverTakeEachOthersKey(t *testing.T) {
	t.Parallel()
	for range 10 {
		store := newStore(t)
		ref := put(t, newRepo(t, store, true), "app", pieces(pseudorandom(3, 900), 2), WriterOptions{})
		keys := map[string]seal.Wrapper{"old": outerKey}
		var wg sync.WaitGroup
		for i := range 4 {
			next := seal.Local{Key: seal.NewKey()}
			keys[fmt.Sprint(i)] = next
			wg.Go(func() {
				if err := rotateKey(t.Context(), store, outerKey, next); err != nil && !errors.Is(err, seal.ErrWrongKey) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := readable(t, store, ref, keys); len(got) == 0 {
			t.Fatal("nothing opens the repository any more")
		}
	}
	// The worst of it: each takes all the others away.
	store := newStore(t)
	r := newRepo(t, store, true)
	ref := put(t, r, "app", pieces(pseudorandom(3, 900), 2), WriterOptions{})
	keys := map[string]seal.Wrapper{}
	var wg sync.WaitGroup
	for i := range 4 {
		next := seal.Local{Key: seal.NewKey()}
		keys[fmt.Sprint(i)] = next
		wg.Go(func() {
			if _, _, err := r.EnsureKey(t.Context(), next, "", 0, clock, ""); err != nil {
				return // taken away before it was read back
			}
			for n := range 10 {
				_ = r.RetireKey(t.Context(), n, next) // refused where it must be
			}
		})
	}
	wg.Wait()
	if got := readable(t, store, ref, keys); len(got) == 0 {
		t.Error("nothing opens the repository any more")
	}
}

func TestAKeyIsNotTakenAwayForOneThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), true)
	next := seal.Local{Key: seal.NewKey()}
	if err := r.RetireKey(t.Context(), 1, next); !errors.Is(err, ErrKeyStays) {
		t.Errorf("for a key that was never added: %v", err)
	}
	if err := r.RetireKey(t.Context(), 1, outerKey); !errors.Is(err, ErrKeyStays) {
		t.Errorf("for itself: %v", err)
	}
	key, added, err := r.EnsureKey(t.Context(), next, "file:/next", 0, clock, "me@here")
	if err != nil || !added || key.Number != 2 || key.By != "me@here" {
		t.Fatalf("%+v, %t, %v", key, added, err)
	}
	if _, added, err := r.EnsureKey(t.Context(), next, "file:/next", 0, clock, ""); added || err != nil {
		t.Errorf("added twice: %t, %v", added, err)
	}
	if err := r.RetireKey(t.Context(), 2, outerKey); !errors.Is(err, ErrKeyStays) {
		t.Errorf("the newer one for the older: %v", err)
	}
	damaged := strings.Replace(string(raw(t, r.store, "keys/2.json")), `"wrapped":"`, `"wrapped":"A`, 1)
	overwrite(t, r.store, "keys/2.json", []byte(damaged))
	if err := r.RetireKey(t.Context(), 1, next); !errors.Is(err, ErrKeyStays) {
		t.Errorf("for a damaged one: %v", err)
	}
	keys, err := r.Keys(t.Context())
	if err != nil || len(keys) != 2 || keys[0].Number != 1 || !strings.Contains(keys[1].Problem, "keys/2.json") {
		t.Errorf("%+v, %v", keys, err)
	}
	// A damaged one is added again, with a number above it.
	if key, added, err := r.EnsureKey(t.Context(), next, "file:/next", 1, clock, ""); err != nil || !added || key.Number != 3 {
		t.Errorf("%+v, %t, %v", key, added, err)
	}
	if err := r.RetireKey(t.Context(), 1, next); err != nil {
		t.Error(err)
	}
}

func TestGoingBackToAnOldKeyTakesANewNumber(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	ref := put(t, newRepo(t, store, true), "app", pieces(pseudorandom(3, 900), 2), WriterOptions{})
	next := seal.Local{Key: seal.NewKey()}
	for _, err := range []error{rotateKey(t.Context(), store, outerKey, next), rotateKey(t.Context(), store, next, outerKey)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := readable(t, store, ref, map[string]seal.Wrapper{"old": outerKey, "new": next}); fmt.Sprint(got) != "[old]" {
		t.Errorf("it opens with %v", got)
	}
	if keys := keysOf(t, store, keysPrefix); fmt.Sprint(keys) != "[keys/3.json]" {
		t.Errorf("%v", keys)
	}
}

// unavailable is a key that a service does not let anybody use now.
type unavailable struct{ seal.Local }

func (unavailable) Unwrap(context.Context, []byte, string) ([]byte, error) {
	return nil, seal.ErrUnavailable
}

func TestASuggestedKeyThatIsOutOfReachMakesRoomForTheNext(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), true)
	newest := seal.Local{Key: seal.NewKey()}
	if err := r.AddKey(t.Context(), newest, "kms:lost", clock.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	find := func(keys map[string]seal.Wrapper) OpenOptions {
		return OpenOptions{Key: func(_ context.Context, refs []string) (seal.Wrapper, error) {
			for _, ref := range refs {
				if k := keys[ref]; k != nil {
					return k, nil
				}
			}
			return nil, nil
		}}
	}
	for _, c := range []struct {
		keys map[string]seal.Wrapper
		has  bool
	}{
		{map[string]seal.Wrapper{"kms:lost": unavailable{newest}, "env:KEY": outerKey}, true},
		{map[string]seal.Wrapper{"kms:lost": unavailable{newest}}, false},
		{map[string]seal.Wrapper{"kms:lost": unavailable{newest}, "env:KEY": unavailable{outerKey}}, false},
		{map[string]seal.Wrapper{"kms:lost": newest}, true},
	} {
		again, err := Open(t.Context(), r.Store(), find(c.keys))
		if err != nil || again.HasKey() != c.has {
			t.Errorf("with %v: %v, has its key: %t", c.keys, err, again != nil && again.HasKey())
		}
	}
}
