package command

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
	// grace is how long a program may take to end after SIGTERM, and how long what
	// it left behind may hold its error output open.
	grace = 5 * time.Second
	// stderrKept is how much of what a program says is kept, its end.
	stderrKept = 4 << 10
)

// program is a running command in a process group of its own, which ends as a
// whole: at the end of the context, or when this process dies (on Linux).
type program struct {
	name   string
	stdout *os.File
	cmd    *exec.Cmd
	stderr *tail
	ended  chan error // of the waiter, once the program was waited for
	reap   chan struct{}
}

// Find says which file a program's name means.
func Find(name string) (string, error) {
	p, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: install it, or give its absolute path; PATH is %q", err, os.Getenv("PATH"))
	}
	return filepath.Abs(p)
}

// start starts the program. Its output has to be read to the end, then waited for.
func start(ctx context.Context, argv, env []string) (*program, error) {
	name := filepath.Base(argv[0])
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, context.Cause(ctx))
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	stderr := &tail{}
	cmd.Env, cmd.Stdout, cmd.Stderr = env, w, stderr
	cmd.SysProcAttr = attributes()
	cmd.WaitDelay = grace
	p := &program{name: name, stdout: r, cmd: cmd, stderr: stderr, ended: make(chan error, 1), reap: make(chan struct{})}
	started := make(chan error)
	go func() {
		// "Parent died" means the thread that started the child: it must live as
		// long as the child does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		w.Close()
		started <- err
		if err != nil {
			return
		}
		// Until it is waited for, its number and that of its group are its own: all
		// signals come before.
		stop := context.AfterFunc(ctx, p.stop)
		<-p.reap
		err = cmd.Wait()
		if !stop() {
			p.kill() // what of its group outlived it
		}
		p.ended <- err
	}()
	if err := <-started; err != nil {
		r.Close()
		if _, missing := Find(argv[0]); missing != nil {
			err = missing
		}
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// stop asks the group to end, makes it, and lets go of the output: somebody who
// left the group may still hold it.
func (p *program) stop() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.reap:
	case <-time.After(grace):
	}
	p.signal(syscall.SIGKILL)
	p.stdout.Close()
}

func (p *program) kill() { p.signal(syscall.SIGKILL) }

func (p *program) signal(sig syscall.Signal) {
	_ = syscall.Kill(-p.cmd.Process.Pid, sig) // it may just have ended
}

// wait says how the program ended, after its output did.
func (p *program) wait() error {
	close(p.reap)
	err := <-p.ended
	p.stdout.Close()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil // only something it left behind still holds its error output
	}
	how := err.Error() // "exit status 2", "signal: killed"
	return &Failure{fmt.Errorf("%s failed (%s)", p.name, how), p.said()}
}

// said is the end of what the program wrote to its error output, in one line.
func (p *program) said() string {
	var lines []string
	for line := range strings.SplitSeq(p.stderr.String(), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	const most = 6
	if len(lines) > most {
		lines = append([]string{"…"}, lines[len(lines)-most:]...)
	}
	return strings.Join(lines, "; ")
}

// Failure is why a program's output is no backup. What the program said may hold
// secrets: it belongs into the log of the run, and into nothing that leaves the
// machine.
type Failure struct {
	Err  error  // what is known without the program's own words
	Said string // the end of its error output, in one line; "" for nothing
}

func (f *Failure) Error() string {
	if f.Said == "" {
		return f.Err.Error()
	}
	return f.Err.Error() + ": " + f.Said
}

func (f *Failure) Unwrap() error { return f.Err }
