package main

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
)

func newCat(a *app) *cobra.Command {
	var stream, kind string
	var frozen thawFlags
	cmd := &cobra.Command{
		Use: "cat latest|ID", Short: "Write a backup's plain bytes to standard output", Args: cobra.ExactArgs(1),
		Long: `Write what was backed up, decrypted and decompressed, to standard output: what pg_dump
made, the tar of files, configuration or a whole data directory, the output of a
command. Everything is checked
on the way; if something is wrong the exit code is not 0, so use "set -o pipefail" in
scripts.`,
		Example: "  pgbackup-runner cat latest | pg_restore --dbname app_restored\n  pgbackup-runner cat latest --stream globals | psql\n  pgbackup-runner cat latest --kind files | tar -t",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.cat(cmd.Context(), args[0], kind, stream, frozen)
		},
	}
	cmd.Flags().StringVar(&stream, "stream", "", "which `STREAM` (default what was backed up): "+strings.Join(catStreams, ", "))
	cmd.Flags().StringVar(&kind, "kind", "", "latest of this `KIND`")
	frozen.register(cmd.Flags())
	return cmd
}

// catStreams are those that mean something to people.
var catStreams = []string{logical.StreamArchive, logical.StreamGlobals, logical.StreamTables, contents.StreamEntries, contents.StreamManifest, contents.StreamOutput}

func (a *app) cat(ctx context.Context, name, kind, stream string, frozen thawFlags) error {
	if stream != "" && !slices.Contains(catStreams, stream) {
		return usagef("--stream %q is not known%s", stream, nearest.Suggestion(stream, catStreams))
	}
	if a.flags.json {
		return usagef("cat writes plain bytes and has no --json")
	}
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	found, err := a.find(ctx, r, name, kind)
	if err != nil {
		return reading(err)
	}
	if stream == "" {
		if stream = contents.Main(found.Kind); stream == "" {
			return usagef("%s: the data of points of kind %s is not in the repository", found, found.Kind)
		}
	}
	if stream == logical.StreamArchive && a.outTerminal {
		return usagef("the archive is binary: send it to pg_restore, tar or a file, not to the terminal")
	}
	if err := a.thawed(ctx, r, found.Ref, frozen); err != nil {
		return err
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
