package repo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// StreamWriter turns plain chunks into stored objects: compress and seal on
// several workers, then hash and upload in order. All queues are bounded.
//
//	Add ─┬─> worker ─┐
//	     ├─> worker ─┴─> sequencer ─> object writer ─> parts in flight
//	     └─> plain SHA-256
type StreamWriter struct {
	point *PointWriter
	name  string
	ctx   context.Context
	fail  context.CancelCauseFunc

	jobs   chan *encodeJob // to the workers
	inLine chan *encodeJob // the same jobs in order, to the sequencer
	plain  chan hashJob
	outs   chan []byte // room for stored chunks, nil where not allocated yet
	wg     sync.WaitGroup
	ended  bool // Close was called
	closed error

	// of Add and Write: where the next chunk goes
	partial *Buffer // what Write has not filled yet
	object  uint32  // ordinal within the point of the open object
	chunk   uint32  // ordinal of the next chunk; 0 = no object is open
	objects int

	// of the sequencer and the hasher; others read them once those have ended
	chunks   []Chunk
	finished []Object
	sums     []string // plain SHA-256 of each object

	Plain  atomic.Int64 // plain bytes taken so far
	Stored atomic.Int64 // bytes given to the store so far
}

type encodeJob struct {
	buf  *Buffer
	size int
	pos  seal.Position
	row  bool
	out  []byte
	done chan error
}

type hashJob struct {
	buf  *Buffer
	last bool
}

// Stream begins a stream of the point. ctx ends it; so does the first error.
// workers is how many chunks are compressed at once. Its methods Add, Write and
// Close belong to one goroutine, and Close must be called, also after a failure.
// Streams of one point may be written at once, as long as nobody holds one up to
// wait for another: they share the point's buffers.
func (p *PointWriter) Stream(ctx context.Context, name string, workers int) *StreamWriter {
	workers = max(workers, 1)
	p.streamBegun(name)
	s := &StreamWriter{point: p, name: name}
	s.ctx, s.fail = context.WithCancelCause(ctx)
	s.jobs = make(chan *encodeJob, workers)
	s.inLine = make(chan *encodeJob, workers)
	s.plain = make(chan hashJob, workers+1)
	s.outs = make(chan []byte, workers+1)
	for range workers + 1 {
		s.outs <- nil
	}
	for range workers {
		s.wg.Go(s.work)
	}
	s.wg.Go(s.sequence)
	s.wg.Go(s.hashPlain)
	return s
}

// Buffer waits for a free buffer to fill.
func (s *StreamWriter) Buffer() (*Buffer, error) { return take(s.ctx, s.point.pool) }

// Add takes over b, the next plain bytes of the stream. row says that they
// begin a row of an archive's table data.
// It is released whatever comes back.
func (s *StreamWriter) Add(b *Buffer, row bool) error {
	if err := s.flush(); err != nil {
		b.Release()
		return err
	}
	return s.add(b, row, false)
}

func (s *StreamWriter) add(b *Buffer, row, last bool) error {
	if s.chunk == 0 {
		s.object = s.point.ordinal()
		s.objects++
	}
	pos := seal.Position{Object: s.object, Chunk: s.chunk, Last: last || s.chunk == s.point.opts.chunksPerObject-1}
	s.chunk++
	if pos.Last {
		s.chunk = 0
	}
	s.Plain.Add(int64(len(b.Bytes)))
	b.Retain() // for the hash; ours goes to the worker
	job := &encodeJob{buf: b, size: len(b.Bytes), pos: pos, row: row, done: make(chan error, 1)}
	select {
	case s.plain <- hashJob{b, pos.Last}:
	case <-s.ctx.Done():
		b.Release()
		b.Release()
		return context.Cause(s.ctx)
	}
	select {
	case s.inLine <- job:
	case <-s.ctx.Done():
		b.Release()
		return context.Cause(s.ctx)
	}
	select {
	case s.jobs <- job:
		return nil
	case <-s.ctx.Done():
		b.Release()
		return context.Cause(s.ctx)
	}
}

// Write adds data in pieces of any size, gathered into whole chunks: for the
// small streams that are made in memory.
func (s *StreamWriter) Write(data []byte) (int, error) {
	total := len(data)
	for len(data) > 0 {
		if s.partial == nil {
			b, err := s.Buffer()
			if err != nil {
				return total - len(data), err
			}
			b.Bytes = b.Bytes[:0]
			s.partial = b
		}
		n := min(len(data), cap(s.partial.Bytes)-len(s.partial.Bytes))
		s.partial.Bytes = append(s.partial.Bytes, data[:n]...)
		data = data[n:]
		if len(s.partial.Bytes) == cap(s.partial.Bytes) {
			if err := s.flush(); err != nil {
				return total - len(data), err
			}
		}
	}
	return total, nil
}

// flush makes a chunk of what Write gathered.
func (s *StreamWriter) flush() error {
	b := s.partial
	if b == nil {
		return nil
	}
	s.partial = nil
	return s.add(b, false, false)
}

// Close ends the stream, waits until everything is stored and verified against
// the store's checksum, and returns where the chunks lie. Closing again returns
// the same.
func (s *StreamWriter) Close() ([]Chunk, error) {
	if s.ended {
		return s.chunks, s.closed
	}
	s.ended = true
	s.closed = s.close()
	if s.closed != nil {
		s.chunks = nil
		s.point.streamFailed(s.name)
		return nil, fmt.Errorf("store %s of %s: %w", s.name, s.point.ref, s.closed)
	}
	s.point.streamStored(s.name, s.finished)
	return s.chunks, nil
}

func (s *StreamWriter) close() error {
	err := s.finish()
	close(s.plain)
	close(s.jobs)
	close(s.inLine)
	s.wg.Wait()
	for len(s.outs) > 0 {
		if f := <-s.outs; f != nil {
			s.point.spare(f)
		}
	}
	if err == nil {
		err = context.Cause(s.ctx)
	}
	s.fail(nil)
	if err != nil {
		return err
	}
	for i := range s.finished {
		s.finished[i].PlainSHA256 = s.sums[i]
	}
	return nil
}

// finish marks the end: what Write gathered or else an empty chunk is the last
// one, unless an object just ended.
func (s *StreamWriter) finish() error {
	if b := s.partial; b != nil {
		s.partial = nil
		return s.add(b, false, true)
	}
	if s.chunk == 0 && s.objects > 0 {
		return nil
	}
	b, err := s.Buffer()
	if err != nil {
		return err
	}
	return s.add(b, false, true)
}

// Fail stops the stream with a cause of the caller's; Close then returns it.
func (s *StreamWriter) Fail(cause error) { s.fail(cause) }

// Done is closed when the stream failed or ended.
func (s *StreamWriter) Done() <-chan struct{} { return s.ctx.Done() }

func (s *StreamWriter) work() {
	enc := s.point.codec.newEncoder()
	defer enc.Close()
	var check *checker
	if s.point.opts.VerifyStored {
		check = newChecker(s.point.codec)
		defer check.close()
	}
	for job := range s.jobs {
		var out []byte
		select {
		case out = <-s.outs:
		case <-s.ctx.Done():
			job.buf.Release()
			job.done <- context.Cause(s.ctx)
			continue
		}
		if out == nil {
			out = s.point.frame()
		}
		job.out = s.point.codec.encode(enc, out, job.buf.Bytes, job.pos)
		var err error
		if check != nil {
			err = check.check(job.out, job.buf.Bytes, job.pos)
		}
		job.buf.Release()
		job.done <- err
	}
}

func (s *StreamWriter) sequence() {
	var w *objectWriter
	defer func() {
		if w != nil {
			w.abort()
		}
	}()
	var from int64
	for job := range s.inLine {
		if s.ctx.Err() != nil {
			continue
		}
		var err error
		select {
		case err = <-job.done:
		case <-s.ctx.Done():
			continue
		}
		if err != nil {
			s.fail(err)
			continue
		}
		if w == nil {
			w = s.point.newObject(s.ctx, s.fail, s.name, len(s.finished), job.pos.Object)
		}
		s.chunks = append(s.chunks, Chunk{Object: job.pos.Object, Number: job.pos.Chunk,
			Offset: w.size, Stored: int64(len(job.out)), From: from, Plain: int64(job.size), Row: job.row})
		from += int64(job.size)
		if err := w.write(job.out, int64(job.size)); err != nil {
			s.fail(err)
			continue
		}
		s.Stored.Add(int64(len(job.out)))
		s.outs <- job.out
		if !job.pos.Last {
			continue
		}
		object, err := w.complete()
		w = nil
		if err != nil {
			s.fail(err)
			continue
		}
		s.finished = append(s.finished, object)
	}
}

func (s *StreamWriter) hashPlain() {
	h := sha256.New()
	for job := range s.plain {
		if s.ctx.Err() == nil {
			h.Write(job.buf.Bytes)
		}
		job.buf.Release()
		if job.last {
			s.sums = append(s.sums, hex.EncodeToString(h.Sum(nil)))
			h.Reset()
		}
	}
}
