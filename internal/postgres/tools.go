package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Errors of FindTools, for errors.Is.
var (
	ErrNoTools     = errors.New("PostgreSQL's client programs are not installed")
	ErrToolsTooOld = errors.New("PostgreSQL's client programs are older than the server")
)

// Tools are the client programs of one major version.
type Tools struct {
	Dir                          string
	Major                        int
	Version                      string // such as 15.6
	Dump, Restore, DumpAll, PSQL string // paths; PSQL may be ""
}

// toolDirs are where distributions put the programs of a major version.
var toolDirs = []string{
	"/usr/lib/postgresql/*/bin", // Debian, Ubuntu, PGDG's apt
	"/usr/pgsql-*/bin",          // PGDG's yum
	"/usr/local/pgsql/bin",      // the postgres image's source builds
	"/usr/libexec/postgresql*",  // Alpine
	"/opt/homebrew/opt/postgresql@*/bin",
	"/opt/homebrew/opt/libpq/bin",
	"/usr/local/opt/postgresql@*/bin",
	"/Library/PostgreSQL/*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// FindTools finds the programs for a server: those of its own major version if
// there are any, since newer ones add settings an older server rejects, else the
// next newer, never older ones. PGBACKUP_PG_BIN names the only directory to look in.
func FindTools(ctx context.Context, serverMajor int) (Tools, error) {
	return findToolsIn(ctx, ProgramDirs("pg_dump"), serverMajor)
}

// ProgramDirs lists the directories that may hold PostgreSQL's programs, in the
// order to look in them: only the one that PGBACKUP_PG_BIN names, or the one of
// the program on PATH and those where distributions put them.
func ProgramDirs(program string) []string {
	if dir := os.Getenv("PGBACKUP_PG_BIN"); dir != "" {
		return []string{dir}
	}
	var dirs []string
	if path, err := exec.LookPath(program); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, pattern := range toolDirs {
		found, _ := filepath.Glob(pattern) // only fails for a bad pattern
		dirs = append(dirs, found...)
	}
	return dirs
}

func findToolsIn(ctx context.Context, dirs []string, serverMajor int) (Tools, error) {
	var best, newest Tools
	for _, dir := range dirs {
		tools, err := toolsIn(ctx, dir)
		if err != nil {
			continue // not here
		}
		if tools.Major > newest.Major {
			newest = tools
		}
		if tools.Major >= serverMajor && (best.Dir == "" || tools.Major < best.Major) {
			best = tools
		}
	}
	switch {
	case best.Dir != "":
		return best, nil
	case ctx.Err() != nil: // programs that could not be asked are not missing
		return Tools{}, fmt.Errorf("look for PostgreSQL's client programs: %w", context.Cause(ctx))
	case newest.Dir != "":
		return Tools{}, &reason{kind: ErrToolsTooOld, text: fmt.Sprintf("the server is PostgreSQL %d and the newest pg_dump here is %s (in %s), which refuses a newer server: %s",
			serverMajor, newest.Version, newest.Dir, installLine(serverMajor))}
	}
	where := "on PATH or in the usual places"
	if dir := os.Getenv("PGBACKUP_PG_BIN"); dir != "" {
		where = "in PGBACKUP_PG_BIN=" + dir
	}
	return Tools{}, &reason{kind: ErrNoTools, text: fmt.Sprintf("pg_dump, pg_restore and pg_dumpall for PostgreSQL %d were not found %s: %s", serverMajor, where, installLine(serverMajor))}
}

// installLine is what to type to get the programs.
func installLine(major int) string {
	return fmt.Sprintf("install them (Debian, Ubuntu: apt-get install postgresql-client-%d; RHEL, Fedora: dnf install postgresql%d; macOS: brew install postgresql@%d) or set PGBACKUP_PG_BIN to their directory", major, major, major)
}

func toolsIn(ctx context.Context, dir string) (Tools, error) {
	t := Tools{Dir: dir, Dump: filepath.Join(dir, "pg_dump"), Restore: filepath.Join(dir, "pg_restore"), DumpAll: filepath.Join(dir, "pg_dumpall"), PSQL: filepath.Join(dir, "psql")}
	for _, path := range []string{t.Dump, t.Restore, t.DumpAll} {
		if _, err := exec.LookPath(path); err != nil {
			return Tools{}, err
		}
	}
	if _, err := exec.LookPath(t.PSQL); err != nil {
		t.PSQL = ""
	}
	out, err := exec.CommandContext(ctx, t.Dump, "--version").Output()
	if err != nil {
		return Tools{}, fmt.Errorf("%s --version: %w", t.Dump, err)
	}
	// pg_dump (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)
	fields := strings.Fields(string(out))
	if len(fields) < 3 {
		return Tools{}, fmt.Errorf("%s --version: %q", t.Dump, out)
	}
	t.Version = fields[2]
	if t.Major = leadingInt(t.Version); t.Major == 0 {
		return Tools{}, fmt.Errorf("%s --version: %q", t.Dump, out)
	}
	return t, nil
}
