package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// shell runs commands the way a person would: it shows the line, then what the
// command prints.
type shell struct {
	out io.Writer
	env []string // added to the environment of this process
}

func (s *shell) heading(n int, title string) { fmt.Fprintf(s.out, "\n%d. %s\n", n, title) }

func (s *shell) say(format string, args ...any) {
	fmt.Fprintf(s.out, "   "+format+"\n", args...)
}

// show prints a command line; a blank line sets it off.
func (s *shell) show(line string) { fmt.Fprintf(s.out, "\n   $ %s\n", line) }

// run shows and runs a command. Anything but exit code 0 is an error.
func (s *shell) run(ctx context.Context, name string, args ...string) error {
	s.show(commandLine(append([]string{name}, args...)...))
	cmd := s.command(ctx, name, args...)
	w := s.indented()
	cmd.Stdout, cmd.Stderr = w, w
	return outcome(ctx, cmd.Run(), name, args)
}

// pipe shows and runs two commands, the output of one being the input of the other.
func (s *shell) pipe(ctx context.Context, from, to []string) error {
	s.show(commandLine(from...) + " | " + commandLine(to...))
	fromErr, toErr := s.connect(ctx, s.indented(), from, to)
	return errors.Join(fromErr, toErr)
}

// connect runs two commands, the output of one being the input of the other; what
// else they write goes to w. Each may fail by itself: a command that stops reading
// makes the one before it fail, too.
func (s *shell) connect(ctx context.Context, w io.Writer, from, to []string) (fromErr, toErr error) {
	read, write, err := os.Pipe()
	if err != nil {
		return err, nil
	}
	w = &turns{to: w} // both write to it at the same time
	source, sink := s.command(ctx, from[0], from[1:]...), s.command(ctx, to[0], to[1:]...)
	source.Stdout, source.Stderr = write, w
	sink.Stdin, sink.Stdout, sink.Stderr = read, w, w
	fromErr, toErr = source.Start(), sink.Start()
	// The children have their own; ours would keep the pipe open.
	_, _ = write.Close(), read.Close()
	if toErr == nil {
		toErr = outcome(ctx, sink.Wait(), to[0], to[1:])
	}
	if fromErr == nil {
		fromErr = outcome(ctx, source.Wait(), from[0], from[1:])
	}
	return fromErr, toErr
}

// ask runs a command without showing it and returns its standard output.
func (s *shell) ask(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := s.command(ctx, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := outcome(ctx, cmd.Run(), name, args); err != nil {
		return nil, errors.Join(err, errors.New(strings.TrimSpace(errs.String())))
	}
	return out.Bytes(), nil
}

func (s *shell) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	if strings.HasSuffix(name, runnerName) {
		// Log lines as the runner writes them on a terminal, which ours is not.
		args = append(args[:len(args):len(args)], "--log-level", "warn", "--log-format", "text")
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), s.env...)
	// A group of its own: Ctrl-C reaches us alone, and we tell the child once.
	// Terraform takes a second signal as an order to drop everything.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 15 * time.Second
	return cmd
}

// outcome says which command failed, how, and what an interrupt caused.
func outcome(ctx context.Context, err error, name string, args []string) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("`%s` failed: %w", commandLine(append([]string{name}, args...)...), err)
}

// commandLine writes a command so that it can be typed.
func commandLine(command ...string) string {
	words := make([]string, len(command))
	for i, w := range command {
		words[i] = quoted(w)
	}
	return strings.Join(words, " ")
}

// quoted makes one word of a shell of a text.
func quoted(word string) string {
	special := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_./=:@+,", r)
	}
	if word != "" && strings.IndexFunc(word, special) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// turns lets several write, one after the other.
type turns struct {
	mu sync.Mutex
	to io.Writer
}

func (t *turns) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.to.Write(p)
}

// indented sets lines off from our own words.
func (s *shell) indented() io.Writer { return &indenter{to: s.out, atStart: true} }

type indenter struct {
	to      io.Writer
	atStart bool
}

func (w *indenter) Write(p []byte) (int, error) {
	var b bytes.Buffer
	for line := range bytes.Lines(p) {
		if w.atStart && len(bytes.Trim(line, "\r\n")) > 0 {
			b.WriteString("     ")
		}
		b.Write(line)
		w.atStart = bytes.HasSuffix(line, []byte("\n"))
	}
	if _, err := w.to.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}
