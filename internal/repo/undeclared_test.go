package repo

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// S6
func TestALockIsNotSwitchedOffByHidingItsDeclaration(t *testing.T) {
	t.Parallel()
	store := lockedBucket(t)
	r := newRepo(t, store, true)
	protect(t, r, week)
	before := putNow(t, r, "app")
	for _, key := range keysOf(t, store, protectionPrefix) { // a delete marker: no lock is in its way
		if err := store.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Open(t.Context(), store, withKey(outerKey))
	if err != nil {
		t.Fatal(err)
	}
	if p, is, err := again.Protection(t.Context()); !is || p != week || err != nil {
		t.Errorf("after its declaration is gone it is %+v, %t, %v", p, is, err)
	}
	if err := again.Undeclared(t.Context()); !errors.Is(err, ErrUndeclared) || !strings.Contains(err.Error(), "apply the repository with its object_lock again") {
		t.Errorf("nothing is said of it: %v", err)
	}
	if err := again.ProtectSelf(t.Context()); !errors.Is(err, ErrUndeclared) {
		t.Errorf("a rotation says nothing of it: %v", err)
	}
	after := putNow(t, again, "app")
	wantLocked(t, store, after.ManifestKey(), time.Now().AddDate(0, 0, 6))
	for _, ref := range []Ref{before, after} {
		if err := again.Delete(t.Context(), ref, Tombstone{}); !errors.Is(err, ErrRetained) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	protect(t, again, week)
	if err := again.Undeclared(t.Context()); err != nil || len(keysOf(t, store, protectionPrefix)) != 1 {
		t.Errorf("declared again: %v", err)
	}
}

// S6
func TestWhatIsLockedIsNotDeletedWhereNothingIsDeclared(t *testing.T) {
	t.Parallel()
	store := lockedBucket(t)
	r := newRepo(t, store, false)
	ref := putNow(t, r, "app")
	if err := store.Lock(t.Context(), ref.ManifestKey(), "", time.Now().Add(time.Hour), objstore.Governance); err != nil {
		t.Fatal(err)
	}
	store.reset()
	if err := r.Delete(t.Context(), ref, Tombstone{}); !errors.Is(err, ErrRetained) {
		t.Errorf("%v", err)
	}
	free := putNow(t, r, "app")
	if err := r.Delete(t.Context(), free, Tombstone{}); err != nil {
		t.Error(err)
	}
	if n := store.asked.Load(); n != 0 {
		t.Errorf("of a repository without protection the store was asked for %d locks, which takes a right of its own", n)
	}
	if err := r.Undeclared(t.Context()); err != nil {
		t.Errorf("a repository that was never locked: %v", err)
	}
}

// S6
func TestAPointOfWhichTheStoreDoesNotSayStays(t *testing.T) {
	t.Parallel()
	now := clock.AddDate(0, 0, 10)
	ref := Ref{Source: "app", Kind: "logical", ID: NewID(clock)}
	month := Protection{Mode: objstore.Governance, Days: 30}
	for name, c := range map[string]struct {
		history protectionHistory
		locked  bool
	}{
		"declared":                  {protectionHistory{{Protection: week, At: clock, number: 1}}, true},
		"ended, made before that":   {protectionHistory{{Protection: month, At: clock.AddDate(0, 0, -1), number: 1}, {At: clock.AddDate(0, 0, 5), number: 2}}, true},
		"ended, and its time over":  {protectionHistory{{Protection: week, At: clock.AddDate(0, 0, -1), number: 1}, {At: clock.AddDate(0, 0, 5), number: 2}}, false},
		"never":                     {nil, false},
		"ended, declared only then": {protectionHistory{{Protection: month, At: clock.AddDate(0, 0, 4), number: 1}, {At: clock.AddDate(0, 0, 5), number: 2}}, false},
	} {
		mode, until := c.history.presumed(ref, now)
		if until.After(now) != c.locked || c.locked != strings.Contains(mode, "does not say") {
			t.Errorf("%s: %q until %s", name, mode, until)
		}
	}
}
