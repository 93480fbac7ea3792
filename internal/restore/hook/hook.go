// Package hook runs what a user wants done before and after a restore, such as
// scaling a deployment down and up again.
//
// What lives here: running one command with a time limit and a context in its
// environment. What must not: when hooks run and what their failure means (the
// faces).
package hook

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// DefaultLimit is how long a hook may run unless another limit is given.
const DefaultLimit = 5 * time.Minute

// grace is how long a hook may take to end after SIGTERM.
const grace = 5 * time.Second

// ErrTimeLimit: the hook did not end in its time.
var ErrTimeLimit = errors.New("it ran longer than its time limit")

// Hook is a command and what it is told.
type Hook struct {
	Name    string            // before or after, for messages
	Command string            // for /bin/sh -c
	Limit   time.Duration     // 0 is DefaultLimit
	Env     map[string]string // added to the environment
	Hide    []string          // variables that it does not get: secrets
	Log     *slog.Logger      // gets what it writes, a line each; nil for nothing
}

// Run runs the hook and waits for it. An error says how it ended and the last it
// wrote. When ctx ends, or its time does, it gets SIGTERM and soon SIGKILL, and so
// does everything that it started and that stayed in its process group.
func Run(ctx context.Context, h Hook) error {
	if h.Limit <= 0 {
		h.Limit = DefaultLimit
	}
	if h.Log == nil {
		h.Log = slog.New(slog.DiscardHandler)
	}
	limited, cancel := context.WithTimeoutCause(ctx, h.Limit, fmt.Errorf("%w of %s and was killed; --hook-timeout sets another", ErrTimeLimit, h.Limit))
	defer cancel()
	said := &lines{hook: h}
	cmd := exec.CommandContext(limited, "/bin/sh", "-c", h.Command)
	cmd.Env = h.environment()
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = attributes()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	err := start(cmd)
	if cmd.Process != nil && limited.Err() != nil {
		// Its leader may have ended, and what it started not.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	said.end()
	if err == nil && limited.Err() == nil {
		return nil
	}
	if limited.Err() != nil {
		err = context.Cause(limited)
	} else if errors.Is(err, exec.ErrWaitDelay) {
		err = errors.New("it ended, and left a program behind that holds its output open: let that one write to a file")
	}
	if last := said.last(); last != "" {
		return fmt.Errorf("%s hook: %w: %s", h.Name, err, last)
	}
	return fmt.Errorf("%s hook: %w, and it wrote nothing", h.Name, err)
}

// environment is ours without what is hidden, and with what the hook is told.
func (h Hook) environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		_, ours := h.Env[name]
		return ours || slices.Contains(h.Hide, name)
	})
	for _, name := range slices.Sorted(maps.Keys(h.Env)) {
		// A NUL ends a variable, and the kernel takes none with one.
		env = append(env, name+"="+strings.ReplaceAll(h.Env[name], "\x00", ""))
	}
	return env
}

const (
	longestLine = 8 << 10 // bytes; what is longer is logged in parts
	keptLines   = 4       // of the end, for the error
)

// lines logs what is written to it and keeps the end. os/exec writes from one
// goroutine, since it is both standard output and error output.
type lines struct {
	hook Hook
	part bytes.Buffer
	kept []string
}

var _ io.Writer = (*lines)(nil)

func (l *lines) Write(b []byte) (int, error) {
	l.part.Write(b)
	for {
		data := l.part.Bytes()
		n, line, err := bufio.ScanLines(data, false)
		switch {
		case err == nil && n > 0 && len(line) <= longestLine:
		case len(data) < longestLine:
			return len(b), nil
		default:
			n, line = longestLine, data[:longestLine]
		}
		l.line(string(line))
		l.part.Next(n)
	}
}

func (l *lines) line(text string) {
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	l.hook.Log.Info(text, "hook", l.hook.Name)
	l.kept = append(l.kept, text)
	if len(l.kept) > keptLines {
		l.kept = l.kept[1:]
	}
}

func (l *lines) end() {
	l.line(l.part.String())
	l.part.Reset()
}

func (l *lines) last() string { return strings.Join(l.kept, "; ") }
