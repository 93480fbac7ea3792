package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
)

func newRDSRetag(a *app) *cobra.Command {
	var from string
	var dryRun bool
	cmd := &cobra.Command{
		Use: "retag", Short: "Take over the snapshots of a repository that was moved", Args: cobra.NoArgs,
		Long: `Snapshots name, in a tag, the place of the repository they are recovery points of, so
that a copy of the repository deletes none of them. Once a repository was moved, this
names its new place in them. The old place must not be in use any more: from then on it
deletes none of them. Do not run it in a copy.`,
		Example: "  pgbackup-runner rds retag --repository s3://new-bucket/prod --from s3://old-bucket/prod --dry-run",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.retagRDS(cmd.Context(), from, dryRun) },
	}
	cmd.Flags().StringVar(&from, "from", "", "`URL` of the repository before it was moved")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say which snapshots would be taken over and change nothing")
	return cmd
}

func (a *app) retagRDS(ctx context.Context, from string, dryRun bool) error {
	if from == "" {
		return usagef("rds retag: give --from URL, where the repository was before it was moved")
	}
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	moved, err := rds.Retag(ctx, rds.RetagOptions{Repo: r, Clients: a.rdsClient, From: from, DryRun: dryRun})
	names := []string{}
	for _, s := range moved {
		names = append(names, s.Name)
	}
	if a.flags.json {
		return errors.Join(err, a.printJSON(map[string]any{"retagged": names, "dry_run": dryRun}))
	}
	verb := "Took over"
	if dryRun {
		verb = "Would take over"
	}
	for _, name := range names {
		a.say("%s RDS snapshot (%s).", verb, name)
	}
	if err == nil && len(names) == 0 {
		a.say("No snapshot of this repository says that it was at %s.", from)
	}
	return err
}
