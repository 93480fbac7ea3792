package shell_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shell"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shelltest"
)

// shells are those of the images that targets use: Debian's and Amazon Linux'.
var shells = []string{"dash", "bash"}

func TestAProgramIsFetchedCheckedAndCanBeRun(t *testing.T) {
	t.Parallel()
	r := shelltest.New(t, []byte("#!/bin/sh\necho ran \"$@\"\n"))
	for _, sh := range shells {
		to := filepath.Join(t.TempDir(), "it's here")
		if code, out := r.Run(t, shelltest.Command{Argv: []string{sh, "-c", shell.Fetch(program(t, r), to)}}); code != 0 || out != "" {
			t.Fatalf("%s: exit code %d\n%s", sh, code, out)
		}
		if out, err := exec.Command(to, "a", "b").Output(); err != nil || string(out) != "ran a b\n" {
			t.Errorf("%s: %q, %v", sh, out, err)
		}
		onlyThere(t, to)
	}
}

func TestAProgramThatWasTamperedWithNeverGetsItsName(t *testing.T) {
	t.Parallel()
	r := shelltest.New(t, []byte("#!/bin/sh\necho good\n"))
	r.Put(t, []byte("#!/bin/sh\necho evil\n"))
	for _, sh := range shells {
		dir := t.TempDir()
		to := filepath.Join(dir, "runner")
		code, out := r.Run(t, shelltest.Command{Argv: []string{sh, "-c", shell.Fetch(program(t, r), to) + "echo went on\n"}})
		if code != 2 || !strings.Contains(out, "is not the runner that was deployed") || strings.Contains(out, "went on") {
			t.Errorf("%s: exit code %d\n%s", sh, code, out)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%s: what was fetched is still there: %v, %v", sh, left, err)
		}
	}
}

func TestWhatCannotBeFetchedEndsTheScript(t *testing.T) {
	t.Parallel()
	r := shelltest.New(t, []byte("x"))
	p := program(t, r)
	p.URL += ".gone"
	for _, sh := range shells {
		code, out := r.Run(t, shelltest.Command{Argv: []string{sh, "-c", shell.Fetch(p, filepath.Join(t.TempDir(), "runner")) + "echo went on\n"}})
		if code != 1 || strings.Contains(out, "went on") || !strings.Contains(out, "404") {
			t.Errorf("%s: exit code %d\n%s", sh, code, out)
		}
	}
}

func TestOnlyWarningsBecomeSuccess(t *testing.T) {
	t.Parallel()
	for _, sh := range shells {
		for code, want := range map[string]int{"0": 0, "1": 1, "2": 2, "3": 0, "5": 5, "6": 6} {
			cmd := exec.Command(sh, "-e", "-c", shell.WarningsAreSuccess(), "pgbackup", "sh", "-c", "exit $0", code)
			_ = cmd.Run()
			if got := cmd.ProcessState.ExitCode(); got != want {
				t.Errorf("%s: %s became %d, want %d", sh, code, got, want)
			}
		}
	}
}

// Kubernetes asks the first process of a container to stop, which is the shell.
func TestARequestToStopReachesTheRunnerAndIsWaitedFor(t *testing.T) {
	t.Parallel()
	for _, sh := range shells {
		dir := t.TempDir()
		// It takes its time to clean up, as the runner does.
		script := "trap 'sleep 0.3; echo cleaned > done; exit 1' TERM; echo up > up; while :; do sleep 0.05; done"
		cmd := exec.Command(sh, "-c", shell.WarningsAreSuccess(), "pgbackup", "sh", "-c", script)
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for range 200 {
			if _, err := os.Stat(filepath.Join(dir, "up")); err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if _, err := os.Stat(filepath.Join(dir, "done")); err != nil || cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("%s: ended with %d before the runner had cleaned up: %v", sh, cmd.ProcessState.ExitCode(), err)
		}
	}
}

func TestWordsReachTheCommandAsTheyAre(t *testing.T) {
	t.Parallel()
	words := []string{"printf", "%s\n", "", "a b", "it's", `"$HOME"`, "`id`", "s3://b/k?region=x&endpoint=http://y", "a;b", "ü"}
	for _, sh := range shells {
		out, err := exec.Command(sh, "-c", shell.Join(words...)).Output()
		if err != nil || string(out) != strings.Join(words[2:], "\n")+"\n" {
			t.Errorf("%s: %q, %v", sh, out, err)
		}
	}
}

func program(t *testing.T, r shelltest.Repository) shell.Program {
	t.Helper()
	url, sum, err := r.Runner.Object("x86_64")
	if err != nil {
		t.Fatal(err)
	}
	return shell.Program{URL: url, SHA256: sum, Region: r.Runner.Repository.Region, Endpoint: r.Runner.Repository.Endpoint}
}

func onlyThere(t *testing.T, path string) {
	t.Helper()
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("litter beside %s: %v, %v", path, entries, err)
	}
}
