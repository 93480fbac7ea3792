package restore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestDataAloneGoesIntoEmptyTablesInTheOrderOfTheirKeys(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg, o := shopBackup(t)
	pg.Exec(t, "app", "ALTER TABLE shop.orders ENABLE ALWAYS TRIGGER touch", "CREATE TABLE extra (id int)")
	pg.Exec(t, "postgres", "CREATE DATABASE witness TEMPLATE app")
	o.Select = restore.Selection{DataOnly: true}
	is := whole(t, pg, "app")
	_, err := restore.Run(ctx, o)
	if !errors.Is(err, restore.ErrNoTable) || whole(t, pg, "app") != is {
		t.Errorf("%v", err)
	}
	wantError(t, err, "shop.orders", "shop.customers", "have rows", "empty them")

	pg.Exec(t, "app", "TRUNCATE shop.orders, shop.customers, shop.events, lonely RESTART IDENTITY")
	got, err := restore.Run(ctx, o)
	if err != nil || got.Tables != 5 || got.Rows != 752 || got.Comparison.Sequences != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	same(t, pg, "witness", "app")

	// One table alone, whose rows refer to another's that are not there: nothing
	// stays, not even where its sequence stands.
	pg.Exec(t, "app", "TRUNCATE shop.orders, shop.customers RESTART IDENTITY")
	is = whole(t, pg, "app")
	o.Select.Tables = []string{"shop.orders"}
	_, err = restore.Run(ctx, o)
	wantError(t, err, "violates foreign key constraint", "database app is as it was")
	if whole(t, pg, "app") != is {
		t.Error("the database was changed")
	}
	pg.Exec(t, "app", "DROP TABLE shop.orders CASCADE")
	_, err = restore.Run(ctx, o)
	wantError(t, err, "does not have shop.orders", "without --data-only")
	o.Target = target(t, pg, "never")
	_, err = restore.Run(ctx, o)
	if !errors.Is(err, restore.ErrNoTable) || exists(t, pg, "never") {
		t.Errorf("%v", err)
	}
}

func TestASequenceOfALiveDatabaseNeverGoesBack(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE t (id serial PRIMARY KEY)", "INSERT INTO t SELECT FROM generate_series(1, 7)",
		"CREATE SEQUENCE down INCREMENT -1", "CREATE TABLE d (id int DEFAULT nextval('down'))", "ALTER SEQUENCE down OWNED BY d.id", "INSERT INTO d SELECT FROM generate_series(1, 7)",
		"CREATE TABLE b (id serial)", "INSERT INTO b SELECT FROM generate_series(1, 7)")
	r := newRepository(t, nil)
	o := restore.Options{Repo: r, Ref: back(t, pg, r).Manifest.Ref(), Target: target(t, pg, "app"), Select: restore.Selection{DataOnly: true}}
	// Ids up to 1000 are known to other systems, although nobody has the rows any more.
	pg.Exec(t, "app", "DELETE FROM t", "DELETE FROM d", "DELETE FROM b", "SELECT setval('t_id_seq', 1000)", "SELECT setval('down', -1000)", "SELECT setval('b_id_seq', 2)")
	if _, err := restore.Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	var is string
	err := pg.Connect(t, "app").QueryRow(context.Background(), "SELECT concat_ws(' ', nextval('t_id_seq'), nextval('down'), nextval('b_id_seq'))").Scan(&is)
	if err != nil || is != "1001 -1001 8" {
		t.Errorf("the next ids are %s: %v", is, err)
	}
}

func TestWhatIsCommittedIsNotSaidToBeUndone(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 200000) i")
	r := newRepository(t, nil)
	ref := back(t, pg, r).Manifest.Ref()
	pg.Exec(t, "app", "TRUNCATE t")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	progress := &restore.Progress{}
	at := func(step string) {
		for s := progress.Step.Load(); s == nil || *s != step; s = progress.Step.Load() {
			time.Sleep(time.Millisecond)
		}
	}
	other := pg.Connect(t, "app")
	done := make(chan struct{})
	go func() {
		defer close(done)
		at("tables") // it has the table: whoever asks now gets it right after the commit
		_, _ = other.Exec(context.Background(), "BEGIN; LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE")
		at("statistics")
		cancel()
	}()
	got, err := restore.Run(ctx, restore.Options{Repo: r, Ref: ref, Target: target(t, pg, "app"), Select: restore.Selection{DataOnly: true}, Analyze: true, Progress: progress})
	<-done
	if err != nil || got.Rows != 200000 || !strings.Contains(strings.Join(got.Warnings, " "), "the data is restored, but ANALYZE") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestKeysThatGoInACircleHoldAtTheEnd(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE a (id int PRIMARY KEY, b int)", "CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a DEFERRABLE, self int REFERENCES b)",
		"ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE", "BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1, 2), (2, 1, 1); COMMIT")
	r := newRepository(t, nil)
	o := restore.Options{Repo: r, Ref: back(t, pg, r).Manifest.Ref(), Target: target(t, pg, "app"), Select: restore.Selection{DataOnly: true}, Analyze: true}
	pg.Exec(t, "app", "TRUNCATE a, b")
	if got, err := restore.Run(context.Background(), o); err != nil || got.Rows != 3 || len(got.Warnings) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTheSchemaAloneMakesEverythingAndNoRows(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg, o := shopBackup(t)
	o.Select, o.Target = restore.Selection{SchemaOnly: true}, target(t, pg, "bare")
	got, err := restore.Run(ctx, o)
	if err != nil || got.Rows != 0 || !got.Created || got.Comparison != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	same(t, pg, "app", "bare", "--schema-only")
	var rows, objects int
	if err := pg.Connect(t, "bare").QueryRow(ctx, "SELECT (SELECT count(*) FROM shop.orders), (SELECT count(*) FROM pg_largeobject_metadata)").Scan(&rows, &objects); err != nil || rows+objects != 0 {
		t.Errorf("%d rows, %d large objects, %v", rows, objects, err)
	}
}

func TestAPartThatBreaksInTheMiddleLeavesTheDatabaseAsItWas(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t)
	large(t, pg)
	path := t.TempDir()
	store, err := dir.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Create(ctx, store, repo.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o := restore.Options{Repo: r, Ref: back(t, pg, r).Manifest.Ref(), Target: target(t, pg, "app")}
	flip(t, path, "archive.0000", 0.6)
	pg.Exec(t, "app", "ALTER TABLE big RENAME TO big_before", "ALTER INDEX big_pkey RENAME TO big_before_pkey")
	is := whole(t, pg, "app")
	for _, s := range []restore.Selection{{Tables: []string{"big"}}, {Tables: []string{"big"}, DataOnly: true}} {
		if s.DataOnly {
			pg.Exec(t, "app", "CREATE TABLE big (id int, filler text)")
			is = whole(t, pg, "app")
		}
		o.Select = s
		_, err := restore.Run(ctx, o)
		if !restore.IsBadBackup(err) || !errors.Is(err, repo.ErrDamaged) {
			t.Errorf("%v", err)
		}
		wantError(t, err, "public.big", "database app is as it was")
		if whole(t, pg, "app") != is {
			t.Error("the database was changed")
		}
	}
	// An index of the name that the table's key would have.
	flip(t, path, "archive.0000", 0.6)
	pg.Exec(t, "app", "DROP TABLE big", "ALTER INDEX big_before_pkey RENAME TO big_pkey")
	is = whole(t, pg, "app")
	o.Select = restore.Selection{Tables: []string{"big"}}
	_, err = restore.Run(ctx, o)
	wantError(t, err, "relation \"big_pkey\" already exists", "as it was")
	if restore.IsBadBackup(err) || whole(t, pg, "app") != is {
		t.Error("the backup is blamed, or the database was changed")
	}
}

// Every table of the sample, one by one, into the database it is missing from.
func TestEveryTableOfTheSampleComesBackAlone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	testenv.LoadSample(t, pg, "app")
	// The sample's list of publications would be lost with their tables.
	pg.Exec(t, "app", `DROP PUBLICATION sample_publication`, `DROP PUBLICATION "Everything in shop"`)
	r := newRepository(t, nil)
	o := restore.Options{Repo: r, Ref: back(t, pg, r).Manifest.Ref(), Target: target(t, pg, "empty")}
	for _, schema := range []string{"types", "shop", "code", `"Schema with space"`, `"Ünïcødé 数据 🐘"`, `"qu""ote's"`, `"dot.ted"`} {
		pg.Exec(t, "postgres", "DROP DATABASE IF EXISTS empty", "CREATE DATABASE empty")
		o.Select = restore.Selection{Schemas: []string{schema}, WithDependencies: true}
		got, err := restore.Run(ctx, o)
		if err != nil {
			t.Errorf("%s: %v", schema, err)
			continue
		}
		if len(got.Warnings) > 0 {
			t.Errorf("%s: %v", schema, got.Warnings)
		}
		same(t, pg, "app", "empty", "--schema="+schema)
	}
	conn := pg.Connect(t, "app")
	rows, err := conn.Query(ctx, "SELECT c.oid::regclass::text FROM pg_class c WHERE relkind IN ('r', 'p') AND oid >= 16384 AND relnamespace::regnamespace::text IN ('shop', 'types', 'code') AND NOT relispartition ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	_ = conn.Close(ctx)
	if len(tables) < 15 {
		t.Fatalf("only %v", tables)
	}
	for _, table := range tables {
		pg.Exec(t, "postgres", "DROP DATABASE IF EXISTS less", "CREATE DATABASE less TEMPLATE app")
		pg.Exec(t, "less", "DROP EVENT TRIGGER sample_on_ddl", "DROP TABLE "+table+" CASCADE")
		o.Target, o.Select = target(t, pg, "less"), restore.Selection{Tables: []string{table}}
		// What went with the table may be asked for by the part of it that comes back.
		if table == "shop.vehicles" {
			o.Select.Tables = append(o.Select.Tables, "shop.cars")
		}
		if _, err := restore.Run(ctx, o); err != nil {
			t.Errorf("%s: %v", table, err)
			continue
		}
		if strings.Contains(table, "customers") || strings.Contains(table, "orders") {
			continue // keys of other tables went with it
		}
		same(t, pg, "app", "less", "--table="+table)
	}
}
