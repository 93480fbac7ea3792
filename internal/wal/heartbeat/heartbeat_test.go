package heartbeat_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/heartbeat"
)

func target(t testing.TB, url string) postgres.Target {
	t.Helper()
	to, err := postgres.ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// start writes until the test ends.
func start(t testing.TB, o heartbeat.Options) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { heartbeat.Run(ctx, o) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
}

// newer waits for a beat after the given one.
func newer(t testing.TB, pg *testenv.PostgresServer, source string, than time.Time) heartbeat.Beat {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		b, err := heartbeat.Read(t.Context(), pg.Connect(t, "beats"), source)
		if err == nil && b.At.After(than) {
			return b
		}
		if err != nil && !errors.Is(err, heartbeat.ErrNone) {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("no heartbeat after %s: %+v, %v", than, b, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestHeartbeatIsWrittenAgainAndAgainAcrossRestarts(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "beats")
	if _, err := heartbeat.Read(t.Context(), pg.Connect(t, "beats"), "main"); !errors.Is(err, heartbeat.ErrNone) {
		t.Errorf("without a table: %v", err)
	}
	for _, source := range []string{"main", "other"} {
		start(t, heartbeat.Options{Target: target(t, pg.URL("postgres")), Database: "beats", Source: source, Every: 200 * time.Millisecond, Runner: "here"})
	}
	b := newer(t, pg, "main", time.Time{})
	if b.Every != 200*time.Millisecond || b.Runner != "here" || time.Since(b.At).Abs() > time.Minute {
		t.Errorf("%+v", b)
	}
	newer(t, pg, "other", time.Time{})
	b = newer(t, pg, "main", b.At)
	if _, err := heartbeat.Read(t.Context(), pg.Connect(t, "beats"), "nobody"); !errors.Is(err, heartbeat.ErrNone) {
		t.Errorf("a source that is not there: %v", err)
	}
	pg.Restart(t)
	newer(t, pg, "main", b.At)
}

func TestRoleThatMayOnlyWriteTheTableSuffices(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	pg.CreateDatabase(t, "beats")
	pg.Exec(t, "beats", "CREATE ROLE small LOGIN PASSWORD 'small'", heartbeat.Create, "GRANT USAGE ON SCHEMA pgbackup TO small", "GRANT SELECT, INSERT, UPDATE ON pgbackup.heartbeat TO small")
	start(t, heartbeat.Options{Target: target(t, pg.URLFor("small", "small", "postgres")), Database: "beats", Source: "main", Every: 100 * time.Millisecond})
	newer(t, pg, "main", newer(t, pg, "main", time.Time{}).At)
}
