package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

var deleting = map[string]func(*testing.T, objstore.Store){
	"more than a thousand at once, missing ones among them": deleteMany,
	"deleting nothing and deleting twice":                   deleteTwice,
	"a bad key among good ones":                             deleteBadKey,
	"a neighbour in the same folder stays":                  deleteNeighbour,
	"a put beside a delete of the last neighbour":           deleteBesidePut,
}

func deleteMany(t *testing.T, s objstore.Store) {
	keys := make([]string, 1050)
	for i := range keys {
		keys[i] = fmt.Sprintf("points/p%d/%04d", i%7, i)
	}
	putAll(t, s, keys[:300])
	put(t, s, "keep", "x")
	if err := s.Delete(t.Context(), keys...); err != nil {
		t.Fatal(err)
	}
	if got := keysUnder(t, s, ""); !slices.Equal(got, []string{"keep"}) {
		t.Errorf("left %q", got)
	}
}

func deleteTwice(t *testing.T, s objstore.Store) {
	put(t, s, "a/b", "x")
	for range 2 {
		if err := s.Delete(t.Context(), "a/b", "a/b", "never/was"); err != nil {
			t.Error(err)
		}
	}
	if err := s.Delete(t.Context()); err != nil {
		t.Errorf("of no keys: %v", err)
	}
}

func deleteBadKey(t *testing.T, s objstore.Store) {
	put(t, s, "a", "x")
	put(t, s, "z", "x")
	err := s.Delete(t.Context(), "a", "../bad", "z")
	wantIs(t, "delete", err, objstore.ErrInvalidKey)
	if got := keysUnder(t, s, ""); len(got) != 0 {
		t.Errorf("left %q: it must go on after a failure", got)
	}
}

func deleteNeighbour(t *testing.T, s objstore.Store) {
	put(t, s, "f/a", "x")
	put(t, s, "f/b", "x")
	if err := s.Delete(t.Context(), "f/a"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "f"); err != nil {
		t.Errorf("of a name that is only a folder: %v", err)
	}
	if got := keysUnder(t, s, ""); !slices.Equal(got, []string{"f/b"}) {
		t.Errorf("left %q", got)
	}
}

func deleteBesidePut(t *testing.T, s objstore.Store) {
	const rounds = 60
	eachConcurrently(4, 4, func(w int) {
		for i := range rounds {
			key := fmt.Sprintf("shared/folder/%d", w)
			if _, err := s.Put(t.Context(), key, fmt.Append(nil, i), ifAbsent); err != nil {
				t.Errorf("put %s: %v", key, err)
				return
			}
			if _, err := s.Head(t.Context(), key, ""); errors.Is(err, objstore.ErrNotFound) {
				t.Errorf("%s is gone although nobody deleted it", key)
				return
			}
			if err := s.Delete(t.Context(), key); err != nil {
				t.Errorf("delete %s: %v", key, err)
				return
			}
		}
	})
}
