package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
)

const (
	// foundSomething is the exit code of pg_amcheck that means it did its work.
	foundSomething = 2
	// maxProblems of pg_amcheck are kept: one bad table can have a million.
	maxProblems = 100
)

// amcheck looks at every table and B-tree index of the restored database, or of all
// of the server's.
func (r *run) amcheck(ctx context.Context, at lookedAt) error {
	found := &drillreport.AmCheck{}
	r.report.AmCheck = found
	unsure := func(why string) {
		found.CouldNotRun, found.Problems = true, []string{why}
		r.unsure = append(r.unsure, "pg_amcheck could not run: "+why)
	}
	program, major, err := findAmCheck(ctx, at)
	if err != nil {
		unsure(oneLine(err.Error()))
		return errStopped(ctx, "pg_amcheck")
	}
	which := "--database=" + at.target().Database
	if r.wholeServer() && r.Drill.Database == "" {
		which = "--all"
	}
	// The extension goes into what was restored only, which is removed.
	cmd := exec.CommandContext(ctx, program, "--no-password", "--install-missing", "--no-strict-names", "--heapallindexed", which) //nolint:gosec // a program of the server, found by us
	cmd.Env = at.target().Env(major)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	if err := errStopped(ctx, "pg_amcheck"); err != nil {
		found.CouldNotRun = true
		return err
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		found.Passed = true
	case errors.As(err, &exit) && exit.ExitCode() == foundSomething && out.Len() > 0:
		found.Problems = amcheckProblems(out.String())
		if why := at.doubt(ctx); why != "" && len(found.Problems) > 0 {
			found.CouldNotRun = true
			r.unsure = append(r.unsure, "pg_amcheck found: "+found.Problems[0]+"; but "+why)
		} else if len(found.Problems) > 0 {
			r.bad = append(r.bad, "pg_amcheck found: "+found.Problems[0])
		}
	default:
		unsure(fmt.Sprintf("%v: %s", err, oneLine(said.String())))
	}
	return nil
}

// findAmCheck finds the program for the server, and the server's major version.
func findAmCheck(ctx context.Context, at lookedAt) (string, int, error) {
	conn, err := at.target().Connect(ctx)
	if err != nil {
		return "", 0, err
	}
	defer postgres.CloseSoon(conn)
	major, err := postgres.ServerMajor(conn)
	if err != nil {
		return "", 0, err
	}
	if major < 14 {
		return "", 0, fmt.Errorf("PostgreSQL %d has no pg_amcheck: it came with 14", major)
	}
	program, found := "", 0
	for _, folder := range append([]string{at.programs()}, postgres.ProgramDirs("pg_amcheck")...) {
		path, err := exec.LookPath(filepath.Join(folder, "pg_amcheck"))
		if folder == "" || err != nil {
			continue
		}
		// Any version does, the server's own is best.
		v := amcheckMajor(ctx, path)
		if v == major {
			return path, major, nil
		}
		if v > found {
			program, found = path, v
		}
	}
	if program == "" {
		return "", 0, fmt.Errorf("the program pg_amcheck was not found: install the client programs of PostgreSQL %d", major)
	}
	return program, major, nil
}

// amcheckMajor is the major version of the program, 0 where it does not say it:
// "pg_amcheck (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)".
func amcheckMajor(ctx context.Context, path string) int {
	out, err := exec.CommandContext(ctx, path, "--version").Output() //nolint:gosec // a program of the server, found by us
	fields := strings.Fields(string(out))
	if err != nil || len(fields) < 3 {
		return 0
	}
	digits, _, _ := strings.Cut(fields[2], ".")
	major, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return major
}

// amcheckProblems reads what pg_amcheck writes: a line that names a relation, and
// indented ones that say what is wrong with it.
func amcheckProblems(out string) []string {
	var list []string
	for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
		text := strings.TrimSpace(line)
		switch {
		case text == "":
		case len(list) > 0 && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")):
			list[len(list)-1] += " " + text
		case len(list) == maxProblems:
			return append(list, "and more")
		default:
			list = append(list, text)
		}
	}
	return list
}
