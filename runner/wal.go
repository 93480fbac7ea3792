package main

import "github.com/spf13/cobra"

func newWAL(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use: "wal", Short: "Archive a server's write-ahead log, bring it back, and see what it reaches",
		Long: `With the log of a server in the repository, a base backup (backup --kind physical) can
be recovered to any moment since it was taken.`,
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
