package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// fanout reads pg_dump once and feeds three: our archive reader, pg_restore as
// the reference reader, and the repository's stream. All share the same chunk
// buffers, so nothing is copied but the tail of a chunk.
//
//	pg_dump ── read ──> chunk buffer ─┬─> archive reader (in place)
//	                                  ├─> feed ──> pg_restore --file=/dev/null
//	                                  └─> stream: compress, seal, store
//
// The first failure ends all: the context is cancelled, which kills both
// children, and its cause is what the user reads: the failing tool's own words
// and not the broken pipe it caused elsewhere.
type fanout struct {
	ctx      context.Context
	fail     context.CancelCauseFunc
	dump     *postgres.Process
	check    *postgres.Process
	archive  *pgarchive.Reader
	stream   *repo.StreamWriter
	progress *point.Progress
	feed     chan piece
	fed      atomic.Int64 // bytes pg_restore took: a sign of life
}

// piece is a part of a chunk buffer on its way to pg_restore.
type piece struct {
	buf  *repo.Buffer
	data []byte
}

// feedSize is how many bytes go to pg_restore at once: enough that the hand-over
// costs nothing, little enough that it works while the chunk still fills.
const feedSize = 256 << 10

func (f *fanout) run() ([]repo.Chunk, error) {
	checked := make(chan struct{})
	go func() {
		defer close(checked)
		f.feedReference()
	}()
	if err := f.read(); err != nil {
		f.fail(err)
	}
	close(f.feed)
	<-checked
	if f.ctx.Err() != nil {
		f.stream.Fail(context.Cause(f.ctx))
		f.dump.Kill()
		f.dump.Stdout.Close()
		_ = f.dump.Wait() // the cause is known
	}
	chunks, err := f.stream.Close()
	if cause := context.Cause(f.ctx); cause != nil {
		return nil, cause
	}
	return chunks, err
}

// read pulls pg_dump's output into chunks until its end, and waits for it.
func (f *fanout) read() error {
	buf, err := f.stream.Buffer()
	if err != nil {
		return err
	}
	var from int64 // stream offset of buf's first byte
	row := false   // buf begins at a cut that begins a row
	fed := 0       // bytes of buf already on their way to pg_restore
	hand := func() error {
		p := piece{buf, buf.Bytes[fed:len(buf.Bytes):len(buf.Bytes)]}
		fed = len(buf.Bytes)
		return f.hand(p)
	}
	for {
		n, readErr := f.dump.Stdout.Read(buf.Bytes[len(buf.Bytes):cap(buf.Bytes)])
		fresh := buf.Bytes[len(buf.Bytes) : len(buf.Bytes)+n]
		buf.Bytes = buf.Bytes[:len(buf.Bytes)+n]
		if _, err := f.archive.Write(fresh); err != nil {
			buf.Release()
			return f.explain(err)
		}
		f.progress.Plain.Add(int64(n))
		f.progress.Stored.Store(f.stream.Stored.Load())
		full := len(buf.Bytes) == cap(buf.Bytes)
		if len(buf.Bytes)-fed >= feedSize || full || readErr != nil {
			if err := hand(); err != nil {
				buf.Release()
				return err
			}
		}
		if readErr != nil {
			if err := f.ended(readErr); err != nil {
				buf.Release()
				return err
			}
			return f.stream.Add(buf, row)
		}
		if !full {
			continue
		}
		next, err := f.stream.Buffer()
		if err != nil {
			buf.Release()
			return err
		}
		// Cut where a row begins, unless that would waste most of the chunk
		// (one huge row, or a huge table of contents).
		cut, nextRow := int(f.archive.LastBoundary()-from), true
		if cut < cap(buf.Bytes)/2 {
			cut, nextRow = len(buf.Bytes), f.archive.LastBoundary() == from+int64(len(buf.Bytes))
		}
		next.Bytes = append(next.Bytes[:0], buf.Bytes[cut:]...)
		buf.Bytes = buf.Bytes[:cut]
		if err := f.stream.Add(buf, row); err != nil {
			next.Release()
			return err
		}
		buf, row, fed = next, nextRow, len(next.Bytes)
		from += int64(cut)
	}
}

func (f *fanout) hand(p piece) error {
	if len(p.data) == 0 {
		return nil
	}
	p.buf.Retain()
	select {
	case f.feed <- p:
		return nil
	case <-f.ctx.Done():
		p.buf.Release()
		return context.Cause(f.ctx)
	}
}

// ended is called when pg_dump's output ended: only its exit code says whether
// that was the end of the archive.
func (f *fanout) ended(readErr error) error {
	if err := f.dump.Wait(); err != nil {
		if f.ctx.Err() != nil {
			return context.Cause(f.ctx)
		}
		return err
	}
	if !errors.Is(readErr, io.EOF) {
		return fmt.Errorf("read from pg_dump: %w", readErr)
	}
	if err := f.archive.Close(); err != nil {
		return fmt.Errorf("check pg_dump's archive: %w", err)
	}
	return nil
}

// explain says what the archive reader found: a fault of the archive, or what an
// event of ours returned.
func (f *fanout) explain(err error) error {
	if f.ctx.Err() != nil {
		return context.Cause(f.ctx)
	}
	for _, fault := range []error{pgarchive.ErrCorrupt, pgarchive.ErrTruncated, pgarchive.ErrNotArchive} {
		if errors.Is(err, fault) {
			return fmt.Errorf("check pg_dump's archive: %w", err)
		}
	}
	return err
}

// feedReference gives pg_restore everything and waits for its verdict.
func (f *fanout) feedReference() {
	var broken error
	for p := range f.feed {
		if broken == nil && f.ctx.Err() == nil {
			var n int
			n, broken = f.check.Stdin.Write(p.data)
			f.fed.Add(int64(n))
			if broken != nil {
				// It stopped reading: its own words say why.
				err := f.check.Wait()
				if err == nil {
					err = fmt.Errorf("pg_restore stopped reading: %w", broken)
				}
				f.fail(fmt.Errorf("the reference reader refused the archive: %w", err))
			}
		}
		p.buf.Release()
	}
	f.check.Stdin.Close()
	if f.ctx.Err() != nil {
		f.check.Kill()
	}
	if err := f.check.Wait(); err != nil && broken == nil && f.ctx.Err() == nil {
		f.fail(fmt.Errorf("the reference reader refused the archive: %w", err))
	}
}
