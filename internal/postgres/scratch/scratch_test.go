//go:build linux

package scratch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/scratch"
)

func TestAServerAnswersAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := place(t)
	c := start(t, scratch.Options{Directory: dir, Settings: map[string]string{"work_mem": "7MB"}})
	got, err := query(t, c, "SELECT current_setting('work_mem') || ' ' || current_setting('fsync') || ' ' || current_setting('max_logical_replication_workers') || ' ' || (SELECT encoding FROM pg_database WHERE datname = 'template1')")
	if err != nil || got != "7MB off 0 6" {
		t.Errorf("%q, %v", got, err)
	}
	if version, err := query(t, c, "SHOW server_version"); err != nil || !strings.HasPrefix(version, c.Version()) || !strings.HasPrefix(version, fmt.Sprint(c.Major())) {
		t.Errorf("the server says %q, we %q of %d (%v)", version, c.Version(), c.Major(), err)
	}
	for range 2 {
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if names := left(t, dir); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
	if list := processesOf(t, c.Directory()); len(list) > 0 {
		t.Errorf("still running: %v", list)
	}
}

func TestNothingListensOnTheNetwork(t *testing.T) {
	t.Parallel()
	c := start(t, scratch.Options{})
	if got, err := query(t, c, "SELECT current_setting('listen_addresses') || coalesce(inet_server_addr()::text, '')"); err != nil || got != "" {
		t.Errorf("%q, %v", got, err)
	}
	// Every listening TCP socket of the server's network, as the kernel lists
	// them, held against the server's open files.
	pid, err := query(t, c, "COPY (SELECT 1) TO PROGRAM 'cat > /dev/null'; SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)")
	if err != nil {
		t.Fatal(err)
	}
	listening := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile("/proc/" + pid + "/net/" + table)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" { // TCP_LISTEN
				listening["socket:["+f[9]+"]"] = true
			}
		}
	}
	files, err := filepath.Glob("/proc/" + pid + "/fd/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("the server's open files can not be listed: %v", err)
	}
	for _, f := range files {
		if link, _ := os.Readlink(f); listening[link] {
			t.Errorf("the server listens: %s", link)
		}
	}
}

func TestTheServerGetsNoCredentialsOfTheRunner(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "do not tell")
	t.Setenv("BACKUP_ENCRYPTION_KEY", "do not tell")
	t.Setenv("PGPASSWORD", "do not tell")
	c := start(t, scratch.Options{})
	got, err := query(t, c, "CREATE TEMP TABLE env (line text); COPY env FROM PROGRAM 'env'; SELECT string_agg(line, ' ') FROM env")
	if err != nil || !strings.Contains(got, "PATH=") || strings.Contains(got, "do not tell") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestVariablesThatLeadElsewhereDoNotLeadChildProgramsAway(t *testing.T) {
	service := filepath.Join(t.TempDir(), "service")
	if err := os.WriteFile(service, []byte("[elsewhere]\nhost=127.0.0.1\nport=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGSERVICEFILE", service)
	t.Setenv("PGSERVICE", "elsewhere")
	t.Setenv("PGHOSTADDR", "127.0.0.1")
	t.Setenv("PGOPTIONS", "-c work_mem=nonsense")
	c := start(t, scratch.Options{})
	tools, err := postgres.FindTools(context.Background(), c.Major())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tools.Dump, "--schema-only")
	cmd.Env = c.Target("postgres").Env(c.Major())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("pg_dump: %v: %s", err, out)
	}
}

func TestASocketGoesToAShortDirectoryWhereTheOwnIsTooLong(t *testing.T) {
	t.Parallel()
	dir := place(t)
	long := filepath.Join(dir, strings.Repeat("long", 20), strings.Repeat("name", 20))
	if err := os.MkdirAll(long, 0o755); err != nil {
		t.Fatal(err)
	}
	c := start(t, scratch.Options{Directory: long})
	socketDir := c.Target("postgres").Host
	if strings.HasPrefix(socketDir, long) {
		t.Fatalf("the socket is in %s", socketDir)
	}
	info, err := os.Stat(socketDir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(socketDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", socketDir, err)
	}
}

func TestAMissingVersionIsSaidWithWhatIsThereAndWhatToInstall(t *testing.T) {
	t.Parallel()
	there, err := scratch.FindPrograms(context.Background(), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = scratch.Start(context.Background(), scratch.Options{Directory: place(t), Major: 99})
	for _, want := range []string{"PostgreSQL 99 or newer", "there is", there.Version, there.Bin, "apt-get install postgresql-99"} {
		if !errors.Is(err, scratch.ErrNoServer) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	empty := t.TempDir()
	_, err = scratch.Start(context.Background(), scratch.Options{Directory: place(t), Bin: empty})
	for _, want := range []string{empty, "none are", "install"} {
		if !errors.Is(err, scratch.ErrNoServer) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func TestTheVersionAskedForIsPreferredAndTheNextNewerTaken(t *testing.T) {
	bins := t.TempDir()
	for _, version := range []string{"14.2", "16.9", "17beta1"} {
		for _, name := range []string{"initdb", "postgres"} {
			script := "#!/bin/sh\necho '" + name + " (PostgreSQL) " + version + "'\n"
			if err := os.MkdirAll(filepath.Join(bins, version), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(bins, version, name), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PGBACKUP_PG_BIN", filepath.Join(bins, "16.9"))
	for major, want := range map[int]string{0: "16.9", 14: "16.9", 15: "16.9", 16: "16.9"} {
		if got, err := scratch.FindPrograms(context.Background(), major, ""); err != nil || got.Version != want {
			t.Errorf("%d: %+v, %v", major, got, err)
		}
	}
	if got, err := scratch.FindPrograms(context.Background(), 17, ""); !errors.Is(err, scratch.ErrNoServer) {
		t.Errorf("17 with a 16: %+v, %v", got, err)
	}
	if got, err := scratch.FindPrograms(context.Background(), 15, filepath.Join(bins, "17beta1")); err != nil || got.Major != 17 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSettingsThatWouldEndTheIsolationAreRefused(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"listen_addresses": "*", "Listen_Addresses": "*", "max_logical_replication_workers": "4", "unix_socket_directories": "/tmp", "port": "5433",
		"shared_preload_libraries": "timescaledb, pg_cron", "session_preload_libraries": "$libdir/pg_cron.so", "x = 'y'\nport": "1",
	} {
		_, err := scratch.Start(context.Background(), scratch.Options{Directory: place(t), Settings: map[string]string{name: value}})
		if err == nil || !strings.Contains(err.Error(), "settings of the scratch server") {
			t.Errorf("%s = %s: %v", name, value, err)
		}
	}
}

func TestAServerThatCanNotStartSaysWhyAndLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := place(t)
	_, err := scratch.Start(context.Background(), scratch.Options{Directory: dir, Settings: map[string]string{"shared_preload_libraries": "no_such_library"}})
	if err == nil || !strings.Contains(err.Error(), "no_such_library") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if names := left(t, dir); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("the user gave up"))
	if _, err := scratch.Start(ctx, scratch.Options{Directory: dir}); err == nil || !strings.Contains(err.Error(), "the user gave up") {
		t.Errorf("%v", err)
	}
	if names := left(t, dir); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
}

func TestADirectoryThatTheServersUserMayNotEnterIsNamed(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		// Only a root runs servers as somebody else.
		start(t, scratch.Options{Directory: t.TempDir()})
		return
	}
	dir := t.TempDir() // entered by root only
	if _, err := scratch.Start(context.Background(), scratch.Options{Directory: dir}); err == nil || !strings.Contains(err.Error(), "may not enter "+filepath.Dir(dir)) && !strings.Contains(err.Error(), "may not enter "+dir) {
		t.Errorf("%v", err)
	}
}
