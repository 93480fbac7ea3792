package swap_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/swap"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func target(t *testing.T, url string) postgres.Target {
	t.Helper()
	to, err := postgres.ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// old makes a database with one row that says so.
func old(t *testing.T, pg *testenv.PostgresServer, name string) {
	t.Helper()
	pg.CreateDatabase(t, name)
	pg.Exec(t, name, "CREATE TABLE is_it (what text)", "INSERT INTO is_it VALUES ('old')")
}

// fill makes a database with one row that says it is new.
func fill(ctx context.Context, to postgres.Target) error {
	if err := postgres.CreateDatabase(ctx, to.WithDatabase("template1"), to.Database, postgres.DatabaseProperties{}); err != nil {
		return err
	}
	return execute(ctx, to, "CREATE TABLE is_it (what text); INSERT INTO is_it VALUES ('new')")
}

func execute(ctx context.Context, to postgres.Target, sql string) error {
	conn, err := to.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// is asks a database what it is, and whether its owner can write to it.
func is(t *testing.T, pg *testenv.PostgresServer, name string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pg.URL(name))
	if err != nil {
		t.Fatalf("database %s does not answer: %v", name, err)
	}
	defer conn.Close(t.Context())
	var what string
	if err := conn.QueryRow(t.Context(), "SELECT string_agg(what, ',') FROM is_it").Scan(&what); err != nil {
		t.Fatal(err)
	}
	return what
}

// databases are those of a server beside its own.
func databases(t *testing.T, pg *testenv.PostgresServer) []string {
	t.Helper()
	rows, err := pg.Connect(t, "template1").Query(t.Context(), "SELECT datname::text FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func wantDatabases(t *testing.T, pg *testenv.PostgresServer, want ...string) {
	t.Helper()
	if got := strings.Join(databases(t, pg), " "); got != strings.Join(want, " ") {
		t.Errorf("there are databases %s, want %s", got, strings.Join(want, " "))
	}
}

func wantError(t *testing.T, err error, is error, words ...string) {
	t.Helper()
	if !errors.Is(err, is) {
		t.Errorf("%v, want %v", err, is)
	}
	for _, w := range words {
		if err != nil && !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
}

var moment = time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)

const before = "app_before_20260301t020000z"

func now() time.Time { return moment }

func options(t *testing.T, pg *testenv.PostgresServer) swap.Options {
	return swap.Options{Target: target(t, pg.URL("app")), Fill: fill, Now: now}
}
