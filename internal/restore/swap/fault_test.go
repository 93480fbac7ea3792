package swap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/swap"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestWhenTheSwapIsNotPossibleTheOldDatabaseServesAndTheNewOneIsKept(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	old(t, pg, "app")
	pg.Exec(t, "postgres", "CREATE ROLE restorer LOGIN CREATEDB PASSWORD 'r'", "ALTER DATABASE app OWNER TO restorer", "GRANT pg_signal_backend TO restorer")
	o := options(t, pg)
	o.Target = target(t, pg.URLFor("restorer", "r", "app"))
	o.Patience = time.Second
	o.Check = func(context.Context, postgres.Target) error {
		pg.Connect(t, "app") // a superuser's session, which came while the new one was filled
		return nil
	}
	_, err := swap.Run(t.Context(), o)
	wantError(t, err, swap.ErrRefused, "sessions of postgres", "app serves as before", "is kept as app_restored_20260301t020000z")
	wantDatabases(t, pg, "app", "app_restored_20260301t020000z")
	if a, b := is(t, pg, "app"), is(t, pg, "app_restored_20260301t020000z"); a != "old" || b != "new" {
		t.Errorf("%s and %s", a, b)
	}
}

func TestARightToRenameThatIsLostMeanwhileIsNamed(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	old(t, pg, "app")
	pg.Exec(t, "postgres", "CREATE ROLE restorer LOGIN CREATEDB PASSWORD 'r'", "ALTER DATABASE app OWNER TO restorer")
	o := options(t, pg)
	o.Target = target(t, pg.URLFor("restorer", "r", "app"))
	o.Patience = time.Second
	beside := ""
	o.Check = func(_ context.Context, to postgres.Target) error {
		beside = to.Database
		pg.Exec(t, "postgres", "ALTER ROLE restorer NOCREATEDB")
		return nil
	}
	_, err := swap.Run(t.Context(), o)
	wantError(t, err, swap.ErrRefused, `ALTER ROLE "restorer" CREATEDB`, "app serves as before", "the restored and checked one is "+beside)
	wantDatabases(t, pg, "app", beside)
	pg.Exec(t, "postgres", "ALTER ROLE restorer CREATEDB")
	o.Check = nil
	if result, err := swap.Run(t.Context(), o); err != nil || strings.Join(result.Removed, " ") != beside {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestADatabaseThatSomebodyExchangedMeanwhileIsNotReplaced(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	old(t, pg, "app")
	o := options(t, pg)
	o.Check = func(context.Context, postgres.Target) error {
		pg.Exec(t, "postgres", "ALTER DATABASE app RENAME TO elsewhere", "CREATE DATABASE app")
		return nil
	}
	_, err := swap.Run(t.Context(), o)
	if err == nil {
		t.Fatal("no error")
	}
	wantError(t, err, err, "somebody else created, renamed or dropped it", "kept as app_restored_")
	wantDatabases(t, pg, "app", "app_restored_20260301t020000z", "elsewhere")
}

func TestAServerThatRestartsBeforeTheSwapOnlyDelaysIt(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	old(t, pg, "app")
	o := options(t, pg)
	o.Check = func(context.Context, postgres.Target) error {
		pg.Restart(t) // the lock is gone with its session
		return nil
	}
	if _, err := swap.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if a, b := is(t, pg, "app"), is(t, pg, before); a != "new" || b != "old" {
		t.Errorf("%s and %s", a, b)
	}
}

func TestAConnectionCutAnywhereInTheSwapIsToldAsItCameOut(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	upstream := fmt.Sprintf("%s:%d", pg.Host, pg.Port)
	seen := map[outcome]int{}
	for bytes := int64(500); bytes <= 3500; bytes += 600 {
		proxy := testenv.Faulty(t, upstream)
		seen[swapThrough(t, pg, proxy.Addr(), func() {
			proxy.CutAnswersAfter(bytes)
			// Whoever asks what became of it gets an answer.
			time.AfterFunc(400*time.Millisecond, proxy.Restore)
		})]++
	}
	if seen[unchanged] == 0 || seen[exchanged] == 0 {
		t.Errorf("the cuts missed the swap: %v", seen)
	}
}

func TestACommitWhoseAnswerIsLostIsAskedFor(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	upstream := fmt.Sprintf("%s:%d", pg.Host, pg.Port)
	for arrives, want := range map[bool]outcome{false: unchanged, true: settled} {
		if got := swapThrough(t, pg, cutAtCommit(t, upstream, arrives), func() {}); got != want {
			t.Errorf("the COMMIT arrives: %v, and the outcome is %s", arrives, got)
		}
	}
}

// cutAtCommit is a proxy that breaks a connection with a COMMIT in it: before the
// server hears of it, or before the client hears of the answer.
func cutAtCommit(t *testing.T, upstream string, arrives bool) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	serve := func(client net.Conn) {
		defer client.Close()
		server, err := net.Dial("tcp", upstream)
		if err != nil {
			return
		}
		defer server.Close()
		var cut atomic.Bool
		go func() {
			defer client.Close()
			buffer := make([]byte, 32<<10)
			for {
				n, err := server.Read(buffer)
				if err != nil || cut.Load() {
					return
				}
				if _, err := client.Write(buffer[:n]); err != nil {
					return
				}
			}
		}()
		buffer := make([]byte, 32<<10)
		for {
			n, err := client.Read(buffer)
			if err != nil {
				return
			}
			if bytes.Contains(buffer[:n], []byte("commit\x00")) {
				if cut.Store(true); !arrives {
					return
				}
			}
			if _, err := server.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(client)
		}
	}()
	return listener.Addr().String()
}

type outcome string

const (
	unchanged outcome = "unchanged"
	exchanged outcome = "exchanged"
	settled   outcome = "exchanged, as the server said when it was asked again"
)

// swapThrough replaces a database through a proxy that breaks something, and tells how
// it came out when what was said and what is there agree.
func swapThrough(t *testing.T, pg *testenv.PostgresServer, proxy string, breaks func()) outcome {
	t.Helper()
	for _, name := range []string{"app", before, "app_restored_20260301t020000z"} {
		pg.Exec(t, "postgres", "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	}
	old(t, pg, "app")
	var log strings.Builder
	o := options(t, pg)
	o.Target = target(t, strings.Replace(pg.URL("app"), fmt.Sprintf("%s:%d", pg.Host, pg.Port), proxy, 1))
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	o.Patience = time.Millisecond // no second try, which would succeed
	o.Check = func(context.Context, postgres.Target) error {
		breaks()
		return nil
	}
	_, err := swap.Run(t.Context(), o)
	switch app := is(t, pg, "app"); {
	case err == nil && app == "new" && is(t, pg, before) == "old":
		if strings.Contains(log.String(), "broke at the commit") {
			return settled
		}
		return exchanged
	case err != nil && app == "old" && !errors.Is(err, swap.ErrUnknown):
	default:
		t.Errorf("%v, and app is %s", err, app)
	}
	return unchanged
}
