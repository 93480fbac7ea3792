package physical

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

const (
	// runBytes is how many plain bytes one request reads, to the chunk's end: enough
	// that asking and the memory of a reader do not count, few enough that workers end
	// together.
	runBytes = 64 << 20
	// emptyFiles is how many files without bytes make a run of their own.
	emptyFiles = 1024
	// copyBuffer is the bytes of one write to a file.
	copyBuffer = 1 << 20
)

// filling writes the files of one base backup.
//
//	list of entries ─> runs of chunks ─┬─> worker: one request, its files' parts
//	                                   └─> worker: …
//
// Every chunk is asked for once, whoever needs a part of it; memory is bounded by the
// workers, files that are open by the workers and those that go from one run into
// the next.
type filling struct {
	point *repo.Point
	index *repo.Index
	tree  *tree
	jobs  int
	// keep tells that a file is there as it should be; nil: none is.
	keep func(ordinal int64) bool
	// drop tells what is not wanted; hold what is kept in memory to be written last.
	drop, hold func(path string) bool
	done       *atomic.Int64

	held    map[string]*file // of hold
	fetched int64            // plain bytes of files that were read

	runs    chan run
	open    run // being gathered
	ordinal int64
	files   map[*file]bool // that go on in the next run
}

// run is a stretch of the stream that one request reads. Files without bytes go with
// whatever run there is.
type run struct {
	pieces      []piece
	first, last int // chunks, last being one past it; both 0 without any bytes
}

// write fills the tree. Nothing is on the disk for sure when it returns.
func (f *filling) write(ctx context.Context) error {
	f.held, f.files, f.runs = map[string]*file{}, map[*file]bool{}, make(chan run)
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var wg sync.WaitGroup
	for range max(f.jobs, 1) {
		wg.Go(func() {
			buffer := make([]byte, copyBuffer)
			for r := range f.runs {
				if ctx.Err() == nil {
					if err := f.read(ctx, r, buffer); err != nil {
						fail(err)
					}
				}
				if ctx.Err() != nil {
					for _, p := range r.pieces {
						p.file.abandon()
					}
				}
			}
		})
	}
	err := eachEntry(ctx, f.point, f.index.Size(), func(e entry) error { return f.entry(ctx, e) })
	if err == nil {
		err = f.flush(ctx)
	}
	if err != nil {
		fail(err)
	}
	close(f.runs)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		for file := range f.files {
			file.abandon()
		}
		return err
	}
	return nil
}

// entry gives one entry to the runs.
func (f *filling) entry(ctx context.Context, e entry) error {
	ordinal := f.ordinal
	f.ordinal++
	switch {
	case f.drop != nil && f.drop(e.path):
		return nil
	case e.dir:
		return f.tree.directory(e.path, dirMode(e.mode))
	case f.keep != nil && f.keep(ordinal):
		f.done.Add(e.size)
		return nil
	}
	// The directory stands before its files in the tar; that of a tablespace does not.
	if parent := path.Dir(e.path); parent != "." && !f.tree.made[parent] {
		mode := dirMode(e.mode)
		if e.mode&0o040 != 0 {
			mode |= 0o010
		}
		if err := f.tree.directory(parent, mode); err != nil {
			return err
		}
	}
	file := &file{entry: e, tree: f.tree}
	if f.hold != nil && f.hold(e.path) {
		if e.size > maxHeld {
			return fmt.Errorf("%w: %s has %d bytes", repo.ErrDamaged, e.path, e.size)
		}
		file.held = make([]byte, e.size)
		f.held[e.path] = file
	}
	file.left.Store(1)
	f.fetched += e.size
	return f.add(ctx, file)
}

// add cuts a file at the ends of runs.
func (f *filling) add(ctx context.Context, file *file) error {
	at, end := file.offset, file.offset+file.size
	if at == end {
		file.left.Add(1)
		f.open.pieces = append(f.open.pieces, piece{file, at, at})
		if f.open.last == 0 && len(f.open.pieces) == emptyFiles {
			if err := f.flush(ctx); err != nil {
				return err
			}
		}
	}
	for at < end {
		chunk := f.chunkAt(at)
		// A chunk between that nobody needs is not read, and a run has its limit.
		if f.open.last > 0 && (chunk > f.open.last || chunk > f.limit(f.open.first)) {
			if err := f.flush(ctx); err != nil {
				return err
			}
		}
		if f.open.last == 0 {
			f.open.first = chunk
		}
		limit := f.index.Chunks[f.limit(f.open.first)]
		to := min(end, limit.From+limit.Plain)
		file.left.Add(1)
		f.open.pieces = append(f.open.pieces, piece{file, at, to})
		f.open.last = f.chunkAt(to-1) + 1
		f.files[file] = true
		at = to
	}
	delete(f.files, file)
	return file.release()
}

// limit is the last chunk of a run that begins with first.
func (f *filling) limit(first int) int {
	return min(f.chunkAt(f.index.Chunks[first].From+runBytes-1), len(f.index.Chunks)-1)
}

// chunkAt is the chunk that holds a byte of the stream.
func (f *filling) chunkAt(at int64) int {
	chunks := f.index.Chunks
	return sort.Search(len(chunks), func(i int) bool { return chunks[i].From+chunks[i].Plain > at })
}

// flush gives the run to a worker.
func (f *filling) flush(ctx context.Context) error {
	r := f.open
	f.open = run{}
	if len(r.pieces) == 0 {
		return nil
	}
	select {
	case f.runs <- r:
		return nil
	case <-ctx.Done():
		for _, p := range r.pieces {
			p.file.abandon()
		}
		return context.Cause(ctx)
	}
}

// read fetches a run with one request for each object and writes its pieces.
func (f *filling) read(ctx context.Context, r run, buffer []byte) error {
	var body io.Reader
	at, end := int64(-1), int64(-1)
	for _, p := range r.pieces {
		if p.from < p.to {
			if at < 0 {
				at = p.from
			}
			end = p.to
		}
	}
	if at >= 0 {
		stream, err := f.point.Range(ctx, f.index, at, end)
		if err != nil {
			return err
		}
		defer stream.Close()
		body = stream
	}
	for _, p := range r.pieces {
		if err := p.file.open(); err != nil {
			return fmt.Errorf("write %s: %w", p.file.path, err)
		}
		if p.from < p.to {
			if _, err := io.CopyN(io.Discard, body, p.from-at); err != nil {
				return cut(err)
			}
			into := &crcWriter{file: p.file, at: p.from - p.file.offset}
			if _, err := io.CopyBuffer(into, io.LimitReader(body, p.to-p.from), buffer); err != nil {
				return fmt.Errorf("write %s: %w", p.file.path, cut(err))
			}
			if into.at != p.to-p.file.offset {
				return fmt.Errorf("write %s: %w", p.file.path, cut(io.ErrUnexpectedEOF))
			}
			p.file.wrote(p.from-p.file.offset, p.to-p.from, into.sum)
			f.done.Add(p.to - p.from)
			at = p.to
		}
		if err := p.file.release(); err != nil {
			return fmt.Errorf("%s: %w", f.point.Ref(), err)
		}
	}
	return nil
}

// cut says that the stream of the repository ended before it should.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: its stream ends too early: %w", repo.ErrDamaged, err)
	}
	return err
}
