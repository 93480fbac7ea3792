package backup

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// dumped is what is known of an archive that was read to its end and stored.
type dumped struct {
	index      *repo.Index
	data       []*pgarchive.Data
	extensions []string // that the database uses
}

// dump takes locks and snapshot and runs pg_dump through the fan-out.
func (r *run) dump(ctx context.Context) (d *dumped, err error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var dump *postgres.Process
	if err := r.point.Timed("locking", func() (err error) { dump, err = r.startDump(ctx, fail); return err }); err != nil {
		return nil, err
	}
	defer r.snapshot.Release() //nolint:errcheck // when it matters it was released before, see tocArrived
	err = r.point.Timed("dumping", func() (err error) { d, err = r.fanOut(ctx, fail, dump); return err })
	return d, err
}

// startDump locks, exports the snapshot and starts pg_dump in it, until pg_dump
// begins to write.
func (r *run) startDump(ctx context.Context, fail context.CancelCauseFunc) (*postgres.Process, error) {
	limit := r.LockTimeout + r.StallTimeout
	hung := time.AfterFunc(limit, func() {
		fail(fmt.Errorf("%w: pg_dump did not begin to write for %s: the server or the network hangs", point.ErrStalled, limit))
	})
	defer hung.Stop()
	snapshot, dump, err := postgres.StartDump(ctx, r.tools, r.Target, r.Selection,
		postgres.SnapshotOptions{LockTimeout: r.LockTimeout, Logger: r.Log},
		postgres.DumpOptions{LockWait: min(r.LockTimeout, dumpLockWait)})
	if err != nil {
		return nil, err
	}
	r.snapshot = snapshot
	r.point.ServerAsked(r.Clock())
	r.Progress.Expected.Store(snapshot.Server.DatabaseBytes)
	for _, s := range snapshot.Skipped {
		r.point.Skip("data of table "+s.Table.String(), s.Reason)
	}
	return dump, nil
}

// fanOut reads the archive to its end, checks it and stores it.
func (r *run) fanOut(ctx context.Context, fail context.CancelCauseFunc, dump *postgres.Process) (*dumped, error) {
	check, err := postgres.RestoreCheck(ctx, r.tools)
	if err != nil {
		dump.Kill()
		dump.Stdout.Close()
		_ = dump.Wait() // it was killed
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
			r.Progress.Item.Store(&name)
			return nil
		},
	})
	stop := r.watch(ctx, fail, f)
	defer stop()
	chunks, err := f.run()
	if err != nil {
		return nil, err
	}
	r.Progress.Item.Store(nil)
	return &dumped{data: f.archive.Data(), index: logical.MakeIndex(f.archive, chunks), extensions: logical.Extensions(f.archive.TOC())}, nil
}

// tocArrived compares pg_dump's list with what we locked, then lets go of our
// locks: with the table of contents written, pg_dump holds its own.
//
// A table that pg_dump dumps and we had not locked could have been truncated
// between the snapshot and pg_dump's lock; its dump would be empty and look fine.
func (r *run) tocArrived(toc *pgarchive.TOC) error {
	locked := make(map[uint32]postgres.Table, len(r.snapshot.Tables))
	for _, t := range r.snapshot.Tables {
		locked[t.OID] = t
	}
	for _, e := range toc.Entries {
		if e.Desc != "TABLE DATA" {
			continue
		}
		t, ok := locked[e.OID]
		if !ok || ascii(t.Schema+t.Name+e.Namespace+e.Tag) && (t.Schema != e.Namespace || t.Name != e.Tag) {
			return fmt.Errorf("pg_dump dumps %s.%s, which was not locked before the snapshot: its data might be incomplete; please report this with the table's definition", e.Namespace, e.Tag)
		}
		delete(locked, e.OID)
	}
	for _, t := range locked {
		return fmt.Errorf("pg_dump left out the data of table %s (%d tables in all), although it is selected: nothing is stored that is not complete; is %s really PostgreSQL's own program?", t, len(locked), r.tools.Dump)
	}
	// Only a connection that still answers had its locks until now.
	if err := r.snapshot.Release(); err != nil {
		return fmt.Errorf("a TRUNCATE may have come between the snapshot and pg_dump's own locks: %w", err)
	}
	return nil
}

// ascii tells whether a name reads the same in every encoding of a server.
func ascii(name string) bool {
	return strings.IndexFunc(name, func(r rune) bool { return r >= 0x80 }) < 0
}
