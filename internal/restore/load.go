package restore

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
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
	var mu sync.Mutex
	var again []piece
	err := r.parallel(ctx, len(all), func(ctx context.Context, s *session, i int) error {
		unheld, err := r.loadHolding(ctx, s, all[i])
		mu.Lock()
		defer mu.Unlock()
		again = append(again, unheld...)
		return err
	})
	if err != nil || len(again) == 0 {
		return err
	}
	return r.loadAgain(ctx, again)
}

// loadAgain loads tables whose checks did not hold, one after the other in the order
// of the archive, since they may need each other.
func (r *run) loadAgain(ctx context.Context, pieces []piece) error {
	slices.SortFunc(pieces, func(a, b piece) int { return cmp.Compare(a.from, b.from) })
	s, err := r.newSession(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	for {
		var unheld []piece
		var check error
		for _, p := range pieces {
			_, err := r.loadPiece(ctx, s, p)
			switch {
			case sqlState(err) == checkViolation:
				unheld, check = append(unheld, p), err
			case err != nil:
				return err
			}
		}
		if len(unheld) == 0 || len(unheld) == len(pieces) {
			return check
		}
		pieces = unheld
	}
}

// checkViolation is the code of a row that a CHECK refuses.
const checkViolation = "23514"

// loadHolding copies the tables of a piece, and returns those with a check that does
// not hold yet: its function may read a table that is loaded later.
func (r *run) loadHolding(ctx context.Context, s *session, p piece) (unheld []piece, err error) {
	for {
		n, err := r.loadPiece(ctx, s, p)
		if sqlState(err) != checkViolation {
			return unheld, err
		}
		unheld = append(unheld, piece{from: p.tables[n].from, to: p.tables[n].to, tables: p.tables[n : n+1]})
		if p.tables = p.tables[n+1:]; len(p.tables) == 0 {
			return unheld, nil
		}
		p.from = p.tables[0].from
	}
}

// loadPiece copies the tables of a piece; n is how many when it fails.
func (r *run) loadPiece(ctx context.Context, s *session, p piece) (n int, err error) {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	body, err := r.point.Range(reading, r.index, p.from, p.to)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	for i, table := range p.tables {
		part := io.LimitReader(body, table.to-table.from)
		err := r.loadTable(ctx, stop, s, table, part)
		if err == nil {
			_, err = io.Copy(io.Discard, part)
		}
		if err != nil {
			return i, fmt.Errorf("load table %s.%s: %w", table.entry.Namespace, table.entry.Tag, err)
		}
	}
	return len(p.tables), nil
}

// loadTable copies one table; stop ends the reading of part.
func (r *run) loadTable(ctx context.Context, stop func(), s *session, table span, part io.Reader) error {
	if table.first {
		if err := pgarchive.SkipDataHeader(part, r.toc.Header, table.entry.DumpID); err != nil {
			return err
		}
	}
	text := &guarded{r: &counting{r: pgarchive.Deframe(part, r.toc.Header), n: &r.Progress.Loaded}}
	_, err := postgres.CopyIn(ctx, s.conn, r.copyStmt(table.entry), text)
	if err == nil {
		return nil
	}
	if readErr := text.end(stop); readErr != nil {
		return readErr // what the server says when its input fails is no news
	}
	return err
}

// copyStmt loads a partition through the partitioned table only where that is
// restored too: it may be absent, or lead the rows into tables nobody selected.
func (r *run) copyStmt(e *pgarchive.Entry) string {
	own, _ := e.OwnCopy()
	for parent, ok := r.family.parentOf[r.family.host[e.DumpID]]; ok; parent, ok = r.family.parentOf[parent] {
		if r.chosen != nil && !r.chosen[parent] {
			return own
		}
	}
	return e.CopyStmt
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
