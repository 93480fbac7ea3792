// Package waltest sets up real servers that archive with the real runner, for the tests
// of the packages beside it.
//
// What lives here: building the runner, folders that a server's user may use, small
// segments, waiting for the archiver. What must not: assertions about the product.
package waltest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// Place is a folder of a server's user, with the runner and a repository in it.
type Place struct {
	t      testing.TB
	PG     *testenv.PostgresServer
	Dir    string
	Runner string // the program
	Repo   string // URL of the repository; changed before Init, it is elsewhere
	Spool  string
	Env    []string // of the runner, beside this process's
}

var build struct {
	sync.Once
	program string
	err     error
}

// Runner builds the program, once in a run of tests.
func Runner(t testing.TB) string {
	t.Helper()
	build.Do(func() {
		var at string
		if at, build.err = os.MkdirTemp("", "walrunner"); build.err != nil {
			return
		}
		if build.err = os.Chmod(at, 0o755); build.err != nil { //nolint:gosec // servers run as another user
			return
		}
		build.program = filepath.Join(at, "pgbackup-runner")
		cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", build.program, "github.com/pgbackup/terraform-provider-pgbackup/runner")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			build.err = fmt.Errorf("build the runner: %w: %s", err, out)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.program
}

// Main runs the tests of a package, and removes the program after them.
func Main(m *testing.M) {
	code := m.Run()
	if build.program != "" {
		_ = os.RemoveAll(filepath.Dir(build.program))
	}
	os.Exit(code)
}

// New makes a place for a server, which is nil where only this process's user matters.
func New(t testing.TB, pg *testenv.PostgresServer) *Place {
	t.Helper()
	at, err := os.MkdirTemp("", "wal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(at) })
	p := &Place{t: t, PG: pg, Dir: at, Repo: "file://" + filepath.Join(at, "repository"), Spool: filepath.Join(at, "spool"), Runner: Runner(t)}
	p.Give(at)
	return p
}

// Give gives a file to the server's user.
func (p *Place) Give(path string) {
	p.t.Helper()
	if p.PG == nil {
		return
	}
	if err := p.PG.Give(path); err != nil {
		p.t.Fatal(err)
	}
}

// Command is the runner as the server's user runs it.
func (p *Place) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(p.Runner, args...)
	cmd.Dir = p.Dir
	cmd.Env = append(append(os.Environ(), "HOME="+p.Dir), p.Env...)
	if p.PG != nil && os.Getuid() == 0 {
		p.PG.RunAsOwner(cmd)
	}
	return cmd
}

// Run runs it and returns what it printed; it must succeed.
func (p *Place) Run(args ...string) string {
	p.t.Helper()
	out, err := p.Command(args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("pgbackup-runner %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Init makes the repository.
func (p *Place) Init() { p.t.Helper(); p.Run("init", "--repository", p.Repo) }

// Flags lead a command to the repository.
func (p *Place) Flags() string {
	return fmt.Sprintf("--repository '%s' --source db1 --spool '%s' --log-level warn", p.Repo, p.Spool)
}

// Script writes a program of sh that the server may run, with the environment of the
// place.
func (p *Place) Script(name, text string) string {
	p.t.Helper()
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	for _, v := range append([]string{"HOME=" + p.Dir}, p.Env...) {
		key, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(&b, "export %s='%s'\n", key, value)
	}
	b.WriteString(text)
	path := filepath.Join(p.Dir, name)
	if err := os.WriteFile(path, []byte(b.String()), 0o755); err != nil { //nolint:gosec // the server runs it
		p.t.Fatal(err)
	}
	return path
}

// Repository opens the repository of a place in a directory.
func (p *Place) Repository() *repo.Repository {
	p.t.Helper()
	store, err := dir.Open(strings.TrimPrefix(p.Repo, "file://"))
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := repo.Open(context.Background(), objstore.Retry(store, objstore.RetryOptions{}), repo.OpenOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// SmallSegments gives a server that was just made segments of 1 MiB.
func SmallSegments(t testing.TB, pg *testenv.PostgresServer) {
	t.Helper()
	if err := pg.Halt(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if out, err := pg.Command(context.Background(), "pg_resetwal", "--wal-segsize=1", "-D", pg.DataDir).CombinedOutput(); err != nil {
		t.Fatalf("pg_resetwal: %v: %s", err, out)
	}
	if err := pg.Resume(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// System is the server's system identifier.
func System(t testing.TB, pg *testenv.PostgresServer) string {
	t.Helper()
	return ask(t, pg, "SELECT system_identifier::text FROM pg_control_system()")
}

func ask(t testing.TB, pg *testenv.PostgresServer, sql string) string {
	t.Helper()
	var answer string
	if err := pg.Connect(t, "postgres").QueryRow(context.Background(), sql).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

// Switch ends the segment that is written, and returns its name.
func Switch(t testing.TB, pg *testenv.PostgresServer) string {
	t.Helper()
	return ask(t, pg, "SELECT pg_walfile_name(pg_switch_wal())")
}

// Archived waits until the archiver is past a segment.
func Archived(t testing.TB, pg *testenv.PostgresServer, segment string, patience time.Duration) {
	t.Helper()
	conn := pg.Connect(t, "postgres")
	var last, failed string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if err := conn.QueryRow(context.Background(), "SELECT coalesce(last_archived_wal, ''), coalesce(last_failed_wal, '') FROM pg_stat_archiver").Scan(&last, &failed); err != nil {
			t.Fatal(err)
		}
		if last >= segment && len(last) == len(segment) {
			return
		}
	}
	t.Fatalf("%s was not archived in %s: the last one is %s, failed %s: %s", segment, patience, last, failed, pg.Log())
}
