package restore

import (
	"context"
	"fmt"
	"io"
	"sort"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
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

// compare reads every table back and holds it against the backup's record.
func (r *run) compare(ctx context.Context) error {
	var tables []*pgarchive.Entry
	for i := range r.toc.Entries {
		e := &r.toc.Entries[i]
		if rec, ok := r.records[e.DumpID]; ok && !rec.LargeObjects {
			tables = append(tables, e)
		}
	}
	sort.SliceStable(tables, func(i, j int) bool {
		return r.records[tables[i].DumpID].Bytes > r.records[tables[j].DumpID].Bytes
	})
	err := r.parallel(ctx, len(tables), func(ctx context.Context, s *session, i int) error {
		sum, err := postgres.TableHash(ctx, s.conn, tables[i].CopyStmt)
		if err != nil {
			return fmt.Errorf("read back table %s.%s: %w", tables[i].Namespace, tables[i].Tag, err)
		}
		return differs("table "+tables[i].Namespace+"."+tables[i].Tag, r.records[tables[i].DumpID], sum)
	})
	if err != nil {
		return err
	}
	if err := r.compareRest(ctx); err != nil {
		return err
	}
	for _, rec := range r.records {
		if !rec.LargeObjects {
			r.result.Tables++
			r.result.Rows += rec.Rows
			r.result.Bytes += rec.Bytes
		}
	}
	return nil
}

func differs(what string, want logical.TableRecord, got pgarchive.Sum) error {
	if got.Rows == want.Rows && got.Bytes == want.Bytes && got.Hash.String() == want.Hash {
		return nil
	}
	return fmt.Errorf("%w: %s has %s, the backup has %d rows, %d bytes, hash %s", ErrDiffers, what, got, want.Rows, want.Bytes, want.Hash)
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
