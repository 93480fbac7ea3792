package receive_test

import (
	"context"
	"syscall"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestFailoverIsFollowedToTheNewTimeline(t *testing.T) {
	t.Parallel()
	primary := server(t)
	primary.Exec(t, "postgres", "CREATE TABLE ledger (word text)", "INSERT INTO ledger VALUES ('before')")
	standby := primary.Standby(t)
	both := "postgres://postgres:" + primary.Password + "@" + primary.Addr() + "," + standby.Addr() + "/postgres?sslmode=disable&target_session_attrs=primary"
	r, _ := inDir(t)
	receiver := run(t, options(t, r, target(t, both)))
	receiver.says("the archive begins")
	base := baseBackup(t, primary)
	primary.Exec(t, "postgres", "INSERT INTO ledger SELECT 'filler' FROM generate_series(1, 300000)", "INSERT INTO ledger VALUES ('replicated')")
	primary.CatchUp(t, standby)

	// What follows the standby does not get, and the archive does.
	standby.Exec(t, "postgres", "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
	eventually(t, "the standby is cut off", func() error {
		var n int
		if err := primary.Connect(t, "postgres").QueryRow(context.Background(), "SELECT 1 / (count(*) = 1)::int FROM pg_stat_replication").Scan(&n); err != nil {
			return err
		}
		return nil
	})
	primary.Exec(t, "postgres", "INSERT INTO ledger SELECT 'lost' FROM generate_series(1, 400000)")
	lost := flushed(t, primary)
	reaches(t, r, primary, 1, lost)
	if err := primary.Halt(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	standby.Exec(t, "postgres", "SELECT pg_promote()", "INSERT INTO ledger VALUES ('promoted')")
	receiver.says("the server left the timeline before what was received of it")
	end := flushed(t, standby)
	reaches(t, r, nil, 2, end)

	// And once more, this time the standby has everything: the stream goes over by itself.
	second := standby.Standby(t)
	standby.Exec(t, "postgres", "INSERT INTO ledger VALUES ('again')")
	standby.CatchUp(t, second)
	if err := receiver.stop(); err != nil {
		t.Fatal(err)
	}
	o := options(t, r, target(t, second.URL("postgres")))
	cascade := run(t, o)
	cascade.says("the archive is continued")
	if err := standby.Halt(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	second.Exec(t, "postgres", "SELECT pg_promote()", "INSERT INTO ledger VALUES ('third')")
	cascade.says("the server went over to a new timeline")
	reaches(t, r, nil, 3, flushed(t, second))

	histories, _, err := readArchive(r)
	if err != nil {
		t.Fatal(err)
	}
	h, err := pgwal.ParseHistory(3, histories["00000003.history"])
	if err != nil || len(histories) != 2 {
		t.Fatalf("histories %q, %v", histories, err)
	}
	found := extents(t, r, nil)
	for _, timeline := range []pgwal.Timeline{1, 2} {
		left, was := h.Left(timeline)
		if next := found[timeline+1]; !was || found[timeline].to < left || next.from > left {
			t.Errorf("timeline %s was left at %s: the archive has %+v, then %+v", timeline, left, found[timeline], next)
		}
	}

	wantLedger(t, recovered(t, r, primary, base), map[string]int{"before": 1, "replicated": 1, "lost": 0, "promoted": 1, "again": 1, "third": 1})
}

func wantLedger(t *testing.T, pg *testenv.PostgresServer, want map[string]int) {
	t.Helper()
	conn := pg.Connect(t, "postgres")
	for word, n := range want {
		var got int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM ledger WHERE word = $1", word).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != n {
			t.Errorf("%d rows of %q, want %d", got, word, n)
		}
	}
}
