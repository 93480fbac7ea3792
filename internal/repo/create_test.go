package repo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

func TestARepositoryIsFoundAgainAfterItWasCreated(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		again, err := Open(t.Context(), r.Store(), withKey(outerKey))
		if err != nil {
			t.Fatal(err)
		}
		if again.ID() != r.ID() || again.Sealed() != r.Sealed() || !again.HasKey() || !again.Created().Equal(clock) {
			t.Errorf("opened %+v, created %+v", again.header, r.header)
		}
		if _, err := Create(t.Context(), r.Store(), CreateOptions{Now: clock}); !errors.Is(err, ErrExists) {
			t.Errorf("create again: %v", err)
		}
	})
}

func TestAnEmptyPlaceIsNoRepository(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	_, err := Open(t.Context(), store, OpenOptions{})
	if !errors.Is(err, ErrNoRepository) || !strings.Contains(err.Error(), store.URL()) {
		t.Errorf("got %v", err)
	}
}

func TestASealedRepositoryOpensWithItsKeyOnly(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := newRepo(t, newStore(t), true)
	ref := put(t, r, "app", pieces(pseudorandom(1, 1000), 2), WriterOptions{})

	other := seal.Local{Key: seal.NewKey()}
	_, err := Open(ctx, r.Store(), withKey(other))
	if !errors.Is(err, seal.ErrWrongKey) || !strings.Contains(err.Error(), "env:KEY") || strings.Contains(err.Error(), other.Key.Encode()) {
		t.Errorf("wrong key: %v", err)
	}
	var suggested []string
	keyless, err := Open(ctx, r.Store(), OpenOptions{Key: func(_ context.Context, refs []string) (seal.Wrapper, error) {
		suggested = refs
		return nil, nil
	}})
	if err != nil || keyless.HasKey() || len(suggested) != 1 || suggested[0] != "env:KEY" {
		t.Fatalf("without a key: %v, suggested %q", err, suggested)
	}
	wantListed(t, keyless, 1)
	if m, err := keyless.Manifest(ctx, ref); err != nil || m.ID != ref.ID {
		t.Errorf("its manifest is in clear: %v", err)
	}
	if _, err := keyless.OpenPoint(ctx, ref); !errors.Is(err, ErrNoKey) {
		t.Errorf("read without a key: %v", err)
	}
	if _, err := keyless.NewPoint("app", "logical", clock, WriterOptions{}); !errors.Is(err, ErrNoKey) {
		t.Errorf("write without a key: %v", err)
	}
}

func TestAFurtherKeyOpensWhatTheFirstSealed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	r := newRepo(t, newStore(t), true)
	data := pseudorandom(2, 5000)
	ref := put(t, r, "app", pieces(data, 3), WriterOptions{})
	next := seal.Local{Key: seal.NewKey()}
	if err := r.AddKey(ctx, next, "file:/etc/key", clock.Add(1)); err != nil {
		t.Fatal(err)
	}
	for _, k := range []seal.Wrapper{outerKey, next} {
		again, err := Open(ctx, r.Store(), withKey(k))
		if err != nil {
			t.Fatal(err)
		}
		wantReads(t, again, ref, data)
	}
	var suggested []string
	_, _ = Open(ctx, r.Store(), OpenOptions{Key: func(_ context.Context, refs []string) (seal.Wrapper, error) {
		suggested = refs
		return nil, nil
	}})
	if strings.Join(suggested, " ") != "file:/etc/key env:KEY" {
		t.Errorf("suggested keys, newest first: %q", suggested)
	}
}

func TestOfTwoCreatesAtOnceOneWins(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	var wg sync.WaitGroup
	won := make(chan *Repository, 8)
	for range 8 {
		wg.Go(func() {
			r, err := Create(t.Context(), store, CreateOptions{Key: outerKey, Now: clock})
			if err == nil {
				won <- r
			} else if !errors.Is(err, ErrExists) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of them won", len(won))
	}
	r, err := Open(t.Context(), store, withKey(outerKey))
	if err != nil || r.ID() != (<-won).ID() {
		t.Errorf("the winner does not open: %v", err)
	}
}

func TestACreateThatDiedBeforeItsLastWriteIsSimplyRepeated(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	dying := &meddler{Store: store, before: func(op, key string) error {
		if op == "put" && key == repositoryKey {
			return errDead
		}
		return nil
	}}
	if _, err := Create(t.Context(), dying, CreateOptions{Key: outerKey, Now: clock}); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	if len(keysOf(t, store, keysPrefix)) != 1 {
		t.Fatal("the key was not written first")
	}
	newRepo(t, store, true)
	if _, err := Open(t.Context(), store, withKey(outerKey)); err != nil {
		t.Error(err)
	}
}

func TestACreateWhoseAnswerWasLostKnowsItsOwnWork(t *testing.T) {
	t.Parallel()
	for what, answer := range map[string]error{"412": objstore.ErrPrecondition, "time-out": errReset} {
		store := newStore(t)
		lossy := &meddler{Store: store, after: func(op, key string) error {
			if op == "put" && key == repositoryKey {
				return answer
			}
			return nil
		}}
		if _, err := Create(t.Context(), lossy, CreateOptions{Now: clock}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestANewRepositoryIsNotMadeOverThePointsOfALostOne(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		put(t, r, "app", pieces([]byte("x"), 1), WriterOptions{})
		if err := r.Store().Delete(t.Context(), repositoryKey); err != nil {
			t.Fatal(err)
		}
		_, err := Create(t.Context(), r.Store(), CreateOptions{Now: clock})
		if err == nil || !strings.Contains(err.Error(), "restore that file") {
			t.Errorf("got %v", err)
		}
	})
}

func TestANewerFormatIsRefusedByName(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	newer := func(t *testing.T, store objstore.Store, key string) {
		t.Helper()
		var doc map[string]any
		if err := json.Unmarshal(raw(t, store, key), &doc); err != nil {
			t.Fatal(err)
		}
		if m, ok := doc["manifest"].(map[string]any); ok {
			m["format"] = 7
			delete(doc, "sha256") // a later format may do without
		} else {
			doc["format"] = 7
		}
		data, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		overwrite(t, store, key, data)
	}
	wantNewer := func(t *testing.T, what string, err error) {
		t.Helper()
		if !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), "7") {
			t.Errorf("%s: %v", what, err)
		}
	}
	r := newRepo(t, newStore(t), true)
	ref := put(t, r, "app", pieces([]byte("x"), 1), WriterOptions{})

	newer(t, r.Store(), ref.ManifestKey())
	_, err := r.Manifest(ctx, ref)
	wantNewer(t, "manifest", err)
	points := wantListed(t, r, 1)
	if err := r.LoadManifests(ctx, points); err != nil {
		t.Fatal(err)
	}
	wantNewer(t, "listed manifest", points[0].Problem)

	newer(t, r.Store(), keysPrefix+"1.json")
	_, err = Open(ctx, r.Store(), withKey(outerKey))
	wantNewer(t, "key", err)

	newer(t, r.Store(), repositoryKey)
	_, err = Open(ctx, r.Store(), withKey(outerKey))
	wantNewer(t, "repository", err)

	_, err = decodeIndex(bytes.NewReader([]byte(`{"format":7}`)))
	wantNewer(t, "index", err)
}
