package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// explainLock turns a failure while locking into the line that fixes it. The
// transaction was rolled back before.
func explainLock(ctx context.Context, conn *pgx.Conn, t Target, err error, waited time.Duration) error {
	var failed *lockError
	if !errors.As(err, &failed) {
		return fmt.Errorf("snapshot of %s: %w", t, err)
	}
	switch sqlState(err) {
	case "53200":
		return tooFewLocks(ctx, conn, t, err)
	case "57014", "55P03":
		if ctx.Err() == nil {
			return lockedBy(ctx, conn, t, failed, waited)
		}
	}
	return fmt.Errorf("snapshot of %s: %w", t, err)
}

// tooFewLocks computes the setting that is enough. The shared lock table has
// max_locks_per_transaction places for each connection and prepared transaction;
// a dump needs one a table, a few for the catalogs, and other sessions theirs.
func tooFewLocks(ctx context.Context, conn *pgx.Conn, t Target, cause error) error {
	var tables, slots int
	err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p')),
  pg_catalog.current_setting('max_connections')::int + pg_catalog.current_setting('max_prepared_transactions')::int`).Scan(&tables, &slots)
	if err != nil {
		return fmt.Errorf("snapshot of %s: %w", t, errors.Join(cause, err))
	}
	enough := 128
	for enough*slots < 2*tables {
		enough *= 2
	}
	return &reason{kind: ErrLockTableFull, cause: cause, text: fmt.Sprintf(
		"snapshot of %s: the server can not lock its %d tables at once: ALTER SYSTEM SET max_locks_per_transaction = %d; then restart the server", t, tables, enough)}
}

// lockedBy names a table that could not be locked and who holds it.
func lockedBy(ctx context.Context, conn *pgx.Conn, t Target, failed *lockError, waited time.Duration) error {
	oids := make([]uint32, len(failed.tables))
	for i, rel := range failed.tables {
		oids[i] = rel.OID
	}
	var schema, table, user, application string
	var pid int
	err := conn.QueryRow(ctx, `SELECT n.nspname, c.relname, l.pid, coalesce(a.usename, ''), coalesce(a.application_name, '')
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.relation = ANY ($1) AND l.pid IS NOT NULL
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
ORDER BY l.granted DESC, l.pid LIMIT 1`, oids).Scan(&schema, &table, &pid, &user, &application)
	text := fmt.Sprintf("snapshot of %s: tables could not be locked within %s", t, waited)
	if err == nil {
		text = fmt.Sprintf("snapshot of %s: table %s could not be locked within %s: process %d (user %s, application %q) holds or awaits an exclusive lock on it; wait for it or SELECT pg_terminate_backend(%d)",
			t, quoteIdent(schema, table), waited, pid, user, application, pid)
	}
	return &reason{kind: ErrLockTimeout, text: text, cause: failed}
}
