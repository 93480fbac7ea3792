package postgres_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestFailedConnectionsSayWhatToDo(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pg := testenv.Postgres(t)
	pg.Exec(t, "postgres", "CREATE ROLE few LOGIN PASSWORD 'pw' CONNECTION LIMIT 0", "CREATE ROLE nologin NOLOGIN PASSWORD 'pw'")
	hba := "host all nobody_here 127.0.0.1/32 reject\nhostssl all tls_only 127.0.0.1/32 scram-sha-256\nhost all few,nologin,postgres,none 127.0.0.1/32 scram-sha-256\n"
	if err := os.WriteFile(filepath.Join(pg.DataDir, "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		t.Fatal(err)
	}
	pg.Exec(t, "postgres", "SELECT pg_reload_conf()")
	time.Sleep(200 * time.Millisecond)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	const secret = "s3cret-pw"
	for _, c := range []struct {
		conninfo string
		kind     error
		words    []string
	}{
		{pg.URLFor("postgres", secret, "postgres"), postgres.ErrBadPassword, []string{"password authentication failed", "PGPASSWORD"}},
		{pg.URLFor("none", secret, "postgres"), postgres.ErrBadPassword, []string{"none"}},
		{pg.URLFor("nologin", "pw", "postgres"), postgres.ErrBadPassword, []string{"not permitted to log in"}},
		{pg.URL("missing"), postgres.ErrNoDatabase, []string{`"missing" does not exist`, "psql -l"}},
		{pg.URLFor("few", "pw", "postgres"), postgres.ErrTooManyConns, []string{"CONNECTION LIMIT"}},
		{pg.URLFor("nobody_here", secret, "postgres"), postgres.ErrNoHBAEntry, []string{"pg_hba.conf", "host postgres nobody_here"}},
		{pg.URLFor("tls_only", secret, "postgres"), postgres.ErrNoHBAEntry, []string{"sslmode=require"}},
		{strings.Replace(pg.URL("postgres"), "sslmode=disable", "sslmode=require", 1), postgres.ErrTLS, []string{"ssl = on"}},
		{"postgres://u:" + secret + "@" + closed.Addr().String() + "/d", postgres.ErrUnreachable, []string{"nothing listens", closed.Addr().String()}},
		{"postgres://u:" + secret + "@no-such-host.invalid/d", postgres.ErrUnreachable, []string{"no-such-host.invalid", "not known"}},
		{"host=/nonexistent user=u password=" + secret + " dbname=d", postgres.ErrUnreachable, []string{"/nonexistent"}},
	} {
		_, err := target(t, c.conninfo).Connect(ctx)
		wantError(t, err, c.kind, secret, c.words...)
		if strings.Contains(err.Error(), pg.Password) {
			t.Errorf("with a secret: %v", err)
		}
	}
}

func TestConnectionStringsThatCanNotBeReadShowNoSecret(t *testing.T) {
	t.Parallel()
	for _, conninfo := range []string{
		"postgres://u:s3cret@pw@h:port/d", "postgres://u:s3cr%zzet@h/d", "s3cret", "host=h password=s3cret port=x", "postgres://u:s3cret@h:99999/d",
		"postgres://u:s3cret@h/d?sslmode=nonsense", "password=s3cret sslpassword=s3cret host=h",
	} {
		_, err := postgres.ParseTarget(conninfo)
		wantError(t, err, nil, "s3cr", "connection string")
	}
}

func TestChildProgramsGetTheLoginByEnvironment(t *testing.T) {
	t.Parallel()
	to := target(t, `host=db.example port=5433 user='the user' password='p\'w' dbname='a b' sslmode=require krbsrvname='a b' options='-c geqo=off'`)
	env := to.WithDatabase("other").Env(15)
	for _, want := range []string{
		"PGHOST=db.example", "PGPORT=5433", "PGUSER=the user", "PGPASSWORD=p'w", "PGDATABASE=other", "PGSSLMODE=require", "PGKRBSRVNAME=a b", "PGTZ=UTC",
		"PGOPTIONS=-c geqo=off -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0 -c bytea_output=hex",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("no %s", want)
		}
	}
	if to.Database != "a b" {
		t.Error("WithDatabase changed the original")
	}
	if got := to.WithPassword("new").Env(17); !slices.Contains(got, "PGPASSWORD=new") || !strings.Contains(strings.Join(got, "\n"), "transaction_timeout=0") {
		t.Error("no new password or timeout")
	}
}

// pooler passes a connection through and, as poolers do, tells the client a
// process id of its own making in BackendKeyData.
func pooler(t *testing.T, upstream string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", upstream)
			if err != nil {
				_ = client.Close()
				return
			}
			go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
			go func() { rewriteKeyData(client, server); _ = client.Close() }()
		}
	}()
	return l.Addr().String()
}

func rewriteKeyData(client io.Writer, server io.Reader) {
	head := make([]byte, 5)
	for {
		if _, err := io.ReadFull(server, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(server, body); err != nil {
			return
		}
		if head[0] == 'K' {
			binary.BigEndian.PutUint32(body, 4242)
		}
		if _, err := client.Write(append(slices.Clone(head), body...)); err != nil {
			return
		}
	}
}

func TestAPoolerInBetweenIsRefused(t *testing.T) {
	t.Parallel()
	pg := testenv.Postgres(t)
	through := strings.Replace(pg.URL("postgres"), pg.Addr(), pooler(t, pg.Addr()), 1)
	_, err := postgres.OpenSnapshot(t.Context(), target(t, through), postgres.Selection{}, postgres.SnapshotOptions{})
	wantError(t, err, postgres.ErrPooler, pg.Password, "pooler", "process 4242")
}

func TestSeveralHostsAreRefusedForASnapshot(t *testing.T) {
	t.Parallel()
	_, err := postgres.OpenSnapshot(t.Context(), target(t, "postgres://u@a:1,b:2/d"), postgres.Selection{}, postgres.SnapshotOptions{})
	wantError(t, err, nil, "", "several hosts")
}

func TestToolsAreTheServersOwnOrNewerAndNeverOlder(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pg := testenv.Postgres(t)
	found, err := postgres.FindTools(ctx, pg.Major)
	if err != nil || found.Major < pg.Major || !strings.HasPrefix(found.Version, fmt.Sprint(found.Major)) {
		t.Errorf("%+v, %v", found, err)
	}
	_, err = postgres.FindTools(ctx, 99)
	wantError(t, err, postgres.ErrToolsTooOld, "", "PostgreSQL 99", found.Version[:2], "apt-get install postgresql-client-99", "dnf", "brew")
}

func TestMissingToolsSayHowToInstallThem(t *testing.T) {
	t.Setenv("PGBACKUP_PG_BIN", t.TempDir())
	_, err := postgres.FindTools(t.Context(), 17)
	wantError(t, err, postgres.ErrNoTools, "", "PGBACKUP_PG_BIN", "apt-get install postgresql-client-17")
}
