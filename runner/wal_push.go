package main

import (
	"cmp"
	"context"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/wal/push"
)

// pushGC is how much memory may grow, in percent, before what is free is looked for. The
// program runs beside the server, once for each segment.
const pushGC = 25

// walPushFlags are those of `wal push`.
type walPushFlags struct {
	spool, dataDirectory string
	ahead, jobs          int
}

func newWALPush(a *app) *cobra.Command {
	var f walPushFlags
	cmd := &cobra.Command{
		Use: "push PATH", Short: "Store a file of WAL: for archive_command", Args: cobra.ExactArgs(1),
		Long: `Store a finished file of a server's WAL in the repository. A server calls it as its
archive_command, with %p for PATH; "wal settings" sets that up. It ends with 0 when the file
is durable in the repository, and only then; repeating it is always right.

Files that wait behind the one asked for go along, several at once, so that the server is
answered at once when it asks for them. Notes about those are kept in a folder of this
machine (--spool) which may be lost at any time.

A file of the same name with other content is an error and both stay as they are: two
servers archive to one place then.`,
		Example: `  archive_command = '/usr/local/bin/pgbackup-runner wal push --job /etc/pgbackup/wal.job.json %p'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.pushWAL(cmd.Context(), args[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.spool, "spool", "", "`DIRECTORY` of this machine for notes about what is stored (default the job's, or below the user's home)")
	flags.StringVar(&f.dataDirectory, "data-directory", "", "`DIRECTORY` of the server (default the job's, or the working directory, which is where a server calls this)")
	flags.IntVar(&f.ahead, "ahead", 0, "how many finished files go along at most, -1 for none (default the job's, or 64)")
	flags.IntVar(&f.jobs, "jobs", 0, "how many files are stored at once (default the job's, or 2)")
	return cmd
}

func (a *app) pushWAL(ctx context.Context, path string, f walPushFlags) error {
	w, err := a.walJob()
	if err != nil {
		return err
	}
	place, err := a.walPlace()
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		// What is freed after each segment is most of all memory: it is taken back soon.
		debug.SetGCPercent(pushGC)
	}
	result, err := push.Run(ctx, push.Options{
		Path: path, DataDirectory: cmp.Or(f.dataDirectory, w.DataDirectory), Place: place, Spool: walSpool(f.spool, w.Spool),
		Ahead: cmp.Or(f.ahead, w.Ahead), Jobs: cmp.Or(f.jobs, w.Jobs),
		Open: a.open, Source: a.walSource, Host: thisHost(), Log: a.log, Now: a.now,
	})
	if err != nil {
		return err
	}
	if a.flags.json {
		return a.printJSON(map[string]any{"file": result.Name, "system_identifier": result.System, "known": result.Known, "already": result.Already, "ahead": result.Ahead})
	}
	if !result.Known {
		a.log.Info("archived", "file", result.Name, "was_there", result.Already, "ahead", result.Ahead)
	}
	return nil
}
