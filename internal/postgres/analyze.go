package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// OwnTables are the tables and materialized views of a database whose rows are in it,
// quoted. ANALYZE without a list reads foreign tables as well, and ends at the first
// whose server is not reached; so does that of a parent of one.
func OwnTables(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, `WITH RECURSIVE above (parent) AS (
		SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class f ON f.oid = i.inhrelid WHERE f.relkind = 'f'
		UNION SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN above a ON i.inhrelid = a.parent
	) SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)
	FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.oid NOT IN (SELECT parent FROM above) ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("list the tables to analyze: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the tables to analyze: %w", err)
	}
	return tables, nil
}
