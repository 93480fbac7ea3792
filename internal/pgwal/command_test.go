package pgwal_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

func TestAPlainArchiveCommandReadsAsOneWouldWriteIt(t *testing.T) {
	t.Parallel()
	got := pgwal.ArchiveCommand("/usr/local/bin/pgbackup-runner", "/etc/pgbackup/shop-wal.job.json", "")
	if want := "/usr/local/bin/pgbackup-runner wal push --job /etc/pgbackup/shop-wal.job.json %p"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTheShellHandsOddNamesOnWordForWord(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), `it's 5% "of" $HOME`)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	program, environment, job := filepath.Join(dir, "run er"), filepath.Join(dir, "env"), filepath.Join(dir, "%p.job.json")
	for path, f := range map[string]struct {
		text string
		mode os.FileMode
	}{program: {"#!/bin/sh\nprintf '%s\\n' \"$KEY\" \"$@\"\n", 0o700}, environment: {"KEY='a b'\n", 0o600}} {
		if err := os.WriteFile(path, []byte(f.text), f.mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ environment, key string }{{environment, "a b"}, {"", ""}, {filepath.Join(dir, "none"), ""}} {
		// What a server does with the text before it runs it.
		command := strings.NewReplacer("%%", "%", "%p", "pg_wal/000000010000000000000001").Replace(pgwal.ArchiveCommand(program, job, c.environment))
		out, err := exec.Command("/bin/sh", "-c", command).CombinedOutput()
		want := strings.Join([]string{c.key, "wal", "push", "--job", job, "pg_wal/000000010000000000000001", ""}, "\n")
		if err != nil || string(out) != want {
			t.Errorf("%s\ngave %v: %q\nwant %q", command, err, out, want)
		}
	}
}
