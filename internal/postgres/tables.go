package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Table is one table whose data the dump has.
type Table struct {
	OID    uint32
	Schema string
	Name   string
	// Bytes is the size on disk with TOAST and without indexes: an estimate for
	// progress, not the size of its COPY text.
	Bytes int64
}

// String is the name quoted as SQL wants it.
func (t Table) String() string { return quoteIdent(t.Schema, t.Name) }

// Skipped is a table whose definition is dumped and whose data can not be.
type Skipped struct {
	Table  Table
	Reason string
}

// Server is what was learnt of server and database at connection.
type Server struct {
	Major   int
	Version string // as server_version tells: "15.6 (Debian 15.6-0+deb12u1)"
	// SystemIdentifier is the cluster's, "" where the role may not read it.
	SystemIdentifier string
	InRecovery       bool      // a standby
	Clock            time.Time // the server's, at the snapshot
	Encoding         string    // of the database, such as UTF8
	DatabaseBytes    int64     // pg_database_size; 0 where the role may not know
}

// relation is a table that the dump has or a partitioned one that it locks.
type relation struct {
	Table
	kind     string // r or p
	unlogged bool
}

// listRelations lists what is dumped: ordinary and partitioned tables.
func (r *selected) listRelations(ctx context.Context, conn *pgx.Conn) ([]relation, error) {
	rows, err := conn.Query(ctx, `SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.relpersistence = 'u'
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND `+dumpedCondition+`
ORDER BY c.oid`, r.args()...)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (relation, error) {
		var rel relation
		err := row.Scan(&rel.OID, &rel.Schema, &rel.Name, &rel.kind, &rel.unlogged)
		return rel, err
	})
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	return list, nil
}

// addSizes fills Bytes. The tables must be locked: pg_table_size opens them and
// would wait without limit for one that somebody else has locked.
func addSizes(ctx context.Context, conn *pgx.Conn, tables []Table) error {
	index := make(map[uint32]int, len(tables))
	oids := make([]uint32, len(tables))
	for i, t := range tables {
		index[t.OID], oids[i] = i, t.OID
	}
	rows, err := conn.Query(ctx, "SELECT o, coalesce(pg_catalog.pg_table_size(o::pg_catalog.regclass), 0) FROM pg_catalog.unnest($1::oid[]) AS o", oids)
	if err != nil {
		return fmt.Errorf("read the sizes of tables: %w", err)
	}
	var oid uint32
	var size int64
	_, err = pgx.ForEachRow(rows, []any{&oid, &size}, func() error {
		tables[index[oid]].Bytes = size
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the sizes of tables: %w", err)
	}
	return nil
}

// readServer asks for what does not depend on a snapshot.
func readServer(ctx context.Context, conn *pgx.Conn) (Server, error) {
	s := Server{Major: serverMajor(conn), Version: conn.PgConn().ParameterStatus("server_version")}
	err := conn.QueryRow(ctx, `SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.clock_timestamp(),
  (SELECT pg_catalog.pg_encoding_to_char(encoding) FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`).
		Scan(&s.InRecovery, &s.Clock, &s.Encoding)
	if err != nil {
		return s, fmt.Errorf("ask the server about itself: %w", err)
	}
	// The rest is welcome and may be denied.
	_ = conn.QueryRow(ctx, "SELECT system_identifier::text FROM pg_catalog.pg_control_system()").Scan(&s.SystemIdentifier)
	_ = conn.QueryRow(ctx, "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())").Scan(&s.DatabaseBytes)
	if conn.IsClosed() {
		return s, fmt.Errorf("ask the server about itself: the connection was lost")
	}
	return s, nil
}
