package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/checksum"
)

var writing = map[string]func(*testing.T, objstore.Store){
	"what is put can be read back":                     putRoundTrip,
	"an empty object can be put":                       putEmpty,
	"a second put replaces the first":                  putReplaces,
	"put if absent fails when the object is there":     putIfAbsent,
	"of twenty racing puts if absent exactly one wins": putIfAbsentRace,
	"compare and swap holds":                           putIfMatch,
	"of racing swaps exactly one wins":                 putIfMatchRace,
	"racing counters lose no increment":                putIfMatchCounter,
	"keys no store could keep are refused":             badKeys,
	"a cancelled context writes nothing":               putCancelled,
	"the store passes the probe":                       probe,
	"errors name operation and key":                    errorsNameTheKey,
}

func putRoundTrip(t *testing.T, s objstore.Store) {
	data := noise(3 << 20)
	info, err := s.Put(t.Context(), "some/where/object", data, objstore.PutOptions{ContentType: "text/plain"})
	if err != nil {
		t.Fatal(err)
	}
	if info.Key != "some/where/object" || info.Size != int64(len(data)) || info.ETag == "" {
		t.Errorf("put returned %+v", info)
	}
	if info.CRC64NVME != nil && *info.CRC64NVME != checksum.CRC64NVME(data) {
		t.Errorf("put returned the checksum %x, want %x", *info.CRC64NVME, checksum.CRC64NVME(data))
	}
	wantContent(t, s, "some/where/object", data)
	head, err := s.Head(t.Context(), "some/where/object", "")
	if err != nil {
		t.Fatal(err)
	}
	if head.Size != info.Size || head.ETag != info.ETag || head.Modified.IsZero() {
		t.Errorf("head says %+v, put said %+v", head, info)
	}
	if head.CRC64NVME != nil && *head.CRC64NVME != checksum.CRC64NVME(data) {
		t.Errorf("head says checksum %x, want %x", *head.CRC64NVME, checksum.CRC64NVME(data))
	}
}

func putEmpty(t *testing.T, s objstore.Store) {
	if info := put(t, s, "empty", ""); info.Size != 0 {
		t.Errorf("size %d", info.Size)
	}
	wantContent(t, s, "empty", []byte{})
}

func putReplaces(t *testing.T, s objstore.Store) {
	a, b := put(t, s, "k", "first"), put(t, s, "k", "second!")
	if a.ETag == b.ETag {
		t.Errorf("both have ETag %s", a.ETag)
	}
	wantContent(t, s, "k", []byte("second!"))
}

func putIfAbsent(t *testing.T, s objstore.Store) {
	if _, err := s.Put(t.Context(), "p/k", []byte("one"), ifAbsent); err != nil {
		t.Fatal(err)
	}
	_, err := s.Put(t.Context(), "p/k", []byte("two"), ifAbsent)
	wantIs(t, "second put", err, objstore.ErrPrecondition)
	wantContent(t, s, "p/k", []byte("one"))
	if err := s.Delete(t.Context(), "p/k"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "p/k", []byte("three"), ifAbsent); err != nil {
		t.Errorf("put if absent after delete: %v", err)
	}
}

func putIfAbsentRace(t *testing.T, s objstore.Store) {
	for round := range 3 {
		key := fmt.Sprintf("race/%d/k", round)
		wins := race(t, 20, func(i int) error {
			_, err := s.Put(t.Context(), key, fmt.Appendf(nil, "racer %d", i), ifAbsent)
			return err
		})
		wantContent(t, s, key, fmt.Appendf(nil, "racer %d", wins[0]))
	}
}

func putIfMatch(t *testing.T, s objstore.Store) {
	first := put(t, s, "lease", "a")
	second, err := s.Put(t.Context(), "lease", []byte("b"), ifMatch(first.ETag))
	if err != nil {
		t.Fatalf("swap with the right ETag: %v", err)
	}
	_, err = s.Put(t.Context(), "lease", []byte("c"), ifMatch(first.ETag))
	wantIs(t, "swap with an old ETag", err, objstore.ErrPrecondition)
	wantContent(t, s, "lease", []byte("b"))
	_, err = s.Put(t.Context(), "nothing", []byte("c"), ifMatch(second.ETag))
	wantIs(t, "swap of nothing", err, objstore.ErrPrecondition)
	head, err := s.Head(t.Context(), "lease", "")
	if err != nil || head.ETag != second.ETag {
		t.Errorf("head says ETag %s (%v), put said %s", head.ETag, err, second.ETag)
	}
	_, info, err := s.Get(t.Context(), "lease", objstore.GetOptions{})
	if err != nil || info.ETag != second.ETag {
		t.Errorf("get says ETag %s (%v), put said %s", info.ETag, err, second.ETag)
	}
}

func putIfMatchRace(t *testing.T, s objstore.Store) {
	now := put(t, s, "lease", "0")
	for range 3 {
		wins := race(t, 20, func(i int) error {
			_, err := s.Put(t.Context(), "lease", fmt.Appendf(nil, "%s holder %d", now.ETag, i), ifMatch(now.ETag))
			return err
		})
		wantContent(t, s, "lease", fmt.Appendf(nil, "%s holder %d", now.ETag, wins[0]))
		var err error
		if now, err = s.Head(t.Context(), "lease", ""); err != nil {
			t.Fatal(err)
		}
	}
}

func putIfMatchCounter(t *testing.T, s objstore.Store) {
	put(t, s, "counter", "0")
	const workers, each = 4, 5
	eachConcurrently(workers, workers*each, func(who int) {
		for t.Context().Err() == nil {
			body, info, err := s.Get(t.Context(), "counter", objstore.GetOptions{})
			if err != nil {
				t.Errorf("get: %v", err)
				return
			}
			var count int
			_, err = fmt.Fscan(body, &count)
			_ = body.Close()
			if err != nil {
				t.Errorf("read the count: %v", err)
				return
			}
			// Who wrote is part of the content, as the port asks of writers that
			// race. Any failure means: look again.
			if _, err = s.Put(t.Context(), "counter", fmt.Appendf(nil, "%d by %d", count+1, who), ifMatch(info.ETag)); err == nil {
				return
			}
		}
	})
	var count int
	if _, err := fmt.Sscan(string(read(t, s, "counter", objstore.GetOptions{})), &count); err != nil || count != workers*each {
		t.Errorf("counted %d (%v), want %d", count, err, workers*each)
	}
}

func badKeys(t *testing.T, s objstore.Store) {
	for _, key := range []string{
		"", "/", "/abs", "a//b", "a/", ".", "..", "../up", "a/../b", "a/..", "a/./b",
		"nul\x00", "line\nbreak", "tab\t", `back\slash`, "\xff\xfe", strings.Repeat("x", 201), strings.Repeat("y/", 460) + "z",
	} {
		_, err := s.Put(t.Context(), key, nil, always)
		wantIs(t, fmt.Sprintf("put %q", key), err, objstore.ErrInvalidKey)
		_, err = s.Create(t.Context(), key, always)
		wantIs(t, fmt.Sprintf("create %q", key), err, objstore.ErrInvalidKey)
		_, _, err = s.Get(t.Context(), key, objstore.GetOptions{})
		wantIs(t, fmt.Sprintf("get %q", key), err, objstore.ErrInvalidKey)
		_, err = s.Head(t.Context(), key, "")
		wantIs(t, fmt.Sprintf("head %q", key), err, objstore.ErrInvalidKey)
		wantIs(t, fmt.Sprintf("delete %q", key), s.Delete(t.Context(), key), objstore.ErrInvalidKey)
	}
}

func putCancelled(t *testing.T, s objstore.Store) {
	_, err := s.Put(cancelled(t), "k", []byte("x"), always)
	wantIs(t, "put", err, context.Canceled)
	_, err = s.Create(cancelled(t), "k", always)
	wantIs(t, "create", err, context.Canceled)
	_, _, err = s.Get(cancelled(t), "k", objstore.GetOptions{})
	wantIs(t, "get", err, context.Canceled)
	_, err = s.Head(cancelled(t), "k", "")
	wantIs(t, "head", err, context.Canceled)
	wantIs(t, "delete", s.Delete(cancelled(t), "k"), context.Canceled)
	for _, err := range s.List(cancelled(t), "") {
		wantIs(t, "list", err, context.Canceled)
	}
	if keys := keysUnder(t, s, ""); len(keys) != 0 {
		t.Errorf("left %q", keys)
	}
}

func probe(t *testing.T, s objstore.Store) {
	if err := objstore.Probe(t.Context(), s, "locks"); err != nil {
		t.Fatal(err)
	}
	if keys := keysUnder(t, s, ""); len(keys) != 0 {
		t.Errorf("the probe left %q", keys)
	}
	if n, err := s.PendingUploads(t.Context(), ""); n != 0 || err != nil {
		t.Errorf("the probe left %d uploads (%v)", n, err)
	}
}

func errorsNameTheKey(t *testing.T, s objstore.Store) {
	_, _, getErr := s.Get(t.Context(), "miss/ing", objstore.GetOptions{})
	_, headErr := s.Head(t.Context(), "miss/ing", "")
	for op, err := range map[string]error{"get": getErr, "head": headErr} {
		if err == nil || !strings.Contains(err.Error(), op) || !strings.Contains(err.Error(), "miss/ing") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s fails with %q: want one line with operation and key", op, err)
		}
	}
}
