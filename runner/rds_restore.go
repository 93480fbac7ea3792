package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/approval"
	awsrds "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// rdsRestoreFlags of `rds restore`.
type rdsRestoreFlags struct {
	of                                   rdsFlags
	snapshot, target, to, wait, approval string
	verifyOnly, dryRun                   bool
	given                                rds.Given
	multiAZ, deletionProtection, iamAuth bool
	tags                                 map[string]string
	set                                  *pflag.FlagSet
}

func newRDSRestore(a *app) *cobra.Command {
	var f rdsRestoreFlags
	cmd := &cobra.Command{
		Use: "restore [latest|ID]", Short: "Restore a snapshot, or a moment, into a new instance or cluster", Args: cobra.MaximumNArgs(1),
		Long: `Make a NEW instance or cluster of the newest snapshot, automated or manual, of one that
is named, of a recovery point, or of a moment of the automated backups. What is there
already is never touched.

The new one gets the class, subnet group, security groups, parameter and option group,
storage, port, IAM authentication, logs, standby, deletion protection and tags of the
original, unless a flag says otherwise, the key of the snapshot, and never a public
address. What cannot be taken over is said, with what gives it. Where the original is
gone, the flags say what is not known any more.

It waits and then prints how to reach the new database. Interrupted, or after --wait,
the same command goes on where it was.`,
		Example: `  pgbackup-runner rds restore --instance acme-prod --to acme-prod-restored
  pgbackup-runner rds restore --instance acme-prod --target-time 2026-03-01T09:45:00Z --to acme-prod-before-the-accident
  pgbackup-runner rds restore 20260301T020000Z-abcdefgh --repository s3://bucket/prefix --to acme-check
  pgbackup-runner rds restore --cluster acme-aurora --verify-only`,
		RunE: func(cmd *cobra.Command, args []string) error {
			f.set = cmd.Flags()
			return a.restoreRDS(cmd.Context(), strings.Join(args, ""), f)
		},
	}
	f.of.register(cmd)
	set := cmd.Flags()
	set.StringVar(&f.snapshot, "snapshot", "", "`NAME` or ARN of a snapshot (default the newest of the instance or cluster)")
	set.StringVar(&f.target, "target-time", "", "restore to this `TIME`, such as 2026-03-01T09:45:00Z, or to the latest one there is")
	set.StringVar(&f.to, "to", "", "`IDENTIFIER` of the new instance or cluster")
	f.register(set)
	set.StringVar(&f.wait, "wait", "", "wait for at most this `DURATION` (default 6h); 0 only begins")
	set.BoolVar(&f.verifyOnly, "verify-only", false, "look whether it can be restored, and make nothing")
	set.BoolVar(&f.dryRun, "dry-run", false, "say what would be done and do nothing")
	approvalFlag(set, &f.approval)
	return cmd
}

func approvalFlag(set *pflag.FlagSet, code *string) {
	set.StringVar(code, "approval", "", "`CODE` that production asks for: RESTORE-PROD- and today's date in UTC, YYYYMMDD")
}

// register has the flags that replace what is taken over from the original.
func (f *rdsRestoreFlags) register(set *pflag.FlagSet) {
	g := &f.given
	set.StringVar(&g.Class, "class", "", "`CLASS` of the instance, such as db.r6g.large")
	set.StringVar(&g.SubnetGroup, "subnet-group", "", "DB subnet group, by `NAME`")
	set.StringSliceVar(&g.SecurityGroups, "security-group", nil, "VPC security group, by `ID`; may be repeated")
	set.StringVar(&g.ParameterGroup, "parameter-group", "", "parameter group, by `NAME`; of a cluster its cluster parameter group")
	set.StringVar(&g.OptionGroup, "option-group", "", "option group, by `NAME`")
	set.StringVar(&g.StorageType, "storage-type", "", "`TYPE` of the storage, such as gp3")
	set.IntVar(&g.IOPS, "iops", 0, "provisioned I/O operations a second")
	set.IntVar(&g.Throughput, "throughput", 0, "throughput of the storage in `MiB/s`")
	set.IntVar(&g.Port, "port", 0, "`PORT` to listen on")
	set.BoolVar(&f.multiAZ, "multi-az", false, "whether an instance has a standby in another zone")
	set.BoolVar(&f.deletionProtection, "deletion-protection", false, "whether it is protected from deletion")
	set.BoolVar(&f.iamAuth, "iam-auth", false, "whether IAM may authenticate its users")
	set.StringSliceVar(&g.Logs, "log-export", nil, "`LOG` that goes to CloudWatch, such as postgresql; may be repeated")
	set.StringToStringVar(&f.tags, "tag", nil, "more tags, as `KEY=VALUE`; may be repeated")
}

// rdsOrder is a restore as the command line asks for it.
type rdsOrder struct {
	opts        rds.RestoreOptions
	repo        *repo.Repository // nil without one
	environment string
	progress    *rdsProgress
}

// options reads the flags. The names of what is restored from are checked by the
// engine.
func (f *rdsRestoreFlags) options(name string) (o rds.RestoreOptions, err error) {
	ways := 0
	for _, given := range []bool{name != "", f.snapshot != "", f.target != ""} {
		if given {
			ways++
		}
	}
	switch {
	case ways > 1:
		return o, usagef("rds restore: give one of a recovery point, --snapshot and --target-time")
	case name != "" && (f.of.instance != "" || f.of.cluster != ""):
		return o, usagef("rds restore %s: the recovery point says which database it is of; leave --instance and --cluster out", name)
	case f.to == "" && !f.verifyOnly:
		return o, usagef("rds restore: give --to, the identifier of the new instance or cluster; --verify-only needs none")
	case f.verifyOnly && f.dryRun:
		return o, usagef("rds restore: give one of --verify-only and --dry-run")
	}
	o.Snapshot, o.To, o.Given = f.snapshot, f.to, f.given
	o.Given.Tags = f.tags
	for _, b := range []struct {
		flag  string
		value *bool
		to    **bool
	}{{"multi-az", &f.multiAZ, &o.Given.MultiAZ}, {"deletion-protection", &f.deletionProtection, &o.Given.DeletionProtection}, {"iam-auth", &f.iamAuth, &o.Given.IAMAuth}} {
		if f.set.Changed(b.flag) {
			*b.to = b.value
		}
	}
	if f.target == "latest" {
		o.Latest = true
	} else if f.target != "" {
		if o.Moment, err = parseMoment(f.target); err != nil {
			return o, err
		}
	}
	if f.wait == "0" {
		o.Limit = -1
	} else if f.wait != "" {
		o.Limit, err = rdsWait(f.wait)
	}
	return o, err
}

func (a *app) restoreRDS(ctx context.Context, name string, f rdsRestoreFlags) error {
	opts, err := f.options(name)
	if err != nil {
		return err
	}
	order := &rdsOrder{opts: opts, progress: newRDSProgress(a)}
	if err := a.findRDS(ctx, name, f, order); err != nil {
		return err
	}
	plan, err := rds.PlanRestore(ctx, order.opts)
	if err != nil {
		return rdsError(err)
	}
	a.warn(plan.Warnings...)
	switch {
	case f.verifyOnly:
		return a.rdsVerified(plan)
	case f.dryRun:
		return a.rdsPlanned(ctx, plan.Steps(), plan.Wanted.Target, restoreNotes(plan), plan.Warnings, f.approval, order.environment)
	}
	var restored rds.Restored
	act := restoreAct{
		what: "rds_restore", of: plan.From.String(), to: plan.Wanted.String() + " in " + order.opts.Client.Region(),
		log: order.repo, environment: order.environment, approval: f.approval, detail: pointDetail(order.opts.Point),
	}
	done, err := a.restoring(ctx, act, nil, func(ctx context.Context) (acted, error) {
		before := len(plan.Warnings)
		defer order.progress.draw()()
		restored, err = plan.Run(ctx)
		a.warn(plan.Warnings[before:]...)
		return acted{Warnings: plan.Warnings}, err
	})
	if err != nil {
		return rdsError(err)
	}
	return a.rdsMade("Restored", restored, restoreNotes(plan), done.Warnings, "restored")
}

// pointDetail names the recovery point in the audit log.
func pointDetail(m *repo.Manifest) map[string]string {
	if m == nil {
		return nil
	}
	return map[string]string{"point": m.Ref().String()}
}

// findRDS fills in where RDS is, what is restored, and what its environment is.
func (a *app) findRDS(ctx context.Context, name string, f rdsRestoreFlags, order *rdsOrder) (err error) {
	region := f.of.region
	var unreadable error
	if order.repo, unreadable = a.rdsRepository(ctx); unreadable != nil && (name != "" || !a.repositoryNamed()) {
		return unreadable
	}
	switch {
	case name != "" && order.repo == nil:
		return usagef("rds restore %s: a recovery point is in a repository: give --repository or --job", name)
	case name != "":
		if order.opts.Point, err = a.rdsPoint(ctx, order.repo, name); err != nil {
			return err
		}
		region = cmp.Or(region, order.opts.Point.RDS.Region)
	case f.of.instance != "" || f.of.cluster != "" || f.snapshot == "" || a.job != nil && a.job.RDSSnapshot != nil:
		if order.opts.Of, region, err = a.rdsTarget(f.of); err != nil {
			return err
		}
	}
	if arn, err := awsrds.ParseARN(f.snapshot); err == nil {
		region = cmp.Or(region, arn.Region)
	}
	if order.opts.Client, err = a.rdsClient(ctx, region); err != nil {
		return err
	}
	if order.environment, err = a.rdsEnvironment(ctx, order.repo, unreadable, order.opts.Point); err != nil {
		return err
	}
	order.opts.Now, order.opts.Log, order.opts.Progress = a.now, a.log, order.progress.tell
	return nil
}

// rdsPoint reads a recovery point that stands for a snapshot.
func (a *app) rdsPoint(ctx context.Context, r *repo.Repository, name string) (*repo.Manifest, error) {
	found, err := a.find(ctx, r, name, rds.Kind)
	if err != nil {
		return nil, reading(err)
	}
	m, err := r.Manifest(ctx, found.Ref)
	if err != nil {
		return nil, reading(err)
	}
	if m.RDS == nil {
		return nil, usagef("%s is of kind %s: `pgbackup-runner restore` restores it", found, m.Kind)
	}
	if found.Condemned {
		a.warn(found.String() + " was found bad by a verification; it is restored because it was named")
	}
	return m, nil
}

// rdsVerified tells what --verify-only found.
func (a *app) rdsVerified(plan *rds.RestorePlan) error {
	s := plan.From.Snapshot
	if a.flags.json {
		doc := map[string]any{"verified": map[string]any{
			"from": plan.From.String(), "snapshot": s.Name, "type": s.Type, "moment": stampOrNil(plan.From.Moment), "created": stampOrNil(s.Created), "engine": plan.Wanted.Engine, "engine_version": plan.Version,
			"encrypted": s.Encrypted, "class": plan.Wanted.Shape.Class, "original_there": plan.Source != nil,
		}, "not_taken_over": nonNil(plan.NotCarried), "warnings": nonNil(plan.Warnings)}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	}
	a.say("%s can be restored: %s %s, its key can be used.", plan.From, plan.Wanted.Engine, plan.Version)
	for _, n := range plan.NotCarried {
		a.say("Not taken over: %s", n)
	}
	a.say("Nothing was made.")
	if len(plan.Warnings) > 0 {
		return errWarned
	}
	return nil
}

func stampOrNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC()
}

// rdsPlanned tells the steps of --dry-run, the approval first.
func (a *app) rdsPlanned(ctx context.Context, steps []string, target awsrds.Target, notes, warnings []string, code, environment string) error {
	if approval.Needed(environment) {
		given := "which is missing"
		if approval.Check(code, environment, a.now()) == nil {
			given = "which is given"
		}
		steps = append([]string{fmt.Sprintf("take the approval, since the environment is %s: --approval %s, %s", environment, approval.Code(a.now()), given)}, steps...)
	}
	if a.flags.json {
		if err := a.printJSON(map[string]any{"identifier": target.ID, "cluster": target.Cluster, "steps": steps, "not_taken_over": nonNil(notes), "warnings": nonNil(warnings)}); err != nil {
			return err
		}
	}
	for i, s := range steps {
		a.say("%2d. %s", i+1, s)
	}
	for _, n := range notes {
		a.say("Mind: %s", n)
	}
	a.say("Nothing was done.")
	if len(warnings) > 0 {
		return errWarned
	}
	return context.Cause(ctx)
}

// restoreNotes are what whoever restores should know and need not act on.
func restoreNotes(plan *rds.RestorePlan) []string {
	return append(plan.NotCarried[:len(plan.NotCarried):len(plan.NotCarried)],
		"what the database does by itself it does in the new one too, such as subscriptions and pg_cron: to look at it in peace, give a --parameter-group with max_logical_replication_workers = 0 and without pg_cron in shared_preload_libraries")
}

// rdsRepository opens the repository, if one is named.
func (a *app) rdsRepository(ctx context.Context) (*repo.Repository, error) {
	if !a.repositoryNamed() {
		return nil, nil //nolint:nilnil // without one there is no audit log, and the rest works
	}
	return a.open(ctx)
}

// rdsEnvironment is that of the policies. RDS can be restored while the repository
// cannot be read: then what is asked for counts as production.
func (a *app) rdsEnvironment(ctx context.Context, r *repo.Repository, unreadable error, point *repo.Manifest) (string, error) {
	if unreadable != nil && !errors.Is(unreadable, context.Canceled) {
		a.warn("the repository cannot be read, so nothing will be in its audit log, and this counts as production: " + unreadable.Error())
		return "production", nil
	}
	return a.environment(ctx, r, point)
}
