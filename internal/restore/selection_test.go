package restore_test

import (
	"context"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestWhatIsSelectedComesBackAndNothingElse(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", `CREATE SCHEMA "Übersee"`, `CREATE SCHEMA logs`, `CREATE TABLE "Übersee"."My ""Table"".x" (id int)`, `INSERT INTO "Übersee"."My ""Table"".x" VALUES (1), (2)`,
		"CREATE TABLE logs.a (id int)", "INSERT INTO logs.a VALUES (1)", "CREATE TABLE keep (id serial)", "INSERT INTO keep DEFAULT VALUES", "CREATE TABLE drop_me (id int)")
	r := newRepository(t, nil)
	for name, c := range map[string]struct {
		selection postgres.Selection
		tables    string
	}{
		"exclude_schema": {postgres.Selection{ExcludeSchemas: []string{"logs"}}, `My "Table".x,drop_me,keep`},
		"include_schema": {postgres.Selection{IncludeSchemas: []string{`"Übersee"`}}, `My "Table".x`},
		"exclude_table":  {postgres.Selection{ExcludeTables: []string{"drop_*", "logs.a"}}, `My "Table".x,keep`},
		"include_table":  {postgres.Selection{IncludeTables: []string{"keep"}}, `keep`},
	} {
		t.Run(name, func(t *testing.T) {
			result := back(t, pg, r, func(o *backup.Options) { o.Selection = c.selection })
			if result.Manifest.Selection == nil {
				t.Error("the manifest does not say that it is a part")
			}
			if _, err := restore.Run(context.Background(), restore.Options{Repo: r, Ref: result.Manifest.Ref(), Target: target(t, pg, name)}); err != nil {
				t.Fatal(err)
			}
			var tables string
			err := pg.Connect(t, name).QueryRow(context.Background(), `SELECT coalesce(string_agg(relname, ',' ORDER BY relname COLLATE "C"), '') FROM pg_class WHERE relkind = 'r' AND oid >= 16384`).Scan(&tables)
			if err != nil || tables != c.tables {
				t.Errorf("%s, want %s (%v)", tables, c.tables, err)
			}
		})
	}
}

func TestDatabasesOfLittleComeBackToo(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	for name, content := range map[string][]string{
		"nothing":              nil,
		"large objects only":   {"SELECT lo_from_bytea(0, decode(repeat('ab', 3000000), 'hex'))", "SELECT lo_create(0)", "SELECT lo_from_bytea(4711, 'x')"},
		`Ünï "quoted"; 'name'`: {"CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)"},
		"empty tables":         {"CREATE TABLE a ()", "INSERT INTO a DEFAULT VALUES", "CREATE TABLE b (id int)", "CREATE MATERIALIZED VIEW m AS SELECT 1 AS one"},
	} {
		t.Run(name, func(t *testing.T) {
			pg.CreateDatabase(t, name)
			pg.Exec(t, name, content...)
			r := newRepository(t, nil)
			result := back(t, pg, r, func(o *backup.Options) { o.Target = o.Target.WithDatabase(name) })
			again := strings.ToUpper(name)
			if _, err := restore.Run(context.Background(), restore.Options{Repo: r, Ref: result.Manifest.Ref(), Target: target(t, pg, again).WithDatabase(again)}); err != nil {
				t.Fatal(err)
			}
			diff, err := testenv.CompareDatabases(context.Background(), pg, name, pg, again)
			if err != nil || diff != "" {
				t.Error(diff, err)
			}
		})
	}
}
