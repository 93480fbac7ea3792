package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestTimeoutsOfRoleAndDatabaseDoNotEndASnapshotOrADump(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "app")
	pg.Exec(t, "app", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS i",
		"CREATE ROLE backup LOGIN PASSWORD 'pw' IN ROLE pg_read_all_data",
		"ALTER ROLE backup SET idle_in_transaction_session_timeout = '50ms'", "ALTER ROLE backup SET statement_timeout = '1ms'",
		"ALTER ROLE backup SET lock_timeout = '1ms'", "ALTER ROLE backup SET idle_session_timeout = '50ms'",
		"ALTER ROLE backup SET client_encoding = 'LATIN1'", "ALTER ROLE backup SET bytea_output = 'escape'",
		"ALTER DATABASE app SET statement_timeout = '1ms'")
	from := target(t, pg.URLFor("backup", "pw", "app"))
	snapshot := openSnapshot(t, from, postgres.Selection{}, postgres.SnapshotOptions{})
	time.Sleep(300 * time.Millisecond)
	_, r := dump(t, tools(t, pg), from, postgres.Selection{}, snapshot)
	if got := r.Data()[0].Sum.Rows; got != 1000 {
		t.Errorf("%d rows", got)
	}
	if snapshot.Server.Major != pg.Major || snapshot.Server.Encoding != "UTF8" || snapshot.Server.DatabaseBytes == 0 || snapshot.Tables[0].Bytes == 0 || time.Since(snapshot.Server.Clock).Abs() > time.Minute {
		t.Errorf("%+v, %+v", snapshot.Server, snapshot.Tables)
	}
	if err := errors.Join(snapshot.Release(), snapshot.Release(), snapshot.Err()); err != nil {
		t.Error(err)
	}
}

func TestALostSnapshotIsNoticed(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	snapshot := openSnapshot(t, target(t, pg.URL("postgres")), postgres.Selection{}, postgres.SnapshotOptions{Heartbeat: 50 * time.Millisecond})
	pg.Exec(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbackup'")
	select {
	case <-snapshot.Lost():
	case <-time.After(10 * time.Second):
		t.Fatal("not noticed")
	}
	wantError(t, snapshot.Err(), nil, pg.Password, snapshot.ID, "lost")
	wantError(t, snapshot.Release(), nil, pg.Password, snapshot.ID, "lost") // whoever relied on its locks must hear
}

func TestALostSnapshotIsNoticedAtItsReleaseToo(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	snapshot := openSnapshot(t, target(t, pg.URL("postgres")), postgres.Selection{}, postgres.SnapshotOptions{Heartbeat: time.Hour})
	pg.Exec(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbackup'")
	wantError(t, snapshot.Release(), nil, pg.Password, snapshot.ID, "lost")
}

func TestATableThatSomebodyHasLockedIsNamedWithItsHolder(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, "postgres", "CREATE TABLE free (i int)", `CREATE TABLE "Busy one" (i int)`)
	holder := pg.Connect(t, "postgres")
	if _, err := holder.PgConn().Exec(t.Context(), `BEGIN; LOCK TABLE "Busy one" IN ACCESS EXCLUSIVE MODE`).ReadAll(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	_, err := postgres.OpenSnapshot(t.Context(), target(t, pg.URL("postgres")), postgres.Selection{}, postgres.SnapshotOptions{LockTimeout: 300 * time.Millisecond})
	wantError(t, err, postgres.ErrLockTimeout, pg.Password, `"public"."Busy one"`, fmt.Sprintf("pg_terminate_backend(%d)", holder.PgConn().PID()))
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := postgres.OpenSnapshot(ctx, target(t, pg.URL("postgres")), postgres.Selection{}, postgres.SnapshotOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a cancelled wait: %v", err)
	}
}

func TestATruncateAtAnyMomentNeverEmptiesATableInTheDump(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pg := testenv.Postgres(t)
	const rows = 200
	pg.Exec(t, "postgres", "CREATE TABLE other (i int)", fmt.Sprintf("CREATE TABLE victim AS SELECT generate_series(1, %d) AS i", rows))
	from, programs := target(t, pg.URL("postgres")), tools(t, pg)
	conn := pg.Connect(t, "postgres")
	for delay := range 12 {
		if _, err := conn.Exec(ctx, fmt.Sprintf("INSERT INTO victim SELECT generate_series(1, %d) WHERE NOT EXISTS (SELECT FROM victim)", rows)); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(time.Duration(delay) * 4 * time.Millisecond)
			if _, err := conn.Exec(ctx, "TRUNCATE victim"); err != nil {
				t.Error(err)
			}
		})
		snapshot, p, err := postgres.StartDump(ctx, programs, from, postgres.Selection{}, postgres.SnapshotOptions{}, postgres.DumpOptions{LockWait: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		seen := int64(rows)
		if snapshot.Tables[1].Bytes == 0 {
			seen = 0 // the TRUNCATE was over before the snapshot
		}
		r := pgarchive.NewReader(pgarchive.Events{TOC: func(*pgarchive.TOC) error { return snapshot.Release() }})
		_, err = io.Copy(r, p.Stdout)
		if err := errors.Join(err, p.Wait(), r.Close()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		for _, d := range r.Data() {
			if d.Entry.Tag == "victim" && d.Sum.Rows != seen {
				t.Errorf("TRUNCATE after %d ms: %d rows dumped, %d in the snapshot", delay*4, d.Sum.Rows, seen)
			}
		}
	}
}

func TestTablesThatComeAndGoMakeItStartOver(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pg := testenv.Postgres(t)
	pg.Exec(t, "postgres", "CREATE TABLE stays AS SELECT 1 AS i")
	from, programs := target(t, pg.URL("postgres")), tools(t, pg)
	conn := pg.Connect(t, "postgres")
	var wg sync.WaitGroup
	wg.Go(func() { // a burst, as of a migration
		for n := range 40 {
			time.Sleep(10 * time.Millisecond)
			if _, err := conn.PgConn().Exec(ctx, fmt.Sprintf("CREATE TABLE goes_%d (i int); DROP TABLE IF EXISTS goes_%d", n+3, n)).ReadAll(); err != nil {
				t.Error(err)
				return
			}
		}
	})
	snapshot, p, err := postgres.StartDump(ctx, programs, from, postgres.Selection{}, postgres.SnapshotOptions{Attempts: 200}, postgres.DumpOptions{LockWait: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r := pgarchive.NewReader(pgarchive.Events{TOC: func(*pgarchive.TOC) error { return snapshot.Release() }})
	_, err = io.Copy(r, p.Stdout)
	if err := errors.Join(err, p.Wait(), r.Close()); err != nil {
		t.Fatal(err)
	}
	if len(r.Data()) != len(snapshot.Tables) {
		t.Errorf("%d tables dumped, %d listed", len(r.Data()), len(snapshot.Tables))
	}
	wg.Wait()
}

func TestATableThatStaysWantedEndsTheAttemptsWithItsName(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, "postgres", "CREATE TABLE wanted (i int)")
	reader, writer := pg.Connect(t, "postgres"), pg.Connect(t, "postgres")
	if _, err := reader.PgConn().Exec(t.Context(), "BEGIN; LOCK TABLE wanted IN ACCESS SHARE MODE").ReadAll(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = writer.Exec(ctx, "TRUNCATE wanted") }) // waits for reader until cancelled
	time.Sleep(200 * time.Millisecond)
	_, _, err := postgres.StartDump(t.Context(), tools(t, pg), target(t, pg.URL("postgres")), postgres.Selection{}, postgres.SnapshotOptions{LockTimeout: 200 * time.Millisecond}, postgres.DumpOptions{})
	wantError(t, err, postgres.ErrLockTimeout, pg.Password, `"public"."wanted"`, fmt.Sprint(writer.PgConn().PID()))
	cancel()
	wg.Wait()
}

func TestAStandbyIsDumpedWithoutItsUnloggedTables(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.Exec(t, "postgres", "CREATE TABLE logged AS SELECT generate_series(1, 10) AS i", "CREATE UNLOGGED TABLE unlogged AS SELECT 1 AS i")
	standby := pg.Standby(t)
	pg.CatchUp(t, standby)
	from := target(t, standby.URL("postgres"))
	snapshot := openSnapshot(t, from, postgres.Selection{}, postgres.SnapshotOptions{})
	_, r := dump(t, tools(t, pg), from, postgres.Selection{}, snapshot)
	if len(r.Data()) != 1 || r.Data()[0].Entry.Tag != "logged" || r.Data()[0].Sum.Rows != 10 {
		t.Errorf("dumped %v", r.Data())
	}
	if !snapshot.Server.InRecovery || len(snapshot.Tables) != 1 || len(snapshot.Skipped) != 1 || snapshot.Skipped[0].Table.Name != "unlogged" {
		t.Errorf("%+v: tables %v, skipped %v", snapshot.Server, snapshot.Tables, snapshot.Skipped)
	}
	primary := openSnapshot(t, target(t, pg.URL("postgres")), postgres.Selection{}, postgres.SnapshotOptions{})
	if len(primary.Tables) != 2 || primary.Server.SystemIdentifier == "" || primary.Server.SystemIdentifier != snapshot.Server.SystemIdentifier {
		t.Errorf("primary: %+v, %v", primary.Server, primary.Tables)
	}
}

func TestTwentyThousandTablesNeedTheSettingThatIsNamed(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	conn := pg.Connect(t, "postgres")
	for i := range 20 {
		if _, err := conn.Exec(t.Context(), fmt.Sprintf("DO $$ BEGIN FOR i IN 1..1000 LOOP EXECUTE format('CREATE TABLE t_%d_%%s ()', i); END LOOP; END $$", i)); err != nil {
			t.Fatal(err)
		}
	}
	from := target(t, pg.URL("postgres"))
	_, err := postgres.OpenSnapshot(t.Context(), from, postgres.Selection{}, postgres.SnapshotOptions{})
	wantError(t, err, postgres.ErrLockTableFull, pg.Password, " tables at once", "ALTER SYSTEM SET max_locks_per_transaction = 512; then restart")
	if err := pg.Configure(t.Context(), map[string]string{"max_locks_per_transaction": "512"}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	snapshot := openSnapshot(t, from, postgres.Selection{}, postgres.SnapshotOptions{})
	if len(snapshot.Tables) != 20_000 {
		t.Errorf("%d tables", len(snapshot.Tables))
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}
