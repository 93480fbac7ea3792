package restore_test

import (
	"context"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func newRepository(t *testing.T, key seal.Wrapper) *repo.Repository {
	t.Helper()
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Create(context.Background(), store, repo.CreateOptions{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func target(t *testing.T, pg *testenv.PostgresServer, db string) postgres.Target {
	t.Helper()
	to, err := postgres.ParseTarget(pg.URL(db))
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func TestASampleDatabaseComesBackRowForRow(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t, testenv.PostgresOptions{})
	pg.CreateDatabase(t, "app")
	testenv.LoadSample(t, pg, "app")
	r := newRepository(t, seal.Local{Key: seal.NewKey()})
	result, err := backup.Run(ctx, backup.Options{Repo: r, Target: target(t, pg, "app"), Source: "app", Globals: true, Self: repo.Self(), Verify: "stored"})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("totals %+v, skipped %v, warnings %v, took %v", result.Manifest.Totals, result.Manifest.Skipped, result.Warnings, result.Manifest.Durations)
	got, err := restore.Run(ctx, restore.Options{Repo: r, Ref: result.Manifest.Ref(), Target: target(t, pg, "again"), Jobs: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", got)
	if int64(got.Tables) != result.Manifest.Totals.Tables || got.Rows != result.Manifest.Totals.Rows {
		t.Fatalf("restored %d tables, %d rows; the backup has %+v", got.Tables, got.Rows, result.Manifest.Totals)
	}
	if diff := pg.SchemaDiff(t, "app", "again"); diff != "" {
		t.Fatalf("the schemas differ:\n%s", diff)
	}
}
