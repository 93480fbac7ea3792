package main

import (
	"cmp"
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drill"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
)

// drillFlags of the command drill.
type drillFlags struct {
	into, database, directory string
	checks, expect            []string // as given: NAME=…
	checksFile                string
	amcheck                   bool
	thaw                      thawFlags
	seed                      int64
	jobs                      int
	kind, inDatabase          string
	markdown, junit           string // files to write
	dryRun                    bool
}

func newDrill(a *app) *cobra.Command {
	var f drillFlags
	cmd := &cobra.Command{
		Use: "drill [latest|oldest|random|ID]", Short: "Restore a backup somewhere out of the way, and prove what is in it",
		Long: `Restore a recovery point for real, hold every table's rows, bytes and hash against
what the backup says, run checks in the restored database, measure how long it took,
and store a report. Nothing is left of it afterwards.

It is restored into a server that is started for the drill from the programs of
PostgreSQL on this machine, listens on a socket only, and is removed again; with
--into-database into a new database of a server, which is dropped again. What could
reach others from there (subscriptions, passwords of foreign servers, schedulers) is
not restored, and named in the report.

With --kind physical a base backup is restored, and recovered with the archived WAL to
a moment by chance among those that can be reached, or to the newest (latest) or the
oldest. The newest heartbeat and commit that the server then knows of prove the moment,
and tell with the newest archived commit how much would have been lost. Such a server
does not archive, and replays WAL that the runner brings it.

Without a job every source under --policy is drilled, or --source. A job of kind drill
says all of it; flags and arguments change that for once, and such a run counts as one
by hand.

Points in an archive class are passed over; with --thaw, or archived in the job, one is
brought back first, which takes hours and costs money.

A check is a statement whose first value must be what is expected, in a transaction
that only reads: --check 'recent=select max(created_at) > now() - interval ''2 days''
from orders', with --expect 'recent=true' (the default), 'recent=> 100' or
'recent=non-empty'. A file for --checks holds {"NAME": {"sql": …, "expect": …,
"timeout": …}}.

The exit code is 0 when all is proven, 3 when it is with warnings or an objective of
the policy was not kept (RTO, or RPO of kind physical), 6 when a backup is bad, which marks it, and 1 when
the drill could not run, which says nothing about the backup.`,
		Example: `  pgbackup-runner drill --repository s3://acme-pg-backups/prod --policy prod
  pgbackup-runner drill random --job /etc/pgbackup/weekly.job.json --seed 42
  pgbackup-runner drill latest --source app@db1 --check 'orders=select count(*) from orders' --expect 'orders=> 1000' --report-markdown drill.md
  pgbackup-runner drill --kind physical --policy prod --check-database app --check 'orders=select count(*) from orders' --expect 'orders=> 1000'
  pgbackup-runner drill 20260301T020000Z-abcdefgh --into-database postgres://drills@staging.example.org/postgres --amcheck`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.drill(cmd, args, f) },
	}
	f.register(cmd.Flags())
	return cmd
}

func (f *drillFlags) register(set *pflag.FlagSet) {
	set.StringVar(&f.into, "into", "", "scratch: a server that is started for the drill (the default)")
	set.StringVar(&f.database, "into-database", "", "`URI` of any database of a server on which a new one is made and dropped again")
	set.StringVar(&f.directory, "scratch-directory", "", "`DIRECTORY` in which the scratch server lies (default the system's for temporary files)")
	set.StringArrayVar(&f.checks, "check", nil, "a statement to run in the restored database: `NAME=SQL` (repeatable)")
	set.StringArrayVar(&f.expect, "expect", nil, "what --check NAME must find: `NAME=VALUE`, a comparison such as 'NAME=> 100', or NAME=non-empty (repeatable; default true)")
	set.StringVar(&f.checksFile, "checks", "", "`FILE` with checks as JSON")
	set.BoolVar(&f.amcheck, "amcheck", false, "also look at tables and indexes with pg_amcheck")
	set.Int64Var(&f.seed, "seed", 0, "of random: the same `NUMBER` chooses the same of the same points")
	set.IntVar(&f.jobs, "jobs", 0, "workers (default the number of processors, at most 8)")
	set.StringVar(&f.kind, "kind", "", "of the points: logical (default), physical, which is recovered to a moment, or rds_snapshot, which is restored into a temporary RDS instance")
	set.StringVar(&f.inDatabase, "check-database", "", "of kind physical: the `NAME` of the database that checks and pg_amcheck look at (default postgres for checks, all of them for pg_amcheck)")
	set.StringVar(&f.markdown, "report-markdown", "", "also write the reports to this `FILE`, for people")
	set.StringVar(&f.junit, "report-junit", "", "also write the reports to this `FILE`, as CI systems read test results")
	set.BoolVar(&f.dryRun, "dry-run", false, "say what would be done and do nothing")
	f.thaw.register(set)
}

// drilling is one run of the command.
type drilling struct {
	*app
	flags     drillFlags
	what      job.Drill
	name      string // of the reports
	point     string // that was named, "" for none
	from, to  *repo.Repository
	policy    string
	revision  int
	objective time.Duration // of the restore
	rpo       time.Duration
	limit     time.Duration
	sources   []string
}

func (a *app) drill(cmd *cobra.Command, args []string, f drillFlags) error {
	d := &drilling{app: a, flags: f, name: drill.Manual}
	if a.job != nil && a.job.Kind == job.KindDrill && a.notOfJob(cmd, args) == "" {
		d.name = a.job.Name
	}
	if err := d.read(args); err != nil {
		return err
	}
	ctx := cmd.Context()
	if err := d.open(ctx); err != nil {
		return err
	}
	if err := d.readPolicy(ctx); err != nil {
		return err
	}
	var err error
	if d.sources, err = d.findSources(ctx); err != nil {
		return err
	}
	if f.dryRun {
		return d.plan(ctx)
	}
	return d.run(ctx)
}

// open opens the repository that is read from, and the one that is reported to: a
// copy is never changed.
func (d *drilling) open(ctx context.Context) (err error) {
	if d.what.From == job.FromReplica {
		d.app.flags.from = job.FromReplica
	}
	if d.from, err = d.app.open(ctx); err != nil {
		return err
	}
	d.to = d.from
	if d.copied == nil {
		return nil
	}
	d.what.From = job.FromReplica
	if d.to, err = d.openPrimary(ctx); err != nil {
		return fmtDrill("the report of a drill from the replica goes to the repository itself", err)
	}
	return nil
}

// readPolicy finds the objectives.
func (d *drilling) readPolicy(ctx context.Context) error {
	name := d.policyName()
	var document policy.Document
	switch {
	case name == "":
		return nil
	case isPolicyFile(name):
		var err error
		if document, err = readPolicyFile(name); err != nil {
			return err
		}
	default:
		d.policy = name
		rev, err := d.to.CurrentPolicy(ctx, name)
		if errors.Is(err, repo.ErrNotFound) && d.job != nil {
			d.warn("the policy " + name + " of the job is not in the repository: no objective is held against the drill")
			return nil
		}
		if err != nil {
			return err
		}
		d.revision, document = rev.Number, rev.Document
	}
	d.objective, d.rpo = document.Objectives.RTO.Approx(), document.Objectives.RPO.Approx()
	return nil
}

// options of the drill of one source.
func (d *drilling) options(ctx context.Context, source string) drill.Options {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return drill.Options{
		Repo: d.from, Reports: d.to, Drill: d.what, Name: d.name, Source: source, Point: d.point,
		Policy: d.policy, PolicyRevision: d.revision, Objective: d.objective, RPO: d.rpo, Lag: d.lag(ctx, source),
		Connect: d.connect, Instances: drillInstances{d.app, d.to}, Limit: d.limit,
		By: by(), Runner: runnerVersion(), Host: host, Now: d.now, Log: d.log,
		Readable: func(ctx context.Context, ref repo.Ref, bring bool) error {
			if !bring {
				return d.thawed(ctx, d.from, ref, thawFlags{})
			}
			how := d.flags.thaw
			how.ask = true
			return d.thawed(ctx, d.from, ref, how)
		},
	}
}

// lag is by how many seconds the newest good point of a source in the copy is older
// than that of the repository; nil without a copy, or where one of them has none.
func (d *drilling) lag(ctx context.Context, source string) *float64 {
	if d.copied == nil {
		return nil
	}
	var newest [2]repo.Listed
	for i, r := range []*repo.Repository{d.from, d.to} {
		points, err := r.List(ctx, repo.Filter{Source: source, Kind: cmp.Or(d.what.Kind, string(job.KindLogical))})
		if err != nil {
			d.log.Warn("how far the replica is behind is not known", "error", err)
			return nil
		}
		var any bool
		if newest[i], any = newestGood(points); !any {
			return nil
		}
	}
	seconds := max(0, newest[1].Start.Sub(newest[0].Start).Seconds())
	return &seconds
}

// run drills one source after the other. What came of one does not keep it from the
// next.
func (d *drilling) run(ctx context.Context) error {
	reports := []drillreport.Report{}
	var failed []error
	for _, source := range d.sources {
		if ctx.Err() != nil {
			break
		}
		o := d.options(ctx, source)
		o.Progress = &restore.Progress{}
		stop := d.screen.Draw(func() observe.Status {
			s := observe.Status{Item: source, Done: o.Progress.Loaded.Load(), Total: o.Progress.Expected.Load()}
			if step := o.Progress.Step.Load(); step != nil {
				s.Step = *step
			}
			return s
		})
		report, err := drill.Run(ctx, o)
		stop()
		reports = append(reports, report)
		d.drilled(report)
		if err != nil {
			failed = append(failed, err)
		}
	}
	if err := d.write(reports); err != nil {
		failed = append(failed, err)
	}
	return d.tellDrills(reports, cmp.Or(errors.Join(failed...), nil))
}
