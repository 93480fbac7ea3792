package physical

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	privatePort = 5432 // of a socket in a directory of its own
	poll        = 100 * time.Millisecond
	// stopLimit bounds how long a server may take to write what it has in memory.
	stopLimit = 15 * time.Minute
	startLog  = "pgbackup_restore.log"
)

// private is a server on the restored directory that nobody else reaches, until the
// moment that it has come to is known.
type private struct {
	restore *restore
	dir     string // of its socket, its pg_hba.conf and its log
	unlock  func() // gives dir up for others to clear away
	cmd     *exec.Cmd
	exited  chan struct{}
	conn    *pgx.Conn
}

// recover starts the server where only we reach it, has it recover and stop at the
// target, reads which moment that is, and then starts it as it is configured.
func (r *restore) recover(ctx context.Context) error {
	for {
		err := r.replay(ctx)
		if err == nil {
			break
		}
		further, failed := r.raise(err)
		if failed != nil {
			return errors.Join(err, failed)
		}
		if !further {
			return err
		}
		r.Log.Info("recovery begins again with settings that the WAL needs", "why", err.Error())
	}
	r.raisedWarning()
	if !r.serves() {
		return nil
	}
	if _, err := os.Stat(filepath.Join(r.Directory, mainConf)); errors.Is(err, os.ErrNotExist) {
		return nil // that it has no configuration was said
	}
	return r.startForGood(ctx)
}

// replay has the server recover where only we reach it.
func (r *restore) replay(ctx context.Context) error {
	r.step("recovering " + r.goal())
	p, err := r.startPrivate(ctx)
	if err != nil {
		return err
	}
	err = p.reach(ctx)
	if stopped := p.stop(); err == nil {
		err = stopped
	}
	return errors.Join(err, p.remove())
}

// startPrivate starts the server. Its own configuration counts for all but who may
// come in, where it writes its log, and what it does at the target.
func (r *restore) startPrivate(ctx context.Context) (*private, error) {
	p := &private{restore: r, exited: make(chan struct{})}
	r.clearPrivate()
	var err error
	if p.dir, p.unlock, err = privateDirectory(); err != nil {
		return nil, err
	}
	if err := p.launch(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start PostgreSQL %s on %s: %w", r.found.Version, r.Directory, err), p.remove())
	}
	return p, nil
}

func (p *private) launch(ctx context.Context) error {
	r := p.restore
	configuration := ""
	if _, err := os.Stat(filepath.Join(r.Directory, mainConf)); errors.Is(err, os.ErrNotExist) {
		for _, name := range slices.Sorted(maps.Keys(r.top().Physical.Settings)) {
			configuration += name + " = " + quoted(r.top().Physical.Settings[name]) + "\n"
		}
		configuration += "# none was in the backup\n"
	}
	for name, text := range map[string]string{hbaConf: "local all all trust\n", "pg_ident.conf": "", mainConf: configuration, "log": ""} {
		file := filepath.Join(p.dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		if err := r.owner.own(file); err != nil {
			return err
		}
	}
	if err := r.owner.own(p.dir); err != nil {
		return err
	}
	args := []string{"-D", r.Directory, "-c", "port=" + fmt.Sprint(privatePort)}
	// The configuration may name the directory of the server that was backed up, which
	// would be started instead.
	args = append(args, "-c", "data_directory="+r.Directory)
	for _, setting := range [][2]string{
		{"listen_addresses", ""}, {"unix_socket_directories", p.dir}, {"hba_file", filepath.Join(p.dir, hbaConf)}, {"ident_file", filepath.Join(p.dir, "pg_ident.conf")},
		{"logging_collector", "off"}, {"log_destination", "stderr"}, {"log_min_messages", "warning"}, {"log_line_prefix", ""}, {"lc_messages", "C"}, {"log_timezone", "UTC"},
		{"ssl", "off"}, {"hot_standby", "on"}, {"max_standby_archive_delay", "0"},
		{"external_pid_file", filepath.Join(p.dir, "pid")}, // that of the server that was backed up may be in use beside this one
	} {
		args = append(args, "-c", setting[0]+"="+setting[1])
	}
	for _, s := range others(settings(r.Options, r.window.Timeline)) {
		if s.name != "recovery_target_action" {
			args = append(args, "-c", s.name+"="+s.value)
		}
	}
	if configuration != "" {
		args = append(args, "-c", "config_file="+filepath.Join(p.dir, mainConf))
	}
	if !r.Target.Latest {
		args = append(args, "-c", "recovery_target_action="+Pause)
	}
	log, err := os.OpenFile(filepath.Join(p.dir, "log"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd = r.command(context.WithoutCancel(ctx), "postgres", args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	dieWithParent(p.cmd.SysProcAttr)
	started := make(chan error)
	go func() {
		// The thread that started the child must live as long as the child does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is in its log
			close(p.exited)
		}
	}()
	return <-started
}

// logged is the server's log.
func (p *private) logged() string {
	b, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		return "its log can not be read: " + err.Error()
	}
	return string(b)
}

// said is the end of the server's log, in one line.
func (p *private) said() string {
	var lines strings.Builder
	for line := range strings.Lines(p.logged()) {
		if !ofAsking.MatchString(line) {
			lines.WriteString(line)
		}
	}
	return oneLine(lines.String())
}

// ofAsking is what the server says to those who ask before it is ready, as we do.
var ofAsking = regexp.MustCompile(`^FATAL:  the database system is (starting up|not yet accepting connections)|^DETAIL:  Consistent recovery state has not been yet reached`)

// reach waits until the server has come to the target, and notes which moment it is.
func (p *private) reach(ctx context.Context) error {
	defer func() {
		if p.conn != nil {
			_ = p.conn.Close(context.WithoutCancel(ctx)) // the server ends anyhow
		}
	}()
	there := func(s replay) bool { return s.pause == "paused" }
	if p.restore.Target.Latest {
		there = func(s replay) bool { return !s.recovering }
	}
	s, err := p.wait(ctx, there)
	if err != nil {
		return err
	}
	reached := &Reached{Time: s.time, LSN: s.lsn, Timeline: p.restore.window.Timeline, State: "paused", Said: p.stopping()}
	switch action := p.restore.Action; {
	case p.restore.Target.Latest:
		reached.State, reached.Timeline = "promoted", s.timeline
	case action == Shutdown:
		reached.State = "shut down"
	case action == Promote:
		if _, err := p.conn.Exec(ctx, "SELECT pg_wal_replay_resume()"); err != nil {
			return fmt.Errorf("promote the restored server: %w", err)
		}
		after, err := p.wait(ctx, func(s replay) bool { return !s.recovering })
		if err != nil {
			return err
		}
		reached.State, reached.Timeline = "promoted", after.timeline
	}
	p.restore.result.Reached = reached
	return nil
}

// stopping is what the server said of where it stops.
func (p *private) stopping() string {
	said := ""
	for line := range strings.Lines(p.logged()) {
		_, text, _ := strings.Cut(strings.TrimSpace(line), "LOG:  ")
		if strings.HasPrefix(text, "recovery stopping") || strings.HasPrefix(text, "last completed transaction") {
			said = text
		}
	}
	return said
}

// stop ends the server, with everything on the disk.
func (p *private) stop() error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the restored server: %w", err)
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopLimit):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may just have ended
	<-p.exited
	return fmt.Errorf("stop the restored server: it did not end within %s and was killed: %s", stopLimit, p.said())
}

// startForGood starts the server as it is configured, and leaves it running.
func (r *restore) startForGood(ctx context.Context) error {
	r.step("starting the server")
	log := filepath.Join(r.Directory, startLog)
	cmd := r.command(ctx, "pg_ctl", "start", "--wait", "--timeout", fmt.Sprint(int(stopLimit.Seconds())), "--silent", "--pgdata", r.Directory, "--log", log,
		"--options", "-c data_directory="+shellWord(r.Directory))
	cmd.SysProcAttr.Setpgid = false
	if out, err := cmd.CombinedOutput(); err != nil {
		said, _ := os.ReadFile(log) // where there is none, pg_ctl's words have to do
		return fmt.Errorf("the data directory is restored and was recovered, and the server does not start as it is configured: %w: %s; %s", err, oneLine(string(out)), oneLine(string(said)))
	}
	r.result.Started = true
	return nil
}
