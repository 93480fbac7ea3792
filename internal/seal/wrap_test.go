package seal

import (
	"bytes"
	"errors"
	"testing"
)

func TestTheRepositoryKeyOpensOnlyWithItsOuterKeyAndForItsRepository(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	outer := Local{NewKey()}
	r := NewRepositoryKey()
	wrapped, err := r.WrapWith(ctx, outer, "repo-a")
	if err != nil {
		t.Fatal(err)
	}
	got, err := UnwrapRepositoryKey(ctx, outer, wrapped, "repo-a")
	if err != nil || got.ID() != r.ID() {
		t.Fatalf("unwrap: %v, %v", got, err)
	}
	if _, err := UnwrapRepositoryKey(ctx, Local{NewKey()}, wrapped, "repo-a"); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another outer key: %v", err)
	}
	if _, err := UnwrapRepositoryKey(ctx, outer, wrapped, "repo-b"); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another repository: %v", err)
	}
	for n := range wrapped {
		if _, err := UnwrapRepositoryKey(ctx, outer, wrapped[:n], "repo-a"); err == nil {
			t.Errorf("cut to %d bytes it opens", n)
		}
		flipped := bytes.Clone(wrapped)
		flipped[n] ^= 1
		if _, err := UnwrapRepositoryKey(ctx, outer, flipped, "repo-a"); err == nil {
			t.Errorf("with byte %d flipped it opens", n)
		}
	}
	short, err := outer.Wrap(ctx, []byte("sixteen bytes..."), "repo-a")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := UnwrapRepositoryKey(ctx, outer, short, "repo-a"); !errors.Is(err, ErrKeySize) {
		t.Errorf("a short key inside: %v", err)
	}
}

func TestAPointKeyOpensOnlyForItsPoint(t *testing.T) {
	t.Parallel()
	r := NewRepositoryKey()
	_, wrapped := r.NewPointKey("repo", "app/logical/1")
	if _, err := r.OpenPointKey(wrapped, "repo", "app/logical/1"); err != nil {
		t.Fatal(err)
	}
	for _, scope := range [][]string{{"repo", "app/logical/2"}, {"repo2", "app/logical/1"}, {"repo", "app", "logical/1"}, {"repoapp/logical/1"}, {}} {
		if _, err := r.OpenPointKey(wrapped, scope...); !errors.Is(err, ErrWrongKey) {
			t.Errorf("for %q: %v", scope, err)
		}
	}
	if _, err := NewRepositoryKey().OpenPointKey(wrapped, "repo", "app/logical/1"); !errors.Is(err, ErrWrongKey) {
		t.Errorf("with another repository key: %v", err)
	}
}

func TestAChunkOpensOnlyAtItsPlaceInItsPoint(t *testing.T) {
	t.Parallel()
	r := NewRepositoryKey()
	key, _ := r.NewPointKey("repo", "p1")
	other, _ := r.NewPointKey("repo", "p2")
	plain, header := []byte("forty-two rows of somebody's orders"), []byte("header")
	pos := Position{Object: 3, Chunk: 7}
	sealed := key.Seal(nil, plain, pos, header)
	if len(sealed) != len(plain)+Overhead {
		t.Errorf("sealing %d bytes makes %d", len(plain), len(sealed))
	}
	got, err := key.Open(nil, sealed, pos, header)
	if err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("open: %q, %v", got, err)
	}
	refused := func(what string, k *PointKey, sealed []byte, pos Position, header []byte) {
		t.Helper()
		got, err := k.Open(nil, sealed, pos, header)
		if !errors.Is(err, ErrDamaged) || got != nil {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
	refused("in another point", other, sealed, pos, header)
	refused("as another chunk", key, sealed, Position{Object: 3, Chunk: 8}, header)
	refused("in another object", key, sealed, Position{Object: 4, Chunk: 7}, header)
	refused("as the last chunk", key, sealed, Position{Object: 3, Chunk: 7, Last: true}, header)
	refused("under another header", key, sealed, pos, []byte("Header"))
	for n := range sealed {
		refused("cut short", key, sealed[:n], pos, header)
		for bit := range 8 {
			flipped := bytes.Clone(sealed)
			flipped[n] ^= 1 << bit
			refused("flipped", key, flipped, pos, header)
		}
	}
	refused("with a byte more", key, append(bytes.Clone(sealed), 0), pos, header)
	// In place, as the repository does it.
	if got, err := key.Open(sealed[:0], sealed, pos, header); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("open in place: %q, %v", got, err)
	}
}

func TestAnEditedOrMovedManifestFailsItsHMAC(t *testing.T) {
	t.Parallel()
	r := NewRepositoryKey()
	doc := []byte(`{"id":"x"}`)
	mac := r.MAC("manifests/app/logical/x.json", doc)
	if err := r.CheckMAC("manifests/app/logical/x.json", doc, mac); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"edited":         r.CheckMAC("manifests/app/logical/x.json", []byte(`{"id":"y"}`), mac),
		"moved":          r.CheckMAC("manifests/app/logical/y.json", doc, mac),
		"border shifted": r.CheckMAC("manifests/app/logical/x.json{", doc[1:], mac),
		"cut HMAC":       r.CheckMAC("manifests/app/logical/x.json", doc, mac[:31]),
		"no HMAC":        r.CheckMAC("manifests/app/logical/x.json", doc, nil),
		"another key":    NewRepositoryKey().CheckMAC("manifests/app/logical/x.json", doc, mac),
	} {
		if !errors.Is(err, ErrEdited) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
