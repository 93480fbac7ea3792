package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	walfetch "github.com/pgbackup/terraform-provider-pgbackup/internal/wal/fetch"
)

// What PostgreSQL takes the end of a restore_command for (RestoreArchivedFile in
// xlogarchive.c): up to 125 is "no such file", after which it may be promoted; more is
// trouble, for which it stops; 128 and a signal's number is a shutdown. 126 and 127 are not
// used: its log would say "command not executable" and "command not found".
const (
	fetchDone        exitcode.Code = 0
	fetchNotThere    exitcode.Code = 1
	fetchTrouble     exitcode.Code = 128
	fetchInterrupted exitcode.Code = 130
	fetchTerminated  exitcode.Code = 143
)

// walFetchFlags are those of `wal fetch`.
type walFetchFlags struct {
	spool, dataDirectory string
	ahead, jobs          int
	patience             time.Duration
}

func newWALFetch(a *app) *cobra.Command {
	var f walFetchFlags
	cmd := &cobra.Command{
		Use: "fetch FILE PATH", Short: "Bring a file of WAL back: for restore_command", Args: cobra.ExactArgs(2),
		Long: `Bring a file of WAL back and place it at PATH, whole and checked, or not at all. A server
in recovery calls it as its restore_command, with %f and %p for FILE and PATH.

Of the last segment, which a receiver has not finished, what is stored is placed, with zeros
after it: recovery goes to its end. A server that reads one segment after the other has the
next ones put aside on this machine meanwhile (--spool).

Exit codes are those that PostgreSQL knows: 0 placed; 1 the archive does not have it, which
a server takes for the end of the log; 128 anything else, such as a store that does not
answer or a damaged file, for which a server stops instead of ending recovery early.

"restore" writes this command into the configuration by itself.`,
		Example: `  restore_command = '/usr/local/bin/pgbackup-runner wal fetch %f %p --job /etc/pgbackup/wal.job.json'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.fetchWAL(cmd.Context(), args[0], args[1], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.spool, "spool", "", "`DIRECTORY` of this machine for what is fetched ahead (default the job's, or below the user's home)")
	flags.StringVar(&f.dataDirectory, "data-directory", "", "`DIRECTORY` of the server (default the working directory, which is where a server calls this)")
	flags.IntVar(&f.ahead, "ahead", 0, "how many segments are fetched ahead at most, -1 for none (default 8)")
	flags.IntVar(&f.jobs, "jobs", 0, "how many segments are fetched ahead at once (default 2)")
	flags.DurationVar(&f.patience, "patience", walfetch.DefaultPatience, "try again for this `DURATION` when the store does not answer, before the server has to stop")
	return cmd
}

func (a *app) fetchWAL(ctx context.Context, name, path string, f walFetchFlags) error {
	w := a.walOrOtherJob()
	place, err := a.walPlace()
	if err != nil {
		return err
	}
	a.replicaUse = reads
	result, err := walfetch.Run(ctx, walfetch.Options{
		Name: name, Path: path, DataDirectory: f.dataDirectory, Source: a.sourceName(""), Place: place, Spool: walSpool(f.spool, w.Spool),
		Ahead: f.ahead, Jobs: f.jobs, Patience: f.patience, Open: a.open, Log: a.log,
	})
	if errors.Is(err, walfetch.ErrNotThere) {
		a.log.Info("the archive does not have it", "file", name)
		return fmt.Errorf("%w: %w", errTold, err) // a server asks for much that never was
	}
	if err != nil {
		return err
	}
	if a.flags.json {
		return a.printJSON(map[string]any{"file": name, "fetched_ahead": result.Spooled, "pieces": result.Pieces, "ahead": result.Ahead})
	}
	a.log.Info("fetched", "file", name, "was_fetched_ahead", result.Spooled, "pieces", result.Pieces, "ahead", result.Ahead)
	return nil
}

// fetchesWAL tells whether a command line is that of a restore_command. It must be known
// before anything else is: a server believes the exit code, also that of a slip in the
// command line.
func fetchesWAL(args []string) bool {
	i := slices.Index(args, "fetch")
	return i > 0 && args[i-1] == "wal"
}

// asRestoreCommand has what the Go runtime gives up for end in a signal, as PostgreSQL
// wants it: its own exit code, 2, would pass for "no such file".
func asRestoreCommand() {
	noCore() // it would lie in the data directory
	debug.SetTraceback("crash")
}

// fetchCode is the exit code of a restore_command.
func fetchCode(ctx context.Context, err error) exitcode.Code {
	var cause interrupted
	switch {
	case err == nil:
		return fetchDone
	case errors.As(context.Cause(ctx), &cause) && cause.by == "interrupt":
		return fetchInterrupted
	case errors.As(context.Cause(ctx), &cause):
		return fetchTerminated
	case errors.Is(err, walfetch.ErrNotThere):
		return fetchNotThere
	}
	return fetchTrouble
}
