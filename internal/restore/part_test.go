package restore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// metered counts the bytes that are read of a store.
type metered struct {
	objstore.Store
	read atomic.Int64
}

func (m *metered) Get(ctx context.Context, key string, o objstore.GetOptions) (io.ReadCloser, objstore.Info, error) {
	body, info, err := m.Store.Get(ctx, key, o)
	if err != nil {
		return nil, info, err
	}
	return &meteredBody{body, m}, info, nil
}

type meteredBody struct {
	io.ReadCloser
	m *metered
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.m.read.Add(int64(n))
	return n, err
}

// dumped is what pg_dump says of a part of a database.
func dumped(t *testing.T, pg *testenv.PostgresServer, db string, args ...string) string {
	t.Helper()
	out, err := pg.Command(context.Background(), "pg_dump", append(args, "-d", pg.URL(db))...).Output()
	if err != nil {
		t.Fatalf("pg_dump %v: %v", args, err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, `\`) || line == "\\.\n" {
			b.WriteString(line)
		}
	}
	return b.String()
}

// same fails unless two databases agree in a part.
func same(t *testing.T, pg *testenv.PostgresServer, a, b string, args ...string) {
	t.Helper()
	// The order of what does not depend on each other is by oid.
	lines := func(db string) []string { return slices.Sorted(strings.Lines(dumped(t, pg, db, args...))) }
	was, is := lines(a), lines(b)
	if slices.Equal(was, is) {
		return
	}
	for _, line := range was {
		if !slices.Contains(is, line) {
			t.Errorf("pg_dump %v: only %s has %s", args, a, line)
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			t.Errorf("pg_dump %v: only %s has %s", args, b, line)
		}
	}
	t.Errorf("pg_dump %v of %s and %s differ", args, a, b)
}

// whole is all that pg_dump says of a database.
func whole(t *testing.T, pg *testenv.PostgresServer, db string) string { return dumped(t, pg, db) }

const shop = `CREATE SCHEMA shop;
CREATE TYPE shop.state AS ENUM ('new', 'paid');
CREATE DOMAIN shop.amount AS numeric CHECK (VALUE >= 0);
CREATE TABLE shop.customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
CREATE TABLE shop.orders (id bigserial PRIMARY KEY, customer int REFERENCES shop.customers, state shop.state, total shop.amount, net numeric GENERATED ALWAYS AS (total / 2) STORED, note text);
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := 'touched'; RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE INDEX orders_note ON shop.orders (lower(note));
CREATE STATISTICS shop.orders_stat ON customer, state FROM shop.orders;
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.orders USING (EXISTS (SELECT FROM shop.customers c WHERE c.id = customer));
COMMENT ON TABLE shop.orders IS 'it''s; important'; COMMENT ON COLUMN shop.orders.total IS 'gross'; COMMENT ON INDEX shop.orders_note IS 'i';
GRANT SELECT ON shop.orders TO PUBLIC; GRANT UPDATE (note) ON shop.orders TO PUBLIC;
CREATE VIEW shop.big AS SELECT o.id, c.name FROM shop.orders o JOIN shop.customers c ON c.id = o.customer;
INSERT INTO shop.customers (name) SELECT 'c' || g FROM generate_series(1, 50) g;
INSERT INTO shop.orders (customer, state, total) SELECT 1 + g % 50, 'paid', g FROM generate_series(1, 500) g;
CREATE TABLE shop.events (at int, v text, PRIMARY KEY (at)) PARTITION BY RANGE (at);
CREATE TABLE shop.events_1 PARTITION OF shop.events FOR VALUES FROM (0) TO (100);
CREATE TABLE shop.events_2 (at int NOT NULL, v text); ALTER TABLE shop.events ATTACH PARTITION shop.events_2 FOR VALUES FROM (100) TO (200);
CREATE INDEX ON shop.events (v);
INSERT INTO shop.events SELECT g, md5(g::text) FROM generate_series(0, 199) g;
CREATE PUBLICATION pub FOR TABLE shop.orders;
SELECT lo_from_bytea(77, 'seven');
CREATE TABLE public.lonely (id serial PRIMARY KEY, v text);
INSERT INTO public.lonely (v) VALUES ('a'), ('b');`

// shopBackup is a server with database app and a backup of it.
func shopBackup(t *testing.T) (*testenv.PostgresServer, restore.Options) {
	t.Helper()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", shop)
	r := newRepository(t, nil)
	return pg, restore.Options{Repo: r, Ref: back(t, pg, r).Manifest.Ref(), Target: target(t, pg, "app")}
}

func TestATableComesBackIntoADatabaseInUseWithAllThatIsIts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg, o := shopBackup(t)
	pg.Exec(t, "postgres", "CREATE DATABASE witness TEMPLATE app")
	pg.Exec(t, "app", "DROP TABLE shop.orders CASCADE")
	without := whole(t, pg, "app")
	o.Select = restore.Selection{Tables: []string{"shop.ord*"}}
	steps, err := restore.Plan(ctx, o)
	if err != nil || without != whole(t, pg, "app") {
		t.Fatalf("%v, %v", steps, err)
	}
	t.Log(steps)
	got, err := restore.Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if got.Tables != 1 || got.Rows != 500 || got.Created || got.Comparison == nil || got.Comparison.Sequences != 1 || got.Server == "" {
		t.Errorf("%+v", got)
	}
	if len(got.LeftOut) != 2 || !strings.Contains(got.LeftOut[0].What, "large object") || got.LeftOut[1].What != "view shop.big" {
		t.Errorf("left out: %+v", got.LeftOut)
	}
	same(t, pg, "witness", "app", "--table=shop.orders*")
	same(t, pg, "witness", "app", "--table=shop.customers")
	if !strings.Contains(dumped(t, pg, "app"), "orders_customer_fkey") {
		t.Error("the foreign key is missing")
	}

	// It is there now, and nothing happens to it.
	is := whole(t, pg, "app")
	_, err = restore.Run(ctx, o)
	if !errors.Is(err, restore.ErrExists) {
		t.Errorf("%v", err)
	}
	wantError(t, err, "table shop.orders", "sequence shop.orders_id_seq", "name another database", "drop or rename")
	if whole(t, pg, "app") != is {
		t.Error("the database was changed")
	}
}

func TestATableWithItsSequencePartitionsOrSchemaIsChosenByPatterns(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg, o := shopBackup(t)
	pg.Exec(t, "postgres", "CREATE DATABASE witness TEMPLATE app")
	for name, c := range map[string]struct {
		drop string
		sel  restore.Selection
		same string
		rows int64
	}{
		"lonely":     {"DROP TABLE lonely", restore.Selection{Tables: []string{"lonely"}}, "--table=public.lonely*", 2},
		"partitions": {"DROP TABLE shop.events", restore.Selection{Tables: []string{"shop.events"}}, "--table=shop.events*", 200},
		// Attached to a table that is there, with indexes that it shares.
		"one_partition": {"DROP TABLE shop.events_2", restore.Selection{Tables: []string{"shop.events_2"}}, "--table=shop.events*", 100},
		"schema":        {"DROP SCHEMA shop CASCADE", restore.Selection{Schemas: []string{"shop"}}, "--schema=shop", 750},
		"schema_there":  {"DROP SCHEMA shop CASCADE; CREATE SCHEMA shop", restore.Selection{Schemas: []string{"sh?p"}}, "--schema=shop", 750},
		"view":          {"DROP VIEW shop.big", restore.Selection{Tables: []string{"big"}}, "--table=shop.big", 0},
	} {
		pg.Exec(t, "postgres", "CREATE DATABASE "+name+" TEMPLATE witness")
		pg.Exec(t, name, c.drop)
		o.Select, o.Target = c.sel, target(t, pg, name)
		got, err := restore.Run(ctx, o)
		if err != nil || got.Rows != c.rows || len(got.Warnings) > 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
			continue
		}
		same(t, pg, "witness", name, c.same)
	}
	// Keys of other tables went with it, and are theirs.
	pg.Exec(t, "postgres", "CREATE DATABASE cascaded TEMPLATE witness")
	pg.Exec(t, "cascaded", "DROP TABLE shop.customers CASCADE")
	o.Select, o.Target = restore.Selection{Tables: []string{"customers"}}, target(t, pg, "cascaded")
	got, err := restore.Run(ctx, o)
	if left := fmt.Sprint(got.LeftOut); err != nil || !strings.Contains(left, "fk constraint shop.orders orders_customer_fkey") || !strings.Contains(left, "view shop.big") {
		t.Errorf("%+v, %v", got, err)
	}
	for pattern, words := range map[string][]string{"shop.order": {"shop.orders"}, "lonel": {"lonely"}, "a.b.c": {"dots"}} {
		o.Select = restore.Selection{Tables: []string{pattern}}
		_, err := restore.Run(ctx, o)
		if !errors.Is(err, restore.ErrNoMatch) {
			t.Errorf("%s: %v", pattern, err)
		}
		wantError(t, err, words...)
	}
	o.Select = restore.Selection{Tables: []string{"lonely"}, DataOnly: true, SchemaOnly: true}
	if _, err := restore.Run(ctx, o); !errors.Is(err, restore.ErrSelection) {
		t.Errorf("%v", err)
	}
}

func TestWhatASelectionNeedsAndTheDatabaseLacksIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg, o := shopBackup(t)
	o.Select, o.Target = restore.Selection{Tables: []string{"shop.orders"}}, target(t, pg, "fresh")
	_, err := restore.Run(ctx, o)
	if !errors.Is(err, restore.ErrUnmet) {
		t.Errorf("%v", err)
	}
	wantError(t, err, "type shop.state (for table shop.orders)", "domain shop.amount", "table shop.customers (for fk constraint shop.orders orders_customer_fkey and 1 more)",
		"function shop.touch() (for trigger shop.orders touch)", "--with-dependencies", "--without-unmet")
	if exists(t, pg, "fresh") {
		t.Error("a database was made")
	}
	pg.CreateDatabase(t, "there")
	pg.Exec(t, "there", "CREATE TABLE mine (id int)")
	is := whole(t, pg, "there")
	o.Target = target(t, pg, "there")
	if _, err := restore.Run(ctx, o); !errors.Is(err, restore.ErrUnmet) || whole(t, pg, "there") != is {
		t.Errorf("%v", err)
	}

	for _, db := range []string{"fresh", "there"} {
		o.Target = target(t, pg, db)
		o.Select.WithDependencies = true
		got, err := restore.Run(ctx, o)
		if err != nil || got.Tables != 2 || len(got.Warnings) > 0 {
			t.Fatalf("%s: %+v, %v", db, got, err)
		}
		if added := strings.Join(got.Added, ", "); !strings.Contains(added, "schema shop") || !strings.Contains(added, "table shop.customers") {
			t.Errorf("added %s", added)
		}
		same(t, pg, "app", db, "--table=shop.orders*", "--table=shop.customers*")
	}

	o.Select.WithDependencies, o.Select.WithoutUnmet = false, true
	pg.CreateDatabase(t, "bare")
	pg.Exec(t, "bare", "CREATE SCHEMA shop", "CREATE TYPE shop.state AS ENUM ('new', 'paid')", "CREATE DOMAIN shop.amount AS numeric")
	o.Target = target(t, pg, "bare")
	got, err := restore.Run(ctx, o)
	if err != nil || got.Rows != 500 {
		t.Fatalf("%+v, %v", got, err)
	}
	left := fmt.Sprint(got.LeftOut)
	for _, what := range []string{"fk constraint shop.orders orders_customer_fkey", "trigger shop.orders touch", "policy shop.orders own"} {
		if !strings.Contains(left, what) {
			t.Errorf("%s is not among what was left out: %s", what, left)
		}
	}
}

func TestAPartCancelledAtAnyMomentIsWhollyThereOrNotAtAll(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	large(t, pg)
	r := newRepository(t, nil)
	o := restore.Options{Repo: r, Ref: back(t, pg, r).Manifest.Ref(), Target: target(t, pg, "app"), Select: restore.Selection{Tables: []string{"big"}}}
	full := dumped(t, pg, "app", "--table=big", "--schema-only")
	pg.Exec(t, "app", "DROP TABLE big")
	without := dumped(t, pg, "app", "--schema-only")
	begun := time.Now()
	if _, err := restore.Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	life := time.Since(begun)
	for range 8 {
		pg.Exec(t, "app", "DROP TABLE IF EXISTS big")
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.Int64N(int64(life))))
		_, err := restore.Run(ctx, o)
		cancel()
		// The server may still be rolling back.
		pg.Exec(t, "postgres", "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'app'")
		if err == nil && dumped(t, pg, "app", "--table=big", "--schema-only") != full {
			t.Error("it succeeded, and not all of it is there")
		}
		if is := dumped(t, pg, "app", "--schema-only"); err != nil && is != without && !strings.Contains(err.Error(), "commit:") {
			t.Errorf("something is left after %v: %s", err, is)
		}
	}
}

func TestOneTableReadsOnlyItsRanges(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t)
	large(t, pg) // 31 MB of a table that is not wanted, hardly to be compressed
	store, err := dir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m := &metered{Store: store}
	r, err := repo.Create(ctx, m, repo.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o := restore.Options{Repo: r, Ref: back(t, pg, r).Manifest.Ref(), Target: target(t, pg, "again")}
	cost := func(s restore.Selection) int64 {
		pg.Exec(t, "postgres", "DROP DATABASE IF EXISTS again")
		o.Select = s
		before := m.read.Load()
		if _, err := restore.Run(ctx, o); err != nil {
			t.Fatal(err)
		}
		return m.read.Load() - before
	}
	all, big, small := cost(restore.Selection{}), cost(restore.Selection{Tables: []string{"big"}}), cost(restore.Selection{Tables: []string{"small"}})
	t.Logf("all %d bytes, big %d, small %d", all, big, small)
	if small > all/3 || big > all+1<<16 {
		t.Errorf("all cost %d bytes, the big table %d, the small one %d", all, big, small)
	}
	if none := cost(restore.Selection{SchemaOnly: true}); none > all/3 {
		t.Errorf("the schema alone cost %d bytes", none)
	}
}
