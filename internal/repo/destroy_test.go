package repo

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// destroyable is a repository with a policy and a recovery point, and a file of
// somebody else's beside it.
func destroyable(t *testing.T) (*Repository, Ref) {
	t.Helper()
	r := policyRepository(t)
	if _, err := r.PutPolicyRevision(t.Context(), 0, prodPolicy(30), by("ada")); err != nil {
		t.Fatal(err)
	}
	p, err := r.NewPoint("shop", "logical", policyClock, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.WriteStream(t.Context(), "archive", []byte("what was backed up")); err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(t.Context(), &Manifest{End: policyClock}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Put(t.Context(), "notes.txt", []byte("not pgbackup's"), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	return r, p.Ref()
}

func TestDestroyLeavesNothingButWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	r, _ := destroyable(t)
	if strangers, err := r.Destroy(t.Context(), nil); err != nil || strangers.Objects != 0 {
		t.Fatalf("%v, %v", strangers, err)
	}
	if left := keysOf(t, r.store, ""); len(left) != 1 || left[0] != "notes.txt" {
		t.Errorf("left are %v", left)
	}
}

func TestDestroyStopsBeforeAnythingIsGoneWhenAPointIsHeldOrAJobRuns(t *testing.T) {
	t.Parallel()
	r, ref := destroyable(t)
	before := len(keysOf(t, r.store, ""))
	if err := r.Hold(t.Context(), ref, Mark{At: policyClock}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Destroy(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "held") {
		t.Errorf("a held point: %v", err)
	}
	if err := r.Release(t.Context(), ref, Mark{At: policyClock}); err != nil {
		t.Fatal(err)
	}
	lease, _, err := r.TakeLease(t.Context(), "shop", LeaseOptions{What: "backup", Self: Self()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Destroy(t.Context(), nil); !errors.Is(err, ErrLocked) {
		t.Errorf("a running backup: %v", err)
	}
	if now := len(keysOf(t, r.store, "")); now < before {
		t.Errorf("%d of %d objects are left", now, before)
	}
	if err := lease.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Destroy(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// brittle fails once it deleted so many times.
type brittle struct {
	objstore.Store
	left *int
}

func (b brittle) Delete(ctx context.Context, keys ...string) error {
	if *b.left--; *b.left < 0 {
		return errors.New("the power went out")
	}
	return b.Store.Delete(ctx, keys...)
}

func TestDestroyThatDiedAnywhereListsNoBrokenPointAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	for deletes := range 20 {
		r, _ := destroyable(t)
		whole := r.store
		r.store = brittle{whole, new(deletes)}
		_, err := r.Destroy(t.Context(), nil)
		r.store = whole
		if err == nil {
			return // it got to its end: every place it can die at was seen
		}
		points, err := r.List(t.Context(), Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range points {
			if _, err := r.Manifest(t.Context(), p.Ref); err != nil || len(keysOf(t, r.store, p.DataPrefix())) == 0 {
				t.Errorf("died at delete %d: %s is listed and cannot be read: %v", deletes, p.Ref, err)
			}
		}
		again, err := Open(t.Context(), whole, OpenOptions{})
		if err != nil {
			t.Fatalf("died at delete %d: %v", deletes, err)
		}
		if _, err := again.Destroy(t.Context(), nil); err != nil {
			t.Errorf("died at delete %d, repeated: %v", deletes, err)
		}
	}
	t.Error("destroying never came to its end")
}
