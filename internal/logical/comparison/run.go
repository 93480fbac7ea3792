package comparison

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// Run reads everything back that the backup has data of and holds it against the
// backup's records. Differences are no error: an error says that the comparison
// could not be done. Nothing may write to the database meanwhile.
func Run(ctx context.Context, o Options) (Result, error) {
	if o.Jobs <= 0 {
		o.Jobs = defaultJobs
	}
	c := &run{Options: o}
	pool := newSessions(o.Target, o.Encoding, o.Jobs)
	defer pool.close()
	tables := c.tables()
	err := parallel.Each(ctx, o.Jobs, len(tables), func(ctx context.Context, i int) error {
		return pool.with(ctx, func(conn *pgx.Conn) error { return c.together(ctx, conn, tables[i]) })
	})
	if err != nil {
		return Result{}, err
	}
	if err := pool.with(ctx, func(conn *pgx.Conn) error { return c.rest(ctx, conn) }); err != nil {
		return Result{}, err
	}
	return c.found.sorted(), nil
}

// rest compares what is not the rows of a table.
func (c *run) rest(ctx context.Context, conn *pgx.Conn) error {
	for _, compare := range []func(context.Context, *pgx.Conn) error{c.largeObjects, c.sequences, c.extraTables} {
		if err := compare(ctx, conn); err != nil {
			return err
		}
	}
	return nil
}

type run struct {
	Options
	found findings
}

func (c *run) skipped(e *pgarchive.Entry) bool { return c.Skip != nil && c.Skip(e) }

// tables lists the entries with rows to compare, the largest first, so that no
// session is left alone with one at the end. Partitions that are loaded through the
// same table are together: which row is in which is the server's choice. What speaks
// of data that has no proof, or the other way round, is a difference: it would pass
// unseen.
func (c *run) tables() [][]*pgarchive.Entry {
	var list [][]*pgarchive.Entry
	through := map[string]int{} // COPY statement of a partitioned table -> in list
	known := make(map[int32]bool, len(c.Records))
	for i := range c.TOC.Entries {
		e := &c.TOC.Entries[i]
		known[e.DumpID] = true
		if c.skipped(e) {
			continue
		}
		rec, proven := c.Records[e.DumpID]
		switch {
		case proven && !rec.LargeObjects:
			if _, throughRoot := e.OwnCopy(); throughRoot {
				if i, ok := through[e.CopyStmt]; ok {
					list[i] = append(list[i], e)
					continue
				}
				through[e.CopyStmt] = len(list)
			}
			list = append(list, []*pgarchive.Entry{e})
		case e.HadDumper && !proven:
			c.found.differs(nameOf("data of", e.Namespace, e.Tag), "the backup's table list does not have it")
		}
	}
	for id, rec := range c.Records {
		if !known[id] {
			c.found.differs(nameOf("table", rec.Schema, rec.Table), "the backup's archive does not have it, its table list does")
		}
	}
	slices.SortStableFunc(list, func(a, b []*pgarchive.Entry) int {
		return cmp.Compare(c.Records[b[0].DumpID].Bytes, c.Records[a[0].DumpID].Bytes)
	})
	return list
}

// together compares the rows of a table, or of partitions that share theirs.
func (c *run) together(ctx context.Context, conn *pgx.Conn, group []*pgarchive.Entry) error {
	var records []logical.TableRecord
	var got pgarchive.Sum
	whole := true
	for _, e := range group {
		rec := c.Records[e.DumpID]
		stmt, _ := e.OwnCopy()
		sum, err := postgres.TableHash(ctx, conn, stmt)
		switch missing := notThere(err); {
		case missing != "":
			c.found.differs(nameOf("table", e.Namespace, e.Tag), missing)
			whole = false
		case err != nil:
			return fmt.Errorf("read back table %s.%s: %w", e.Namespace, e.Tag, err)
		}
		records = append(records, rec)
		got = got.Add(sum)
		c.found.count(func(r *Result) {
			r.Tables++
			r.Rows += rec.Rows
			r.Bytes += rec.Bytes
		})
		if c.Progress != nil {
			c.Progress.Add(rec.Bytes)
		}
	}
	want, err := logical.SumRecords(records)
	if err != nil {
		return err
	}
	if problem := contents(want, got, "row"); whole && problem != "" {
		name := nameOf("table", group[0].Namespace, group[0].Tag)
		if len(group) > 1 {
			problem = fmt.Sprintf("together with the %s that share rows with it, %s", plural(int64(len(group)-1), "partition"), problem)
		}
		c.found.differs(name, problem)
	}
	return nil
}

// contents says how what is there differs from its record, "" for not at all.
// The hash alone decides on contents: it does not depend on the order of rows.
func contents(want logical.TableRecord, got pgarchive.Sum, unit string) string {
	switch {
	case got.Rows != want.Rows:
		return fmt.Sprintf("it has %s, the backup has %s", plural(got.Rows, unit), plural(want.Rows, unit))
	case got.Bytes != want.Bytes || got.Hash.String() != want.Hash:
		return fmt.Sprintf("it has %s as the backup has, with other contents (%d bytes, hash %s; the backup has %d bytes, hash %s)",
			plural(got.Rows, unit), got.Bytes, got.Hash, want.Bytes, want.Hash)
	}
	return ""
}

func plural(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// largeObjects compares all large objects at once: newer pg_dumps spread them
// over several entries, and the hash does not depend on how.
func (c *run) largeObjects(ctx context.Context, conn *pgx.Conn) error {
	var records []logical.TableRecord
	for i := range c.TOC.Entries {
		e := &c.TOC.Entries[i]
		rec, ok := c.Records[e.DumpID]
		if !ok || !rec.LargeObjects {
			continue
		}
		if c.skipped(e) {
			return nil // the rest of them has no hash of its own
		}
		records = append(records, rec)
	}
	if len(records) == 0 && !c.Extra {
		return nil
	}
	want, err := logical.SumRecords(records)
	if err != nil {
		return err
	}
	got, err := postgres.LargeObjectHash(ctx, conn)
	if err != nil {
		return fmt.Errorf("read back large objects: %w", err)
	}
	c.found.count(func(r *Result) { r.LargeObjects = want.Rows })
	if problem := contents(want, got, "large object"); problem != "" {
		c.found.differs("large objects", problem)
	}
	return nil
}

// extraTables names the tables that the database has and the archive does not.
func (c *run) extraTables(ctx context.Context, conn *pgx.Conn) error {
	if !c.Extra {
		return nil
	}
	there, err := listTables(ctx, conn)
	if err != nil {
		return err
	}
	archived := map[string]bool{}
	for i := range c.TOC.Entries {
		if e := &c.TOC.Entries[i]; e.Desc == "TABLE" {
			archived[nameOf("table", e.Namespace, e.Tag)] = true
		}
	}
	for _, t := range there {
		if name := nameOf("table", t.schema, t.name); !archived[name] {
			c.found.differs(name, "the backup does not have it")
		}
	}
	return nil
}
