package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

var reading = map[string]func(*testing.T, objstore.Store){
	"ranges at all edges":                       getRanges,
	"a range of an empty object is empty":       getEmptyRange,
	"what is not there is not found":            getMissing,
	"a folder of keys is not an object":         getFolder,
	"a deleted object is not found":             getDeleted,
	"a version nobody wrote is not found":       getMissingVersion,
	"a reader fails when its context ends":      getCancelled,
	"many readers and writers do not disturb":   getConcurrent,
	"an object replaced while read stays whole": getReplaced,
}

func getRanges(t *testing.T, s objstore.Store) {
	data := []byte("0123456789")
	put(t, s, "k", string(data))
	for _, c := range []struct{ offset, length int64 }{
		{0, 0}, {0, 1}, {0, 10}, {0, 11}, {0, 1000}, {3, 0}, {3, 4}, {3, 7}, {3, 100}, {9, 0}, {9, 1}, {9, 2},
		{10, 0}, {10, 1}, {11, 0}, {11, 5}, {1 << 40, 0},
	} {
		from := min(c.offset, 10)
		to := int64(10)
		if c.length > 0 {
			to = min(c.offset+c.length, 10)
		}
		want := data[from:max(from, to)]
		body, info, err := s.Get(t.Context(), "k", objstore.GetOptions{Offset: c.offset, Length: c.length})
		if err != nil {
			t.Errorf("range %+v: %v", c, err)
			continue
		}
		got, err := io.ReadAll(body)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("range %+v reads %q (%v), want %q", c, got, err, want)
		}
		if info.Size != 10 || info.Key != "k" {
			t.Errorf("range %+v describes %+v, want the whole object", c, info)
		}
		if err := body.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func getEmptyRange(t *testing.T, s objstore.Store) {
	put(t, s, "e", "")
	for _, o := range []objstore.GetOptions{{}, {Length: 5}, {Offset: 1}, {Offset: 1, Length: 5}} {
		if got := read(t, s, "e", o); len(got) != 0 {
			t.Errorf("%+v reads %q", o, got)
		}
	}
}

func getMissing(t *testing.T, s objstore.Store) {
	for _, key := range []string{"k", "no/such/object"} {
		_, _, err := s.Get(t.Context(), key, objstore.GetOptions{})
		wantIs(t, "get", err, objstore.ErrNotFound)
		_, _, err = s.Get(t.Context(), key, objstore.GetOptions{Offset: 5, Length: 5})
		wantIs(t, "get a range", err, objstore.ErrNotFound)
		_, err = s.Head(t.Context(), key, "")
		wantIs(t, "head", err, objstore.ErrNotFound)
	}
}

func getFolder(t *testing.T, s objstore.Store) {
	put(t, s, "a/b/c", "x")
	for _, key := range []string{"a", "a/b", "a/b/c/d"} {
		_, err := s.Head(t.Context(), key, "")
		wantIs(t, "head "+key, err, objstore.ErrNotFound)
		_, _, err = s.Get(t.Context(), key, objstore.GetOptions{})
		wantIs(t, "get "+key, err, objstore.ErrNotFound)
	}
}

func getDeleted(t *testing.T, s objstore.Store) {
	put(t, s, "k", "x")
	if err := s.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Head(t.Context(), "k", "")
	wantIs(t, "head", err, objstore.ErrNotFound)
	_, _, err = s.Get(t.Context(), "k", objstore.GetOptions{})
	wantIs(t, "get", err, objstore.ErrNotFound)
}

func getMissingVersion(t *testing.T, s objstore.Store) {
	info := put(t, s, "k", "x")
	if info.VersionID != "" {
		wantVersion(t, s, info)
		return
	}
	_, err := s.Head(t.Context(), "k", "01G65Z755AFWAKHE12NY0CQ9FH")
	wantIs(t, "head", err, objstore.ErrNotFound)
}

// wantVersion: a version stays readable below a newer one and a deletion.
func wantVersion(t *testing.T, s objstore.Store, old objstore.Info) {
	t.Helper()
	put(t, s, old.Key, "newer")
	if err := s.Delete(t.Context(), old.Key); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, old.Key, objstore.GetOptions{VersionID: old.VersionID}); string(got) != "x" {
		t.Errorf("the old version reads %q", got)
	}
	if head, err := s.Head(t.Context(), old.Key, old.VersionID); err != nil || head.Size != 1 {
		t.Errorf("head of the old version: %+v, %v", head, err)
	}
}

func getCancelled(t *testing.T, s objstore.Store) {
	put(t, s, "k", string(noise(4<<20)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	body, _, err := s.Get(ctx, "k", objstore.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	if _, err := io.ReadFull(body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = io.Copy(io.Discard, body)
	wantIs(t, "reading on", err, context.Canceled)
}

func getConcurrent(t *testing.T, s objstore.Store) {
	eachConcurrently(8, 40, func(i int) {
		key, data := fmt.Sprintf("c/%d/%d", i%5, i), noise(50_000+i)
		if _, err := s.Put(t.Context(), key, data, ifAbsent); err != nil {
			t.Errorf("put %s: %v", key, err)
			return
		}
		body, _, err := s.Get(t.Context(), key, objstore.GetOptions{})
		if err != nil {
			t.Errorf("get %s: %v", key, err)
			return
		}
		got, err := io.ReadAll(body)
		_ = body.Close()
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s reads wrong (%v)", key, err)
		}
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("delete %s: %v", key, err)
		}
	})
	if keys := keysUnder(t, s, ""); len(keys) != 0 {
		t.Errorf("left %q", keys)
	}
}

func getReplaced(t *testing.T, s objstore.Store) {
	old := noise(2 << 20)
	put(t, s, "k", string(old))
	body, _, err := s.Get(t.Context(), "k", objstore.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	head := make([]byte, 1000)
	if _, err := io.ReadFull(body, head); err != nil {
		t.Fatal(err)
	}
	put(t, s, "k", "other")
	rest, err := io.ReadAll(body)
	// Either the old bytes to the end or an error, never a mixture.
	if err == nil && !bytes.Equal(append(head, rest...), old) {
		t.Error("the reader mixed two objects")
	}
	if err != nil && errors.Is(err, io.EOF) {
		t.Errorf("ended with %v", err)
	}
}
