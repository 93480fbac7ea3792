package replication_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/replication"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func target(t testing.TB, conninfo string) postgres.Target {
	t.Helper()
	target, err := postgres.ParseTarget(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func connect(t testing.TB, conninfo string) *replication.Conn {
	t.Helper()
	c, err := replication.Connect(t.Context(), target(t, conninfo))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestServerTellsWhoItIs(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	c := connect(t, pg.URL("postgres"))
	id, err := c.Identify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var system, now string
	if err := pg.Connect(t, "postgres").QueryRow(t.Context(), "SELECT system_identifier::text, pg_current_wal_flush_lsn()::text FROM pg_control_system()").Scan(&system, &now); err != nil {
		t.Fatal(err)
	}
	if id.System != system || id.Timeline != 1 || id.At == 0 || id.Database != "" {
		t.Errorf("%+v, the server is system %s at %s", id, system, now)
	}
	if c.Major() != pg.Major || !strings.HasPrefix(c.Version(), strconv.Itoa(pg.Major)+".") {
		t.Errorf("major %d, version %q of a server of %d", c.Major(), c.Version(), pg.Major)
	}
	size, err := c.SegmentSize(t.Context())
	if err != nil || size != 16<<20 {
		t.Errorf("segments of %d bytes, %v", size, err)
	}
	if level, err := c.Show(t.Context(), "wal_level"); err != nil || level != "replica" {
		t.Errorf("wal_level %q, %v", level, err)
	}
	if _, err := c.Show(t.Context(), "wal_level; DROP_REPLICATION_SLOT x"); err == nil {
		t.Error("a command was taken for the name of a setting")
	}
	if _, err := c.Show(t.Context(), "no_such_setting"); err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("unknown setting: %v", err)
	}
	c.Close()
	c.Close()
	if _, err := c.Identify(t.Context()); err == nil {
		t.Error("a closed connection answered")
	}
}

func TestRefusedReplicationSaysWhatToDo(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{"max_wal_senders": "1"}})
	pg.Exec(t, "postgres", "CREATE ROLE plain LOGIN PASSWORD 'secret1'", "CREATE ROLE repl LOGIN REPLICATION PASSWORD 'secret2'", "CREATE ROLE barred LOGIN REPLICATION PASSWORD 'secret3'")
	hba := filepath.Join(pg.DataDir, "pg_hba.conf")
	data, err := os.ReadFile(hba)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hba, append([]byte("host replication barred all reject\nhost all all all scram-sha-256\n"), data...), 0o600); err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, "postgres", "SELECT pg_reload_conf()")

	refused := func(t *testing.T, user, password string, kind error, words ...string) {
		t.Helper()
		c, err := replication.Connect(t.Context(), target(t, pg.URLFor(user, password, "postgres")))
		// Who was refused before keeps the only place for a moment.
		for deadline := time.Now().Add(20 * time.Second); !errors.Is(kind, postgres.ErrTooManyConns) && errors.Is(err, postgres.ErrTooManyConns) && time.Now().Before(deadline); {
			time.Sleep(20 * time.Millisecond)
			c, err = replication.Connect(t.Context(), target(t, pg.URLFor(user, password, "postgres")))
		}
		if err == nil {
			c.Close()
			t.Fatalf("%s got in", user)
		}
		if !errors.Is(err, kind) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), password) {
			t.Errorf("%v: not one line of kind %q without the password", err, kind)
		}
		for _, w := range words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q does not say %q", err, w)
			}
		}
	}
	refused(t, "plain", "secret1", postgres.ErrNoReplication, `ALTER ROLE "plain" REPLICATION`)
	refused(t, "barred", "secret3", postgres.ErrNoHBAEntry, "host replication barred")
	refused(t, "repl", "wrong-one", postgres.ErrBadPassword)
	connect(t, pg.URLFor("repl", "secret2", "postgres"))
	refused(t, "repl", "secret2", postgres.ErrTooManyConns, "max_wal_senders")

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := replication.Connect(gone, target(t, pg.URL("postgres"))); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestOfSeveralServersTheAskedForKindIsFound(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	standby := pg.Standby(t)
	hosts := func(attrs string) string {
		return "postgres://" + pg.User + ":" + pg.Password + "@" + standby.Addr() + "," + pg.Addr() + "," + standby.Addr() + "/postgres?sslmode=disable&target_session_attrs=" + attrs
	}
	for attrs, want := range map[string]string{"primary": "off", "read-write": "off", "standby": "on", "any": "on"} {
		got, err := connect(t, hosts(attrs)).Show(t.Context(), "transaction_read_only")
		if err != nil || got != want {
			t.Errorf("target_session_attrs=%s: transaction_read_only is %q, %v", attrs, got, err)
		}
	}
}
