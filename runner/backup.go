package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// backupFlags of the command backup.
type backupFlags struct {
	all, noGlobals, hold, dryRun, noRotate                       bool
	kind, verify, stall, maximum                                 string
	includeTables, excludeTables, includeSchemas, excludeSchemas []string

	// of the other kinds
	paths, exclude          []string
	oneFileSystem           bool
	argv                    []string
	timeLimit, fileName     string
	directory               string
	rdsInstance, rdsCluster string
	physical                physicalFlags
}

func newBackup(a *app) *cobra.Command {
	var f backupFlags
	cmd := &cobra.Command{
		Use: "backup [-- COMMAND ARGS…]", Short: "Take a backup", Args: cobra.ArbitraryArgs,
		Long: `Dump a database with pg_dump into the repository: compressed, encrypted if the
repository is, read to its end by two readers on the way, and visible only when all of
it is stored. Roles and tablespaces are stored beside it. Afterwards the source is
rotated by its policy, if there is one.

Other kinds go into the same repository, under the same policies and holds: physical (a
base backup of the whole server, for recovery to any moment; its log is archived by the
commands wal), globals (roles and tablespaces alone), config (the server's configuration), files (directories
as a tar) and command (what a program writes; a program that fails is no backup).`,
		Example: `  pgbackup-runner backup --job /etc/pgbackup/nightly.job.json
  DATABASE_URL=postgres://… pgbackup-runner backup --repository s3://bucket/prefix --hold
  pgbackup-runner backup --kind physical --source db1 --repository s3://bucket/prefix --checkpoint spread
  pgbackup-runner backup --kind files --path /etc/app --exclude '*.log' --repository file:///var/backups/pg
  pgbackup-runner backup --kind command --source cluster --repository s3://bucket/prefix -- kubectl get configmap -o yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); len(args) > 0 && at != 0 {
				return usagef("backup takes no arguments, got %q: what to back up is said by flags, a command after --", args[0])
			}
			f.argv = args
			return a.backup(cmd.Context(), f)
		},
	}
	set := cmd.Flags()
	set.StringVar(&f.kind, "kind", "", "what to take: "+strings.Join(pointKinds(), ", ")+" (default logical)")
	set.BoolVar(&f.all, "all-databases", false, "every database of the server, one recovery point each")
	set.StringSliceVar(&f.includeTables, "include-table", nil, "only tables that match this `PATTERN` of pg_dump -t (repeatable)")
	set.StringSliceVar(&f.excludeTables, "exclude-table", nil, "no tables that match this `PATTERN` (repeatable)")
	set.StringSliceVar(&f.includeSchemas, "include-schema", nil, "only schemas that match this `PATTERN` of pg_dump -n (repeatable)")
	set.StringSliceVar(&f.excludeSchemas, "exclude-schema", nil, "no schemas that match this `PATTERN` (repeatable)")
	set.BoolVar(&f.noGlobals, "no-globals", false, "without roles and tablespaces")
	set.StringArrayVar(&f.paths, "path", nil, "files: a `DIRECTORY` or file, absolute (repeatable)")
	set.StringArrayVar(&f.exclude, "exclude", nil, "files: nothing that matches this `PATTERN` (repeatable); one with a slash is held against the whole path")
	set.BoolVar(&f.oneFileSystem, "one-file-system", false, "files: not into what is mounted below a path")
	set.StringVar(&f.timeLimit, "time-limit", "", "command: fail when it runs longer than this `DURATION` (default 10m)")
	set.StringVar(&f.fileName, "file-name", "", "command: the `NAME` of its output when it is restored, such as cluster.yaml")
	set.StringVar(&f.directory, "directory", "", "config: read the files of this `FOLDER` instead of asking the server")
	set.StringVar(&f.rdsInstance, "rds-instance", "", "config: the parameter group of this RDS instance, by `IDENTIFIER`")
	set.StringVar(&f.rdsCluster, "rds-cluster", "", "config: the parameter group of this RDS cluster, by `IDENTIFIER`")
	f.physical.register(set)
	set.StringVar(&f.verify, "verify", "", "streamed (default), or stored: decode our own output again before it counts")
	set.BoolVar(&f.hold, "hold", false, "keep this backup from every retention rule until it is released")
	set.BoolVar(&f.dryRun, "dry-run", false, "say what would be backed up and write nothing")
	set.StringVar(&f.stall, "stall-timeout", "", "give up when nothing moves for this `DURATION` (default 10m)")
	set.StringVar(&f.maximum, "max-duration", "", "give up after this `DURATION`")
	set.BoolVar(&f.noRotate, "no-rotate", false, "do not apply the policy afterwards")
	return cmd
}

// backupOptions are the options that all points of one run share.
func (a *app) backupOptions(f backupFlags) (point.Options, error) {
	opts := point.Options{
		RunnerVersion: runnerVersion(), Self: repo.Self(), Log: a.log, Hold: f.hold, Verify: f.verify, Run: a.now(), RandomHost: a.hostIsRandom(),
	}
	var limits job.Limits
	if a.job != nil {
		limits = a.job.Limits
		opts.Job = a.job.Name
		if f.verify == "" {
			opts.Verify = string(a.job.Verify)
		}
	}
	if opts.Verify != "" && opts.Verify != string(job.VerifyStreamed) && opts.Verify != string(job.VerifyStored) {
		return opts, usagef("--verify %q: give streamed or stored", opts.Verify)
	}
	var err error
	if opts.StallTimeout, err = limit("--stall-timeout", f.stall, limits.StallTimeout); err != nil {
		return opts, err
	}
	opts.MaxDuration, err = limit("--max-duration", f.maximum, limits.MaxDuration)
	return opts, err
}

// limit is a length of time from a flag, else from the job; 0 is not given.
func limit(flag, text string, fromJob duration.Duration) (time.Duration, error) {
	d := fromJob
	if text != "" {
		var err error
		if d, err = duration.Parse(text); err != nil {
			return 0, usagef("%s: %w", flag, err)
		}
	}
	exact, ok := d.Exact()
	if !ok {
		return 0, usagef("%s %q goes by the calendar: give it in d, h, m or s", flag, d)
	}
	return exact, nil
}

func (a *app) backup(ctx context.Context, f backupFlags) error {
	kind, err := a.backupKind(f.kind)
	if err != nil {
		return err
	}
	if len(f.argv) > 0 && kind != job.KindCommand {
		return usagef("backup: a command is given (%s) and what is taken is of kind %s: give --kind command", f.argv[0], kind)
	}
	if kind == job.KindRDSSnapshot {
		return a.backupRDS(ctx, f)
	}
	opts, err := a.backupOptions(f)
	if err != nil {
		return err
	}
	if opts.Repo, err = a.open(ctx); err != nil {
		return err
	}
	if !opts.Repo.HasKey() {
		return repoNeedsKey(opts.Repo)
	}
	takes, err := a.takes(ctx, kind, f, opts.Repo)
	if err != nil {
		return err
	}
	run := &backupRun{app: a, opts: opts, rotate: !f.noRotate && (a.job == nil || a.job.RotateAfter())}
	run.stampPolicy(ctx)
	if len(takes) == 0 {
		return fmt.Errorf("%w: the server has no database but its templates; is it the right one?", point.ErrEmpty)
	}
	if f.dryRun {
		return run.plan(ctx, takes)
	}
	run.warnOfGone(ctx, takes)
	return run.takeAll(ctx, takes)
}

// takes lists the points that a run of a kind makes.
func (a *app) takes(ctx context.Context, kind job.Kind, f backupFlags, r *repo.Repository) ([]take, error) {
	switch kind {
	case job.KindPhysical:
		return a.takePhysical(ctx, f)
	case job.KindGlobals:
		return a.takeGlobals(ctx)
	case job.KindConfig:
		return a.takeConfig(ctx, f)
	case job.KindFiles:
		return a.takeFiles(f, r)
	case job.KindCommand:
		return a.takeCommand(f)
	}
	return a.takeDatabases(ctx, f)
}

// draw shows a backup's progress on a terminal.
func (a *app) draw(p *point.Progress) (stop func()) {
	return a.screen.Draw(func() observe.Status {
		s := observe.Status{Done: p.Plain.Load(), Total: p.Expected.Load()}
		if step := p.Step.Load(); step != nil {
			s.Step = *step
		}
		if item := p.Item.Load(); item != nil {
			s.Item = *item
		}
		return s
	})
}
