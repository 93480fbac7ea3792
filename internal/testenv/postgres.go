package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresOptions of a server. The zero value is a small one with checksums and
// without fsync.
type PostgresOptions struct {
	// Bin is the directory of the programs; "" = the newest found.
	Bin string
	// Config is added to postgresql.conf, values as they are written there.
	Config map[string]string
	// Encoding and Locale of the cluster; "" = UTF8 and C.UTF-8 or C.
	Encoding, Locale string
}

// PostgresServer is a running PostgreSQL server of its own, on loopback and on a
// Unix socket, with passwords required on both.
type PostgresServer struct {
	Host      string // 127.0.0.1
	Port      int
	User      string // the superuser, postgres
	Password  string // of User, random
	Bin       string // directory of the programs
	Dir       string // everything is below; removed by Stop where it was made here
	DataDir   string
	SocketDir string
	Major     int

	owner   *syscall.Credential // nil = the user of this process
	cmd     *exec.Cmd
	exited  chan struct{}
	ownsDir bool
}

// StartPostgres makes a cluster below dir and starts it. dir must be empty or
// absent, and reachable by the user `postgres` (or `nobody`) when this process
// is root, since a server refuses to run as root. "" = a new temporary
// directory that Stop removes.
func StartPostgres(ctx context.Context, dir string, o PostgresOptions) (*PostgresServer, error) {
	p, err := newServer(dir, o.Bin)
	if err != nil {
		return nil, err
	}
	if err := p.initdb(ctx, o); err != nil {
		return nil, errors.Join(err, p.removeDir())
	}
	if err := p.writeConfig(o.Config); err != nil {
		return nil, errors.Join(err, p.removeDir())
	}
	if err := p.start(ctx, true); err != nil {
		return nil, errors.Join(err, p.removeDir())
	}
	return p, nil
}

// newServer finds programs and user and makes the directories.
func newServer(dir, bin string) (*PostgresServer, error) {
	bin, major, err := findServerBin(bin)
	if err != nil {
		return nil, err
	}
	// 5432 until a port is chosen: initdb reads PGPORT too and refuses 0.
	p := &PostgresServer{Host: "127.0.0.1", Port: 5432, User: "postgres", Password: rand.Text(), Bin: bin, Major: major, Dir: dir}
	if p.owner, err = serverUser(); err != nil {
		return nil, err
	}
	if dir == "" {
		if p.Dir, err = os.MkdirTemp("", "pg"); err != nil {
			return nil, fmt.Errorf("start PostgreSQL: %w", err)
		}
		p.ownsDir = true
	}
	p.DataDir, p.SocketDir = filepath.Join(p.Dir, "data"), filepath.Join(p.Dir, "s")
	for _, d := range []string{p.Dir, p.DataDir, p.SocketDir} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("start PostgreSQL: %w", err)
		}
		if err := p.chown(d); err != nil {
			return nil, err
		}
	}
	// The path of a Unix socket may not be longer than 107 bytes.
	if len(filepath.Join(p.SocketDir, ".s.PGSQL.65535.lock")) > 107 {
		return nil, fmt.Errorf("start PostgreSQL: directory %s is too long for a Unix socket; use a shorter one", p.Dir)
	}
	return p, nil
}

func (p *PostgresServer) chown(path string) error {
	if p.owner == nil {
		return nil
	}
	if err := os.Chown(path, int(p.owner.Uid), int(p.owner.Gid)); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	return nil
}

func (p *PostgresServer) initdb(ctx context.Context, o PostgresOptions) error {
	secret := filepath.Join(p.Dir, "pw")
	if err := os.WriteFile(secret, []byte(p.Password+"\n"), 0o600); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	defer os.Remove(secret)
	if err := p.chown(secret); err != nil {
		return err
	}
	encoding, locale := o.Encoding, o.Locale
	if encoding == "" {
		encoding = "UTF8"
	}
	locales := []string{locale}
	if locale == "" {
		locales = []string{"C.UTF-8", "C"} // not every system has the first
	}
	var err error
	for _, l := range locales {
		cmd := p.Command(ctx, "initdb", "--pgdata", p.DataDir, "--username", p.User, "--pwfile", secret, "--auth=scram-sha-256",
			"--encoding", encoding, "--locale", l, "--data-checksums", "--no-sync", "--no-instructions")
		if out, runErr := cmd.CombinedOutput(); runErr != nil {
			err = fmt.Errorf("initdb in %s: %w: %s", p.DataDir, runErr, tail(string(out)))
			continue
		}
		return nil
	}
	return err
}

// Command is one of the server's programs, run as its operating-system user, with the
// environment that leads to this server.
func (p *PostgresServer) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(p.Bin, name), args...)
	cmd.Dir = p.Dir
	cmd.Env = append(environWithoutPG(), p.Env()...)
	dieWithParent(cmd)
	if p.owner != nil {
		runAs(cmd, p.owner)
	}
	return cmd
}

// Env are the libpq variables that lead to database postgres of this server.
func (p *PostgresServer) Env() []string {
	return []string{
		"PGHOST=" + p.Host, "PGPORT=" + strconv.Itoa(p.Port), "PGUSER=" + p.User, "PGPASSWORD=" + p.Password,
		"PGDATABASE=postgres", "LC_ALL=C", "TZ=UTC",
	}
}

// URL is the connection URI of a database of this server, password included.
func (p *PostgresServer) URL(db string) string { return p.URLFor(p.User, p.Password, db) }

// URLFor is the connection URI of a role.
func (p *PostgresServer) URLFor(user, password, db string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password),
		Host: net.JoinHostPort(p.Host, strconv.Itoa(p.Port)), Path: "/" + db, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Addr is host:port.
func (p *PostgresServer) Addr() string { return net.JoinHostPort(p.Host, strconv.Itoa(p.Port)) }

// Log is the end of what the server wrote.
func (p *PostgresServer) Log() string {
	b, err := os.ReadFile(filepath.Join(p.Dir, "log"))
	if err != nil {
		return err.Error()
	}
	return tail(string(b))
}

// start runs the server until it answers. anyPort: try others when one is taken
// between being found and being used.
func (p *PostgresServer) start(ctx context.Context, anyPort bool) error {
	for attempt := 1; ; attempt++ {
		if anyPort {
			port, err := freePort()
			if err != nil {
				return err
			}
			p.Port = port
		}
		err := p.launch(ctx)
		if err == nil || !anyPort || attempt == 5 || !strings.Contains(err.Error(), "Address already in use") {
			return err
		}
	}
}

func (p *PostgresServer) launch(ctx context.Context) error {
	logFile, err := os.Create(filepath.Join(p.Dir, "log"))
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	defer logFile.Close()
	// Not bound to ctx: the server outlives the call.
	cmd := p.Command(context.WithoutCancel(ctx), "postgres", "-D", p.DataDir, "-c", "port="+strconv.Itoa(p.Port), "-k", p.SocketDir)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(exited)
	}()
	p.cmd, p.exited = cmd, exited
	if err := p.waitReady(ctx); err != nil {
		return errors.Join(err, p.signalAndWait(syscall.SIGQUIT))
	}
	return nil
}

// waitReady returns once a query was answered.
func (p *PostgresServer) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, p.URL("postgres"))
		if err == nil {
			_, err = conn.Exec(ctx, "SELECT 1")
			err = errors.Join(err, conn.Close(ctx))
		}
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("PostgreSQL in %s ended while starting: %s", p.DataDir, p.Log())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL in %s does not answer: %w: %s", p.DataDir, err, p.Log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the server at once, waits, and removes the directory if it was made
// by StartPostgres. Repeating it does nothing.
func (p *PostgresServer) Stop() error {
	err := p.signalAndWait(syscall.SIGQUIT)
	return errors.Join(err, p.removeDir())
}

// Halt ends the server's processes with sig (SIGQUIT = at once, SIGINT = fast)
// and keeps its data; Resume starts it again.
func (p *PostgresServer) Halt(sig syscall.Signal) error { return p.signalAndWait(sig) }

// Resume starts a halted server on the same port.
func (p *PostgresServer) Resume(ctx context.Context) error { return p.start(ctx, false) }

func (p *PostgresServer) signalAndWait(sig syscall.Signal) error {
	if p.cmd == nil {
		return nil
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop PostgreSQL: %w", err)
	}
	select {
	case <-p.exited:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
		return fmt.Errorf("PostgreSQL in %s had to be killed: %s", p.DataDir, p.Log())
	}
	p.cmd = nil
	return nil
}

func (p *PostgresServer) removeDir() error {
	if !p.ownsDir {
		return nil
	}
	if err := os.RemoveAll(p.Dir); err != nil {
		return fmt.Errorf("remove PostgreSQL's directory: %w", err)
	}
	return nil
}
