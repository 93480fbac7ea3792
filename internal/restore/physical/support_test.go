package physical_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	base "github.com/pgbackup/terraform-provider-pgbackup/internal/backup/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/physical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// protected is a server whose log goes into a repository: the server copies its
// segments into a folder, which is what restored servers read as well, and from
// there the test stores them.
type protected struct {
	*testenv.PostgresServer
	repo    *repo.Repository
	place   string // directory of the repository
	wal     string // folder of the segments
	archive repo.WALArchive
	mu      sync.Mutex
	stored  map[string]bool
	lose    map[string]bool // segments that never arrive
}

const source = "db"

// protect starts a server and archives its log for as long as the test runs.
func protect(t testing.TB, o testenv.PostgresOptions) *protected {
	t.Helper()
	p := &protected{wal: folder(t), place: t.TempDir(), stored: map[string]bool{}, lose: map[string]bool{}}
	config := map[string]string{
		"archive_mode": "on", "archive_command": "'test ! -f " + p.wal + "/%f && cp %p " + p.wal + "/%f.new && mv " + p.wal + "/%f.new " + p.wal + "/%f'",
		"full_page_writes": "on", // a server is copied while it writes
	}
	for name, value := range o.Config {
		config[name] = value
	}
	o.Config = config
	p.PostgresServer = testenv.Postgres(t, o)
	store, err := dir.Open(p.place)
	if err != nil {
		t.Fatal(err)
	}
	if p.repo, err = repo.Create(t.Context(), store, repo.CreateOptions{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	var system string
	p.ask(t, "SELECT system_identifier::text FROM pg_control_system()", &system)
	p.archive = repo.WALArchive{Source: source, System: system}
	ctx, stop := context.WithCancel(context.Background())
	var shipping sync.WaitGroup
	shipping.Go(func() {
		for ctx.Err() == nil {
			if err := p.ship(ctx); err != nil && ctx.Err() == nil {
				t.Errorf("archive WAL: %v", err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	t.Cleanup(func() { stop(); shipping.Wait() })
	return p
}

// ship stores what the server has archived since.
func (p *protected) ship(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	names, err := os.ReadDir(p.wal)
	if err != nil {
		return err
	}
	for _, n := range names {
		kind, _ := pgwal.KindOfFile(n.Name())
		if kind == pgwal.NoFile || p.stored[n.Name()] || p.lose[n.Name()] {
			continue
		}
		data, err := os.ReadFile(filepath.Join(p.wal, n.Name()))
		if err != nil {
			return err
		}
		info := repo.WALInfo{Name: n.Name(), Archived: time.Now()}
		if kind == pgwal.SegmentFile {
			scan, err := pgwal.ScanSegment(data, nil)
			if err != nil {
				return err
			}
			info.Take(scan)
		}
		if _, err := p.repo.PutWAL(ctx, p.archive, info, data); err != nil {
			return err
		}
		p.stored[n.Name()] = true
	}
	return nil
}

// ask reads one row.
func (p *protected) ask(t testing.TB, sql string, into ...any) {
	t.Helper()
	if err := p.Connect(t, "postgres").QueryRow(context.Background(), sql).Scan(into...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// switched ends the segment and waits until all before that is in the repository.
func (p *protected) switched(t testing.TB) {
	t.Helper()
	var name string
	p.Exec(t, "postgres", "CREATE TABLE IF NOT EXISTS nothing ()") // an empty segment is not switched
	p.ask(t, "SELECT pg_walfile_name(pg_switch_wal())", &name)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		there := p.stored[name] || p.lose[name]
		p.mu.Unlock()
		if there {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s was not archived: %s", name, p.Log())
		}
	}
}

// backup takes a base backup.
func (p *protected) backup(t testing.TB) *repo.Manifest { return p.backupOf(t, job.Physical{}) }

func (p *protected) backupOf(t testing.TB, what job.Physical) *repo.Manifest {
	t.Helper()
	target, err := postgres.ParseTarget(p.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	result, err := base.Run(t.Context(), base.Options{Options: point.Options{Repo: p.repo, Source: source}, Target: target, What: what})
	if err != nil {
		t.Fatalf("base backup: %v", err)
	}
	if len(result.Warnings) > 0 {
		t.Logf("base backup: %q", result.Warnings)
	}
	return result.Manifest
}

// mark commits one row of the ledger, and says when and where that was.
type mark struct {
	id  int
	at  time.Time
	lsn pgwal.LSN // behind the commit
	xid uint64
}

const ledger = "CREATE TABLE ledger (id int PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())"

func (p *protected) mark(t testing.TB, id int) mark {
	t.Helper()
	conn := p.Connect(t, "postgres")
	m := mark{id: id}
	var lsn string
	if err := conn.QueryRow(t.Context(), "INSERT INTO ledger (id) VALUES ($1) RETURNING txid_current()", id).Scan(&m.xid); err != nil {
		t.Fatal(err)
	}
	// Of the same moment as the commit record, which has a time of its own.
	time.Sleep(20 * time.Millisecond)
	if err := conn.QueryRow(t.Context(), "SELECT pg_current_wal_lsn()::text, clock_timestamp()").Scan(&lsn, &m.at); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	var err error
	if m.lsn, err = pgwal.ParseLSN(lsn); err != nil {
		t.Fatal(err)
	}
	return m
}

// options of a restore into a directory, with settings that let it run beside others.
func (p *protected) options(t testing.TB, to string) physical.Options {
	t.Helper()
	return physical.Options{
		Repo: p.repo, Source: source, Directory: to, Target: archive.Target{Latest: true, Inclusive: true}, Programs: p.Bin,
		RestoreCommand: "cp " + p.wal + "/%f %p", ArchiveMode: physical.ArchiveOff,
		Settings: map[string]string{"port": strconv.Itoa(freePort(t)), "unix_socket_directories": folder(t), "fsync": "off"},
	}
}

// run restores, and stops the server that it leaves at the test's end.
func (p *protected) run(t testing.TB, o physical.Options) physical.Result {
	t.Helper()
	if o.Start {
		p.stopLater(t, o.Directory)
	}
	result, err := physical.Run(t.Context(), o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return result
}

func (p *protected) stopLater(t testing.TB, dir string) {
	t.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(dir, "postmaster.pid")); err == nil {
			if out, err := p.Command(context.Background(), "pg_ctl", "stop", "-m", "immediate", "-D", dir).CombinedOutput(); err != nil {
				t.Errorf("stop the restored server: %v: %s", err, out)
			}
		}
	})
}

// rows are the ids in the ledger of the restored server.
func (p *protected) rows(t testing.TB, o physical.Options) string {
	t.Helper()
	var ids string
	p.askRestored(t, o, "SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '') FROM ledger", &ids)
	return ids
}

func (p *protected) askRestored(t testing.TB, o physical.Options, sql string, into ...any) {
	t.Helper()
	config, err := pgx.ParseConfig(p.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(o.Settings["port"], 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	config.Port = uint16(port)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := pgx.ConnectConfig(context.Background(), config)
		if err == nil {
			err = conn.QueryRow(context.Background(), sql).Scan(into...)
			err = errors.Join(err, conn.Close(context.Background()))
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// folder is a new directory that the server's user may write into.
func folder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatalf("%v: make the user: useradd --system postgres", err)
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if err := errors.Join(uidErr, gidErr, os.Chown(dir, uid, gid)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// tree tells all that is in a directory, without what a server or a restore adds.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		all[rel] = info.Mode().String()
		if d.Type().IsRegular() {
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			all[rel] += fmt.Sprintf(" %d", len(data))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// verified holds a restored directory against the server's own manifest with the
// server's own program.
func (p *protected) verified(t testing.TB, dir string) {
	t.Helper()
	out, err := exec.Command(filepath.Join(p.Bin, "pg_verifybackup"), "--no-parse-wal", dir).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "successfully verified") {
		t.Errorf("pg_verifybackup: %v: %s", err, out)
	}
}
