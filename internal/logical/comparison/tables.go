package comparison

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// table is one with rows of its own: partitioned tables have none.
type table struct {
	schema, name string
	columns      []column // without generated ones
	// shares is the partitioned table below which it is the server's choice which
	// partition a row is in: by hash of an enum that choice is another one in every
	// database. "" for all other tables.
	shares string
}

type column struct{ Name, Type string }

// copyStmt is what pg_dump would write into an archive for the table.
func (t table) copyStmt() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = pgx.Identifier{c.Name}.Sanitize()
	}
	list := ""
	if len(names) > 0 {
		list = " (" + strings.Join(names, ", ") + ")"
	}
	return "COPY " + pgx.Identifier{t.schema, t.name}.Sanitize() + list + " FROM stdin;"
}

// listTables lists the ordinary tables that no extension owns.
func listTables(ctx context.Context, conn *pgx.Conn) ([]table, error) {
	rows, err := conn.Query(ctx, `SELECT n.nspname, c.relname,
  coalesce((SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''), '{}'),
  coalesce((SELECT pg_catalog.array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''), '{}'),
  coalesce((SELECT (pg_catalog.array_agg(pn.nspname || '.' || pc.relname ORDER BY a.level DESC))[1] FROM pg_catalog.pg_partition_ancestors(c.oid) WITH ORDINALITY a(relid, level)
    JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = a.relid AND p.partstrat = 'h' JOIN pg_catalog.pg_class pc ON pc.oid = p.partrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace
    WHERE c.relispartition), '')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2`)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (table, error) {
		var t table
		var names, types []string
		if err := row.Scan(&t.schema, &t.name, &names, &types, &t.shares); err != nil {
			return t, err
		}
		for i := range names {
			t.columns = append(t.columns, column{names[i], types[i]})
		}
		return t, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	return list, nil
}
