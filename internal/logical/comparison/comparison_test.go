package comparison_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical/comparison"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func target(t *testing.T, pg *testenv.PostgresServer, db string) postgres.Target {
	t.Helper()
	to, err := postgres.ParseTarget(pg.URL(db))
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// pointOf backs up a database and says what the backup has.
func pointOf(t *testing.T, pg *testenv.PostgresServer, db string) comparison.Options {
	t.Helper()
	ctx := context.Background()
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Create(ctx, store, repo.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	taken, err := backup.Run(ctx, backup.Options{Options: point.Options{Repo: r, Source: "app", Self: repo.Self()}, Target: target(t, pg, db)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.OpenPoint(ctx, taken.Manifest.Ref())
	if err != nil {
		t.Fatal(err)
	}
	o, err := comparison.Point(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	o.Target, o.Jobs = target(t, pg, db), 2
	return o
}

func run(t *testing.T, o comparison.Options) comparison.Result {
	t.Helper()
	result, err := comparison.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// wantDifferences holds that these objects differ and no others; each want is
// "object: words of the problem".
func wantDifferences(t *testing.T, got comparison.Result, wants ...string) {
	t.Helper()
	if len(got.Differences) != len(wants) || got.Equal() != (len(wants) == 0) {
		t.Errorf("%d differences, want %d: %+v", len(got.Differences), len(wants), got.Differences)
		return
	}
	for i, want := range wants {
		object, words, _ := strings.Cut(want, ": ")
		if d := got.Differences[i]; d.Object != object || !strings.Contains(d.Problem, words) {
			t.Errorf("%s: %s; want %s", d.Object, d.Problem, want)
		}
	}
}

const small = `CREATE SCHEMA s;
CREATE TABLE s.one (id int, v text); INSERT INTO s.one SELECT g, 'v' || g FROM generate_series(1, 100) g;
CREATE TABLE s.two (id serial, v text); INSERT INTO s.two (v) SELECT 'v' || g FROM generate_series(1, 10) g;
CREATE TABLE s.gone (id int);
CREATE SEQUENCE s.down INCREMENT BY -1; SELECT nextval('s.down'), nextval('s.down');
SELECT lo_from_bytea(1234, 'large')`

func TestASampleDatabaseEqualsItsOwnBackup(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	testenv.LoadSample(t, pg, "app")
	o := pointOf(t, pg, "app")
	o.Progress = &atomic.Int64{}
	o.Extra = true
	got := run(t, o)
	wantDifferences(t, got)
	if got.Tables < 30 || got.Rows == 0 || got.LargeObjects == 0 || got.Sequences == 0 {
		t.Errorf("%+v", got)
	}
	if o.Progress.Load() != got.Bytes {
		t.Errorf("progress ended at %d of %d bytes", o.Progress.Load(), got.Bytes)
	}
}

func TestEveryDifferenceFromABackupIsNamed(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", small)
	o := pointOf(t, pg, "app")
	pg.Exec(t, "app", `UPDATE s.one SET v = 'w' WHERE id = 7; DELETE FROM s.two WHERE id = 3; ALTER SEQUENCE s.two_id_seq RESTART 4;
DROP TABLE s.gone; DROP SEQUENCE s.down; SELECT lo_put(1234, 0, 'LARGE'); CREATE TABLE s.more ()`)
	wantDifferences(t, run(t, o),
		"large objects: 1 large object as the backup has, with other contents",
		"sequence s.down: it is not there",
		"sequence s.two_id_seq: it is at 4 (not yet used), the backup sets it to 10",
		"table s.gone: it is not there",
		"table s.one: 100 rows as the backup has, with other contents",
		"table s.two: it has 9 rows, the backup has 10 rows",
	)
	o.Extra = true
	o.Skip = func(e *pgarchive.Entry) bool {
		return e.Tag != "gone" && e.Desc != "BLOBS" && !strings.HasPrefix(e.Tag, "BLOB")
	}
	wantDifferences(t, run(t, o), "large objects: other contents", "table s.gone: it is not there", "table s.more: the backup does not have it")

	pg.Exec(t, "app", "ALTER TABLE s.one RENAME v TO w; DROP SCHEMA s CASCADE; CREATE SCHEMA s; CREATE TABLE s.one (id int); CREATE VIEW s.two AS SELECT 1 AS id, 'v' AS v")
	got := run(t, o)
	if len(got.Differences) != 2 {
		t.Errorf("%+v", got)
	}
	o.Skip, o.Extra = nil, false
	wantDifferences(t, run(t, o),
		"large objects: other contents", "sequence s.down: it is not there", "sequence s.two_id_seq: it is not there",
		"table s.gone: it is not there", `table s.one: it has another form: column "v"`, "table s.two: it has another form")
}

func TestSequencesAheadAreRightWhereTheDatabaseIsInUse(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE SEQUENCE up; CREATE SEQUENCE down INCREMENT -1; CREATE SEQUENCE round MAXVALUE 9 CYCLE; CREATE SEQUENCE unused",
		"SELECT setval('up', 5), setval('down', -5), setval('round', 5)")
	o := pointOf(t, pg, "app")
	o.AtLeast = true
	wantDifferences(t, run(t, o))

	pg.Exec(t, "app", "SELECT setval('up', 6), setval('down', -6), setval('round', 2), nextval('unused')")
	wantDifferences(t, run(t, o))
	o.AtLeast = false
	wantDifferences(t, run(t, o), "sequence public.down: at -6, the backup sets it to -5", "sequence public.round: ", "sequence public.unused: at 1, the backup sets it to 1 (not yet used)", "sequence public.up: ")

	o.AtLeast = true
	pg.Exec(t, "app", "SELECT setval('up', 5, false), setval('down', -4)")
	wantDifferences(t, run(t, o), "sequence public.down: behind the backup's -5", "sequence public.up: it is at 5 (not yet used), behind the backup's 5")
}

func TestDataWithoutProofAndProofWithoutDataAreDifferences(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", small)
	o := pointOf(t, pg, "app")
	for id, rec := range o.Records {
		if rec.Table == "one" {
			delete(o.Records, id)
			o.Records[-1] = logical.TableRecord{DumpID: -1, Schema: "s", Table: "forged", Hash: rec.Hash}
		}
	}
	wantDifferences(t, run(t, o), "data of s.one: table list does not have it", "table s.forged: the backup's archive does not have it")
}

func TestAServerThatDoesNotAnswerIsAnErrorAndNoDifference(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", small, "CREATE ROLE reader LOGIN PASSWORD 'r'")
	o := pointOf(t, pg, "app")
	var err error
	if o.Target, err = postgres.ParseTarget(pg.URLFor("reader", "r", "app")); err != nil {
		t.Fatal(err)
	}
	if _, err := comparison.Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("without rights: %v", err)
	}
	o.Target = target(t, pg, "app")
	if err := pg.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := comparison.Run(context.Background(), o); err == nil {
		t.Error("no error from a stopped server")
	}
}
