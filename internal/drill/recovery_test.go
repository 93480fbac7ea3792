package drill

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
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

func TestAServerIsRecoveredToAMomentByChanceAndTheHeartbeatProvesIt(t *testing.T) {
	t.Parallel()
	l := newLedger(t, true)
	l.write(20, true)
	l.archived()
	l.base()
	l.write(20, true)
	l.archived()
	o := l.recovery("")
	o.RPO = time.Hour
	o.Drill.AmCheck = true
	r := l.drill(o, drillreport.Proven)
	rec := r.Recovery
	if r.Point.Chosen != "random" || r.Point.Seed == 0 || r.Point.Among != 2 || rec.Target.Before(rec.From) || !rec.Target.Before(rec.To) {
		t.Errorf("%+v, %+v", r.Point, rec)
	}
	if rec.By != "heartbeat" || rec.Achieved.After(rec.Target) || rec.Behind > 6 || rec.Every != 1 || rec.LSN == "" || rec.Files == 0 || rec.Commit.IsZero() {
		t.Errorf("%+v", rec)
	}
	if want := l.committed(rec.Target); r.Checks[0].Got != want {
		t.Errorf("%s rows at %s, and %s were committed until then", r.Checks[0].Got, rec.Target, want)
	}
	if r.RPO == nil || r.RPO.Seconds <= 0 || r.RPO.Kept == nil || !*r.RPO.Kept || r.RTO.Seconds <= 0 || !r.AmCheck.Passed {
		t.Errorf("%+v, %+v, %+v", r.RPO, r.RTO, r.AmCheck)
	}
	if len(r.Warnings) > 0 {
		t.Errorf("warnings: %q", r.Warnings)
	}
	// The same seed recovers to the same moment.
	o.Drill.Source, o.Drill.Seed, o.Drill.AmCheck, o.Drill.Database = "random", r.Point.Seed, false, "app"
	if again := l.drill(o, drillreport.Proven); !again.Recovery.Target.Equal(rec.Target) || again.Point.ID != r.Point.ID {
		t.Errorf("%s of %s, then %s of %s", rec.Target, r.Point.ID, again.Recovery.Target, again.Point.ID)
	}
	for seed := range int64(3) {
		o.Drill.Seed = seed + 1
		r := l.drill(o, drillreport.Proven)
		if want := l.committed(r.Recovery.Target); r.Checks[0].Got != want {
			t.Errorf("seed %d: %s rows at %s, and %s were committed until then", seed+1, r.Checks[0].Got, r.Recovery.Target, want)
		}
	}
	if archived, err := os.ReadDir(l.outbox); err != nil || len(archived) > 0 {
		t.Errorf("something archived: %v, %v", archived, err)
	}
}

func TestTheEndsOfTheWindowAreDrilledToo(t *testing.T) {
	t.Parallel()
	l := newLedger(t, false)
	first := l.listedPoints()[0]
	l.write(10, false)
	l.archived()
	l.base()
	l.write(10, false)
	l.archived()
	latest := l.recovery("latest")
	latest.RPO = time.Nanosecond
	r := l.drill(latest, drillreport.Proven)
	if !r.Recovery.Target.IsZero() || r.Recovery.By != "commit" || !r.Recovery.Achieved.Equal(r.Recovery.To) || r.Checks[0].Got != fmt.Sprint(l.rows) {
		t.Errorf("%+v, %+v", r.Recovery, r.Checks[0])
	}
	// Without heartbeats nobody knows whether anything was lost at all.
	if r.RPO.Kept != nil || len(r.Warnings) > 0 {
		t.Errorf("%+v, %q", r.RPO, r.Warnings)
	}
	o := l.recovery("oldest")
	r = l.drill(o, drillreport.Proven)
	if r.Point.ID != first || !r.Recovery.Target.Equal(r.Recovery.From) || r.Checks[0].Got != "10" {
		t.Errorf("%+v, %+v, %+v", r.Point, r.Recovery, r.Checks[0])
	}
	// A base backup that is named is recovered to a moment of its own window.
	o = l.recovery("")
	o.Point = first[:len(first)-2]
	if r = l.drill(o, drillreport.Proven); r.Point.ID != first || r.Point.Chosen != "named" {
		t.Errorf("%+v", r.Point)
	}
	if want := l.committed(r.Recovery.Target); r.Checks[0].Got != want {
		t.Errorf("%s rows, and %s were committed", r.Checks[0].Got, want)
	}
	planned, err := Plan(t.Context(), l.recovery("latest"))
	if steps := strings.Join(planned.Steps, "\n"); err != nil || !strings.Contains(steps, "the end of the archived WAL") || !strings.Contains(steps, "does not archive") {
		t.Errorf("%v\n%s", err, steps)
	}
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

func TestDamagedWALIsABadBackupOfWhichNoPointIsToBlame(t *testing.T) {
	t.Parallel()
	l := newLedger(t, true)
	l.write(5, true)
	var name string
	if err := l.conn.QueryRow(t.Context(), "SELECT pg_walfile_name(pg_current_wal_lsn())").Scan(&name); err != nil {
		t.Fatal(err)
	}
	l.archived()
	l.write(5, true)
	l.archived()
	flip(t, l.segment(name))
	r := l.drill(l.recovery("latest"), drillreport.BadBackup)
	if !strings.Contains(r.Reason, name) || !slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, "archived WAL after it") }) {
		t.Errorf("%s, %q", r.Reason, r.Warnings)
	}
	for _, p := range l.listedPoints() {
		if l.listed(repo.Ref{Source: source, Kind: "physical", ID: p}).Condemned {
			t.Errorf("%s was condemned", p)
		}
	}
}

func TestADamagedBaseBackupIsCondemned(t *testing.T) {
	t.Parallel()
	l := newLedger(t, true)
	l.write(5, true)
	l.archived()
	m := l.base()
	l.write(5, true)
	l.archived()
	flip(t, filepath.Join(l.dir, m.Ref().DataPrefix()+m.Objects[0].Name))
	r := l.drill(l.recovery("latest"), drillreport.BadBackup)
	if r.Point.ID != m.ID || !l.listed(m.Ref()).Condemned {
		t.Errorf("%+v: %s", r.Point, r.Reason)
	}
	// The next one goes back to the base backup before, which reaches as far.
	r = l.drill(l.recovery("latest"), drillreport.Proven)
	if r.Point.ID == m.ID || r.Checks[0].Got != fmt.Sprint(l.rows) {
		t.Errorf("%+v, %+v", r.Point, r.Checks[0])
	}
}

func TestWhatAWholeServerIsNotIsSaidOfIt(t *testing.T) {
	t.Parallel()
	l := newLedger(t, true)
	l.write(5, true)
	l.archived()
	o := l.recovery("latest")
	o.Drill.Database = "no_such_database"
	if r := l.drill(o, drillreport.CouldNotRun); !strings.Contains(r.Reason, "no_such_database") {
		t.Error(r.Reason)
	}
	if o = l.recovery("latest"); true {
		o.Source = "nobody"
	}
	r, err := Run(t.Context(), o)
	if err != nil || r.Outcome != drillreport.CouldNotRun || !strings.Contains(r.Reason, "no good base backup") || r.Recovery != nil {
		t.Errorf("%+v, %v", r, err)
	}
	o = l.recovery("latest")
	o.Drill.Checks = []job.DrillCheck{{Name: "rows", SQL: "select count(*) from ledger", Expect: "> 100000"}}
	r = l.drill(o, drillreport.BadBackup)
	if !l.listed(repo.Ref{Source: source, Kind: "physical", ID: r.Point.ID}).Condemned {
		t.Error("it is not condemned")
	}
	if r = l.drill(l.recovery("latest"), drillreport.CouldNotRun); !strings.Contains(r.Reason, "no good base backup") {
		t.Error(r.Reason)
	}
}
