package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The commands of a runbook about a server whose log is archived do, as they stand on its
// page, what they say, on the day that the server is gone.
func TestAServerComesBackByTheCommandsOfItsRunbook(t *testing.T) {
	t.Parallel()
	r := newRecovery(t)
	r.run(0, "init")
	r.pg.Exec(t, "postgres", "CREATE TABLE ledger AS SELECT 1 AS id")
	r.run(0, "backup", "--kind", "physical", "--source", "db1", "--database", r.pg.URL("postgres"))
	time.Sleep(1100 * time.Millisecond) // so that a whole second lies in the window
	r.pg.Exec(t, "postgres", "INSERT INTO ledger VALUES (2)", "SELECT pg_switch_wal()")
	for deadline := time.Now().Add(time.Minute); r.ask(r.pg.Port, "SELECT (count(*) = 0)::text FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'") != "true"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server does not archive: " + r.pg.Log())
		}
	}
	page := r.says(0, " can be recovered, and later ones as the log goes on coming in.", "runbook")
	if err := r.pg.Halt(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}

	_, section, _ := strings.Cut(page, "## The server is gone, and its log is archived")
	section, _, _ = strings.Cut(section, "\n## ")
	var status string
	var rehearsals, restores []string
	for line := range strings.Lines(section) {
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "pgbackup-runner wal status"):
			status = line
		case strings.HasPrefix(line, "pgbackup-runner restore") && strings.Contains(line, "--dry-run"):
			rehearsals = append(rehearsals, line)
		case strings.HasPrefix(line, "pgbackup-runner restore"):
			restores = append(restores, line)
		}
	}
	if len(rehearsals) != 2 || len(restores) != 2 {
		t.Fatal(section)
	}
	data := filepath.Join(r.box, "data")
	for _, line := range []string{status, rehearsals[0], rehearsals[1], restores[0]} {
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", line)
		cmd.Dir, cmd.SysProcAttr = r.box, &syscall.SysProcAttr{Credential: r.as}
		cmd.Env = append(os.Environ(), "HOME="+r.box, "PATH="+r.box+":"+os.Getenv("PATH"), "DATA="+data)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	t.Cleanup(func() { r.stop(data) })
	if got := r.ask(r.port, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM ledger"); got != "1 2" {
		t.Errorf("the ledger has %s", got)
	}
}
