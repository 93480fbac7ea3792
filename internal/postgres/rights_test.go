package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestMissingRightsAreFoundBeforeTheDumpAndTheirFixesWork(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", `CREATE ROLE "back up" LOGIN PASSWORD 'pw'`, "CREATE SCHEMA hidden", "CREATE TABLE hidden.h (i int)",
		`CREATE TABLE "T 1" (i serial)`, "CREATE TABLE open (i int)", `GRANT SELECT ON open TO "back up"`,
		"CREATE TABLE tenants (i int)", "INSERT INTO tenants SELECT generate_series(1, 50)", `GRANT SELECT ON tenants TO "back up"`,
		"ALTER TABLE tenants ENABLE ROW LEVEL SECURITY", `CREATE POLICY half ON tenants TO "back up" USING (i % 2 = 0)`,
		"CREATE SEQUENCE alone", "SELECT lo_from_bytea(70001, 'x'), lo_from_bytea(70002, 'y')", `GRANT SELECT ON LARGE OBJECT 70002 TO PUBLIC`)
	from := target(t, pg.URLFor("back up", "pw", "app"))
	_, err := postgres.OpenSnapshot(ctx, from, postgres.Selection{}, postgres.SnapshotOptions{})
	var rights *postgres.RightsError
	if !errors.As(err, &rights) {
		t.Fatalf("%v", err)
	}
	wantError(t, err, nil, pg.Password, "back up", "GRANT USAGE ON SCHEMA")
	// pg_dump takes a table's own sequences with it.
	of, err := postgres.CheckRights(ctx, connect(t, from), postgres.Selection{IncludeTables: []string{`"T 1"`}})
	if err != nil || len(of) != 2 || of[1].Object != `"public"."T 1_i_seq"` {
		t.Errorf("of one table: %v, %v", of, err)
	}
	want := map[string]string{
		`"hidden"`: `GRANT USAGE ON SCHEMA "hidden" TO "back up"`, `"hidden"."h"`: `GRANT SELECT ON TABLE "hidden"."h" TO "back up"`,
		`"public"."T 1"`: `GRANT SELECT ON TABLE "public"."T 1" TO "back up"`, `"public"."T 1_i_seq"`: `GRANT SELECT ON SEQUENCE "public"."T 1_i_seq" TO "back up"`,
		`"public"."alone"`: `GRANT SELECT ON SEQUENCE "public"."alone" TO "back up"`, `"public"."tenants"`: `ALTER ROLE "back up" BYPASSRLS`,
		"70001": `GRANT SELECT ON LARGE OBJECT 70001 TO "back up"`,
	}
	for _, p := range rights.Problems {
		if want[p.Object] != p.Fix {
			t.Errorf("%s: %s, want %q", p.Object, p.Fix, want[p.Object])
		}
		delete(want, p.Object)
		pg.Exec(t, "app", p.Fix)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
	snapshot := openSnapshot(t, from, postgres.Selection{}, postgres.SnapshotOptions{})
	_, r := dump(t, tools(t, pg), from, postgres.Selection{}, snapshot)
	rows := map[string]int64{}
	for _, d := range r.Data() {
		rows[d.Entry.Tag] = d.Sum.Rows
	}
	if rows["tenants"] != 50 || rows["BLOBS"] != 2 {
		t.Errorf("%v", rows)
	}
}

func TestManyUnreadableLargeObjectsHaveOneFix(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, "postgres", `CREATE ROLE "o'b" LOGIN PASSWORD 'pw' IN ROLE pg_read_all_data`, "SELECT lo_create(0) FROM generate_series(1, 30)")
	conn := connect(t, target(t, pg.URLFor("o'b", "pw", "postgres")))
	problems, err := postgres.CheckRights(t.Context(), conn, postgres.Selection{})
	if err != nil || len(problems) != 1 || problems[0].Kind != postgres.ProblemLargeObject || !strings.Contains(problems[0].Detail, "30 large objects") {
		t.Fatalf("%v, %v", problems, err)
	}
	pg.Exec(t, "postgres", problems[0].Fix)
	if problems, err := postgres.CheckRights(t.Context(), conn, postgres.Selection{}); err != nil || len(problems) != 0 {
		t.Errorf("after the fix: %v, %v", problems, err)
	}
	// A selection of tables takes no large objects.
	pg.Exec(t, "postgres", "CREATE TABLE t (i int)", "SELECT lo_create(0)")
	if problems, err := postgres.CheckRights(t.Context(), conn, postgres.Selection{IncludeTables: []string{"t"}}); err != nil || len(problems) != 0 {
		t.Errorf("of one table: %v, %v", problems, err)
	}
}

func TestGlobalsLeaveOutPasswordsWhereTheyMayNotBeRead(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, "postgres", "CREATE ROLE backup LOGIN PASSWORD 'pw'", `CREATE ROLE "some one" LOGIN PASSWORD 'x'`)
	programs := tools(t, pg)
	all, err := postgres.DumpGlobals(t.Context(), programs, target(t, pg.URL("postgres")))
	if err != nil || all.WithoutPasswords || !strings.Contains(string(all.SQL), "SCRAM-SHA-256") || !strings.Contains(string(all.SQL), `"some one"`) {
		t.Errorf("as superuser: %v, %v\n%s", err, all.WithoutPasswords, all.SQL)
	}
	some, err := postgres.DumpGlobals(t.Context(), programs, target(t, pg.URLFor("backup", "pw", "postgres")))
	if err != nil || !some.WithoutPasswords || strings.Contains(string(some.SQL), "SCRAM-SHA-256") || !strings.Contains(string(some.SQL), `"some one"`) {
		t.Errorf("as plain role: %v, %v\n%s", err, some.WithoutPasswords, some.SQL)
	}
	again, err := postgres.DumpGlobals(t.Context(), programs, target(t, pg.URL("postgres")))
	if err != nil || string(again.SQL) != string(all.SQL) {
		t.Errorf("two dumps of the same differ: %v", err)
	}
}

func TestDatabasesAreListedCreatedAndFoundNotEmpty(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t)
	server := target(t, pg.URL("postgres"))
	if err := postgres.CreateDatabase(ctx, server, `La"tin`, postgres.DatabaseProperties{Encoding: "LATIN1", Collate: "C", CType: "C", LocaleProvider: "libc"}); err != nil {
		t.Fatal(err)
	}
	names, err := postgres.ListDatabases(ctx, server)
	if err != nil || strings.Join(names, ",") != `La"tin,postgres` {
		t.Errorf("%q, %v", names, err)
	}
	conn := connect(t, server.WithDatabase(`La"tin`))
	p, err := postgres.ReadDatabaseProperties(ctx, conn)
	if err != nil || p.Encoding != "LATIN1" || p.Collate != "C" || p.LocaleProvider != "libc" {
		t.Errorf("%+v, %v", p, err)
	}
	wantError(t, postgres.CreateDatabase(ctx, server, "postgres", p), nil, pg.Password, "exists")
	wantError(t, postgres.CreateDatabase(ctx, server, "x", postgres.DatabaseProperties{Collate: "xx_XX", CType: "xx_XX"}), nil, pg.Password, "xx_XX", "locale-gen")
	if err := postgres.DatabaseEmpty(ctx, conn); err != nil {
		t.Error(err)
	}
	if _, err := conn.Exec(ctx, "SELECT lo_create(90000)"); err != nil {
		t.Fatal(err)
	}
	wantError(t, postgres.DatabaseEmpty(ctx, conn), postgres.ErrNotEmpty, "", "large object 90000")
}

// pg_dumpall takes the name of a database that has an equals sign for a connection string.
func TestGlobalsAreDumpedThroughADatabaseWhoseNameLooksLikeAConnectionString(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, `a=b 'c' \`)
	programs, err := postgres.FindTools(t.Context(), pg.Major)
	if err != nil {
		t.Fatal(err)
	}
	got, err := postgres.DumpGlobals(t.Context(), programs, target(t, pg.URL(`a=b 'c' \`)))
	if err != nil || !strings.Contains(string(got.SQL), "ROLE") {
		t.Errorf("%s, %v", got.SQL, err)
	}
}
