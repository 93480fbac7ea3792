package storetest

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/checksum"
)

var uploading = map[string]func(*testing.T, objstore.Store){
	"a large object of concurrent parts out of order":        uploadOutOfOrder,
	"an upload of one short part":                            uploadOnePart,
	"an upload without parts is an empty object":             uploadEmpty,
	"the later of two parts with one number counts":          uploadPartTwice,
	"nothing is visible before complete":                     uploadInvisible,
	"abort leaves nothing":                                   uploadAbort,
	"abort works after the context ended":                    uploadAbortCancelled,
	"abandoned uploads are counted and cleared by prefix":    uploadAbandoned,
	"complete if absent fails when the object is there":      uploadIfAbsent,
	"of racing completes if absent exactly one wins":         uploadIfAbsentRace,
	"complete with if match swaps":                           uploadIfMatch,
	"a missing or short part can not be completed":           uploadGaps,
	"part numbers and sizes that can not be are refused":     uploadBadParts,
	"parts may be smaller where the upload says so":          uploadSmallParts,
	"a buffer may be used again as soon as its part is sent": uploadReusesBuffer,
}

func create(t *testing.T, s objstore.Store, key string, opts objstore.PutOptions) objstore.Upload {
	t.Helper()
	up, err := s.Create(t.Context(), key, opts)
	if err != nil {
		t.Fatalf("create %s: %v", key, err)
	}
	return up
}

func send(t *testing.T, up objstore.Upload, n int, data []byte) {
	t.Helper()
	if err := up.Part(t.Context(), n, data); err != nil {
		t.Fatalf("part %d: %v", n, err)
	}
}

func complete(t *testing.T, up objstore.Upload) objstore.Info {
	t.Helper()
	info, err := up.Complete(t.Context())
	if err != nil {
		t.Fatalf("complete: %v", err)
	}
	if err := up.Abort(); err != nil {
		t.Errorf("abort after complete: %v", err)
	}
	return info
}

func wantPending(t *testing.T, s objstore.Store, prefix string, want int) {
	t.Helper()
	if n, err := s.PendingUploads(t.Context(), prefix); err != nil || n != want {
		t.Errorf("%d uploads are pending under %q (%v), want %d", n, prefix, err, want)
	}
}

func uploadOutOfOrder(t *testing.T, s objstore.Store) {
	data := noise(20 << 20)
	up := create(t, s, "points/big", always)
	parts := (len(data) + objstore.PartSize - 1) / objstore.PartSize
	eachConcurrently(3, parts, func(i int) {
		n := parts - i
		chunk := data[(n-1)*objstore.PartSize : min(n*objstore.PartSize, len(data))]
		if err := up.Part(t.Context(), n, chunk); err != nil {
			t.Errorf("part %d: %v", n, err)
		}
	})
	info := complete(t, up)
	if info.Size != int64(len(data)) || info.Key != "points/big" || info.ETag == "" {
		t.Errorf("complete returned %+v", info)
	}
	if info.CRC64NVME != nil && *info.CRC64NVME != checksum.CRC64NVME(data) {
		t.Errorf("complete returned checksum %x, want %x", *info.CRC64NVME, checksum.CRC64NVME(data))
	}
	wantContent(t, s, "points/big", data)
	got := read(t, s, "points/big", objstore.GetOptions{Offset: objstore.PartSize - 5, Length: 10})
	if !bytes.Equal(got, data[objstore.PartSize-5:objstore.PartSize+5]) {
		t.Error("a range over a part's border reads wrong")
	}
	head, err := s.Head(t.Context(), "points/big", "")
	if err != nil || head.Size != info.Size || head.ETag != info.ETag {
		t.Errorf("head says %+v (%v), complete said %+v", head, err, info)
	}
	wantPending(t, s, "", 0)
}

func uploadSmallParts(t *testing.T, s objstore.Store) {
	const size = objstore.MinPartSize
	data := noise(2*size + 100)
	up := create(t, s, "points/small", objstore.PutOptions{PartSize: size})
	for _, n := range []int{3, 1, 2} {
		send(t, up, n, data[(n-1)*size:min(n*size, len(data))])
	}
	if err := up.Part(t.Context(), 4, noise(size+1)); err == nil {
		t.Error("a part larger than the upload's was taken")
	}
	if info := complete(t, up); info.Size != int64(len(data)) {
		t.Errorf("complete returned %+v", info)
	}
	wantContent(t, s, "points/small", data)
}

func uploadOnePart(t *testing.T, s objstore.Store) {
	up := create(t, s, "k", always)
	send(t, up, 1, []byte("short"))
	if info := complete(t, up); info.Size != 5 {
		t.Errorf("size %d", info.Size)
	}
	wantContent(t, s, "k", []byte("short"))
}

func uploadEmpty(t *testing.T, s objstore.Store) {
	if info := complete(t, create(t, s, "e", ifAbsent)); info.Size != 0 {
		t.Errorf("size %d", info.Size)
	}
	wantContent(t, s, "e", []byte{})
	up := create(t, s, "e", ifAbsent)
	_, err := up.Complete(t.Context())
	wantIs(t, "second empty upload if absent", err, objstore.ErrPrecondition)
	if err := up.Abort(); err != nil {
		t.Error(err)
	}
	wantPending(t, s, "", 0)
}

func uploadPartTwice(t *testing.T, s objstore.Store) {
	up := create(t, s, "k", always)
	send(t, up, 1, []byte("a first, longer try"))
	send(t, up, 1, []byte("the second"))
	complete(t, up)
	wantContent(t, s, "k", []byte("the second"))
}

func uploadInvisible(t *testing.T, s objstore.Store) {
	up := create(t, s, "a/k", always)
	send(t, up, 1, noise(objstore.PartSize))
	if keys := keysUnder(t, s, ""); len(keys) != 0 {
		t.Errorf("listing shows %q", keys)
	}
	_, err := s.Head(t.Context(), "a/k", "")
	wantIs(t, "head", err, objstore.ErrNotFound)
	wantPending(t, s, "a/", 1)
	wantPending(t, s, "b/", 0)
	if err := up.Abort(); err != nil {
		t.Error(err)
	}
}

func uploadAbort(t *testing.T, s objstore.Store) {
	up := create(t, s, "k", always)
	send(t, up, 1, []byte("x"))
	for range 2 {
		if err := up.Abort(); err != nil {
			t.Errorf("abort: %v", err)
		}
	}
	wantPending(t, s, "", 0)
	if keys := keysUnder(t, s, ""); len(keys) != 0 {
		t.Errorf("left %q", keys)
	}
	if err := up.Part(t.Context(), 2, []byte("y")); err == nil {
		t.Error("a part was taken after abort")
	}
	if _, err := up.Complete(t.Context()); err == nil {
		t.Error("complete worked after abort")
	}
}

func uploadAbortCancelled(t *testing.T, s objstore.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	up, err := s.Create(ctx, "k", always)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	wantIs(t, "part", up.Part(ctx, 1, []byte("x")), context.Canceled)
	_, err = up.Complete(ctx)
	wantIs(t, "complete", err, context.Canceled)
	if err := up.Abort(); err != nil {
		t.Errorf("abort: %v", err)
	}
	wantPending(t, s, "", 0)
}

func uploadAbandoned(t *testing.T, s objstore.Store) {
	for _, key := range []string{"points/a/1", "points/a/2", "points/b/1", "points/ab"} {
		send(t, create(t, s, key, always), 1, []byte("x"))
	}
	create(t, s, "points/a/1", always) // a second one of the same key, without parts
	wantPending(t, s, "points/a/", 3)
	if n, err := s.AbortUploads(t.Context(), "points/a/"); n != 3 || err != nil {
		t.Errorf("aborted %d (%v), want 3", n, err)
	}
	wantPending(t, s, "points/a/", 0)
	wantPending(t, s, "", 2)
	if n, err := s.AbortUploads(t.Context(), ""); n != 2 || err != nil {
		t.Errorf("aborted %d (%v), want 2", n, err)
	}
	if n, err := s.AbortUploads(t.Context(), ""); n != 0 || err != nil {
		t.Errorf("aborted %d (%v) of none", n, err)
	}
}

func uploadIfAbsent(t *testing.T, s objstore.Store) {
	up := create(t, s, "k", ifAbsent)
	send(t, up, 1, []byte("late"))
	put(t, s, "k", "early")
	_, err := up.Complete(t.Context())
	wantIs(t, "complete", err, objstore.ErrPrecondition)
	if err := up.Abort(); err != nil {
		t.Errorf("abort: %v", err)
	}
	wantContent(t, s, "k", []byte("early"))
	wantPending(t, s, "", 0)
}

func uploadIfAbsentRace(t *testing.T, s objstore.Store) {
	const racers = 8
	ups := make([]objstore.Upload, racers)
	for i := range ups {
		ups[i] = create(t, s, "r/k", ifAbsent)
		send(t, ups[i], 1, fmt.Appendf(nil, "racer %d", i))
	}
	wins := race(t, racers, func(i int) error {
		_, err := ups[i].Complete(t.Context())
		return err
	})
	wantContent(t, s, "r/k", fmt.Appendf(nil, "racer %d", wins[0]))
	for _, up := range ups {
		if err := up.Abort(); err != nil {
			t.Errorf("abort: %v", err)
		}
	}
	wantPending(t, s, "", 0)
}

func uploadIfMatch(t *testing.T, s objstore.Store) {
	old := put(t, s, "k", "old")
	up := create(t, s, "k", ifMatch(old.ETag))
	send(t, up, 1, []byte("new"))
	complete(t, up)
	up = create(t, s, "k", ifMatch(old.ETag))
	send(t, up, 1, []byte("newer"))
	_, err := up.Complete(t.Context())
	wantIs(t, "complete with an old ETag", err, objstore.ErrPrecondition)
	if err := up.Abort(); err != nil {
		t.Error(err)
	}
	wantContent(t, s, "k", []byte("new"))
}

func uploadGaps(t *testing.T, s objstore.Store) {
	for name, parts := range map[string]map[int]int{
		"a gap":       {1: objstore.PartSize, 3: 5},
		"no first":    {2: 5},
		"short first": {1: 5, 2: 5},
	} {
		up := create(t, s, "k", always)
		for n, size := range parts {
			send(t, up, n, make([]byte, size))
		}
		if _, err := up.Complete(t.Context()); err == nil {
			t.Errorf("%s: completed", name)
		}
		if err := up.Abort(); err != nil {
			t.Error(err)
		}
	}
	if keys := keysUnder(t, s, ""); len(keys) != 0 {
		t.Errorf("left %q", keys)
	}
}

func uploadBadParts(t *testing.T, s objstore.Store) {
	up := create(t, s, "k", always)
	for _, n := range []int{-1, 0, objstore.MaxParts + 1} {
		if err := up.Part(t.Context(), n, []byte("x")); err == nil {
			t.Errorf("part %d was taken", n)
		}
	}
	if err := up.Part(t.Context(), 1, make([]byte, objstore.PartSize+1)); err == nil {
		t.Error("a part that is too large was taken")
	}
	if err := up.Abort(); err != nil {
		t.Error(err)
	}
}

func uploadReusesBuffer(t *testing.T, s objstore.Store) {
	up := create(t, s, "k", always)
	buf, want := make([]byte, objstore.PartSize), []byte{}
	for n := 1; n <= 2; n++ {
		copy(buf, noise(objstore.PartSize-n))
		want = append(want, buf...)
		send(t, up, n, buf)
		clear(buf)
	}
	complete(t, up)
	wantContent(t, s, "k", want)
}
