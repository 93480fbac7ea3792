package restore

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// load copies all tables into the database, Jobs pieces at once, each on a
// connection of its own.
func (r *run) load(ctx context.Context) error {
	all := r.pieces()
	return r.parallel(ctx, len(all), func(ctx context.Context, s *session, i int) error {
		return r.loadPiece(ctx, s, all[i])
	})
}

func (r *run) loadPiece(ctx context.Context, s *session, p piece) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	body, err := r.point.Range(reading, r.index, p.from, p.to)
	if err != nil {
		return err
	}
	defer body.Close()
	for _, table := range p.tables {
		part := io.LimitReader(body, table.to-table.from)
		err := r.loadTable(ctx, stop, s, table, part)
		if err == nil {
			_, err = io.Copy(io.Discard, part)
		}
		if err != nil {
			return fmt.Errorf("load table %s.%s: %w", table.entry.Namespace, table.entry.Tag, err)
		}
	}
	return nil
}

// loadTable copies one table; stop ends the reading of part.
func (r *run) loadTable(ctx context.Context, stop func(), s *session, table span, part io.Reader) error {
	if table.first {
		if err := pgarchive.SkipDataHeader(part, r.toc.Header, table.entry.DumpID); err != nil {
			return err
		}
	}
	text := &guarded{r: &counting{r: pgarchive.Deframe(part, r.toc.Header), n: &r.Progress.Loaded}}
	_, err := postgres.CopyIn(ctx, s.conn, table.entry.CopyStmt, text)
	if err == nil {
		return nil
	}
	if readErr := text.end(stop); readErr != nil {
		return readErr // what the server says when its input fails is no news
	}
	return err
}

// guarded can be closed under somebody who still reads: a COPY that failed
// returns while pgx may be waiting for its input in another goroutine.
type guarded struct {
	ended atomic.Bool
	mu    sync.Mutex // of one Read
	r     io.Reader
	err   error // why reading failed, before it was ended
}

func (g *guarded) Read(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended.Load() {
		return 0, io.ErrClosedPipe
	}
	n, err := g.r.Read(b)
	if err != nil && err != io.EOF && !g.ended.Load() {
		g.err = err
	}
	return n, err
}

// end interrupts a Read by stop, waits for it, and lets no other begin. It
// returns why reading had failed before.
func (g *guarded) end(stop func()) error {
	g.ended.Store(true)
	stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// parallel does n items on Jobs sessions.
func (r *run) parallel(ctx context.Context, n int, do func(ctx context.Context, s *session, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	next := make(chan int)
	group.Go(func() error {
		defer close(next)
		for i := range n {
			select {
			case next <- i:
			case <-ctx.Done():
				return nil
			}
		}
		return nil
	})
	for range min(r.Jobs, n) {
		group.Go(func() error {
			s, err := r.newSession(ctx)
			if err != nil {
				return err
			}
			defer s.close()
			for i := range next {
				if err := do(ctx, s, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
