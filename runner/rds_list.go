package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	awsrds "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
)

// listedSnapshot is a snapshot in the document of `rds list --json`.
type listedSnapshot struct {
	Name         string    `json:"name"`
	ARN          string    `json:"arn"`
	Type         string    `json:"type"` // manual, automated, awsbackup
	Database     string    `json:"database"`
	Cluster      bool      `json:"cluster"`
	Status       string    `json:"status"`
	Created      time.Time `json:"created"`
	AllocatedGiB int64     `json:"allocated_gib"`
	Encrypted    bool      `json:"encrypted"`
	// Point and Repository are of the recovery point it stands for: empty for
	// snapshots that pgbackup did not make.
	Point      string `json:"point,omitempty"`
	Repository string `json:"repository_id,omitempty"`
}

func newRDSList(a *app) *cobra.Command {
	var of rdsFlags
	var kind string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the snapshots there are in RDS, newest first", Args: cobra.NoArgs,
		Long: `List the snapshots of an instance or cluster, or of all of both, with the recovery
points that pgbackup made of them. No repository is needed.`,
		Example: "  pgbackup-runner rds list --instance acme-prod\n  pgbackup-runner rds list --type automated --json",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.listRDS(cmd.Context(), of, kind) },
	}
	of.register(cmd)
	cmd.Flags().StringVar(&kind, "type", "", "only `TYPE` manual, automated or awsbackup")
	return cmd
}

func (a *app) listRDS(ctx context.Context, of rdsFlags, kind string) error {
	queries := []awsrds.Query{{Type: kind}, {Type: kind, Target: awsrds.Target{Cluster: true}}}
	region := of.region
	if of.instance != "" || of.cluster != "" || a.job != nil && a.job.RDSSnapshot != nil {
		t, in, err := a.rdsTarget(of)
		if err != nil {
			return err
		}
		queries, region = []awsrds.Query{{Target: t, Type: kind}}, in
	}
	client, err := a.rdsClient(ctx, region)
	if err != nil {
		return err
	}
	list := []listedSnapshot{}
	for _, q := range queries {
		found, err := client.Snapshots(ctx, q)
		if err != nil {
			return err
		}
		for _, s := range found {
			point, repository := rds.Point(s)
			list = append(list, listedSnapshot{
				Name: s.Name, ARN: s.ARN, Type: s.Type, Database: s.ID, Cluster: s.Cluster, Status: s.Status, Created: s.Created.UTC(),
				AllocatedGiB: s.AllocatedGiB, Encrypted: s.Encrypted, Point: point, Repository: repository,
			})
		}
	}
	if a.flags.json {
		return a.printJSON(map[string]any{"snapshots": list})
	}
	if len(list) == 0 {
		a.say("There are no such snapshots in %s.", client.Region())
		return nil
	}
	var rows [][]string
	for _, s := range list {
		point := s.Point
		if point == "" {
			point = "-"
		}
		rows = append(rows, []string{s.Name, s.Database, s.Type, s.Status, stamp(s.Created), count(s.AllocatedGiB) + " GiB", point})
	}
	if a.flags.quiet {
		return nil
	}
	return a.table([]string{"SNAPSHOT", "DATABASE", "TYPE", "STATUS", "CREATED", "ALLOCATED", "POINT"}, rows)
}
