package swap_test

import (
	"context"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/swap"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// refused fails unless a run refuses, for all of the reasons, before any work.
func refused(t *testing.T, pg *testenv.PostgresServer, o swap.Options, words ...string) {
	t.Helper()
	have := databases(t, pg)
	o.Fill = func(context.Context, postgres.Target) error {
		t.Error("the work began")
		return nil
	}
	_, err := swap.Run(t.Context(), o)
	wantError(t, err, swap.ErrRefused, append(words, "nothing was done")...)
	_, err = swap.Examine(t.Context(), o)
	wantError(t, err, swap.ErrRefused, words...)
	wantDatabases(t, pg, have...)
}

func TestWhatIsTiedToADatabaseIsFoundBeforeAnyWorkAllAtOnce(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"wal_level": "logical", "max_prepared_transactions": "5"}})
	old(t, pg, "app")
	pg.Exec(t, "app", "SELECT pg_create_logical_replication_slot('feed', 'test_decoding')",
		"BEGIN; INSERT INTO is_it VALUES ('maybe'); PREPARE TRANSACTION 'it''s prepared'",
		"CREATE SUBSCRIPTION news CONNECTION 'host=127.0.0.1 port=1 dbname=none' PUBLICATION p WITH (connect = false)", "ALTER SUBSCRIPTION news SET (slot_name = 'news')", "ALTER SUBSCRIPTION news ENABLE")
	refused(t, pg, options(t, pg), "logical replication slots feed", "pg_drop_replication_slot", "prepared transactions 'it''s prepared'", "subscriptions news", "DISABLE")

	pg.Exec(t, "app", "SELECT pg_drop_replication_slot('feed')", "ROLLBACK PREPARED 'it''s prepared'", "ALTER SUBSCRIPTION news DISABLE")
	if _, err := swap.Run(t.Context(), options(t, pg)); err != nil {
		t.Error(err)
	}
}

func TestMissingRightsAreFoundBeforeAnyWork(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	old(t, pg, "app")
	pg.Exec(t, "postgres", "CREATE ROLE owner", "CREATE ROLE restorer LOGIN PASSWORD 'r'", "CREATE ROLE client LOGIN PASSWORD 'c'", "ALTER DATABASE app OWNER TO owner")
	pg.Connect(t, "app") // a superuser's
	session, err := target(t, pg.URLFor("client", "c", "app")).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close(context.Background())
	o := options(t, pg)
	o.Target = target(t, pg.URLFor("restorer", "r", "app"))
	refused(t, pg, o, `ALTER ROLE "restorer" CREATEDB`, `GRANT "owner" TO "restorer"`, "sessions of ", "client", "postgres", "pg_signal_backend")

	pg.Exec(t, "postgres", "ALTER ROLE restorer CREATEDB", "GRANT owner TO restorer", "GRANT pg_signal_backend TO restorer")
	refused(t, pg, o, "sessions of postgres are in it")
}

func TestWithNoMoreThanItsRightsARoleReplacesADatabase(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	old(t, pg, "app")
	pg.Exec(t, "postgres", "CREATE ROLE owner", "CREATE ROLE restorer LOGIN CREATEDB PASSWORD 'r'", "CREATE ROLE client LOGIN PASSWORD 'c'", "ALTER DATABASE app OWNER TO owner",
		"GRANT owner TO restorer", "GRANT pg_signal_backend TO restorer")
	session, err := target(t, pg.URLFor("client", "c", "app")).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close(context.Background())
	o := options(t, pg)
	o.Target = target(t, pg.URLFor("restorer", "r", "app"))
	result, err := swap.Run(t.Context(), o)
	if err != nil || result.Ended != 1 {
		t.Fatalf("%+v, %v", result, err)
	}
	if a, b := is(t, pg, "app"), is(t, pg, before); a != "new" || b != "old" {
		t.Errorf("%s and %s", a, b)
	}
}

func TestTemplatesAndStandbysAreRefused(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	old(t, pg, "app")
	standby := pg.Standby(t)
	pg.CatchUp(t, standby)
	o := options(t, pg)
	o.Target = target(t, standby.URL("app"))
	refused(t, pg, o, "standby")
	pg.Exec(t, "postgres", "ALTER DATABASE app IS_TEMPLATE true")
	refused(t, pg, options(t, pg), "template")
}
