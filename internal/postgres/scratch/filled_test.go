//go:build linux

package scratch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/scratch"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// past is a server that was backed up, its backup, and the WAL that it archived.
type past struct {
	*testenv.PostgresServer
	t       *testing.T
	conn    *pgx.Conn
	base    string // of the backup
	archive string
	moments []string // after each row of the ledger, oldest first
}

// newPast makes a backup between the first and the second of four rows, and runs
// statements after it.
func newPast(t *testing.T, after ...string) *past {
	t.Helper()
	p := &past{t: t, base: filepath.Join(place(t), "base"), archive: place(t)}
	if err := os.Chmod(p.archive, 0o777); err != nil {
		t.Fatal(err)
	}
	p.PostgresServer = testenv.Postgres(t, testenv.PostgresOptions{Config: map[string]string{
		"archive_mode": "on", "archive_command": "'cp %p " + p.archive + "/%f'", "wal_level": "replica", "max_prepared_transactions": "7",
	}})
	p.conn = p.Connect(t, "postgres")
	p.exec("CREATE TABLE ledger (n int)")
	p.write(1)
	cmd := p.Command(t.Context(), "pg_basebackup", "--pgdata", p.base, "--wal-method=none", "--checkpoint=fast", "--no-sync")
	if err := os.Chmod(filepath.Dir(p.base), 0o777); err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p.exec(after...)
	for n := range 3 {
		p.write(n + 2)
	}
	eventually(t, "all WAL is archived", func() bool {
		var done bool
		if err := p.conn.QueryRow(t.Context(), "SELECT coalesce(last_archived_wal >= pg_walfile_name(pg_current_wal_lsn() - 1), false) FROM pg_stat_archiver").Scan(&done); err != nil {
			t.Fatal(err)
		}
		return done
	})
	return p
}

// exec runs statements in a session that began before any of them.
func (p *past) exec(statements ...string) {
	p.t.Helper()
	for _, s := range statements {
		if _, err := p.conn.Exec(p.t.Context(), s); err != nil {
			p.t.Fatalf("%s: %v", s, err)
		}
	}
}

func (p *past) write(n int) {
	p.t.Helper()
	p.exec(fmt.Sprintf("INSERT INTO ledger VALUES (%d)", n), "SELECT pg_switch_wal()")
	var moment string
	if err := p.conn.QueryRow(p.t.Context(), "SELECT clock_timestamp()::text").Scan(&moment); err != nil {
		p.t.Fatal(err)
	}
	p.moments = append(p.moments, moment)
	time.Sleep(10 * time.Millisecond)
}

func (p *past) fetch(_ context.Context, name, path string) error {
	data, err := os.ReadFile(filepath.Join(p.archive, name))
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

func (p *past) copyTo(_ context.Context, data, _ string) error {
	return os.CopyFS(data, os.DirFS(p.base))
}

// options of a recovery to a moment.
func (p *past) options(moment string) scratch.Options {
	return scratch.Options{Major: p.Major, Filled: &scratch.Filled{
		Fill: p.copyTo, Superuser: "postgres", Had: map[string]string{"max_prepared_transactions": "7"},
		Recovery: &scratch.Recovery{Target: map[string]string{"recovery_target_time": moment}, Fetch: p.fetch},
	}}
}

func TestADataDirectoryIsRecoveredToAMomentAndItsOwnConfigurationIsNotUsed(t *testing.T) {
	t.Parallel()
	p := newPast(t,
		"ALTER ROLE ALL SET session_preload_libraries = 'no_such_library_1'", "ALTER DATABASE template1 SET session_preload_libraries = 'no_such_library_2'",
		"ALTER ROLE postgres IN DATABASE postgres SET local_preload_libraries = 'no_such_library_3'", "ALTER ROLE postgres SET default_transaction_read_only = on",
		"ALTER ROLE postgres VALID UNTIL '2001-01-01'", "ALTER SYSTEM SET shared_preload_libraries = 'no_such_library_4'", "ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1'")
	for name, text := range map[string]string{"standby.signal": "", "postmaster.pid": "1\n", "pg_hba.conf": "host all all all trust\n"} {
		if err := os.WriteFile(filepath.Join(p.base, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	archived := left(t, p.archive)
	dir := place(t)
	o := p.options(p.moments[2])
	o.Directory = dir
	c := start(t, o)
	got, err := query(t, c, "SELECT string_agg(n::text, ' ' ORDER BY n) FROM ledger")
	if err != nil || got != "1 2 3" {
		t.Errorf("the ledger has %q, %v", got, err)
	}
	got, err = query(t, c, "SELECT concat_ws(' ', current_setting('archive_mode'), current_setting('listen_addresses'), current_setting('shared_preload_libraries'), current_setting('session_preload_libraries'), current_setting('primary_conninfo'), current_setting('max_wal_senders'), current_setting('max_prepared_transactions'), pg_is_in_recovery())")
	if err != nil || strings.Join(strings.Fields(got), " ") != "off 0 7 f" {
		t.Errorf("%q, %v", got, err)
	}
	if conn, err := c.Target("postgres").WithPassword("").Connect(t.Context()); err == nil {
		conn.Close(t.Context())
		t.Error("nobody was asked for a password")
	}
	if uid, err := query(t, c, "CREATE TEMP TABLE id (line text); COPY id FROM PROGRAM 'id -u'; SELECT line FROM id"); err != nil || os.Getuid() == 0 && uid == "0" {
		t.Errorf("it runs as %q, %v", uid, err)
	}
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	if names := left(t, dir); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
	if now := left(t, p.archive); !slices.Equal(now, archived) {
		t.Errorf("the archive had %v and has %v", archived, now)
	}
}

func TestWithoutATargetAllWALIsReplayed(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	o := p.options("")
	o.Filled.Recovery.Target = nil
	c := start(t, o)
	if got, err := query(t, c, "SELECT string_agg(n::text, ' ' ORDER BY n) FROM ledger"); err != nil || got != "1 2 3 4" {
		t.Errorf("the ledger has %q, %v", got, err)
	}
}

func TestNoMoreWALLiesOnDiskThanIsAboutToBeRead(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	for range 20 {
		p.write(5)
	}
	dir := place(t)
	o := p.options(p.moments[len(p.moments)-2])
	o.Directory = dir
	var most atomic.Int64
	o.Filled.Recovery.Fetch = func(ctx context.Context, name, path string) error {
		ready, err := filepath.Glob(filepath.Join(dir, "*", "wal", "ready", "*"))
		if err != nil {
			return err
		}
		most.Store(max(most.Load(), int64(len(ready))))
		return p.fetch(ctx, name, path)
	}
	c := start(t, o)
	if got, err := query(t, c, "SELECT count(*) FROM ledger"); err != nil || got < "22" {
		t.Errorf("%q rows, %v", got, err)
	}
	if most.Load() == 0 || most.Load() > 8 {
		t.Errorf("%d files lay ready", most.Load())
	}
}

func TestARecoveryThatFailsSaysWhyAndLeavesNothing(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	broken := errors.New("the repository does not answer")
	for name, c := range map[string]struct {
		change func(o *scratch.Options)
		want   error
		says   string
	}{
		"a moment that the archive does not reach": {func(o *scratch.Options) {
			o.Filled.Recovery.Target["recovery_target_time"] = "2100-01-01 00:00:00+00"
		}, scratch.ErrRecovery, "recovery ended before configured recovery target was reached"},
		"a repository in trouble": {func(o *scratch.Options) {
			o.Filled.Recovery.Fetch = func(_ context.Context, name, _ string) error {
				if strings.HasSuffix(name, ".history") {
					return os.ErrNotExist
				}
				return broken
			}
		}, broken, "bring WAL to the server"},
		"a directory that can not be filled": {func(o *scratch.Options) {
			o.Filled.Fill = func(context.Context, string, string) error { return broken }
		}, broken, "fill the data directory"},
		"what is no data directory": {func(o *scratch.Options) {
			o.Filled.Fill = func(context.Context, string, string) error { return nil }
		}, os.ErrNotExist, "no data directory"},
		"another major version": {func(o *scratch.Options) { o.Major-- }, scratch.ErrNoServer, "apt-get install postgresql-14"},
		"a target that is none": {func(o *scratch.Options) {
			o.Filled.Recovery.Target["archive_command"] = "true"
		}, nil, "says nothing of how far"},
		"a tablespace of the server that was backed up": {func(o *scratch.Options) {
			o.Filled.Fill = func(ctx context.Context, data, tablespaces string) error {
				return errors.Join(p.copyTo(ctx, data, tablespaces), os.Symlink(p.archive, filepath.Join(data, "pg_tblspc", "16400")))
			}
		}, nil, "outside of what is the scratch server's own"},
		"a part of it elsewhere": {func(o *scratch.Options) {
			o.Filled.Fill = func(ctx context.Context, data, tablespaces string) error {
				return errors.Join(p.copyTo(ctx, data, tablespaces), os.Symlink(tablespaces, filepath.Join(data, "base", "elsewhere")))
			}
		}, nil, "outside of what is the scratch server's own"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := p.options(p.moments[1])
			o.Directory = place(t)
			c.change(&o)
			_, err := scratch.Start(t.Context(), o)
			if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
			if names := left(t, o.Directory); len(names) > 0 {
				t.Errorf("left: %v", names)
			}
			if list := processesOf(t, o.Directory); len(list) > 0 {
				t.Errorf("still running: %v", list)
			}
		})
	}
}

func TestATablespaceOfItsOwnIsUsed(t *testing.T) {
	t.Parallel()
	o := scratch.Options{Filled: &scratch.Filled{}}
	pg := testenv.Postgres(t)
	where := filepath.Join(pg.Dir, "fast")
	if err := os.Mkdir(where, 0o700); err != nil {
		t.Fatal(err)
	}
	owner, err := os.Stat(pg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	if id := owner.Sys().(*syscall.Stat_t); os.Getuid() == 0 {
		if err := os.Chown(where, int(id.Uid), int(id.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	pg.Exec(t, "postgres", "CREATE TABLESPACE fast LOCATION '"+where+"'", "CREATE TABLE kept TABLESPACE fast AS SELECT 17 AS n", "CHECKPOINT")
	if err := pg.Halt(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	o.Major = pg.Major
	o.Filled.Fill = func(_ context.Context, data, tablespaces string) error {
		// As cp does it, which leaves links as they are.
		if out, err := exec.Command("cp", "-a", pg.DataDir+"/.", data).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		links, err := filepath.Glob(filepath.Join(data, "pg_tblspc", "*"))
		if err != nil || len(links) != 1 {
			return fmt.Errorf("%v: %w", links, err)
		}
		own := filepath.Join(tablespaces, filepath.Base(links[0]))
		return errors.Join(os.CopyFS(own, os.DirFS(where)), os.Remove(links[0]), os.Symlink(own, links[0]))
	}
	c := start(t, o)
	if got, err := query(t, c, "SELECT n FROM kept"); err != nil || got != "17" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := query(t, c, "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'"); err != nil || !strings.HasPrefix(got, c.Directory()) {
		t.Errorf("it is in %q, %v", got, err)
	}
}

// recoveringRunner waits in the middle of a recovery.
func recoveringRunner(dir, base string) error {
	major, err := os.ReadFile(filepath.Join(base, "PG_VERSION"))
	if err != nil {
		return err
	}
	o := scratch.Options{Directory: dir, Filled: &scratch.Filled{
		Fill: func(_ context.Context, data, _ string) error { return os.CopyFS(data, os.DirFS(base)) },
		Recovery: &scratch.Recovery{Fetch: func(ctx context.Context, name, _ string) error {
			if strings.HasSuffix(name, ".history") {
				return os.ErrNotExist
			}
			fmt.Println("waits")
			<-ctx.Done()
			return ctx.Err()
		}},
	}}
	if _, err := fmt.Sscan(string(major), &o.Major); err != nil {
		return err
	}
	_, err = scratch.Start(context.Background(), o)
	return err
}

func TestAServerThatRecoversDiesWithItsRunner(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	dir := place(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	runner := exec.Command(self)
	runner.Env = append(os.Environ(), recoveringVariable+"="+dir, baseVariable+"="+p.base)
	out, err := runner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Start(); err != nil {
		t.Fatal(err)
	}
	var said string
	if _, err := fmt.Fscanln(out, &said); err != nil || said != "waits" {
		t.Fatalf("the runner said %q, %v", said, err)
	}
	if len(processesOf(t, dir)) == 0 {
		t.Fatal("no server runs")
	}
	if err := runner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = runner.Wait()
	eventually(t, "the server ends, and its script", func() bool { return len(processesOf(t, dir)) == 0 })
	if removed, err := scratch.Sweep(context.Background(), dir, nil); err != nil || len(removed) != 1 || len(left(t, dir)) > 0 {
		t.Errorf("%v, %v, left %v", removed, err, left(t, dir))
	}
}
