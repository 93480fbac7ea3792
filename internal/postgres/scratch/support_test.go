//go:build linux

package scratch_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/scratch"
)

// What the test binary does instead of testing, when it is started as a runner.
const (
	runnerVariable     = "PGBACKUP_TEST_SCRATCH_RUNNER"   // start in this directory, tell, wait to be killed
	confinedVariable   = "PGBACKUP_TEST_SCRATCH_CONFINED" // start where namespaces are forbidden, tell, stop
	recoveringVariable = "PGBACKUP_TEST_SCRATCH_RECOVERS" // recover in this directory, tell, wait to be killed
	baseVariable       = "PGBACKUP_TEST_SCRATCH_BASE"     // of this base backup
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(runnerVariable); dir != "" {
		exit(runner(dir))
	}
	if dir := os.Getenv(confinedVariable); dir != "" {
		exit(confined(dir))
	}
	if dir := os.Getenv(recoveringVariable); dir != "" {
		exit(recoveringRunner(dir, os.Getenv(baseVariable)))
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runner(dir string) error {
	c, err := scratch.Start(context.Background(), scratch.Options{Directory: dir})
	if err != nil {
		return err
	}
	fmt.Println(c.Directory())
	time.Sleep(time.Minute)
	return c.Stop()
}

// place is a directory that every user may enter: testing's own are private to
// root, and as root servers run as another user.
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "scratch")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func start(t *testing.T, o scratch.Options) *scratch.Cluster {
	t.Helper()
	if o.Directory == "" {
		o.Directory = place(t)
	}
	c, err := scratch.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// query gives the first value of a statement.
func query(t *testing.T, c *scratch.Cluster, sql string) (string, error) {
	t.Helper()
	ctx := context.Background()
	conn, err := c.Target("postgres").Connect(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	last := results[len(results)-1]
	if len(last.Rows) == 0 {
		return "", nil
	}
	return string(last.Rows[0][0]), nil
}

// processesOf lists the processes that were started with a path or work in it.
func processesOf(t *testing.T, path string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		cwd, _ := os.Readlink(filepath.Join(filepath.Dir(f), "cwd"))
		if strings.Contains(string(line), path) || strings.HasPrefix(cwd, path) {
			list = append(list, f+": "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return list
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func left(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
