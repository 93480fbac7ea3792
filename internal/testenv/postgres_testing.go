package testenv

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres starts a server that ends with the test.
func Postgres(t testing.TB, opts ...PostgresOptions) *PostgresServer {
	t.Helper()
	var o PostgresOptions
	if len(opts) > 0 {
		o = opts[0]
	}
	p, err := StartPostgres(context.Background(), "", o)
	if err != nil {
		t.Fatal(err)
	}
	p.stopWith(t)
	return p
}

func (p *PostgresServer) stopWith(t testing.TB) {
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("stop PostgreSQL: %v", err)
		}
	})
}

// Connect opens a session as superuser; it ends with the test.
func (p *PostgresServer) Connect(t testing.TB, db string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), p.URL(db))
	if err != nil {
		t.Fatalf("connect to %s: %v", db, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = conn.Close(ctx) // the server may be gone by intent
	})
	return conn
}

// Exec runs statements as superuser, each by itself.
func (p *PostgresServer) Exec(t testing.TB, db string, sql ...string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, p.URL(db))
	if err != nil {
		t.Fatalf("connect to %s: %v", db, err)
	}
	defer conn.Close(ctx)
	for _, s := range sql {
		if _, err := conn.PgConn().Exec(ctx, s).ReadAll(); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// CreateDatabase makes an empty database.
func (p *PostgresServer) CreateDatabase(t testing.TB, name string) {
	t.Helper()
	p.Exec(t, "postgres", "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" TEMPLATE template0")
}

// Restart ends all sessions and starts the server again on the same port.
func (p *PostgresServer) Restart(t testing.TB) {
	t.Helper()
	if err := p.Halt(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := p.Resume(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// LoadSample fills a database with the sample application of SampleSQL.
func LoadSample(t testing.TB, p *PostgresServer, db string) {
	t.Helper()
	if err := p.LoadSample(context.Background(), db); err != nil {
		t.Fatal(err)
	}
}

// ClusterSample fills a database with pgbench's tables of the given scale.
func ClusterSample(t testing.TB, p *PostgresServer, db string, scale int) {
	t.Helper()
	if err := p.PgBench(context.Background(), db, scale); err != nil {
		t.Fatal(err)
	}
}

// Standby starts a streaming hot standby of p that ends with the test. Its URL,
// user and password are those of the primary with another port.
func (p *PostgresServer) Standby(t testing.TB) *PostgresServer {
	t.Helper()
	ctx := context.Background()
	s, err := newServer("", p.Bin)
	if err != nil {
		t.Fatal(err)
	}
	s.Password = p.Password
	s.stopWith(t)
	s.Port = p.Port // where pg_basebackup connects
	cmd := s.Command(ctx, "pg_basebackup", "--pgdata", s.DataDir, "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v: %s", err, tail(string(out)))
	}
	if err := s.start(ctx, true); err != nil {
		t.Fatal(err)
	}
	return s
}

// CatchUp waits until the standby has replayed all that the primary wrote.
func (p *PostgresServer) CatchUp(t testing.TB, standby *PostgresServer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var lsn string
	if err := p.Connect(t, "postgres").QueryRow(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&lsn); err != nil {
		t.Fatal(err)
	}
	conn := standby.Connect(t, "postgres")
	for {
		var done bool
		if err := conn.QueryRow(ctx, "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)", lsn).Scan(&done); err != nil {
			t.Fatalf("wait for the standby to reach %s: %v", lsn, err)
		}
		if done {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
