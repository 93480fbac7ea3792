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
	_ "time/tzdata" // the time zones of schedules and policies: slim images have none

	_ "golang.org/x/crypto/x509roots/fallback" // certificate authorities, for the same images

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
	if fetchesWAL(os.Args[1:]) {
		asRestoreCommand()
	}
	if calledByServer(os.Args[1:]) {
		quitQuietly()
	}
	if err := checkSelf(os.Getenv(envSelf)); err != nil {
		fmt.Fprintln(os.Stderr, "pgbackup-runner: "+oneLine(err.Error()))
		return endCode(context.Background(), os.Args[1:], err)
	}
	ctx, stop := untilSignal(context.Background(), os.Stderr)
	defer stop()
	s := streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	if os.Getenv(envLambda) != "" && len(os.Args) == 1 {
		return serveLambda(ctx, s)
	}
	return run(ctx, s, os.Args[1:])
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
	return newApp(s).run(ctx, args)
}

// newApp makes ready one invocation.
func newApp(s streams) *app {
	return &app{streams: streams{in: s.in, out: output{s.out}, err: s.err}, now: time.Now, outTerminal: isTerminal(s.out)}
}

func (a *app) run(ctx context.Context, args []string) exitcode.Code {
	a.args = args
	defer a.removeScratch()
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetErr(a.err)
	err := a.withKeyTrail(root.ExecuteContext(ctx))
	a.endProgress()
	if a.failure = errorLine(ctx, err); a.failure != "" {
		fmt.Fprintln(a.err, "pgbackup-runner: "+a.failure)
	}
	return endCode(ctx, args, err)
}

// endCode is the exit code of a run that ended with err. Whatever broke first when
// everything was stopped, the run failed.
func endCode(ctx context.Context, args []string, err error) exitcode.Code {
	if fetchesWAL(args) {
		return fetchCode(ctx, err)
	}
	if err != nil && errors.As(context.Cause(ctx), new(interrupted)) {
		return exitcode.Failed
	}
	return codeOf(err)
}

// interrupted is the cause of a context that somebody ended: by a signal, or by a
// limit of time that is not the run's own.
type interrupted struct{ by string }

func (i interrupted) Error() string { return "interrupted (" + i.by + ")" }

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
			cancel(interrupted{s.String()})
		case <-done:
			return
		}
		select {
		case <-signals:
			fmt.Fprintln(stderr, "pgbackup-runner: interrupted twice: ended without cleaning up; the next run does it")
			os.Exit(int(endCode(ctx, os.Args[1:], context.Cause(ctx))))
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}
