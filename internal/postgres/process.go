package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// stopGrace is how long a program may take to end after SIGTERM.
	stopGrace = 5 * time.Second
	// stderrKept is how much of what a program says is kept, its end.
	stderrKept = 16 << 10
)

// ToolError is the failure of a client program in its own words.
type ToolError struct {
	Tool     string // pg_dump
	ExitCode int    // -1 when ended by a signal
	Signal   string // "killed"
	Stderr   string // the last 16 KiB
}

// Error is one line: what ended how, and the reason the program gave.
func (e *ToolError) Error() string {
	how := fmt.Sprintf("exit code %d", e.ExitCode)
	if e.Signal != "" {
		how = e.Signal
	}
	said := e.said()
	if said == "" {
		return fmt.Sprintf("%s failed (%s) without a message", e.Tool, how)
	}
	return fmt.Sprintf("%s failed (%s): %s", e.Tool, how, said)
}

// Is makes pg_dump's failure to get its locks an ErrLockTimeout, and a full lock
// table an ErrLockTableFull.
func (e *ToolError) Is(kind error) bool {
	switch kind {
	case ErrLockTimeout:
		return strings.Contains(e.Stderr, "LOCK TABLE") && (strings.Contains(e.Stderr, "statement timeout") || strings.Contains(e.Stderr, "lock timeout"))
	case ErrLockTableFull:
		return strings.Contains(e.Stderr, "max_locks_per_transaction")
	}
	return false
}

// said is the message without repeated program names, in one line.
func (e *ToolError) said() string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(e.Stderr), "\n") {
		line = strings.TrimPrefix(strings.TrimSpace(line), e.Tool+": ")
		line = strings.TrimPrefix(line, "error: ")
		if line != "" {
			lines = append(lines, line)
		}
	}
	const most = 6
	if len(lines) > most {
		last := lines[len(lines)-most:]
		// The context of an error may be longer than that; what matters is the error.
		first := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, "ERROR: ") })
		if first < 0 || first >= len(lines)-most {
			lines = append([]string{"…"}, last...)
		} else {
			lines = append([]string{lines[first], "…"}, last...)
		}
	}
	text := strings.Join(lines, "; ")
	if strings.Contains(text, "max_locks_per_transaction") {
		text += "; ALTER SYSTEM SET max_locks_per_transaction = 256 (or more), then restart the server"
	}
	return text
}

// Process is a running client program in a process group of its own. When ctx
// of its start ends it gets SIGTERM and, if that does not help, SIGKILL; when
// this process dies, however, the kernel ends it too (on Linux).
type Process struct {
	// Stdout is what Dump writes, to be read to its end or closed. A *os.File.
	Stdout io.ReadCloser
	// Stdin is what RestoreCheck reads, to be closed at the end. A *os.File.
	Stdin io.WriteCloser

	tool   string
	ctx    context.Context
	cmd    *exec.Cmd
	stderr *tailBuffer
	done   chan struct{} // closed when the program has ended and was waited for
	err    error         // of exec.Cmd.Wait, once done is closed
}

// Pid is the program's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the program's end. Its failure is a *ToolError; when the
// context ended it, the context's cause is what errors.Is finds first.
func (p *Process) Wait() error {
	<-p.done
	if p.err == nil {
		return nil
	}
	toolErr := &ToolError{Tool: p.tool, ExitCode: -1, Stderr: p.stderr.String()}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		toolErr.ExitCode = exit.ExitCode()
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			toolErr.Signal = "signal: " + status.Signal().String()
		}
	}
	if p.ctx.Err() != nil {
		return fmt.Errorf("%s was stopped: %w", p.tool, context.Cause(p.ctx))
	}
	return toolErr
}

// Kill ends the program at once, with whatever it started. Wait still has to be called.
func (p *Process) Kill() { signalGroup(p.cmd.Process.Pid, syscall.SIGKILL, p.done) }

// command describes a program to start.
type command struct {
	path      string
	args      []string
	env       []string
	stdin     io.Reader // nil and !pipeStdin: none
	stdout    io.Writer // nil and !pipeStdout: none
	pipeStdin bool      // Process.Stdin
	pipeOut   bool      // Process.Stdout
}

// start runs a program.
func start(ctx context.Context, c command) (*Process, error) {
	tool := filepath.Base(c.path)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start %s: %w", tool, context.Cause(ctx))
	}
	cmd := exec.Command(c.path, c.args...)
	cmd.Env, cmd.Stdin, cmd.Stdout = c.env, c.stdin, c.stdout
	stderr := &tailBuffer{}
	cmd.Stderr = stderr
	cmd.SysProcAttr = childAttributes()
	cmd.WaitDelay = stopGrace // a grandchild may hold the pipes open
	p := &Process{tool: tool, ctx: ctx, cmd: cmd, stderr: stderr, done: make(chan struct{})}

	var childEnds, ourEnds []*os.File
	closeAll := func(files []*os.File) {
		for _, f := range files {
			_ = f.Close() // nothing was written that could be lost
		}
	}
	pipe := func() (r, w *os.File, err error) {
		if r, w, err = os.Pipe(); err == nil {
			widenPipe(w)
		}
		return r, w, err
	}
	if c.pipeStdin {
		r, w, err := pipe()
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", tool, err)
		}
		cmd.Stdin, p.Stdin = r, w
		childEnds, ourEnds = append(childEnds, r), append(ourEnds, w)
	}
	if c.pipeOut {
		r, w, err := pipe()
		if err != nil {
			closeAll(childEnds)
			closeAll(ourEnds)
			return nil, fmt.Errorf("start %s: %w", tool, err)
		}
		cmd.Stdout, p.Stdout = w, r
		childEnds, ourEnds = append(childEnds, w), append(ourEnds, r)
	}
	started := make(chan error)
	go func() {
		// The kernel's "parent died" means the thread that started the child: it
		// must live as long as the child does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		closeAll(childEnds)
		started <- err
		if err != nil {
			return
		}
		stop := context.AfterFunc(ctx, func() { p.stop() })
		p.err = cmd.Wait()
		stop()
		close(p.done)
	}()
	if err := <-started; err != nil {
		closeAll(ourEnds)
		return nil, fmt.Errorf("start %s: %w", tool, err)
	}
	return p, nil
}

// stop asks the program to end and then makes it.
func (p *Process) stop() {
	signalGroup(p.Pid(), syscall.SIGTERM, p.done)
	select {
	case <-p.done:
	case <-time.After(stopGrace):
		p.Kill()
	}
}

// signalGroup signals a process group unless its leader was already waited for:
// its number could be another's by then.
func signalGroup(pid int, sig syscall.Signal, done <-chan struct{}) {
	select {
	case <-done:
	default:
		_ = syscall.Kill(-pid, sig) // it may just have ended
	}
}

// run starts a program and waits for it.
func run(ctx context.Context, c command) error {
	p, err := start(ctx, c)
	if err != nil {
		return err
	}
	return p.Wait()
}

// tailBuffer keeps the end of what is written to it.
type tailBuffer struct {
	mu  sync.Mutex
	buf []byte
}

func (b *tailBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf = append(b.buf, p...)
	if len(b.buf) > 2*stderrKept {
		b.buf = append(b.buf[:0], b.buf[len(b.buf)-stderrKept:]...)
	}
	return len(p), nil
}

func (b *tailBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.buf[max(0, len(b.buf)-stderrKept):])
}
