// Package storetest is the one conformance suite that every objstore.Store, plain
// or decorated, passes.
//
// What lives here: tests of the port's contract. What must not: anything that
// only one adapter promises.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// Run tests the stores that open returns; each call must give an empty one. What a
// store may offer beside (objstore.Tagger, objstore.FolderLister) is tested where
// it does.
func Run(t *testing.T, open func(t *testing.T) objstore.Store) {
	groups := map[string]map[string]func(*testing.T, objstore.Store){
		"writing": writing, "uploading": uploading, "reading": reading, "listing": listing, "deleting": deleting,
		"tagging": tagging, "folders": folders,
	}
	for _, group := range []string{"writing", "uploading", "reading", "listing", "deleting", "tagging", "folders"} {
		t.Run(group, func(t *testing.T) {
			t.Parallel()
			names := make([]string, 0, len(groups[group]))
			for name := range groups[group] {
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				t.Run(name, func(t *testing.T) { groups[group][name](t, open(t)) })
			}
		})
	}
}

var (
	always   = objstore.PutOptions{}
	ifAbsent = objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}}
)

func ifMatch(etag string) objstore.PutOptions {
	return objstore.PutOptions{Condition: objstore.Condition{IfMatch: etag}}
}

func put(t *testing.T, s objstore.Store, key, data string) objstore.Info {
	t.Helper()
	info, err := s.Put(t.Context(), key, []byte(data), always)
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return info
}

// putAll writes empty objects, several at a time.
func putAll(t *testing.T, s objstore.Store, keys []string) {
	t.Helper()
	eachConcurrently(8, len(keys), func(i int) {
		if _, err := s.Put(t.Context(), keys[i], nil, always); err != nil {
			t.Errorf("put %q: %v", keys[i], err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
}

func eachConcurrently(workers, n int, do func(i int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range workers {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

func read(t *testing.T, s objstore.Store, key string, opts objstore.GetOptions) []byte {
	t.Helper()
	body, _, err := s.Get(t.Context(), key, opts)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	defer func() { _ = body.Close() }()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	return data
}

func wantContent(t *testing.T, s objstore.Store, key string, want []byte) {
	t.Helper()
	if got := read(t, s, key, objstore.GetOptions{}); !bytes.Equal(got, want) {
		t.Fatalf("%s holds %d bytes that differ from the %d written", key, len(got), len(want))
	}
}

func wantIs(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: error %v, want one that is %q", what, err, kind)
	}
}

func keysUnder(t *testing.T, s objstore.Store, prefix string) []string {
	t.Helper()
	var keys []string
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// race starts n calls at once and returns how many succeeded and which; every
// other must have failed with ErrPrecondition.
func race(t *testing.T, n int, try func(i int) error) (wins []int) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			err := try(i)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				wins = append(wins, i)
			} else if !errors.Is(err, objstore.ErrPrecondition) {
				t.Errorf("racer %d failed with %v, want %v", i, err, objstore.ErrPrecondition)
			}
		})
	}
	close(start)
	wg.Wait()
	if len(wins) != 1 {
		t.Fatalf("%d of %d racers won, want exactly one", len(wins), n)
	}
	return wins
}

// noise returns n bytes that do not compress and are the same every time.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(b)
	return b
}

// cancelled is a context that has ended.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	cancel()
	return ctx
}
