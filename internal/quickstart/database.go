package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

const (
	database         = "app"
	restoredDatabase = "app_restored"
	plainDatabase    = "app_from_cat"

	// passwordVariable holds the password; only its name is written anywhere.
	passwordVariable = "APP_DB_PASSWORD"
	// accounts in units of pgbench's scale: 100,000 rows each.
	accounts = 2
)

func (t *tour) startServer(ctx context.Context) error {
	server, err := testenv.StartPostgres(ctx, "", testenv.PostgresOptions{})
	if err != nil {
		return err
	}
	t.server = server
	// The programs of the server's own version come first, here and for children.
	if err := os.Setenv("PATH", server.Bin+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
		return err
	}
	t.env = append(t.env, passwordVariable+"="+server.Password)
	for _, e := range server.Env() {
		// The runner gets the rest from the job file; this is for createdb and pg_restore.
		if !strings.HasPrefix(e, "PGDATABASE=") {
			t.env = append(t.env, e)
		}
	}
	t.say("PostgreSQL %d runs on %s, with its files in %s. It is gone at the end.", server.Major, server.Addr(), server.Dir)
	if err := t.exec(ctx, "postgres", "CREATE DATABASE "+database+" TEMPLATE template0"); err != nil {
		return err
	}
	if err := server.LoadSample(ctx, database); err != nil {
		return err
	}
	if err := server.PgBench(ctx, database, accounts); err != nil {
		return err
	}
	tables, rows, err := t.count(ctx, database)
	if err != nil {
		return err
	}
	t.say("Database %s has pgbench's tables and a schema with all that breaks naive tools: quoted and Unicode", database)
	t.say("names, partitions, large objects, arrays, generated columns, row-level security, triggers, roles, …")
	t.say("%d tables, %s rows.", tables, thousands(rows))
	return nil
}

// stopServer ends the server; repeating it does nothing.
func (t *tour) stopServer() error {
	if t.server == nil {
		return nil
	}
	server := t.server
	t.server = nil
	return server.Stop()
}

// changes is what happens between the two backups. A dump holds the definition of
// a materialized view, not its rows: a restore computes them anew, so they are
// brought up to date here.
var changes = []string{
	"INSERT INTO shop.orders (customer_id, total, note) SELECT 1000 + 10 * g, 49.90, 'placed after the first backup' FROM generate_series(1, 200) g",
	"UPDATE shop.customers SET name = upper(name) WHERE id < 2000",
	"DELETE FROM pgbench_accounts WHERE aid % 100 = 0",
	"CREATE TABLE shop.reviews AS SELECT id AS order_id, 5 AS stars FROM shop.orders",
	"REFRESH MATERIALIZED VIEW code.totals",
	"REFRESH MATERIALIZED VIEW code.top_totals",
}

func (t *tour) changeData(ctx context.Context) error {
	for _, sql := range changes {
		t.say("%s=# %s;", database, sql)
	}
	// The start of a recovery point, which orders them, counts whole seconds.
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return t.exec(ctx, database, changes...)
}

func (t *tour) exec(ctx context.Context, db string, statements ...string) error {
	conn, err := pgx.Connect(ctx, t.server.URL(db))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// compare holds a restored database against the original, without any code of
// the product.
func (t *tour) compare(ctx context.Context, restored string) error {
	diff, err := testenv.CompareDatabases(ctx, t.server, database, t.server, restored)
	if err != nil {
		return fmt.Errorf("compare %s with %s: %w", restored, database, err)
	}
	if diff != "" {
		return fmt.Errorf("database %s is not equal to %s: %s", restored, database, diff)
	}
	tables, rows, err := t.count(ctx, restored)
	if err != nil {
		return err
	}
	fmt.Fprintln(t.out)
	t.say("Compared %s with %s by plain SQL and pg_dump --schema-only, without the runner:", restored, database)
	t.say("equal. %d tables, %s rows, all sequences, large objects and definitions.", tables, thousands(rows))
	return nil
}

// count returns the number of tables that hold data themselves, and their rows.
func (t *tour) count(ctx context.Context, db string) (tables int, rows int64, err error) {
	conn, err := pgx.Connect(ctx, t.server.URL(db))
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close(ctx)
	list, err := conn.Query(ctx, `SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'`)
	if err != nil {
		return 0, 0, fmt.Errorf("list the tables of %s: %w", db, err)
	}
	names, err := pgx.CollectRows(list, pgx.RowTo[string])
	if err != nil {
		return 0, 0, fmt.Errorf("list the tables of %s: %w", db, err)
	}
	for _, name := range names {
		var n int64
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM ONLY "+name).Scan(&n); err != nil {
			return 0, 0, fmt.Errorf("count the rows of %s: %w", name, err)
		}
		rows += n
	}
	return len(names), rows, nil
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
