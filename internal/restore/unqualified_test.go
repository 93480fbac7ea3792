package restore_test

import (
	"context"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestAFunctionThatNeedsASearchPathIsNamedWithWhatToDo(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	const table = "CREATE TABLE countries (id int, name text); INSERT INTO countries VALUES (1, 'x'); CREATE TABLE t (c int); INSERT INTO t VALUES (1);"
	for name, sql := range map[string]string{
		"index":  table + "CREATE FUNCTION called(int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT name FROM countries WHERE id = $1'; CREATE INDEX ON t (called(c))",
		"plain":  table + "CREATE FUNCTION called() RETURNS SETOF countries LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT * FROM countries; END $$; CREATE MATERIALIZED VIEW m AS SELECT * FROM called()",
		"checks": table + "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION called(int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RETURN $1 = one(); END $$; ALTER TABLE t ADD CHECK (called(c))",
	} {
		pg.CreateDatabase(t, name)
		pg.Exec(t, name, sql)
		r := newRepository(t, nil)
		_, err := restore.Run(context.Background(), restore.Options{Repo: r, Ref: backOf(t, pg, r, name), Target: target(t, pg, name+"_again")})
		wantError(t, err, "does not exist", "called names something without its schema", "the data is good", "ALTER FUNCTION ")
		if restore.IsBadBackup(err) {
			t.Errorf("%s: the backup is blamed: %v", name, err)
		}
	}
}

// A check that looks into another table is not what PostgreSQL means a check to be.
// It is what people have, and pg_restore loads the tables in the order of their names.
func TestATableWhoseCheckReadsAnotherIsLoadedAfterIt(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE b_words (w text); INSERT INTO b_words VALUES ('a'), ('b')",
		"CREATE FUNCTION known(text) RETURNS bool LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM public.b_words WHERE w = $1)'",
		"CREATE TABLE a_early (w text CHECK (known(w))); INSERT INTO a_early VALUES ('a'), ('b')",
		"CREATE TABLE c_large (id int, w text CHECK (known(w))); INSERT INTO c_large SELECT g, chr(97 + g % 2) FROM generate_series(1, 300000) g")
	r := newRepository(t, nil)
	ref := backOf(t, pg, r, "app")
	for name, jobs := range map[string]int{"one": 1, "three": 3} {
		got, err := restore.Run(context.Background(), restore.Options{Repo: r, Ref: ref, Target: target(t, pg, name), Jobs: jobs})
		if err != nil || got.Rows != 300004 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// backOf backs a database up and tells the point.
func backOf(t *testing.T, pg *testenv.PostgresServer, r *repo.Repository, db string) repo.Ref {
	t.Helper()
	return back(t, pg, r, func(o *backup.Options) { o.Target = o.Target.WithDatabase(db) }).Manifest.Ref()
}
