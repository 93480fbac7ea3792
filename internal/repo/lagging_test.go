package repo

import (
	"errors"
	"strings"
	"testing"
)

// Replication copies object by object and in no order.
func TestInACopyAPointWhoseDataIsNotAllThereIsPassedOverAndNotBad(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	original, to := newStore(t), newStore(t)
	r := newRepo(t, original, true)
	data := pseudorandom(9, 3000)
	old := put(t, r, "app", pieces(data, 5), WriterOptions{chunksPerObject: 3})
	newest := put(t, r, "app", pieces(data, 5), WriterOptions{chunksPerObject: 3})
	if newest.ID < old.ID {
		old, newest = newest, old
	}
	copyStore(t, original, to)
	m, err := r.Manifest(ctx, newest)
	if err != nil {
		t.Fatal(err)
	}
	gone := m.Stream("archive")[0].Name
	if err := to.Delete(ctx, newest.DataPrefix()+gone); err != nil {
		t.Fatal(err)
	}
	opts := withKey(outerKey)
	opts.Copy = true
	lagging, err := Open(ctx, to, opts)
	if err != nil {
		t.Fatal(err)
	}
	latest, err := lagging.Find(ctx, "latest", Filter{})
	if err != nil || latest.ID != old.ID {
		t.Errorf("latest is %s, %v; want %s", latest.ID, err, old.ID)
	}
	wantReads(t, lagging, old, data)
	if _, err := lagging.Find(ctx, newest.ID, Filter{}); !errors.Is(err, ErrNotCopied) || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), gone) {
		t.Errorf("named, it is %v", err)
	}
	if _, err := readAll(ctx, lagging, newest); !errors.Is(err, ErrNotCopied) || errors.Is(err, ErrDamaged) {
		t.Errorf("reading it: %v", err)
	}
	if _, err := readRange(ctx, lagging, newest); !errors.Is(err, ErrNotCopied) || errors.Is(err, ErrDamaged) {
		t.Errorf("reading it by range: %v", err)
	}
	// The same in the repository itself is damage.
	itself, err := Open(ctx, to, withKey(outerKey))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(ctx, itself, newest); !errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotCopied) {
		t.Errorf("of the repository itself: %v", err)
	}
}
