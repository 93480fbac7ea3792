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
		Use: "list", Aliases: []string{"ls"}, Short: "List the snapshots there are in RDS, and from when to when a moment can be restored", Args: cobra.NoArgs,
		Long: `List the snapshots of an instance or cluster, or of all of both, automated and manual,
with the recovery points that pgbackup made of them, and from when to when each can be
restored to a moment. No repository is needed.`,
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
	windows := a.restorable(ctx, client, queries)
	if a.flags.json {
		return a.printJSON(map[string]any{"snapshots": list, "restorable": nonNil(windows)})
	}
	if a.flags.quiet {
		return nil
	}
	if len(list) == 0 {
		a.say("There are no such snapshots in %s.", client.Region())
	} else if err := a.snapshotTable(list); err != nil {
		return err
	}
	return a.restorableTable(windows)
}

func (a *app) snapshotTable(list []listedSnapshot) error {
	var rows [][]string
	for _, s := range list {
		point := s.Point
		if point == "" {
			point = "-"
		}
		rows = append(rows, []string{s.Name, s.Database, s.Type, s.Status, stamp(s.Created), count(s.AllocatedGiB) + " GiB", point})
	}
	return a.table([]string{"SNAPSHOT", "DATABASE", "TYPE", "STATUS", "CREATED", "ALLOCATED", "POINT"}, rows)
}

// restorableWindow is from when to when a database can be restored to a moment, in
// the document of `rds list --json`.
type restorableWindow struct {
	Database string     `json:"database"`
	Cluster  bool       `json:"cluster"`
	Earliest *time.Time `json:"earliest"` // null where it is not known
	Latest   *time.Time `json:"latest"`   // null where it can not be restored to any
	// Retained: the instance is gone, and its backups are kept for a while.
	Retained bool `json:"retained"`
}

// restorable reads the windows of what the queries are about. What may not be read is
// told in the log: a list of snapshots is useful without them.
func (a *app) restorable(ctx context.Context, client *awsrds.Client, queries []awsrds.Query) (windows []restorableWindow) {
	moment := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	for _, q := range queries {
		if !q.Cluster {
			kept, err := client.Restorables(ctx, q.ID)
			if err != nil {
				a.log.Info("from when to when instances can be restored to a moment is not known", "error", err)
			}
			for _, k := range kept {
				windows = append(windows, restorableWindow{Database: k.Instance, Earliest: moment(k.Earliest), Latest: moment(k.Latest), Retained: k.Retained})
			}
			continue
		}
		var databases []awsrds.Database
		var err error
		if q.ID == "" {
			databases, err = client.Databases(ctx, true)
		} else {
			databases = make([]awsrds.Database, 1)
			databases[0], err = client.Database(ctx, q.Target)
		}
		if err != nil {
			a.log.Info("from when to when clusters can be restored to a moment is not known", "error", err)
			continue
		}
		for _, d := range databases {
			windows = append(windows, restorableWindow{Database: d.ID, Cluster: true, Earliest: moment(d.EarliestRestorable), Latest: moment(d.LatestRestorable)})
		}
	}
	return windows
}

func (a *app) restorableTable(windows []restorableWindow) error {
	if len(windows) == 0 {
		return nil
	}
	text := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return stamp(*t)
	}
	var rows [][]string
	for _, w := range windows {
		what := "instance"
		switch {
		case w.Cluster:
			what = "cluster"
		case w.Retained:
			what = "instance, deleted"
		}
		rows = append(rows, []string{w.Database, what, text(w.Earliest), text(w.Latest)})
	}
	a.say("")
	return a.table([]string{"DATABASE", "IS", "RESTORABLE FROM", "TO"}, rows)
}
