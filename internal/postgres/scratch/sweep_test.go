//go:build linux

package scratch_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/scratch"
)

// killedRunner starts a runner with a server in dir and kills it. It returns the
// server's directory.
func killedRunner(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), runnerVariable+"="+dir)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var server string
	if _, err := fmt.Fscanln(out, &server); err != nil || !strings.HasPrefix(server, dir) {
		t.Fatalf("the runner said %q, %v", server, err)
	}
	if len(processesOf(t, server)) == 0 {
		t.Fatal("no server runs")
	}
	if removed, err := scratch.Sweep(context.Background(), dir, nil); err != nil || len(removed) > 0 {
		t.Fatalf("the server of a living runner was cleared away: %v, %v", removed, err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	return server
}

func TestAServerDiesWithItsRunnerAndItsDirectoryIsSwept(t *testing.T) {
	t.Parallel()
	dir := place(t)
	server := killedRunner(t, dir)
	eventually(t, "the server ends", func() bool { return len(processesOf(t, server)) == 0 })
	removed, err := scratch.Sweep(context.Background(), dir, nil)
	if err != nil || !slices.Equal(removed, []string{server}) {
		t.Errorf("%v, %v", removed, err)
	}
	if names := left(t, dir); len(names) > 0 {
		t.Errorf("left: %v", names)
	}
}

func TestTheNextStartClearsAwayWhatADeadRunnerLeft(t *testing.T) {
	t.Parallel()
	dir := place(t)
	dead := killedRunner(t, dir)
	c := start(t, scratch.Options{Directory: dir})
	if names := left(t, dir); !slices.Equal(names, []string{filepath.Base(c.Directory())}) {
		t.Errorf("%v beside %s", names, dead)
	}
}

func TestAServerThatOutlivedItsRunnerIsEndedBySweep(t *testing.T) {
	t.Parallel()
	dir := place(t)
	c := start(t, scratch.Options{Directory: dir})
	// A lock that nobody holds beside a server that runs: what a dead runner leaves
	// where the kernel tells no child of it.
	pid, err := query(t, c, "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)")
	if err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(c.Directory(), "runner.lock")
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	removed, err := scratch.Sweep(context.Background(), dir, nil)
	if err != nil || !slices.Equal(removed, []string{c.Directory()}) {
		t.Errorf("%v, %v", removed, err)
	}
	if list := processesOf(t, c.Directory()); len(list) > 0 {
		t.Errorf("process %s still runs: %v", pid, list)
	}
}

func TestDirectoriesOfOthersAreNotSwept(t *testing.T) {
	t.Parallel()
	dir := place(t)
	for _, name := range []string{"pgbackup-scratch-making", "pgbackup-scratch-dead", "pgbackup-other", "data"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/", filepath.Join(dir, "pgbackup-scratch-link")); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "pgbackup-scratch-dead"), long, long); err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(dir, "pgbackup-scratch-dead")}
	// A lock that the kernel holds for somebody alive.
	held := filepath.Join(dir, "pgbackup-scratch-held")
	if err := os.Mkdir(held, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(held, "runner.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		others := filepath.Join(dir, "pgbackup-scratch-others")
		if err := os.Mkdir(others, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(others, "runner.lock"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(others, 4242, 4242); err != nil {
			t.Fatal(err)
		}
	}
	if removed, err := scratch.Sweep(context.Background(), dir, nil); err != nil || !slices.Equal(removed, want) {
		t.Errorf("%v, %v; want %v", removed, err, want)
	}
	if removed, err := scratch.Sweep(context.Background(), filepath.Join(dir, "absent"), nil); err != nil || removed != nil {
		t.Errorf("%v, %v", removed, err)
	}
}
