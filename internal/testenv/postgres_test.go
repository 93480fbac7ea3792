package testenv_test

import (
	"context"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestPostgresStartsAnswersRestartsAndReplicates(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"work_mem": "'7MB'"}})
	var workMem, checksums string
	if err := pg.Connect(t, "postgres").QueryRow(ctx, "SELECT current_setting('work_mem'), current_setting('data_checksums')").Scan(&workMem, &checksums); err != nil {
		t.Fatal(err)
	}
	if workMem != "7MB" || checksums != "on" {
		t.Errorf("work_mem %s, data_checksums %s", workMem, checksums)
	}
	pg.CreateDatabase(t, "a b")
	pg.Exec(t, "a b", "CREATE TABLE t AS SELECT 1 AS x")
	pg.Restart(t)

	standby := pg.Standby(t)
	pg.Exec(t, "a b", "INSERT INTO t VALUES (2)")
	pg.CatchUp(t, standby)
	var n int
	var recovering bool
	if err := standby.Connect(t, "a b").QueryRow(ctx, "SELECT count(*), pg_is_in_recovery() FROM t").Scan(&n, &recovering); err != nil {
		t.Fatal(err)
	}
	if n != 2 || !recovering {
		t.Errorf("standby has %d rows, in recovery: %v", n, recovering)
	}
}

func TestSampleDatabaseLoadsTwiceIntoOneServer(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	for _, db := range []string{"one", "two"} {
		pg.CreateDatabase(t, db)
		testenv.LoadSample(t, pg, db)
	}
	testenv.ClusterSample(t, pg, "one", 1)
	var tables int
	if err := pg.Connect(t, "one").QueryRow(context.Background(), "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND oid >= 16384").Scan(&tables); err != nil {
		t.Fatal(err)
	}
	if tables < 40 {
		t.Errorf("only %d tables", tables)
	}
}

func TestPostgresInATooLongDirectoryIsRefusedByName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/0123456789012345678901234567890123456789/0123456789012345678901234567890123456789"
	if _, err := testenv.StartPostgres(context.Background(), dir, testenv.PostgresOptions{}); err == nil {
		t.Fatal("no error")
	}
}
