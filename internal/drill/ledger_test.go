package drill

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// ledger is a fixture with a server whose WAL comes into the repository, and on which a
// ledger is kept.
type ledger struct {
	*fixture
	pg      *testenv.PostgresServer
	conn    *pgx.Conn
	archive repo.WALArchive
	outbox  string // where the server archives to
	rows    int
}

// newLedger makes one with a base backup and some rows before and after it, each
// followed by a heartbeat unless there are to be none.
func newLedger(t *testing.T, heartbeats bool) *ledger {
	t.Helper()
	l := &ledger{fixture: newFixture(t)}
	l.outbox = filepath.Join(l.scratchless(), "outbox")
	if err := os.Mkdir(l.outbox, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(l.outbox, 0o777); err != nil {
		t.Fatal(err)
	}
	l.pg = testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{
		"archive_mode": "on", "archive_command": "'cp %p " + l.outbox + "/%f.new && mv " + l.outbox + "/%f.new " + l.outbox + "/%f'", "wal_level": "replica",
		"track_commit_timestamp": "on", "max_prepared_transactions": "5", "max_connections": "120",
	}})
	where := filepath.Join(l.pg.Dir, "fast")
	if err := os.Mkdir(where, 0o700); err != nil {
		t.Fatal(err)
	}
	owner, err := os.Stat(l.pg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	if id := owner.Sys().(*syscall.Stat_t); os.Getuid() == 0 {
		if err := os.Chown(where, int(id.Uid), int(id.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	l.pg.Exec(t, "postgres", "CREATE TABLESPACE fast LOCATION '"+where+"'", "CREATE DATABASE app")
	l.conn = l.pg.Connect(t, "app")
	l.exec("CREATE TABLE ledger (n int PRIMARY KEY, at timestamptz NOT NULL) TABLESPACE fast")
	if heartbeats {
		l.pg.Exec(t, "postgres", "CREATE SCHEMA pgbackup", "CREATE TABLE pgbackup.heartbeat (source text PRIMARY KEY, at timestamptz NOT NULL, every_seconds double precision NOT NULL, runner text)",
			"INSERT INTO pgbackup.heartbeat VALUES ('"+source+"', clock_timestamp(), 1, 'a test')")
	}
	ctx, stop := context.WithCancel(t.Context())
	sent := make(chan struct{})
	go func() { defer close(sent); l.send(ctx) }()
	t.Cleanup(func() { stop(); <-sent })
	var system string
	if err := l.conn.QueryRow(ctx, "SELECT system_identifier::text FROM pg_control_system()").Scan(&system); err != nil {
		t.Fatal(err)
	}
	l.archive = repo.WALArchive{Source: source, System: system}
	l.write(10, heartbeats)
	l.archived()
	l.base()
	return l
}

// scratchless is a directory that the server's user may enter, and that is not the one
// of scratch servers.
func (l *ledger) scratchless() string {
	l.t.Helper()
	dir, err := os.MkdirTemp("", "drill-outbox-")
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (l *ledger) exec(sql string, args ...any) {
	l.t.Helper()
	if _, err := l.conn.Exec(l.t.Context(), sql, args...); err != nil {
		l.t.Fatalf("%s: %v", sql, err)
	}
}

// write adds rows, some time apart.
func (l *ledger) write(n int, heartbeats bool) {
	l.t.Helper()
	beat := l.pg.Connect(l.t, "postgres")
	for range n {
		l.rows++
		l.exec("INSERT INTO ledger VALUES ($1, clock_timestamp())", l.rows)
		if heartbeats {
			if _, err := beat.Exec(l.t.Context(), "UPDATE pgbackup.heartbeat SET at = clock_timestamp() WHERE source = $1", source); err != nil {
				l.t.Fatal(err)
			}
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// send stores what the server archives, until it is told to end.
func (l *ledger) send(ctx context.Context) {
	for ; ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		entries, err := os.ReadDir(l.outbox)
		if err != nil {
			l.t.Error(err)
			return
		}
		for _, e := range entries {
			if kind, _ := pgwal.KindOfFile(e.Name()); kind == pgwal.NoFile {
				continue
			}
			if err := l.store(ctx, e.Name()); err != nil && ctx.Err() == nil {
				l.t.Error(err)
			}
		}
	}
}

func (l *ledger) store(ctx context.Context, name string) error {
	path := filepath.Join(l.outbox, name)
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	info := repo.WALInfo{Name: name, Archived: time.Now()}
	if kind, _ := pgwal.KindOfFile(name); kind == pgwal.PartialFile {
		info.SegmentSize = pgwal.DefaultSegmentSize
	}
	if s, err := pgwal.ParseSegment(name, pgwal.DefaultSegmentSize); err == nil {
		scan, err := pgwal.ScanSegment(data, &s)
		if err != nil {
			return err
		}
		info.Take(scan)
	}
	if _, err := l.PutWAL(ctx, l.archive, info, data); err != nil {
		return err
	}
	return os.Remove(path)
}

// archived ends the segment and waits until all is in the repository.
func (l *ledger) archived() {
	l.t.Helper()
	var name string
	if err := l.conn.QueryRow(l.t.Context(), "SELECT pg_walfile_name(pg_switch_wal())").Scan(&name); err != nil {
		l.t.Fatal(err)
	}
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(l.segment(name)); err == nil {
			return
		}
		if time.Since(begun) > 20*time.Second {
			l.t.Fatalf("%s was not archived: %s", name, l.pg.Log())
		}
	}
}

// segment is the file in the repository that holds one of WAL.
func (l *ledger) segment(name string) string {
	f, err := repo.NewWALFile(l.archive, name, 0, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	return filepath.Join(l.dir, f.Key())
}

// base takes a base backup.
func (l *ledger) base() *repo.Manifest {
	l.t.Helper()
	target, err := postgres.ParseTarget(l.pg.URL("postgres"))
	if err != nil {
		l.t.Fatal(err)
	}
	result, err := physical.Run(l.t.Context(), physical.Options{
		Options: point.Options{Repo: l.Repository, Source: source, Self: repo.Self(), Log: slog.New(slog.NewTextHandler(l.t.Output(), nil))}, Target: target,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return result.Manifest
}

// recovery are options of a drill of the server.
func (l *ledger) recovery(chosen string) Options {
	o := l.options()
	o.Drill.Kind, o.Drill.Source, o.Drill.Database = "physical", chosen, "app"
	o.Drill.Checks = []job.DrillCheck{
		{Name: "rows", SQL: "select count(*) from ledger", Expect: ">= 10"},
		{Name: "none of later", SQL: "select max(at) <= current_setting('pgbackup.backup_time')::timestamptz from ledger"},
	}
	return o
}

// committed is how many rows of the ledger were committed until a moment.
func (l *ledger) committed(until time.Time) string {
	l.t.Helper()
	var n string
	if err := l.conn.QueryRow(l.t.Context(), "SELECT count(*)::text FROM ledger WHERE pg_xact_commit_timestamp(xmin) <= $1", until).Scan(&n); err != nil {
		l.t.Fatal(err)
	}
	return n
}

// listedPoints are the ids of base backups, oldest first.
func (l *ledger) listedPoints() []string {
	l.t.Helper()
	points, err := l.List(l.t.Context(), repo.Filter{Kind: "physical"})
	if err != nil {
		l.t.Fatal(err)
	}
	var ids []string
	for _, p := range points {
		ids = append(ids, p.ID)
	}
	slices.Sort(ids)
	return ids
}

func flip(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)*2/3] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
