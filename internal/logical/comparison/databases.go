package comparison

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

// Databases compares database b with database a: the rows of every table, where
// sequences stand, large objects. Tables that only one of them has are
// differences; the order of columns is not. Tables that belong to extensions,
// foreign tables and materialized views are left out. Every table is read at a
// moment of its own: nothing may write to either meanwhile.
func Databases(ctx context.Context, a, b postgres.Target, jobs int) (Result, error) {
	if jobs <= 0 {
		jobs = defaultJobs
	}
	c := &pair{names: [2]string{"the first database", "the second"}, shared: map[string][2]pgarchive.Sum{}}
	encoding, err := commonEncoding(ctx, a, b)
	if err != nil {
		return Result{}, err
	}
	pools := [2]*sessions{newSessions(a, encoding, jobs), newSessions(b, encoding, jobs)}
	defer pools[0].close()
	defer pools[1].close()
	var sides [2]contentsOf
	for i, pool := range pools {
		if err := pool.with(ctx, func(conn *pgx.Conn) (err error) {
			sides[i], err = readContents(ctx, conn)
			return err
		}); err != nil {
			return Result{}, err
		}
	}
	both := c.common(sides)
	err = parallel.Each(ctx, jobs, len(both), func(ctx context.Context, i int) error {
		var sums [2]pgarchive.Sum
		err := parallel.Each(ctx, 2, 2, func(ctx context.Context, side int) error {
			return pools[side].with(ctx, func(conn *pgx.Conn) (err error) {
				sums[side], err = postgres.TableHash(ctx, conn, both[i].copyStmt())
				return err
			})
		})
		if err != nil {
			return fmt.Errorf("read table %s.%s: %w", both[i].schema, both[i].name, err)
		}
		c.tables(both[i], sums)
		return nil
	})
	if err != nil {
		return Result{}, err
	}
	for name, sums := range c.shared {
		c.sums("partitions of table "+name, sums, "row")
	}
	c.sequences(sides)
	c.largeObjects(sides)
	return c.found.sorted(), nil
}

// commonEncoding is the encoding of both databases, or UTF8 where they differ.
func commonEncoding(ctx context.Context, a, b postgres.Target) (string, error) {
	var encodings [2]string
	for i, t := range [2]postgres.Target{a, b} {
		pool := newSessions(t, "", 1)
		defer pool.close()
		err := pool.with(ctx, func(conn *pgx.Conn) error {
			return conn.QueryRow(ctx, "SELECT pg_catalog.current_setting('server_encoding')").Scan(&encodings[i])
		})
		if err != nil {
			return "", fmt.Errorf("ask %s for its encoding: %w", t, err)
		}
	}
	if encodings[0] == encodings[1] {
		return encodings[0], nil
	}
	return "UTF8", nil
}

// contentsOf is what one of two databases has, apart from rows.
type contentsOf struct {
	tables    map[string]table
	sequences map[string]postgres.Sequence
	objects   pgarchive.Sum // large ones
}

func readContents(ctx context.Context, conn *pgx.Conn) (contentsOf, error) {
	there := contentsOf{tables: map[string]table{}, sequences: map[string]postgres.Sequence{}}
	tables, err := listTables(ctx, conn)
	if err != nil {
		return there, err
	}
	for _, t := range tables {
		there.tables[nameOf("table", t.schema, t.name)] = t
	}
	sequences, err := postgres.SequenceValues(ctx, conn)
	if err != nil {
		return there, err
	}
	for _, s := range sequences {
		there.sequences[nameOf("sequence", s.Schema, s.Name)] = s
	}
	if there.objects, err = postgres.LargeObjectHash(ctx, conn); err != nil {
		return there, err
	}
	return there, nil
}

// pair is a comparison of two databases.
type pair struct {
	names [2]string
	found findings

	mu     sync.Mutex
	shared map[string][2]pgarchive.Sum // of partitions together, by table.shares
}

// common are the tables that both have with the same columns; what only one of
// them has is told.
func (c *pair) common(sides [2]contentsOf) []table {
	var both []table
	for _, name := range unite(sides[0].tables, sides[1].tables) {
		a, inA := sides[0].tables[name]
		b, inB := sides[1].tables[name]
		switch {
		case !inA || !inB:
			c.onlyIn(name, inA)
		default:
			if problem := columnsDiffer(a, b); problem != "" {
				c.found.differs(name, problem)
				continue
			}
			both = append(both, a)
		}
	}
	return both
}

func unite[V any](a, b map[string]V) []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *pair) onlyIn(object string, first bool) {
	name := c.names[1]
	if first {
		name = c.names[0]
	}
	c.found.differs(object, "only "+name+" has it")
}

func (c *pair) tables(t table, sums [2]pgarchive.Sum) {
	c.found.count(func(r *Result) {
		r.Tables++
		r.Rows += sums[0].Rows
		r.Bytes += sums[0].Bytes
	})
	if t.shares != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		all := c.shared[t.shares]
		for i := range all {
			all[i] = all[i].Add(sums[i])
		}
		c.shared[t.shares] = all
		return
	}
	c.sums(nameOf("table", t.schema, t.name), sums, "row")
}

func (c *pair) sums(object string, sums [2]pgarchive.Sum, unit string) {
	switch {
	case sums[0].Rows != sums[1].Rows:
		c.found.differs(object, fmt.Sprintf("%s has %s, %s %s", c.names[0], plural(sums[0].Rows, unit), c.names[1], plural(sums[1].Rows, unit)))
	case sums[0] != sums[1]:
		c.found.differs(object, fmt.Sprintf("both have %s, with other contents (%d bytes, hash %s; %d bytes, hash %s)",
			plural(sums[0].Rows, unit), sums[0].Bytes, sums[0].Hash, sums[1].Bytes, sums[1].Hash))
	}
}

func (c *pair) sequences(sides [2]contentsOf) {
	for _, name := range unite(sides[0].sequences, sides[1].sequences) {
		a, inA := sides[0].sequences[name]
		b, inB := sides[1].sequences[name]
		switch {
		case !inA || !inB:
			c.onlyIn(name, inA)
			continue
		case a != b:
			c.found.differs(name, fmt.Sprintf("it is at %s in %s, at %s in %s", standing(a), c.names[0], standing(b), c.names[1]))
		}
		c.found.count(func(r *Result) { r.Sequences++ })
	}
}

func (c *pair) largeObjects(sides [2]contentsOf) {
	c.found.count(func(r *Result) { r.LargeObjects = sides[0].objects.Rows })
	c.sums("large objects", [2]pgarchive.Sum{sides[0].objects, sides[1].objects}, "large object")
}

// columnsDiffer says how, "" for not at all. The order of columns does not
// matter: a column that was dropped and made again is at the end.
func columnsDiffer(a, b table) string {
	var problems []string
	types := map[string]string{}
	for _, c := range b.columns {
		types[c.Name] = c.Type
	}
	for _, c := range a.columns {
		other, ok := types[c.Name]
		delete(types, c.Name)
		switch {
		case !ok:
			problems = append(problems, "only the first has column "+c.Name)
		case other != c.Type:
			problems = append(problems, fmt.Sprintf("column %s is %s in the first, %s in the second", c.Name, c.Type, other))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(types)) {
		problems = append(problems, "only the second has column "+name)
	}
	return strings.Join(problems, "; ")
}
