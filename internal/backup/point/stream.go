package point

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// compressors are as many as a point has where nothing else was said.
const compressors = 2

// Stream writes one large stream of the point and watches that it moves.
type Stream struct {
	w      *Writing
	stream *repo.StreamWriter
	ctx    context.Context
	fail   context.CancelCauseFunc
	done   chan struct{}
	chunks []repo.Chunk
}

// NewStream begins the stream of a point that its source feeds. Its context, and
// with it everything that feeds it, ends with ErrStalled when nothing moves for
// the stall timeout. Close must be called, also after a failure.
func (w *Writing) NewStream(ctx context.Context, name string) *Stream {
	ctx, fail := context.WithCancelCause(ctx)
	s := &Stream{w: w, ctx: ctx, fail: fail, done: make(chan struct{})}
	s.stream = w.Stream(ctx, name, cmp.Or(w.Compressors, compressors))
	go s.watch()
	return s
}

// Context ends when the stream failed, stalled or was closed.
func (s *Stream) Context() context.Context { return s.ctx }

// Write stores b as the next bytes of the stream.
func (s *Stream) Write(b []byte) (int, error) {
	n, err := s.stream.Write(b)
	s.w.Progress.Plain.Add(int64(n))
	s.w.Progress.Stored.Store(s.stream.Stored.Load())
	return n, err
}

// Size is how many bytes were written.
func (s *Stream) Size() int64 { return s.stream.Plain.Load() }

// Chunks are where the stream lies in what is stored, for an index: known after a
// Close that was successful.
func (s *Stream) Chunks() []repo.Chunk { return s.chunks }

// Close ends the stream: with the failure of what fed it, or nil to have it
// stored to its end. The first reason is returned, not what followed from it.
func (s *Stream) Close(failed error) error {
	if failed != nil {
		if cause := context.Cause(s.ctx); cause != nil {
			failed = cause
		}
		s.stream.Fail(failed)
	}
	chunks, err := s.stream.Close()
	s.chunks = chunks
	close(s.done)
	s.fail(nil)
	if failed != nil {
		return failed
	}
	return err
}

// watch fails the stream when nothing moves: a hung command or file system would
// hold the lease for ever.
func (s *Stream) watch() {
	limit := s.w.StallTimeout
	tick := time.NewTicker(max(limit/20, 10*time.Millisecond))
	defer tick.Stop()
	var seen int64
	moved := time.Now()
	for {
		select {
		case <-s.done:
			return
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		if now := s.w.Progress.Plain.Load() + s.stream.Stored.Load(); now != seen {
			seen, moved = now, time.Now()
		}
		if idle := time.Since(moved); idle >= limit {
			s.fail(fmt.Errorf("%w for %s after %d bytes (%d stored): what is read, the network or the store hangs; stall_timeout sets how long to wait",
				ErrStalled, idle.Round(time.Second), s.w.Progress.Plain.Load(), s.stream.Stored.Load()))
			return
		}
	}
}
