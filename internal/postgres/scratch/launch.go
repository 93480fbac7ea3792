package scratch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	startLimit = time.Minute      // until it answers
	stopLimit  = 30 * time.Second // until an immediate shutdown is over
	logShown   = 2000             // bytes of the server's log in an error
)

// command is one of the server's programs, run as its user. Of this process's
// environment it gets next to nothing: SQL that is restored can read it, and
// credentials may be in it.
func (c *Cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.programs.Bin, name), args...)
	cmd.Dir = c.dir
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + c.programs.Bin + ":/usr/local/bin:/usr/bin:/bin"}
	if path := os.Getenv("LD_LIBRARY_PATH"); path != "" {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+path)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.user.credential}
	return cmd
}

func (c *Cluster) initdb(ctx context.Context, o Options) error {
	secret := filepath.Join(c.dir, "password")
	if err := os.WriteFile(secret, []byte(c.password+"\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(secret)
	if err := c.user.own(secret); err != nil {
		return err
	}
	encoding, locales := o.Encoding, []string{o.Locale}
	if encoding == "" {
		encoding = "UTF8"
	}
	if o.Locale == "" {
		locales = []string{"C.UTF-8", "C"} // not every system has the first
	}
	var err error
	for _, locale := range locales {
		cmd := c.command(ctx, "initdb", "--pgdata", c.data(), "--username", superuser, "--pwfile", secret,
			"--auth-local=scram-sha-256", "--auth-host=reject", "--encoding", encoding, "--locale", locale, "--no-sync")
		dieWithParent(cmd.SysProcAttr, syscall.SIGKILL)
		var out []byte
		// "Parent died" means the thread that started the child.
		runtime.LockOSThread()
		out, err = cmd.CombinedOutput()
		runtime.UnlockOSThread()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("initdb was stopped: %w", context.Cause(ctx))
		}
		err = fmt.Errorf("initdb (locale %s): %w: %s", locale, err, oneLine(string(out)))
	}
	return err
}

// launch starts the server. When this process dies without a word the kernel
// tells the server to end at once.
func (c *Cluster) launch() error {
	logFile, err := os.OpenFile(c.logName(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	cmd := c.command(context.Background(), "postgres", "-D", c.data())
	cmd.Stdout, cmd.Stderr = logFile, logFile
	c.isolation.apply(cmd.SysProcAttr)
	dieWithParent(cmd.SysProcAttr, syscall.SIGQUIT)
	started, exited := make(chan error), make(chan struct{})
	go func() {
		// The thread that started the child must live as long as the child does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait() // how it ended is in its log
		close(exited)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	c.cmd, c.exited = cmd, exited
	return nil
}

// waitReady returns once a query was answered.
func (c *Cluster) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, errors.New("it took too long"))
	defer cancel()
	for {
		conn, err := c.Target("postgres").Connect(ctx)
		if err == nil {
			c.version, _, _ = strings.Cut(conn.PgConn().ParameterStatus("server_version"), " ")
			return conn.Close(ctx)
		}
		select {
		case <-c.exited:
			return fmt.Errorf("the server ended while starting: %s", c.log())
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w: %w: %s", context.Cause(ctx), err, c.log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *Cluster) logName() string { return filepath.Join(c.dir, "log") }

// log is the end of what the server wrote, in one line.
func (c *Cluster) log() string {
	b, err := os.ReadFile(c.logName())
	if err != nil {
		return "its log can not be read: " + err.Error()
	}
	return oneLine(string(b))
}

func oneLine(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > logShown {
		text = "…" + strings.ToValidUTF8(text[len(text)-logShown:], "")
	}
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), "; ")
}

// endProcess signals a server and waits; one that does not end is killed with
// all it started. It leads a process group of its own.
func endProcess(pid int, sig syscall.Signal, gone <-chan struct{}) error {
	select {
	case <-gone:
		return nil
	default:
	}
	if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end the scratch server, process %d: %w", pid, err)
	}
	select {
	case <-gone:
		return nil
	case <-time.After(stopLimit):
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL) // it may just have ended
	select {
	case <-gone:
		return nil
	case <-time.After(stopLimit):
		return fmt.Errorf("the scratch server, process %d, does not end", pid)
	}
}
