package main

import (
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
)

func newWAL(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "wal", Short: "Archive a server's write-ahead log, bring it back, and see what it reaches",
		Long: `With the write-ahead log (WAL) of a server in the repository, a base backup can be
recovered to any moment since it was taken. "settings" says what the server needs;
"receive" streams its log, or the server hands it over by "push"; then come base backups
(backup --kind physical); "status" says from when to when one can recover; "restore
--target-time" does it, and has the server call "fetch".`,
		Args: cobra.NoArgs,
	}
	group(cmd,
		newWALStatus(a),
		newWALPush(a),
		newWALReceive(a),
		newWALFetch(a),
		newWALSettings(a),
	)
	return cmd
}

// calledByServer tells whether the server runs this: as its archive_command or its
// restore_command.
func calledByServer(args []string) bool {
	i := slices.Index(args, "wal")
	return i >= 0 && i+1 < len(args) && (args[i+1] == "push" || args[i+1] == "fetch")
}

// quitQuietly ends at once when the server is stopped with "immediate", which also
// reaches what it runs. Go's own answer is a page of stacks in the server's log.
func quitQuietly() {
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	go func() {
		<-quit
		os.Exit(128 + int(syscall.SIGQUIT))
	}()
}
