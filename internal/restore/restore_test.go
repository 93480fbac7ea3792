package restore_test

import (
	"context"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
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

// back takes a backup of database app.
func back(t *testing.T, pg *testenv.PostgresServer, r *repo.Repository, change ...func(*backup.Options)) point.Result {
	t.Helper()
	o := backup.Options{Options: point.Options{Repo: r, Source: "app", Self: repo.Self(), Verify: "stored"}, Target: target(t, pg, "app"), Globals: true}
	for _, c := range change {
		c(&o)
	}
	result, err := backup.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func exists(t *testing.T, pg *testenv.PostgresServer, database string) bool {
	t.Helper()
	var n int
	if err := pg.Connect(t, "postgres").QueryRow(context.Background(), "SELECT count(*) FROM pg_database WHERE datname = $1", database).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n == 1
}

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has several lines: %q", err)
	}
}

func TestASampleDatabaseComesBackRowForRow(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t, testenv.PostgresOptions{})
	pg.CreateDatabase(t, "app")
	testenv.LoadSample(t, pg, "app")
	r := newRepository(t, seal.Local{Key: seal.NewKey()})
	result := back(t, pg, r)
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

func TestThePlainToolsReadWhatIsStored(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	testenv.LoadSample(t, pg, "app")
	r := newRepository(t, seal.Local{Key: seal.NewKey()})
	result := back(t, pg, r)
	p, err := r.OpenPoint(ctx, result.Manifest.Ref())
	if err != nil {
		t.Fatal(err)
	}
	body, err := p.Open(ctx, logical.StreamArchive)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	pg.CreateDatabase(t, "plain")
	cmd := pg.Command(ctx, "pg_restore", "--exit-on-error", "-d", pg.URL("plain"))
	cmd.Stdin = body
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := pg.SchemaDiff(t, "app", "plain"); diff != "" {
		t.Error(diff)
	}
}
