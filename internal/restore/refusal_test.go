package restore_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestADatabaseThatHoldsSomethingIsRefusedAndUntouched(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)")
	r := newRepository(t, nil)
	ref := back(t, pg, r).Manifest.Ref()
	pg.CreateDatabase(t, "other")
	pg.Exec(t, "other", "CREATE TABLE precious (id int)", "INSERT INTO precious VALUES (1)")
	pg.Exec(t, "postgres", "CREATE DATABASE witness TEMPLATE other")
	o := restore.Options{Repo: r, Ref: ref, Target: target(t, pg, "other")}
	_, err := restore.Run(context.Background(), o)
	if !errors.Is(err, restore.ErrNotEmpty) {
		t.Errorf("%v", err)
	}
	wantError(t, err, "other", "precious", "drop this one")
	if _, err := restore.Plan(context.Background(), o); !errors.Is(err, restore.ErrNotEmpty) {
		t.Errorf("the dry run: %v", err)
	}
	if diff := pg.SchemaDiff(t, "witness", "other"); diff != "" {
		t.Error(diff)
	}
}

func TestMissingRolesAreRefusedFirstOrMadeFromTheBackup(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", `CREATE ROLE "Boss ""B""; x" NOLOGIN`, `CREATE ROLE worker LOGIN PASSWORD 'secret' VALID UNTIL '2099-01-01'`, `CREATE ROLE reader`, `CREATE ROLE guard`,
		`GRANT "Boss ""B""; x" TO worker WITH ADMIN OPTION`, `ALTER ROLE worker SET search_path = 'a b', public`, "COMMENT ON ROLE worker IS 'works;\nhard'",
		`CREATE TABLE t (id int)`, `ALTER TABLE t OWNER TO "Boss ""B""; x"`, `GRANT SELECT ON t TO reader`,
		`CREATE POLICY p ON t TO guard USING (true)`, `ALTER DEFAULT PRIVILEGES FOR ROLE worker GRANT SELECT ON TABLES TO reader`,
		`ALTER DATABASE app OWNER TO worker`, `ALTER DATABASE app SET work_mem = '77MB'`, `ALTER DATABASE app SET default_transaction_read_only = on`,
		`ALTER ROLE worker IN DATABASE app SET search_path = 'it''s; a'`, "COMMENT ON DATABASE app IS 'the;\nbest'", `REVOKE TEMP ON DATABASE app FROM PUBLIC`)
	r := newRepository(t, nil)
	ref := back(t, pg, r).Manifest.Ref()
	other := testenv.Postgres(t)
	o := restore.Options{Repo: r, Ref: ref, Target: target(t, other, "fresh")}
	_, err := restore.Run(ctx, o)
	if !errors.Is(err, restore.ErrMissingRoles) {
		t.Errorf("%v", err)
	}
	wantError(t, err, `Boss "B"; x`, "worker", "reader", "guard", "--globals", "--no-owner")
	if _, err := restore.Plan(ctx, o); !errors.Is(err, restore.ErrMissingRoles) {
		t.Errorf("the dry run: %v", err)
	}
	if exists(t, other, "fresh") {
		t.Error("the database was made before the roles were looked at")
	}

	o.Globals = true
	if _, err := restore.Plan(ctx, o); err != nil {
		t.Errorf("the dry run: %v", err)
	}
	got, err := restore.Run(ctx, o)
	if err != nil || len(got.Warnings) > 0 {
		t.Fatalf("%v, %v", got.Warnings, err)
	}
	if diff, err := testenv.CompareDatabases(ctx, pg, "app", other, "fresh"); diff != "" || err != nil {
		t.Error(diff, err)
	}
	// Everything about roles and the database itself, as pg_dumpall and pg_dump --create tell it.
	for _, args := range [][]string{{"pg_dumpall", "--globals-only"}, {"pg_dump", "--create", "--schema-only"}} {
		before, after := told(t, pg, "app", args...), told(t, other, "fresh", args...)
		if before != after {
			t.Errorf("%v tells\n%s\nbefore, and after\n%s", args, before, after)
		}
	}
}

// told is what a tool writes about roles and the database, without what
// differs by intent: the server's own superuser, random tokens and the name.
func told(t *testing.T, pg *testenv.PostgresServer, database string, args ...string) string {
	t.Helper()
	args = append(args, "-d", pg.URL(database))
	if args[0] == "pg_dumpall" {
		args[len(args)-1] = pg.URL("postgres")
	}
	out, err := pg.Command(context.Background(), args[0], args[1:]...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(string(out), database, "NAME")) {
		if !strings.HasPrefix(line, `\`) && !strings.Contains(line, "ROLE postgres") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestARestoreWithoutOwnersAndRightsNeedsNoRoles(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE ROLE boss", "CREATE ROLE reader", "CREATE TABLE t (id int)", "ALTER TABLE t OWNER TO boss", "GRANT SELECT ON t TO reader", "INSERT INTO t VALUES (1)")
	r := newRepository(t, nil)
	ref := back(t, pg, r).Manifest.Ref()
	other := testenv.Postgres(t)
	got, err := restore.Run(context.Background(), restore.Options{Repo: r, Ref: ref, Target: target(t, other, "fresh"), NoOwner: true, NoPrivileges: true, Analyze: true})
	if err != nil || got.Rows != 1 || len(got.Warnings) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestADatabaseInAnotherEncodingAndLocaleTakesTheData(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t, testenv.PostgresOptions{Encoding: "LATIN1", Locale: "C"})
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "SET client_encoding = 'UTF8'", "CREATE TABLE \"Grüße\" (v text)", "INSERT INTO \"Grüße\" VALUES ('Ärger'), (E'tab\\tand\\\\n\\n')")
	r := newRepository(t, nil)
	ref := back(t, pg, r).Manifest.Ref()
	other := testenv.Postgres(t)
	other.CreateDatabase(t, "utf8")
	if _, err := restore.Run(context.Background(), restore.Options{Repo: r, Ref: ref, Target: target(t, other, "utf8")}); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := other.Connect(t, "utf8").QueryRow(context.Background(), `SELECT count(*) FROM "Grüße" WHERE v = 'Ärger'`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	// Made anew it has the encoding it had.
	got, err := restore.Run(context.Background(), restore.Options{Repo: r, Ref: ref, Target: target(t, other, "latin1")})
	if err != nil || !got.Created {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestMissingTablespacesAreDoneWithout(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	space := filepath.Join(pg.Dir, "space")
	if out, err := pg.Command(context.Background(), "initdb", "--version").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Mkdir(space, 0o700); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(pg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if err := os.Chown(space, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, "postgres", "CREATE TABLESPACE fast LOCATION '"+space+"'")
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE t (id int) TABLESPACE fast", "INSERT INTO t VALUES (1)")
	r := newRepository(t, nil)
	ref := back(t, pg, r).Manifest.Ref()
	other := testenv.Postgres(t)
	got, err := restore.Run(context.Background(), restore.Options{Repo: r, Ref: ref, Target: target(t, other, "fresh")})
	if err != nil || got.Rows != 1 || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "fast") {
		t.Errorf("%+v, %v", got, err)
	}
}

// large is a database that takes a while to restore.
func large(t *testing.T, pg *testenv.PostgresServer) {
	t.Helper()
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE big (id int PRIMARY KEY, filler text)", "INSERT INTO big SELECT i, (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 32) j) FROM generate_series(1, 30000) i",
		"CREATE TABLE small (id int)", "INSERT INTO small SELECT generate_series(1, 1000)")
}

func TestADamagedChunkFailsTheRestoreAndDropsOnlyWhatItMade(t *testing.T) {
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
	ref := back(t, pg, r).Manifest.Ref()
	flip(t, path, "archive.0000", 0.6)
	o := restore.Options{Repo: r, Ref: ref, Target: target(t, pg, "again"), Jobs: 2}
	_, err = restore.Run(ctx, o)
	if !errors.Is(err, repo.ErrDamaged) {
		t.Errorf("%v", err)
	}
	wantError(t, err, "public.big", "archive.0000")
	if !restore.IsBadBackup(err) {
		t.Error("the backup is not blamed")
	}
	if exists(t, pg, "again") {
		t.Error("the half-restored database is still there")
	}
	pg.CreateDatabase(t, "mine")
	o.Target = target(t, pg, "mine")
	_, err = restore.Run(ctx, o)
	wantError(t, err, "mine was there before", "empty it")
	if !exists(t, pg, "mine") {
		t.Error("a database that was there was dropped")
	}
	// What is small is read before anything is changed.
	for _, object := range []string{"index.0000", "tables.0000"} {
		flip(t, path, object, 0.5)
		o.Target = target(t, pg, "never")
		_, err = restore.Run(ctx, o)
		if !errors.Is(err, repo.ErrDamaged) || exists(t, pg, "never") {
			t.Errorf("%s: %v", object, err)
		}
		flip(t, path, object, 0.5)
	}
}

// flip inverts a byte of a stored object.
func flip(t *testing.T, root, object string, where float64) {
	t.Helper()
	var found string
	err := filepath.WalkDir(root, func(p string, _ os.DirEntry, err error) error {
		if filepath.Base(p) == object {
			found = p
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("no %s: %v", object, err)
	}
	b, err := os.ReadFile(found)
	if err != nil {
		t.Fatal(err)
	}
	b[int(float64(len(b))*where)] ^= 0xff
	if err := os.WriteFile(found, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAServerThatDiesFailsTheRestoreWithTheReason(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	large(t, pg)
	other := testenv.Postgres(t)
	r := newRepository(t, nil)
	ref := back(t, pg, r).Manifest.Ref()
	o := restore.Options{Repo: r, Ref: ref, Target: target(t, other, "again"), Jobs: 2, Progress: &restore.Progress{}}
	halted := make(chan error)
	go func() {
		for o.Progress.Loaded.Load() < 1<<20 {
			time.Sleep(time.Millisecond)
		}
		halted <- other.Halt(syscall.SIGQUIT)
	}()
	begun := time.Now()
	_, err := restore.Run(context.Background(), o)
	wantError(t, err, "into database again: tables: ", "could not be dropped")
	if restore.IsBadBackup(err) {
		t.Error("the backup is blamed")
	}
	if err := <-halted; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	if err := other.Resume(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, err = restore.Run(context.Background(), o)
	if !errors.Is(err, restore.ErrNotEmpty) {
		t.Errorf("%v", err)
	}
	wantError(t, err, "a restore that did not end", ref.ID, "drop it and try again")
}

func TestDataThatTheDatabaseRefusesIsTheError(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	// Rows that were written before the check they now break.
	pg.Exec(t, "app", "CREATE FUNCTION limit_of() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1000'",
		"CREATE TABLE t (id int CHECK (id < public.limit_of()))", "INSERT INTO t SELECT generate_series(1, 900)",
		"CREATE OR REPLACE FUNCTION limit_of() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 500'",
		"CREATE TABLE u (id int)", "INSERT INTO u VALUES (1)")
	r := newRepository(t, nil)
	ref := back(t, pg, r).Manifest.Ref()
	_, err := restore.Run(context.Background(), restore.Options{Repo: r, Ref: ref, Target: target(t, pg, "again")})
	wantError(t, err, "load table public.t", "violates check constraint")
	if !restore.IsBadBackup(err) {
		t.Error("the backup is not blamed")
	}
	if exists(t, pg, "again") {
		t.Error("the half-restored database is still there")
	}
}

func TestARestoreCancelledAtAnyMomentLeavesNoDatabaseBehind(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	large(t, pg)
	r := newRepository(t, nil)
	ref := back(t, pg, r).Manifest.Ref()
	o := restore.Options{Repo: r, Ref: ref, Target: target(t, pg, "again"), Jobs: 2}
	begun := time.Now()
	if _, err := restore.Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	life := time.Since(begun)
	cause := errors.New("somebody pressed Ctrl-C")
	cancelled := 0
	for range 12 {
		pg.Exec(t, "postgres", "DROP DATABASE IF EXISTS again WITH (FORCE)")
		ctx, cancel := context.WithCancelCause(context.Background())
		timer := time.AfterFunc(time.Duration(rand.Int64N(int64(life))), func() { cancel(cause) })
		_, err := restore.Run(ctx, o)
		timer.Stop()
		if err == nil {
			continue
		}
		cancelled++
		if !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if exists(t, pg, "again") && !empty(t, pg, "again") {
			t.Errorf("a half-restored database is still there after: %v", err)
		}
	}
	if cancelled == 0 {
		t.Error("none was cancelled in time")
	}
}

func empty(t *testing.T, pg *testenv.PostgresServer, database string) bool {
	t.Helper()
	out, err := pg.Command(context.Background(), "pg_dump", "-d", pg.URL(database)).Output()
	if err != nil {
		t.Fatal(err)
	}
	return !bytes.Contains(out, []byte("CREATE"))
}
