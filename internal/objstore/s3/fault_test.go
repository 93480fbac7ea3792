package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

const stall = 300 * time.Millisecond

func retry(s objstore.Store, attempts int) objstore.Store {
	return objstore.Retry(s, objstore.RetryOptions{Attempts: attempts, Base: 5 * time.Millisecond, Max: 50 * time.Millisecond})
}

// behindTCP is a store behind a TCP fault proxy.
func behindTCP(t *testing.T) (*s3.Store, *testenv.FaultyProxy) {
	t.Helper()
	srv := testenv.S3(t)
	proxy := testenv.Faulty(t, strings.TrimPrefix(srv.Endpoint, "http://"))
	cfg := config(t, srv)
	cfg.Endpoint, cfg.StallTimeout = "http://"+proxy.Addr(), stall
	return open(t, cfg), proxy
}

// behindHTTP is a store behind an HTTP fault proxy.
func behindHTTP(t *testing.T, decide func(n int, r *http.Request) (int, bool)) *s3.Store {
	t.Helper()
	srv := testenv.S3(t)
	cfg := config(t, srv)
	cfg.Endpoint, cfg.StallTimeout = testenv.FaultyHTTP(t, srv.Endpoint, decide).URL, stall
	return open(t, cfg)
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// wantTransient: a clear error in bounded time.
func wantTransient(t *testing.T, what string, began time.Time, err error) {
	t.Helper()
	if !errors.Is(err, objstore.ErrTransient) {
		t.Errorf("%s: %v, want a temporary failure", what, err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("%s took %s", what, took)
	}
}

// cycle writes in both ways, lists, reads and deletes.
func cycle(ctx context.Context, s objstore.Store) error {
	small, large := noise(1000), noise(objstore.PartSize+100)
	if _, err := s.Put(ctx, "a/small", small, objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}}); err != nil {
		return err
	}
	up, err := s.Create(ctx, "a/large", objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}})
	if err != nil {
		return err
	}
	defer func() { _ = up.Abort() }()
	for n, part := range [][]byte{large[:objstore.PartSize], large[objstore.PartSize:]} {
		if err := up.Part(ctx, n+1, part); err != nil {
			return err
		}
	}
	if _, err := up.Complete(ctx); err != nil {
		return err
	}
	n := 0
	for _, err := range s.List(ctx, "a/") {
		if err != nil {
			return err
		}
		n++
	}
	if n != 2 {
		return errors.New("the listing is not complete")
	}
	for key, want := range map[string][]byte{"a/small": small, "a/large": large} {
		body, _, err := s.Get(ctx, key, objstore.GetOptions{})
		if err != nil {
			return err
		}
		got, err := io.ReadAll(body)
		_ = body.Close()
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return errors.New(key + " reads wrong")
		}
	}
	return s.Delete(ctx, "a/small", "a/large")
}

func TestServerErrorsAreRetriedUntilTheWorkIsDone(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"500 InternalError": 500, "503 SlowDown": 503} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := behindHTTP(t, func(n int, _ *http.Request) (int, bool) { return status, n%2 == 1 })
			if err := cycle(t.Context(), retry(s, 6)); err != nil {
				t.Error(err)
			}
			_, err := s.Put(t.Context(), "k", []byte("x"), objstore.PutOptions{})
			_, err2 := s.Put(t.Context(), "k", []byte("x"), objstore.PutOptions{})
			if (err == nil) == (err2 == nil) {
				t.Fatalf("without retry one of two must fail: %v, %v", err, err2)
			}
			wantTransient(t, "put", time.Now(), errors.Join(err, err2))
		})
	}
}

func TestALostAnswerToAConditionalWriteIsSettledByReadingBack(t *testing.T) {
	t.Parallel()
	// The server does the work; its answer is lost, once for each kind of write.
	srv := testenv.S3(t)
	var puts, completes atomic.Int32
	proxy := testenv.FaultyHTTP(t, srv.Endpoint, func(int, *http.Request) (int, bool) { return 0, false })
	cfg := config(t, srv)
	cfg.Endpoint = proxy.URL
	inner := cfg.HTTPClient.Transport
	cfg.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		res, err := inner.RoundTrip(r)
		lost := r.Method == http.MethodPut && r.URL.RawQuery == "x-id=PutObject" && puts.Add(1) == 1 ||
			r.Method == http.MethodPost && strings.Contains(r.URL.RawQuery, "uploadId=") && completes.Add(1) == 1
		if err == nil && lost {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			return nil, io.ErrUnexpectedEOF
		}
		return res, err
	})}
	if err := cycle(t.Context(), retry(open(t, cfg), 4)); err != nil {
		t.Error(err)
	}
	if puts.Load() < 2 || completes.Load() < 2 {
		t.Errorf("%d puts and %d completes were seen: no answer was lost", puts.Load(), completes.Load())
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestALostAnswerDoesNotHideSomebodyElsesObject(t *testing.T) {
	t.Parallel()
	srv := testenv.S3(t)
	direct := config(t, srv)
	cfg := direct
	first := true
	cfg.Endpoint = testenv.FaultyHTTP(t, srv.Endpoint, func(_ int, r *http.Request) (int, bool) {
		if r.Method != http.MethodPut || !first {
			return 0, false
		}
		first = false
		// Our try is lost, and another writer comes first.
		if _, err := open(t, direct).Put(t.Context(), "k", []byte("theirs"), objstore.PutOptions{}); err != nil {
			t.Errorf("the other writer: %v", err)
		}
		return http.StatusInternalServerError, true
	}).URL
	_, err := retry(open(t, cfg), 4).Put(t.Context(), "k", []byte("mine"), objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}})
	if !errors.Is(err, objstore.ErrPrecondition) {
		t.Errorf("put: %v, want %v", err, objstore.ErrPrecondition)
	}
}

func TestAReadGoesOnWhereTheConnectionBroke(t *testing.T) {
	t.Parallel()
	s, proxy := behindTCP(t)
	data := noise(4 << 20)
	if _, err := s.Put(t.Context(), "k", data, objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	proxy.CutAnswersAfter(1 << 20)
	body, _, err := s.Get(t.Context(), "k", objstore.GetOptions{})
	if err == nil {
		_, err = io.Copy(io.Discard, body)
		_ = body.Close()
	}
	wantTransient(t, "read without retry", time.Now(), err)

	began := time.Now()
	body, info, err := retry(s, 4).Get(t.Context(), "k", objstore.GetOptions{Offset: 10})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(body)
	_ = body.Close()
	if err != nil || !bytes.Equal(got, data[10:]) || info.Size != int64(len(data)) {
		t.Errorf("read %d of %d bytes in %s: %v", len(got), len(data)-10, time.Since(began), err)
	}
}

func TestAResetIsATemporaryFailure(t *testing.T) {
	t.Parallel()
	s, proxy := behindTCP(t)
	up, err := s.Create(t.Context(), "k", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	proxy.Reset()
	began := time.Now()
	wantTransient(t, "part", began, up.Part(t.Context(), 1, noise(objstore.PartSize)))
	_, _, err = s.Get(t.Context(), "k", objstore.GetOptions{})
	wantTransient(t, "get", began, err)

	time.AfterFunc(200*time.Millisecond, proxy.Restore)
	patient := objstore.Retry(s, objstore.RetryOptions{Attempts: 50, Base: 20 * time.Millisecond, Max: 50 * time.Millisecond})
	if err := cycle(t.Context(), patient); err != nil {
		t.Errorf("after the network came back: %v", err)
	}
	if err := up.Abort(); err != nil {
		t.Errorf("abort: %v", err)
	}
}

func TestAStallEndsInBoundedTimeAndLeaksNothing(t *testing.T) {
	s, proxy := behindTCP(t) // not parallel: it counts goroutines
	if _, err := s.Put(t.Context(), "k", noise(3<<20), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	up, err := s.Create(t.Context(), "u", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, fault := range map[string]func(){"answers": proxy.StallAnswers, "requests": proxy.StallRequests} {
		fault()
		before := runtime.NumGoroutine()
		began := time.Now()
		_, err := s.Head(t.Context(), "k", "")
		wantTransient(t, "head with stalled "+name, began, err)
		wantTransient(t, "part with stalled "+name, began, up.Part(t.Context(), 1, noise(objstore.PartSize)))
		wantTransient(t, "delete with stalled "+name, began, s.Delete(t.Context(), "x"))
		for _, err := range s.List(t.Context(), "") {
			wantTransient(t, "list with stalled "+name, began, err)
		}
		if took := time.Since(began); took > 20*stall {
			t.Errorf("four stalled requests took %s with a limit of %s each", took, stall)
		}
		proxy.Restore()
		for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+4 && time.Now().Before(deadline); {
			time.Sleep(20 * time.Millisecond)
		}
		if now := runtime.NumGoroutine(); now > before+4 {
			t.Errorf("stalled %s left %d goroutines of %d", name, now-before, now)
		}
	}
	if err := up.Abort(); err != nil {
		t.Errorf("abort after the stall: %v", err)
	}
}

func TestAStallInTheMiddleOfAReadIsNoticedAndASlowReaderIsNot(t *testing.T) {
	t.Parallel()
	s, proxy := behindTCP(t)
	if _, err := s.Put(t.Context(), "k", noise(8<<20), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	proxy.Bandwidth(3 << 10) // the rest must still be under way when the stall begins
	body, _, err := s.Get(t.Context(), "k", objstore.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	if _, err := io.CopyN(io.Discard, body, 100<<10); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * stall) // the reader is busy elsewhere
	if _, err := io.CopyN(io.Discard, body, 100<<10); err != nil {
		t.Fatalf("a slow reader was punished: %v", err)
	}
	began := time.Now()
	time.AfterFunc(100*time.Millisecond, proxy.StallAnswers)
	_, err = io.Copy(io.Discard, body)
	wantTransient(t, "reading on", began, err)
}

func TestASlowButMovingUploadIsNotAStall(t *testing.T) {
	t.Parallel()
	s, proxy := behindTCP(t)
	up, err := s.Create(t.Context(), "k", objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	proxy.Bandwidth(16 << 10) // 8 MiB take half a second
	began := time.Now()
	if err := up.Part(t.Context(), 1, noise(objstore.PartSize)); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < stall {
		t.Errorf("the part took only %s: the link was not slow", took)
	}
	proxy.Restore()
	if err := up.Abort(); err != nil {
		t.Error(err)
	}
}

func TestAnUnreachableServerIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	s, proxy := behindTCP(t)
	proxy.Cut()
	began := time.Now()
	_, err := s.Put(t.Context(), "k", []byte("x"), objstore.PutOptions{})
	wantTransient(t, "put", began, err)
	wantOneLine(t, err, "connection refused")
}

func TestAConflictIsDecidedByTheObject(t *testing.T) {
	t.Parallel()
	absent := objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}}
	s := behindHTTP(t, func(n int, r *http.Request) (int, bool) {
		return http.StatusConflict, r.Method == http.MethodPut && n < 4
	})
	if _, err := s.Put(t.Context(), "k", []byte("x"), absent); err != nil {
		t.Errorf("a conflict with nothing there must be tried again: %v", err)
	}
	s = behindHTTP(t, func(n int, r *http.Request) (int, bool) {
		return http.StatusConflict, r.Method == http.MethodPut && n > 1
	})
	if _, err := s.Put(t.Context(), "k", []byte("x"), absent); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "k", []byte("y"), absent); !errors.Is(err, objstore.ErrPrecondition) {
		t.Errorf("a conflict with an object there: %v, want %v", err, objstore.ErrPrecondition)
	}
}

func TestServersWithoutModernFeaturesWorkToo(t *testing.T) {
	t.Parallel()
	var refused atomic.Int32
	s := behindHTTP(t, func(_ int, r *http.Request) (int, bool) {
		old := r.Header.Get("X-Amz-Checksum-Crc64nvme") != "" || r.Header.Get("X-Amz-Checksum-Algorithm") != "" || r.URL.Query().Has("delete")
		if old {
			refused.Add(1)
		}
		return http.StatusNotImplemented, old
	})
	if err := cycle(t.Context(), s); err != nil {
		t.Error(err)
	}
	if n := refused.Load(); n != 2 {
		t.Errorf("%d requests were refused, want 2: checksums and DeleteObjects are tried once each", n)
	}
}
