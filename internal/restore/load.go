package restore

import (
	"context"
	"fmt"
	"sort"

	"golang.org/x/sync/errgroup"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// defaultPiece is the least that is worth a loader of its own, in plain bytes.
const defaultPiece = 64 << 20

// piece is a range of one table's data for one loader.
type piece struct {
	entry    *pgarchive.Entry
	from, to int64 // archive offsets; from is the entry's start for its first piece
	first    bool
}

// pieces cuts the tables' data so that Jobs loaders end at about the same time:
// a table larger than its share is loaded by several. Largest first.
func (r *run) pieces() []piece {
	entries := make(map[int32]*pgarchive.Entry, len(r.toc.Entries))
	for i := range r.toc.Entries {
		entries[r.toc.Entries[i].DumpID] = &r.toc.Entries[i]
	}
	share := max(r.index.Size()/int64(4*r.Jobs), r.pieceSize)
	var all []piece
	for _, e := range r.index.Entries {
		if r.records[int32(e.DumpID)].LargeObjects {
			continue
		}
		n := int((e.To - e.From + share - 1) / share)
		for i, part := range r.index.Split(e.From, e.To, n) {
			all = append(all, piece{entry: entries[int32(e.DumpID)], from: part[0], to: part[1], first: i == 0})
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].to-all[i].from > all[j].to-all[j].from })
	return all
}

// load copies all tables into the database, Jobs pieces at once, each on a
// connection of its own.
func (r *run) load(ctx context.Context) error {
	all := r.pieces()
	return r.parallel(ctx, len(all), func(ctx context.Context, s *session, i int) error {
		return r.loadPiece(ctx, s, all[i])
	})
}

func (r *run) loadPiece(ctx context.Context, s *session, p piece) error {
	body, err := r.point.Range(ctx, r.index, p.from, p.to)
	if err != nil {
		return err
	}
	defer body.Close()
	if p.first {
		if err := pgarchive.SkipDataHeader(body, r.toc.Header, p.entry.DumpID); err != nil {
			return fmt.Errorf("table %s.%s: %w", p.entry.Namespace, p.entry.Tag, err)
		}
	}
	// What the server says when its input fails is no news.
	keeper := &errorKeeper{r: pgarchive.Deframe(body, r.toc.Header)}
	_, err = postgres.CopyIn(ctx, s.conn, p.entry.CopyStmt, &counting{r: keeper, n: &r.Progress.Loaded})
	if keeper.err != nil {
		err = keeper.err
	}
	if err != nil {
		return fmt.Errorf("load table %s.%s: %w", p.entry.Namespace, p.entry.Tag, err)
	}
	return nil
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
