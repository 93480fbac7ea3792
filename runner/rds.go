package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	awsrds "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
)

// rdsFlags name what of RDS is meant.
type rdsFlags struct{ instance, cluster, region string }

func newRDS(a *app) *cobra.Command {
	return group(&cobra.Command{
		Use: "rds", Short: "RDS: take snapshots as recovery points, restore them, promote a replica",
		Long: `Manual snapshots of Amazon RDS instances and of Aurora or Multi-AZ clusters as
recovery points of a repository: the policy rotates them, a hold keeps them, list, show
and verify know them. Automated snapshots, and those somebody else made, are listed and
never touched. restore makes a new database of any of them, or of a moment of the
automated backups; promote makes a read replica a database of its own.`,
	}, newRDSList(a), newRDSSnapshot(a), newRDSRestore(a), newRDSPromote(a), newRDSRetag(a))
}

func (f *rdsFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.StringVar(&f.instance, "instance", "", "`IDENTIFIER` of an RDS instance")
	set.StringVar(&f.cluster, "cluster", "", "`IDENTIFIER` of an Aurora or Multi-AZ cluster")
	set.StringVar(&f.region, "rds-region", "", "AWS `REGION` of it (default that of the AWS configuration)")
}

func newRDSSnapshot(a *app) *cobra.Command {
	var of rdsFlags
	var f backupFlags
	cmd := &cobra.Command{
		Use: "snapshot", Short: "Take a manual snapshot and make it a recovery point", Args: cobra.NoArgs,
		Long: `Take a manual snapshot, wait until RDS says that it is available, and commit the
recovery point that stands for it. A snapshot that a killed run left is finished first.
Afterwards the source is rotated by its policy, if there is one.`,
		Example: "  pgbackup-runner rds snapshot --instance acme-prod --repository s3://bucket/prefix --hold",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.snapshotRDS(cmd.Context(), of, f)
		},
	}
	of.register(cmd)
	set := cmd.Flags()
	set.BoolVar(&f.hold, "hold", false, "keep this snapshot from every retention rule until it is released")
	set.BoolVar(&f.dryRun, "dry-run", false, "say what would be done and do nothing")
	set.StringVar(&f.maximum, "max-duration", "", "give up waiting after this `DURATION` (default 6h); the next run finishes the snapshot")
	set.BoolVar(&f.noRotate, "no-rotate", false, "do not apply the policy afterwards")
	return cmd
}

// rdsClient is the way to RDS in a region, "" for that of the AWS configuration.
func (a *app) rdsClient(ctx context.Context, region string) (*awsrds.Client, error) {
	cfg, err := a.aws(ctx, region)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		return nil, usagef("no region is known for RDS: give --rds-region, or set AWS_REGION")
	}
	return awsrds.New(cfg), nil
}

// checkRDS is how verification reaches the snapshots of a repository's points.
func (a *app) checkRDS() func(context.Context, *repo.Manifest) error { return rds.Check(a.rdsClient) }

// target is what the flags name, or else the job.
func (a *app) rdsTarget(f rdsFlags) (t awsrds.Target, region string, err error) {
	given := job.RDSSnapshot{Instance: f.instance, Cluster: f.cluster, Region: f.region}
	if given.Instance == "" && given.Cluster == "" && a.job != nil && a.job.RDSSnapshot != nil {
		given.Instance, given.Cluster = a.job.RDSSnapshot.Instance, a.job.RDSSnapshot.Cluster
		given.Region = cmp.Or(given.Region, a.job.RDSSnapshot.Region)
	}
	if (given.Instance == "") == (given.Cluster == "") {
		return t, "", usagef("name one database: give --instance or --cluster, or a --job of kind %s", job.KindRDSSnapshot)
	}
	return awsrds.Target{ID: cmp.Or(given.Instance, given.Cluster), Cluster: given.Cluster != ""}, given.Region, nil
}

// backupRDS takes what a job of kind rds_snapshot says.
func (a *app) backupRDS(ctx context.Context, f backupFlags) error {
	return a.snapshotRDS(ctx, rdsFlags{}, f)
}

// rdsRun is one snapshot: what is told of it.
type rdsRun struct {
	*app
	opts     rds.Options
	warnings []string
	deleted  []rotate.Decision
}

// rdsPoint is a new point in the document of `rds snapshot --json`.
type rdsPoint struct {
	ID       string            `json:"id"`
	Source   string            `json:"source"`
	Kind     string            `json:"kind"`
	Start    time.Time         `json:"start"`
	End      time.Time         `json:"end"`
	Verified bool              `json:"verified"`
	Held     bool              `json:"held"`
	RDS      *repo.RDSSnapshot `json:"rds"`
}

func (b *rdsRun) warned(format string, args ...any) {
	w := oneLine(fmt.Sprintf(format, args...))
	b.warnings = append(b.warnings, w)
	b.warn(w)
}

func (a *app) snapshotRDS(ctx context.Context, of rdsFlags, f backupFlags) error {
	t, region, err := a.rdsTarget(of)
	if err != nil {
		return err
	}
	b := &rdsRun{app: a, opts: rds.Options{Target: t, Source: a.flags.source, Hold: f.hold, RunnerVersion: runnerVersion(), Self: repo.Self(), Clock: a.now, Log: a.log}}
	var limits job.Limits
	if a.job != nil {
		b.opts.Job, b.opts.Name, limits = a.job.Name, a.job.Name, a.job.Limits
		b.opts.Source = cmp.Or(b.opts.Source, a.job.Source)
	}
	if b.opts.Limit, err = limit("--max-duration", f.maximum, limits.MaxDuration); err != nil {
		return err
	}
	if b.opts.RDS, err = a.rdsClient(ctx, region); err != nil {
		return err
	}
	if b.opts.Repo, err = a.open(ctx); err != nil {
		return err
	}
	if !b.opts.Repo.HasKey() {
		return repoNeedsKey(b.opts.Repo)
	}
	b.opts.Source = cmp.Or(b.opts.Source, rds.DefaultSource(t, b.opts.RDS.Region()))
	rotates := !f.noRotate && (a.job == nil || a.job.RotateAfter())
	if found, err := a.policyRules(ctx, b.opts.Repo); err != nil {
		b.warned("the policy could not be read, the snapshot is taken all the same and nothing will be rotated: %v", err)
		rotates = false
	} else {
		b.opts.Policy, b.opts.PolicyRevision = found.name, found.revision
		if found.declared() != nil {
			b.opts.Tier = found.UploadTier()
		}
	}
	if f.dryRun {
		return b.plan(ctx)
	}
	result, err := rds.Take(ctx, b.opts)
	for _, w := range result.Warnings {
		b.warned("%s: %s", b.opts.Source, w)
	}
	var taken []rdsPoint
	made := result.Adopted
	if result.Manifest != nil {
		made = append(made, result.Manifest)
	}
	for _, m := range made {
		a.madePoint(madePoint{Source: m.Source, Kind: m.Kind, ID: m.ID, Stored: m.StoredSize(), Plain: m.PlainSize(rds.Stream)})
		held := m == result.Manifest && f.hold
		taken = append(taken, rdsPoint{ID: m.ID, Source: m.Source, Kind: m.Kind, Start: m.Start.UTC(), End: m.End.UTC(), Verified: true, Held: held, RDS: m.RDS})
		b.say("Snapshot %s of %s is recovery point %s.", m.RDS.Snapshot, m.Source, m.ID)
	}
	if err == nil && rotates && result.Doubt == "" {
		b.rotateOwn(ctx)
	}
	if a.flags.json {
		doc := map[string]any{"points": nonNil(taken), "deleted": nonNil(b.deleted), "warnings": nonNil(b.warnings)}
		err = errors.Join(err, a.printJSON(doc))
	}
	if err == nil && len(b.warnings) > 0 {
		return errWarned
	}
	return err
}

// rotateOwn applies the policy to the source. The snapshot is good whatever
// happens here: trouble is a warning.
func (b *rdsRun) rotateOwn(ctx context.Context) {
	found, err := b.rules(ctx, b.opts.Repo, nil)
	if err == nil && found.none != "" {
		return
	}
	var opts rotate.Options
	if err == nil {
		opts, err = b.rotateOptions(ctx, b.opts.Repo, found)
	}
	if err != nil {
		b.warned("the snapshot is good, but nothing was rotated: %v", err)
		return
	}
	opts.Filter = repo.Filter{Source: b.opts.Source, Kind: rds.Kind}
	out, err := rotate.Run(ctx, opts)
	b.deleted = append(b.deleted, out.Delete...)
	for _, w := range out.Warnings {
		b.warned("%s", w)
	}
	if err != nil {
		b.warned("the snapshot is good, but the rotation failed: %v", err)
	}
	bytes := int64(0)
	for _, d := range out.Delete {
		bytes += d.Bytes
	}
	b.deletedPoints(len(out.Delete), bytes)
	if n := len(out.Delete); n > 0 {
		b.say("Rotated %s: deleted %d, kept %d.", b.opts.Source, n, len(out.Keep))
	}
}

// plan says what a run would do.
func (b *rdsRun) plan(ctx context.Context) error {
	db, err := b.opts.RDS.Database(ctx, b.opts.Target)
	if err != nil {
		return err
	}
	if b.flags.json {
		return b.printJSON(map[string]any{"would_snapshot": map[string]any{
			"source": b.opts.Source, "arn": db.ARN, "status": db.Status, "engine": db.Engine, "engine_version": db.EngineVersion, "allocated_gib": db.AllocatedGiB,
		}, "warnings": nonNil(b.warnings)})
	}
	b.say("Would take a snapshot of %s (%s %s, %s, %d GiB) as source %s in %s.", b.opts.Target, db.Engine, db.EngineVersion, db.Status, db.AllocatedGiB, b.opts.Source, b.opts.Repo.URL())
	b.say("Nothing was done.")
	if len(b.warnings) > 0 {
		return errWarned
	}
	return nil
}
