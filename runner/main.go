// Command pgbackup-runner backs up PostgreSQL, proves, rotates and restores the
// backups, beside the database or wherever a scheduler starts it.
//
// What lives in this package: the face of the program: one file a command,
// flags, and printing. What must not: doing the work (the engines in internal/).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
)

// version is set at build time: -ldflags "-X main.version=1.2.3".
var version = ""

// memoryLimit is what the Go runtime tries to stay below, in bytes. It leaves
// room below the promised 128 MiB for stacks and code, which it does not count.
const memoryLimit = 96 << 20

func main() { os.Exit(int(invoke())) }

// invoke runs the program with the process's own arguments, streams and signals.
func invoke() exitcode.Code {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	// Without this a reader that goes away kills us before leases are given back.
	// Ignoring the signal would be inherited by pg_dump; a channel is not.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := untilSignal(context.Background(), os.Stderr)
	defer stop()
	return run(ctx, streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}, os.Args[1:])
}

// streams are the standard streams of an invocation.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// errReaderGone: whoever read our standard output went away, as head(1) does.
var errReaderGone = errors.New("the reader of the output went away")

// output is standard output. A broken pipe there is nothing to talk about; one of
// a connection to a server is, so they are told apart here.
type output struct{ w io.Writer }

func (o output) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		err = fmt.Errorf("%w: %w", errReaderGone, err)
	}
	return n, err
}

// run is one invocation: it executes the command line, prints the error if there
// is one, and returns the exit code.
func run(ctx context.Context, s streams, args []string) exitcode.Code {
	a := &app{streams: s, now: time.Now, outTerminal: isTerminal(s.out)}
	a.out = output{s.out}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetErr(s.err)
	err := a.withKeyTrail(root.ExecuteContext(ctx))
	code := codeOf(err)
	if err != nil && errors.As(context.Cause(ctx), new(interrupted)) {
		code = exitcode.Failed // whatever broke first when everything was stopped
	}
	a.endProgress()
	if line := errorLine(ctx, err); line != "" {
		fmt.Fprintln(s.err, "pgbackup-runner: "+line)
	}
	return code
}

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ signal os.Signal }

func (i interrupted) Error() string { return "interrupted (" + i.signal.String() + ")" }

// untilSignal ends the returned context at the first SIGINT or SIGTERM, so that
// children are stopped, uploads aborted and leases given back. A second signal
// ends the process at once.
func untilSignal(parent context.Context, stderr io.Writer) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case s := <-signals:
			cancel(interrupted{s})
		case <-done:
			return
		}
		select {
		case <-signals:
			fmt.Fprintln(stderr, "pgbackup-runner: interrupted twice: ended without cleaning up; the next run does it")
			os.Exit(int(exitcode.Failed))
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}
