package main

import (
	"context"
	"io"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
)

func newCat(a *app) *cobra.Command {
	var stream string
	cmd := &cobra.Command{
		Use: "cat latest|ID", Short: "Write a backup's plain bytes to standard output", Args: cobra.ExactArgs(1),
		Long: `Write what pg_dump made, decrypted and decompressed, to standard output. Everything
is checked on the way; if something is wrong the exit code is not 0, so use
"set -o pipefail" in scripts.`,
		Example: "  pgbackup-runner cat latest | pg_restore --dbname app_restored\n  pgbackup-runner cat latest --stream globals | psql",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.cat(cmd.Context(), args[0], stream) },
	}
	cmd.Flags().StringVar(&stream, "stream", logical.StreamArchive, "which `STREAM`: archive, globals or tables")
	return cmd
}

func (a *app) cat(ctx context.Context, name, stream string) error {
	streams := []string{logical.StreamArchive, logical.StreamGlobals, logical.StreamTables}
	if !slices.Contains(streams, stream) {
		return usagef("--stream %q is not known%s", stream, nearest.Suggestion(stream, streams))
	}
	if a.flags.json {
		return usagef("cat writes plain bytes and has no --json")
	}
	if stream == logical.StreamArchive && a.outTerminal {
		return usagef("the archive is binary: send it to pg_restore or a file, not to the terminal")
	}
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	found, err := a.find(ctx, r, name, "")
	if err != nil {
		return reading(err)
	}
	point, err := r.OpenPoint(ctx, found.Ref)
	if err != nil {
		return reading(err)
	}
	body, err := point.Open(ctx, stream)
	if err != nil {
		return reading(err)
	}
	defer body.Close()
	n, err := io.Copy(a.out, body)
	if err != nil {
		return reading(err)
	}
	a.log.Debug("wrote "+stream, "point", found.String(), "bytes", n)
	return nil
}
