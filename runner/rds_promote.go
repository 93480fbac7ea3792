package main

import (
	"context"

	"github.com/spf13/cobra"

	awsrds "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
)

// rdsPromoteFlags of `rds promote`.
type rdsPromoteFlags struct {
	cluster, dryRun                bool
	region, window, wait, approval string
	retention                      int
}

func newRDSPromote(a *app) *cobra.Command {
	f := rdsPromoteFlags{retention: -1}
	cmd := &cobra.Command{
		Use: "promote REPLICA", Short: "Make a read replica a database of its own", Args: cobra.ExactArgs(1),
		Long: `Promote a read replica, such as one in another region when the primary is lost. It is
said first how far the replica is behind, and what it lacks. Promoting cannot be undone:
what was not replicated by then is not in it. Stop the application's writes to the
primary before, if it still runs.`,
		Example: "  pgbackup-runner rds promote acme-replica --rds-region eu-west-1 --backup-retention 14\n  pgbackup-runner rds promote acme-aurora-dr --is-cluster --rds-region eu-west-1 --dry-run",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.promoteRDS(cmd.Context(), args[0], f) },
	}
	set := cmd.Flags()
	set.BoolVar(&f.cluster, "is-cluster", false, "the replica is a cluster")
	set.StringVar(&f.region, "rds-region", "", "AWS `REGION` of it (default that of the AWS configuration)")
	set.IntVar(&f.retention, "backup-retention", -1, "`DAYS` that its automated backups are kept, 0 to 35 (default as it is)")
	set.StringVar(&f.window, "backup-window", "", "`WINDOW` of its automated backups in UTC, such as 02:00-03:00 (default as it is)")
	set.StringVar(&f.wait, "wait", "", "wait for at most this `DURATION` (default 6h)")
	set.BoolVar(&f.dryRun, "dry-run", false, "say what would be done and do nothing")
	approvalFlag(set, &f.approval)
	return cmd
}

func (a *app) promoteRDS(ctx context.Context, id string, f rdsPromoteFlags) error {
	progress := newRDSProgress(a)
	opts := rds.PromoteOptions{Replica: awsrds.Target{ID: id, Cluster: f.cluster}, Window: f.window, Now: a.now, Log: a.log, Progress: progress.tell}
	switch {
	case f.retention < -1 || f.retention > 35:
		return usagef("--backup-retention %d: give 0 to 35 days", f.retention)
	case f.cluster && (f.retention >= 0 || f.window != ""):
		return usagef("rds promote: RDS promotes a cluster with the backup settings it has; leave --backup-retention and --backup-window out and change them afterwards")
	case f.retention >= 0:
		opts.RetentionDays = &f.retention
	}
	var err error
	if f.window != "" {
		if err := awsrds.CheckBackupWindow(f.window); err != nil {
			return usage(err)
		}
	}
	if f.wait != "" {
		if opts.Limit, err = rdsWait(f.wait); err != nil {
			return err
		}
	}
	r, unreadable := a.rdsRepository(ctx)
	if opts.Client, err = a.rdsClient(ctx, f.region); err != nil {
		return err
	}
	environment, err := a.rdsEnvironment(ctx, r, unreadable, nil)
	if err != nil {
		return err
	}
	plan, err := rds.PlanPromotion(ctx, opts)
	if err != nil {
		return rdsError(err)
	}
	a.warn(plan.Warnings...)
	if plan.LagKnown {
		a.say("%s is %s behind %s.", plan.Replica.Target, plan.Lag, plan.Replica.ReplicaOf)
	}
	if f.dryRun {
		return a.rdsPlanned(ctx, plan.Steps(), opts.Replica, nil, plan.Warnings, f.approval, environment)
	}
	var promoted rds.Restored
	act := restoreAct{what: "rds_promote", of: plan.Replica.ReplicaOf, to: opts.Replica.String() + " in " + opts.Client.Region(), log: r, environment: environment, approval: f.approval}
	done, err := a.restoring(ctx, act, nil, func(ctx context.Context) (acted, error) {
		defer progress.draw()()
		promoted, err = plan.Run(ctx)
		return acted{Warnings: plan.Warnings}, err
	})
	if err != nil {
		return rdsError(err)
	}
	return a.rdsMade("Promoted", promoted, nil, done.Warnings, "promoted")
}
