package comparison_test

import (
	"context"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical/comparison"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestTwoDatabasesWithTheSameContentsAreEqual(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	for _, db := range []string{"a", "b"} {
		pg.CreateDatabase(t, db)
		pg.Exec(t, db, small)
	}
	// Neither the order of rows nor that of columns counts.
	pg.Exec(t, "b", "ALTER TABLE s.one DROP COLUMN id; ALTER TABLE s.one ADD COLUMN id int; UPDATE s.one SET id = substr(v, 2)::int")
	got, err := comparison.Databases(context.Background(), target(t, pg, "a"), target(t, pg, "b"), 0)
	if err != nil {
		t.Fatal(err)
	}
	wantDifferences(t, got)
	if got.Tables != 3 || got.Rows != 110 || got.Sequences != 2 || got.LargeObjects != 1 {
		t.Errorf("%+v", got)
	}
}

func TestWhatOneOfTwoDatabasesLacksIsNamed(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	for _, db := range []string{"a", "b"} {
		pg.CreateDatabase(t, db)
		pg.Exec(t, db, small)
	}
	pg.Exec(t, "a", "CREATE TABLE s.only_a (); CREATE SEQUENCE s.seq_a; CREATE TABLE s.form (x int, y int)")
	pg.Exec(t, "b", "DROP TABLE s.gone; UPDATE s.one SET v = 'x' WHERE id = 1; DELETE FROM s.two WHERE id > 9; SELECT nextval('s.down'); SELECT lo_unlink(1234); CREATE TABLE s.form (x bigint, z int)")
	got, err := comparison.Databases(context.Background(), target(t, pg, "a"), target(t, pg, "b"), 2)
	if err != nil {
		t.Fatal(err)
	}
	wantDifferences(t, got,
		"large objects: the first database has 1 large object, the second 0 large objects",
		"sequence s.down: it is at -2 in the first database, at -3 in the second",
		"sequence s.seq_a: only the first database has it",
		"table s.form: column x is integer in the first, bigint in the second; only the first has column y; only the second has column z",
		"table s.gone: only the first database has it",
		"table s.one: both have 100 rows, with other contents",
		"table s.only_a: only the first database has it",
		"table s.two: the first database has 10 rows, the second 9 rows",
	)
}

func TestDatabasesOfDifferentEncodingsAreComparedByCharacters(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "a")
	pg.Exec(t, "postgres", "CREATE DATABASE b TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
	for _, db := range []string{"a", "b"} {
		pg.Exec(t, db, "SET client_encoding = 'UTF8'", "CREATE TABLE t AS SELECT 'Gr\u00fc\u00dfe' AS v")
	}
	got, err := comparison.Databases(context.Background(), target(t, pg, "a"), target(t, pg, "b"), 0)
	if err != nil {
		t.Fatal(err)
	}
	wantDifferences(t, got)
}
