package objstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
)

// shaky is a real store whose answers get lost, as often as its counters say.
type shaky struct {
	objstore.Store
	before atomic.Int32 // so many calls fail before they do anything
	after  atomic.Int32 // so many writes happen, and then their answer is lost
	broken atomic.Int32 // so many reads break after half a kilobyte
	calls  atomic.Int32
}

func newShaky(t *testing.T) *shaky {
	t.Helper()
	s, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &shaky{Store: s}
}

var errLost = fmt.Errorf("%w: the answer was lost", objstore.ErrTransient)

func (s *shaky) fault() error {
	s.calls.Add(1)
	if s.before.Add(-1) >= 0 {
		return errLost
	}
	return nil
}

func (s *shaky) Put(ctx context.Context, key string, data []byte, o objstore.PutOptions) (objstore.Info, error) {
	if err := s.fault(); err != nil {
		return objstore.Info{}, err
	}
	info, err := s.Store.Put(ctx, key, data, o)
	if err == nil && s.after.Add(-1) >= 0 {
		return objstore.Info{}, errLost
	}
	return info, err
}

func (s *shaky) Create(ctx context.Context, key string, o objstore.PutOptions) (objstore.Upload, error) {
	up, err := s.Store.Create(ctx, key, o)
	return &shakyUpload{Upload: up, s: s}, err
}

type shakyUpload struct {
	objstore.Upload
	s    *shaky
	lost bool
}

func (u *shakyUpload) Complete(ctx context.Context) (objstore.Info, error) {
	info, err := u.Upload.Complete(ctx)
	if err == nil && u.s.after.Add(-1) >= 0 {
		u.lost = true
		return objstore.Info{}, errLost
	}
	if err != nil && u.lost {
		// What S3 says to the second Complete of an upload that succeeded.
		return info, fmt.Errorf("%w: no such upload", objstore.ErrNotFound)
	}
	return info, err
}

func (s *shaky) Get(ctx context.Context, key string, o objstore.GetOptions) (io.ReadCloser, objstore.Info, error) {
	if err := s.fault(); err != nil {
		return nil, objstore.Info{}, err
	}
	body, info, err := s.Store.Get(ctx, key, o)
	if err == nil && s.broken.Add(-1) >= 0 {
		body = &breaking{body, 512}
	}
	return body, info, err
}

type breaking struct {
	io.ReadCloser
	left int
}

func (b *breaking) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errLost
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func (s *shaky) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		n := 0
		for info, err := range s.Store.List(ctx, prefix) {
			if n++; n > 3 && s.broken.Add(-1) >= 0 {
				yield(objstore.Info{}, errLost)
				return
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

func retry(s objstore.Store) objstore.Store {
	return objstore.Retry(s, objstore.RetryOptions{Attempts: 4, Base: time.Millisecond, Max: 4 * time.Millisecond})
}

var ifAbsent = objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}}

func TestRetryGivesUpAfterItsAttemptsAndSaysSo(t *testing.T) {
	s := newShaky(t)
	s.before.Store(100)
	_, err := retry(s).Put(t.Context(), "k", nil, objstore.PutOptions{})
	if !errors.Is(err, objstore.ErrTransient) || s.calls.Load() != 4 {
		t.Errorf("after %d calls: %v", s.calls.Load(), err)
	}
}

func TestRetryDoesNotRepeatFinalErrors(t *testing.T) {
	s := newShaky(t)
	_, _, err := retry(s).Get(t.Context(), "none", objstore.GetOptions{})
	if !errors.Is(err, objstore.ErrNotFound) || s.calls.Load() != 1 {
		t.Errorf("after %d calls: %v", s.calls.Load(), err)
	}
}

func TestRetryEndsWithTheContext(t *testing.T) {
	s := newShaky(t)
	s.before.Store(100)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := objstore.Retry(s, objstore.RetryOptions{Base: time.Hour, Max: time.Hour}).Put(ctx, "k", nil, ifAbsent)
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, objstore.ErrTransient) || time.Since(began) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

func TestALostAnswerOfAConditionalWriteIsSettled(t *testing.T) {
	s := newShaky(t)
	r := retry(s)

	s.after.Store(1)
	info, err := r.Put(t.Context(), "put", []byte("mine"), ifAbsent)
	if err != nil || info.Size != 4 || info.ETag == "" {
		t.Errorf("put: %+v, %v", info, err)
	}

	s.after.Store(1)
	swapped, err := r.Put(t.Context(), "put", []byte("mine again"), objstore.PutOptions{Condition: objstore.Condition{IfMatch: info.ETag}})
	if err != nil || swapped.ETag == info.ETag {
		t.Errorf("swap: %+v, %v", swapped, err)
	}

	up, err := r.Create(t.Context(), "up", ifAbsent)
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Part(t.Context(), 1, []byte("content")); err != nil {
		t.Fatal(err)
	}
	s.after.Store(1)
	if info, err := up.Complete(t.Context()); err != nil || info.Size != 7 {
		t.Errorf("complete: %+v, %v", info, err)
	}
}

func TestALostAnswerIsNoExcuseToClaimAnothersObject(t *testing.T) {
	s := newShaky(t)
	if _, err := s.Store.Put(t.Context(), "k", []byte("them"), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	s.before.Store(1)
	if _, err := retry(s).Put(t.Context(), "k", []byte("mine"), ifAbsent); !errors.Is(err, objstore.ErrPrecondition) {
		t.Errorf("put: %v, want %v", err, objstore.ErrPrecondition)
	}
}

func TestABrokenReadIsResumedAtItsOffset(t *testing.T) {
	s := newShaky(t)
	data := make([]byte, 5000)
	for i := range data {
		data[i] = byte(i * 7 / 3)
	}
	if _, err := s.Put(t.Context(), "k", data, objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, o := range []objstore.GetOptions{{}, {Offset: 100}, {Offset: 100, Length: 1024}, {Length: 512}} {
		s.broken.Store(7)
		s.before.Store(2)
		body, _, err := retry(s).Get(t.Context(), "k", o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		want := data[o.Offset:]
		if o.Length > 0 {
			want = want[:o.Length]
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%+v reads %d of %d bytes: %v", o, len(got), len(want), err)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAResumedReadDoesNotMixTwoObjects(t *testing.T) {
	s := newShaky(t)
	if _, err := s.Put(t.Context(), "k", bytes.Repeat([]byte("a"), 5000), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	s.broken.Store(1)
	body, _, err := retry(s).Get(t.Context(), "k", objstore.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "k", bytes.Repeat([]byte("b"), 5000), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(body)
	if err == nil || bytes.Contains(got, []byte("b")) {
		t.Errorf("read %d bytes, error %v", len(got), err)
	}
}

func TestABrokenListingGoesOnBehindTheLastKey(t *testing.T) {
	s := newShaky(t)
	var want []string
	for i := range 20 {
		key := fmt.Sprintf("l/%02d", i)
		want = append(want, key)
		if _, err := s.Put(t.Context(), key, nil, objstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.broken.Store(3)
	var got []string
	for info, err := range retry(s).List(t.Context(), "l/") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %q", got)
	}
	s.broken.Store(1000)
	var last error
	for _, last = range retry(s).List(t.Context(), "l/") {
	}
	if !errors.Is(last, objstore.ErrTransient) {
		t.Errorf("a listing that always breaks ends with %v", last)
	}
}

func TestTheRateIsHeldInBothDirections(t *testing.T) {
	s := objstore.RateLimit(newShaky(t).Store, 1<<20)
	began := time.Now()
	if _, err := s.Put(t.Context(), "k", make([]byte, 512<<10), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	body, _, err := s.Get(t.Context(), "k", objstore.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, body); n != 512<<10 || err != nil {
		t.Fatalf("read %d: %v", n, err)
	}
	// A MiB in all, less the quarter of a second that may burst.
	if took := time.Since(began); took < 700*time.Millisecond || took > 5*time.Second {
		t.Errorf("1 MiB at 1 MiB/s took %s", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Put(ctx, "k", make([]byte, 8<<20), objstore.PutOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting past the deadline: %v", err)
	}
}

// lenient ignores conditions, as some servers do.
type lenient struct {
	objstore.Store
	put, complete, match bool
}

func (l lenient) Put(ctx context.Context, key string, data []byte, o objstore.PutOptions) (objstore.Info, error) {
	if l.put {
		o.IfAbsent = false
	}
	if l.match {
		o.IfMatch = ""
	}
	return l.Store.Put(ctx, key, data, o)
}

func (l lenient) Create(ctx context.Context, key string, o objstore.PutOptions) (objstore.Upload, error) {
	if l.complete {
		o.IfAbsent = false
	}
	return l.Store.Create(ctx, key, o)
}

func TestTheProbeNamesTheConditionAStoreIgnores(t *testing.T) {
	for want, l := range map[string]lenient{
		"If-None-Match on PutObject":               {put: true},
		"If-None-Match on CompleteMultipartUpload": {complete: true},
		"If-Match on PutObject":                    {match: true},
	} {
		l.Store = newShaky(t).Store
		err := objstore.Probe(t.Context(), l, "p/")
		if !errors.Is(err, objstore.ErrUnsupported) || !bytes.Contains([]byte(err.Error()), []byte("ignores "+want)) {
			t.Errorf("probe: %v, want it to name %s", err, want)
		}
		for info := range l.List(t.Context(), "") {
			t.Errorf("the probe left %s", info.Key)
		}
	}
}
