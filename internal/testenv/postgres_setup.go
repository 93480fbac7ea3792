package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

// findServerBin returns the directory with initdb and postgres, and their major version.
// Looked at, in this order: the directory given, PGBACKUP_PG_BIN, the newest of
// Debian's and of the PGDG's directories, pg_config, PATH.
func findServerBin(given string) (string, int, error) {
	candidates := []string{given}
	if given == "" {
		candidates = []string{os.Getenv("PGBACKUP_PG_BIN")}
		for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"} {
			dirs, _ := filepath.Glob(pattern) // only fails for a bad pattern
			slices.SortFunc(dirs, func(a, b string) int { return majorIn(b) - majorIn(a) })
			candidates = append(candidates, dirs...)
		}
		if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
			candidates = append(candidates, strings.TrimSpace(string(out)))
		}
		if path, err := exec.LookPath("initdb"); err == nil {
			candidates = append(candidates, filepath.Dir(path))
		}
	}
	for _, dir := range candidates {
		if dir == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
		if err != nil {
			continue
		}
		fields := strings.Fields(string(out)) // postgres (PostgreSQL) 15.6 (Debian …)
		if len(fields) < 3 {
			continue
		}
		major := majorIn(fields[2]) // 15.6, 18beta1
		return dir, major, nil
	}
	return "", 0, errors.New("no PostgreSQL server programs found: install them (Debian, Ubuntu: apt-get install postgresql; " +
		"Fedora, RHEL: dnf install postgresql-server postgresql-contrib; macOS: brew install postgresql@17) or set PGBACKUP_PG_BIN to the directory that has initdb")
}

// majorIn is the first number in a path such as /usr/lib/postgresql/15/bin, or in a version.
func majorIn(path string) int {
	digits := strings.FieldsFunc(path, func(r rune) bool { return r < '0' || r > '9' })
	if len(digits) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(digits[0])
	return n
}

// serverUser is whom the server runs as when this process is root, else nil.
func serverUser() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses to run as root and there is neither a user postgres nor nobody: useradd --system postgres")
}

// runAs makes a command run as another user, keeping what dieWithParent set.
func runAs(cmd *exec.Cmd, owner *syscall.Credential) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Credential = owner
}

// smallServer are the settings of a server that lives for one test.
var smallServer = map[string]string{
	"listen_addresses": "'127.0.0.1'",
	"fsync":            "off",
	"full_page_writes": "off",
	"shared_buffers":   "'64MB'",
	"autovacuum":       "off", // nothing moves unless the test moves it
	"timezone":         "'UTC'",
	"log_timezone":     "'UTC'",
}

func (p *PostgresServer) writeConfig(more map[string]string) error {
	settings := map[string]string{}
	for _, m := range []map[string]string{smallServer, more} {
		for name, value := range m {
			settings[name] = value
		}
	}
	lines := make([]string, 0, len(settings))
	for name, value := range settings {
		lines = append(lines, name+" = "+value+"\n")
	}
	sort.Strings(lines)
	return p.appendConfig("postgresql.conf", strings.Join(lines, ""))
}

func (p *PostgresServer) appendConfig(file, text string) error {
	f, err := os.OpenFile(filepath.Join(p.DataDir, file), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("configure PostgreSQL: %w", err)
	}
	_, err = f.WriteString("\n" + text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("configure PostgreSQL: %w", err)
	}
	return nil
}

// Configure appends settings to postgresql.conf and restarts the server.
func (p *PostgresServer) Configure(ctx context.Context, settings map[string]string) error {
	lines := make([]string, 0, len(settings))
	for name, value := range settings {
		lines = append(lines, name+" = "+value+"\n")
	}
	sort.Strings(lines)
	if err := p.appendConfig("postgresql.conf", strings.Join(lines, "")); err != nil {
		return err
	}
	if err := p.Halt(syscall.SIGINT); err != nil {
		return err
	}
	return p.Resume(ctx)
}

// PgBench fills a database with pgbench's tables: 100,000 accounts (15 MB) a scale unit.
func (p *PostgresServer) PgBench(ctx context.Context, db string, scale int) error {
	cmd := p.Command(ctx, "pgbench", "--initialize", "--quiet", "--scale", strconv.Itoa(scale), db)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgbench: %w: %s", err, tail(string(out)))
	}
	return nil
}

func environWithoutPG() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "PG") })
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// tail keeps the end of a program's output: the reason is there.
func tail(s string) string {
	const keep = 4000
	s = strings.TrimSpace(s)
	if len(s) > keep {
		s = "…" + s[len(s)-keep:]
	}
	return s
}

// Give makes the server's user the owner of a file or directory, so that what the
// server runs can use it.
func (p *PostgresServer) Give(path string) error { return p.chown(path) }

// RunAsOwner lets a command run as the server's user.
func (p *PostgresServer) RunAsOwner(cmd *exec.Cmd) { runAs(cmd, p.owner) }
