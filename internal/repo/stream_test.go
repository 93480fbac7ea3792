package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"pgregory.net/rapid"
)

func TestAStreamOfAnySizeComesBackByteForByte(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("42\tO'Brien\t\\N\t2026-03-01\n"), 3*ChunkSize/25)
	noise := pseudorandom(3, 2*ChunkSize+5)
	eachKind(t, func(t *testing.T, r *Repository) {
		for name, data := range map[string][]byte{
			"0": {}, "1": {7}, "chunk-1": text[:ChunkSize-1], "chunk": text[:ChunkSize], "chunk+1": text[:ChunkSize+1],
			"text": text, "noise": noise, "zeros": make([]byte, ChunkSize+100),
		} {
			p, err := r.NewPoint("app", "logical", clock, WriterOptions{VerifyStored: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.WriteStream(t.Context(), "archive", data); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			m := &Manifest{Verification: Verification{Level: "stored"}}
			if err := p.Commit(t.Context(), m); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if m.PlainSize("archive") != int64(len(data)) || m.Verification.StoreChecksum != "crc64nvme" {
				t.Errorf("%s: manifest says %d bytes, checksum %q", name, m.PlainSize("archive"), m.Verification.StoreChecksum)
			}
			wantReads(t, r, p.Ref(), data)
			point, err := r.OpenPoint(t.Context(), p.Ref())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, point.Manifest); diff != "" {
				t.Errorf("%s: the manifest changed on its way:\n%s", name, diff)
			}
			body, err := point.Open(t.Context(), "archive")
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if n, err := io.Copy(&out, body); err != nil || n != int64(len(data)) || !bytes.Equal(out.Bytes(), data) {
				t.Errorf("%s: WriteTo: %d bytes, %v", name, n, err)
			}
			_ = body.Close()
		}
	})
}

func TestSmallWritesAreGatheredIntoOneChunk(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), true)
	p, err := r.NewPoint("app", "logical", clock, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := p.Stream(t.Context(), "archive", 2)
	var want strings.Builder
	for i := range 1000 {
		fmt.Fprintf(s, "line %d\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
	}
	chunks, err := s.Close()
	if err != nil || len(chunks) != 1 {
		t.Fatalf("%d chunks, %v", len(chunks), err)
	}
	if again, err := s.Close(); err != nil || len(again) != 1 {
		t.Errorf("closed again: %d chunks, %v", len(again), err)
	}
	if err := p.Commit(t.Context(), &Manifest{}); err != nil {
		t.Fatal(err)
	}
	wantReads(t, r, p.Ref(), []byte(want.String()))
}

func TestALongStreamGoesOnInFurtherObjects(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		for n := range 10 {
			data := pseudorandom(4, 100*n)
			ref := put(t, r, "app", pieces(data, n), WriterOptions{chunksPerObject: 3})
			m, err := r.Manifest(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := len(m.Stream("archive")), max((n+2)/3, 1); got != want {
				t.Errorf("%d chunks lie in %d objects, want %d", n, got, want)
			}
			wantReads(t, r, ref, data)
			if got, err := readRange(t.Context(), r, ref); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d chunks read by range: %d bytes, %v", n, len(got), err)
			}
		}
	})
}

func TestEveryRangeAndSplitHoldsExactlyItsBytes(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		data := pseudorandom(5, 4000)
		points := map[int]Ref{}
		for _, n := range []int{1, 2, 7, 19} {
			points[n] = put(t, r, "app", pieces(data, n), WriterOptions{chunksPerObject: 4})
		}
		rapid.Check(t, func(t *rapid.T) {
			p, err := r.OpenPoint(context.Background(), points[rapid.SampledFrom([]int{1, 2, 7, 19}).Draw(t, "chunks")])
			if err != nil {
				t.Fatal(err)
			}
			x, err := p.Index(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			from := rapid.Int64Range(0, 4000).Draw(t, "from")
			to := rapid.Int64Range(from, 4000).Draw(t, "to")
			split := x.Split(from, to, rapid.IntRange(-1, 9).Draw(t, "workers"))
			var got []byte
			at := from
			for _, piece := range split {
				if piece[0] != at || piece[1] < piece[0] {
					t.Fatalf("pieces %v of %d to %d", split, from, to)
				}
				at = piece[1]
				body, err := p.Range(context.Background(), x, piece[0], piece[1])
				if err != nil {
					t.Fatal(err)
				}
				part, err := io.ReadAll(body)
				if err != nil || body.Close() != nil {
					t.Fatal(err)
				}
				got = append(got, part...)
			}
			if at != to || !bytes.Equal(got, data[from:to]) {
				t.Fatalf("pieces %v of %d to %d hold other bytes", split, from, to)
			}
		})
		p, err := r.OpenPoint(t.Context(), points[7])
		if err != nil {
			t.Fatal(err)
		}
		x, err := p.Index(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range [][2]int64{{-1, 3}, {5, 4}, {0, 4001}} {
			if _, err := p.Range(t.Context(), x, bad[0], bad[1]); err == nil {
				t.Errorf("range %v is allowed", bad)
			}
		}
	})
}

func TestAPointIsNotCommittedWithoutAllOfItsStreams(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	p, err := begin(t.Context(), r, "app", pieces([]byte("data"), 1), WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := p.Stream(t.Context(), "tables", 1)
	if err := p.Commit(t.Context(), &Manifest{}); err == nil || !strings.Contains(err.Error(), "tables") {
		t.Errorf("with an open stream: %v", err)
	}
	s.Fail(errReset)
	if _, err := s.Close(); !errors.Is(err, errReset) {
		t.Errorf("close of a failed stream: %v", err)
	}
	if err := p.Commit(t.Context(), &Manifest{}); err == nil || !strings.Contains(err.Error(), "tables") {
		t.Errorf("with a failed stream: %v", err)
	}
	wantListed(t, r, 0)
}

// whole checks that a point gave back all it took, and that nothing runs on.
func whole(t *testing.T, p *PointWriter, goroutines int) {
	t.Helper()
	if len(p.pool) != cap(p.pool) || len(p.parts) != cap(p.parts) {
		t.Errorf("%d of %d buffers and %d of %d parts came back", len(p.pool), cap(p.pool), len(p.parts), cap(p.parts))
	}
	for range 200 {
		if runtime.NumGoroutine() <= goroutines {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	stacks := make([]byte, 1<<16)
	t.Errorf("goroutines run on:\n%s", stacks[:runtime.Stack(stacks, true)])
}

// Not parallel: it counts goroutines.
func TestAStoreThatFailsAtAnyCallEndsTheStreamAndLeaksNothing(t *testing.T) {
	r := newRepo(t, newStore(t), true)
	data := pieces(pseudorandom(6, 3*objstore.PartSize), 5)
	for nth := 1; ; nth++ {
		goroutines := runtime.NumGoroutine()
		calls := make(chan struct{}, 1000)
		failing := r.over(&meddler{Store: r.Store(), before: func(op, key string) error {
			if op == "abort" {
				return nil
			}
			calls <- struct{}{}
			if len(calls) == nth {
				return errReset
			}
			return nil
		}})
		p, err := begin(t.Context(), failing, "app", data, WriterOptions{chunksPerObject: 3, Parts: 1 + nth%3})
		if nth > len(calls) {
			if err != nil {
				t.Fatal(err)
			}
			if nth < 8 {
				t.Fatalf("only %d calls were made to fail", nth)
			}
			return
		}
		if !errors.Is(err, errReset) {
			t.Errorf("call %d failed: %v", nth, err)
		}
		whole(t, p, goroutines)
	}
}

// Not parallel: it counts goroutines.
func TestAStreamCancelledAtAnyMomentClosesAndLeaksNothing(t *testing.T) {
	r := newRepo(t, newStore(t), false)
	data := pieces(pseudorandom(7, 2*objstore.PartSize), 6)
	why := errors.New("ctrl-c")
	for i := range 60 {
		goroutines := runtime.NumGoroutine()
		ctx, cancel := context.WithCancelCause(t.Context())
		timer := time.AfterFunc(time.Duration(i)*500*time.Microsecond, func() { cancel(why) })
		p, err := begin(ctx, r, "app", data, WriterOptions{VerifyStored: i%2 == 0})
		if err != nil && !errors.Is(err, why) && !errors.Is(err, context.Canceled) {
			t.Errorf("after %d half milliseconds: %v", i, err)
		}
		timer.Stop()
		cancel(nil)
		whole(t, p, goroutines)
	}
	if n, err := r.Store().PendingUploads(t.Context(), ""); err != nil || n != 0 {
		t.Errorf("%d uploads were left: %v", n, err)
	}
}

// Not parallel: it counts goroutines.
func TestAReaderClosedEarlyLeavesNothingRunning(t *testing.T) {
	r := newRepo(t, newStore(t), true)
	ref := put(t, r, "app", pieces(pseudorandom(8, 1<<20), 9), WriterOptions{chunksPerObject: 2})
	p, err := r.OpenPoint(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	goroutines := runtime.NumGoroutine()
	for n := range 8 {
		body, err := p.Open(t.Context(), "archive")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, body, int64(n)*140_000); err != nil {
			t.Fatal(err)
		}
		for range 2 { // a second Close is harmless
			if err := body.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	whole(t, &PointWriter{}, goroutines)
	ctx, cancel := context.WithCancel(t.Context())
	body, err := p.Open(ctx, "archive")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := io.Copy(io.Discard, body); err == nil {
		t.Errorf("a cancelled reader ended well after %d bytes", n)
	}
	_ = body.Close()
	whole(t, &PointWriter{}, goroutines)
}
