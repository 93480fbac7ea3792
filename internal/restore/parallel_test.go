package restore

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// taken is a backup of database app and where it is.
func taken(t *testing.T, pg *testenv.PostgresServer) Options {
	t.Helper()
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Create(context.Background(), store, repo.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	from, err := postgres.ParseTarget(pg.URL("app"))
	if err != nil {
		t.Fatal(err)
	}
	result, err := backup.Run(context.Background(), backup.Options{Options: point.Options{Repo: r, Source: "app", Self: repo.Self()}, Target: from, Globals: true})
	if err != nil {
		t.Fatal(err)
	}
	return Options{Repo: r, Ref: result.Manifest.Ref(), Target: from.WithDatabase("again")}
}

func TestATableOfManyChunksIsLoadedByAnyNumberOfLoaders(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE big (id int PRIMARY KEY, filler text)",
		"INSERT INTO big SELECT i, repeat(md5(i::text), 16) FROM generate_series(1, 60000) i", // 31 MB of COPY text
		// Rows larger than a chunk, and one next to them.
		"CREATE TABLE huge (id int, b bytea)", "INSERT INTO huge SELECT i, decode(repeat(md5(i::text), 300000), 'hex') FROM generate_series(1, 3) i", "INSERT INTO huge VALUES (4, 'x')",
		"CREATE TABLE empty (id int)")
	o := taken(t, pg)
	o.pieceSize = 1
	for _, jobs := range []int{1, 3, 8} {
		o.Jobs, o.Target = jobs, o.Target.WithDatabase(fmt.Sprint("again", jobs))
		r, err := open(context.Background(), withDefaults(o))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(r.pieces()); jobs > 1 && n < 6 {
			t.Errorf("only %d pieces for %d loaders", n, jobs)
		}
		got, err := Run(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		if got.Tables != 3 || got.Rows != 60004 {
			t.Errorf("%+v", got)
		}
		if diff := pg.SchemaDiff(t, "app", o.Target.Database); diff != "" {
			t.Errorf("with %d loaders: %s", jobs, diff)
		}
	}
}

func withDefaults(o Options) Options {
	o.defaults()
	return o
}

func TestThousandsOfSmallTablesAreLoadedTogether(t *testing.T) {
	t.Parallel()
	const tables = 3000
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"max_locks_per_transaction": "200"}})
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", fmt.Sprintf(`DO $$ BEGIN FOR i IN 1..%d LOOP
  EXECUTE format('CREATE TABLE t%%s (a text)', i); EXECUTE format('INSERT INTO t%%s SELECT md5(%%s::text || g) FROM generate_series(1, 60) g', i, i);
END LOOP; END $$`, tables))
	o := taken(t, pg)
	o.Jobs = 2
	r, err := open(context.Background(), withDefaults(o))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.pieces()); n < 4 || n > 20 {
		t.Errorf("%d pieces", n)
	}
	got, err := Run(context.Background(), o)
	if err != nil || got.Tables != tables || got.Rows != tables*60 {
		t.Fatalf("%+v, %v", got, err)
	}
	t.Log(got.Durations)
}

func TestAChangedRowIsNamedByTheComparison(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE t (id int, v text)", "INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 1000) i", "CREATE SEQUENCE s", "SELECT setval('s', 7, false)",
		"SELECT lo_from_bytea(7, 'seven')")
	o := taken(t, pg)
	ctx := context.Background()
	if _, err := Run(ctx, o); err != nil {
		t.Fatal(err)
	}
	r, err := open(ctx, withDefaults(o))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.compare(ctx); err != nil {
		t.Fatal(err)
	}
	for change, names := range map[string]string{
		"UPDATE t SET v = 'w' WHERE id = 500":      "table public.t",
		"DELETE FROM t WHERE id = 1000":            "table public.t",
		"INSERT INTO t SELECT * FROM t WHERE id=3": "table public.t",
		"SELECT setval('s', 7, true)":              "sequence public.s",
		"SELECT setval('s', 8, false)":             "sequence public.s",
		"SELECT lo_put(7, 0, 'S')":                 "large objects",
	} {
		pg.Exec(t, "again", "CREATE TABLE IF NOT EXISTS saved AS TABLE t", change)
		err := r.compare(ctx)
		if !errors.Is(err, ErrDiffers) {
			t.Errorf("%s: %v", change, err)
		}
		wantWords(t, err, names)
		pg.Exec(t, "again", "TRUNCATE t; INSERT INTO t TABLE saved; SELECT setval('s', 7, false); SELECT lo_put(7, 0, 's')")
	}
	if err := r.compare(ctx); err != nil {
		t.Errorf("put right again: %v", err)
	}
}

func TestAnIndexOrTableListThatLacksATableIsRefused(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE a (id int)", "CREATE TABLE b (id int)", "INSERT INTO b VALUES (1)")
	o := withDefaults(taken(t, pg))
	for name, damage := range map[string]func(r *run){
		"table list": func(r *run) { delete(r.records, int32(r.index.Entries[1].DumpID)) },
		"index":      func(r *run) { r.index.Entries = r.index.Entries[:1] },
	} {
		r, err := open(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		damage(r)
		err = r.consistent()
		if !errors.Is(err, repo.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		wantWords(t, err, name)
	}
}
