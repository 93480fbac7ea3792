package backup

import (
	"context"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// dumped is what is known of an archive that was read to its end and stored.
type dumped struct {
	index *repo.Index
	data  []*pgarchive.Data
}

// dump runs pg_dump through the fan-out.
func (r *run) dump(ctx context.Context) (*dumped, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	dump, err := postgres.Dump(ctx, r.tools, r.Target, postgres.DumpOptions{SnapshotID: r.snapshot.ID, Selection: r.Selection, LockWait: r.LockTimeout})
	if err != nil {
		return nil, err
	}
	check, err := postgres.RestoreCheck(ctx, r.tools)
	if err != nil {
		dump.Kill()
		dump.Wait()
		return nil, err
	}
	f := &fanout{
		ctx: ctx, fail: fail, dump: dump, check: check, progress: r.Progress,
		stream: r.point.Stream(ctx, logical.StreamArchive, compressors),
		feed:   make(chan piece, 64),
	}
	f.archive = pgarchive.NewReader(pgarchive.Events{
		TOC: r.tocArrived,
		Begin: func(d *pgarchive.Data) error {
			name := d.Entry.Namespace + "." + d.Entry.Tag
			r.Progress.Table.Store(&name)
			return nil
		},
	})
	stop := r.watch(ctx, fail, f)
	defer stop()
	chunks, err := f.run()
	if err != nil {
		return nil, err
	}
	r.Progress.Table.Store(nil)
	return &dumped{data: f.archive.Data(), index: logical.MakeIndex(f.archive, chunks)}, nil
}

// tocArrived compares pg_dump's list with what we locked, then lets go of our
// locks: with the table of contents written, pg_dump holds its own.
//
// A table that pg_dump dumps and we had not locked could have been truncated
// between the snapshot and pg_dump's lock; its dump would be empty and look fine.
func (r *run) tocArrived(toc *pgarchive.TOC) error {
	locked := make(map[uint32]string, len(r.snapshot.Tables))
	for _, t := range r.snapshot.Tables {
		locked[t.OID] = t.String()
	}
	for _, e := range toc.Entries {
		if e.Desc != "TABLE DATA" {
			continue
		}
		if _, ok := locked[e.OID]; !ok {
			return fmt.Errorf("pg_dump dumps %s.%s, which was not locked before the snapshot: its data might be incomplete; please report this with the table's definition", e.Namespace, e.Tag)
		}
		delete(locked, e.OID)
	}
	for _, name := range locked {
		r.skip("data of table "+name, "pg_dump left it out")
		r.warn("pg_dump left out the data of table %s", name)
	}
	return r.snapshot.Release()
}
