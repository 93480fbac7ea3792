package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// backupFlags of the command backup.
type backupFlags struct {
	all, noGlobals, hold, dryRun, noRotate                       bool
	kind, verify, stall, maximum                                 string
	includeTables, excludeTables, includeSchemas, excludeSchemas []string
}

func newBackup(a *app) *cobra.Command {
	var f backupFlags
	cmd := &cobra.Command{
		Use: "backup", Short: "Take a backup", Args: cobra.NoArgs,
		Long: `Dump a database with pg_dump into the repository: compressed, encrypted if the
repository is, read to its end by two readers on the way, and visible only when all of
it is stored. Roles and tablespaces are stored beside it. Afterwards the source is
rotated by its policy, if there is one.`,
		Example: "  pgbackup-runner backup --job /etc/pgbackup/nightly.job.json\n  DATABASE_URL=postgres://… pgbackup-runner backup --repository s3://bucket/prefix --hold",
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.backup(cmd.Context(), f) },
	}
	set := cmd.Flags()
	set.BoolVar(&f.all, "all-databases", false, "every database of the server, one recovery point each")
	set.StringSliceVar(&f.includeTables, "include-table", nil, "only tables that match this `PATTERN` of pg_dump -t (repeatable)")
	set.StringSliceVar(&f.excludeTables, "exclude-table", nil, "no tables that match this `PATTERN` (repeatable)")
	set.StringSliceVar(&f.includeSchemas, "include-schema", nil, "only schemas that match this `PATTERN` of pg_dump -n (repeatable)")
	set.StringSliceVar(&f.excludeSchemas, "exclude-schema", nil, "no schemas that match this `PATTERN` (repeatable)")
	set.BoolVar(&f.noGlobals, "no-globals", false, "without roles and tablespaces")
	set.StringVar(&f.kind, "kind", "", "what to take: logical")
	set.StringVar(&f.verify, "verify", "", "streamed (default), or stored: decode our own output again before it counts")
	set.BoolVar(&f.hold, "hold", false, "keep this backup from every retention rule until it is released")
	set.BoolVar(&f.dryRun, "dry-run", false, "say what would be backed up and write nothing")
	set.StringVar(&f.stall, "stall-timeout", "", "give up when nothing moves for this `DURATION` (default 10m)")
	set.StringVar(&f.maximum, "max-duration", "", "give up after this `DURATION`")
	set.BoolVar(&f.noRotate, "no-rotate", false, "do not apply the policy afterwards")
	return cmd
}

// backupOptions are the options that all databases of one run share.
func (a *app) backupOptions(f backupFlags) (backup.Options, error) {
	if f.kind != "" && f.kind != logical.Kind {
		return backup.Options{}, usagef("--kind %q: this version takes logical backups only", f.kind)
	}
	if a.job != nil && a.job.Kind != job.KindLogical {
		return backup.Options{}, usagef("job %q is of kind %s: run `pgbackup-runner %s --job %s`", a.job.Name, a.job.Kind, a.job.Kind, a.flags.job)
	}
	opts := backup.Options{Globals: true, RunnerVersion: runnerVersion(), Self: repo.Self(), Log: a.log, Hold: f.hold, Verify: f.verify}
	var limits job.Limits
	if a.job != nil {
		l := a.job.Logical
		limits = a.job.Limits
		opts.Job, opts.Globals = a.job.Name, l.WithGlobals()
		opts.Selection = postgres.Selection{
			IncludeTables: l.IncludeTables, ExcludeTables: l.ExcludeTables, IncludeSchemas: l.IncludeSchemas, ExcludeSchemas: l.ExcludeSchemas,
		}
		if f.verify == "" {
			opts.Verify = string(a.job.Verify)
		}
	}
	if f.noGlobals {
		opts.Globals = false
	}
	replace := func(list *[]string, given []string) {
		if len(given) > 0 {
			*list = given
		}
	}
	replace(&opts.Selection.IncludeTables, f.includeTables)
	replace(&opts.Selection.ExcludeTables, f.excludeTables)
	replace(&opts.Selection.IncludeSchemas, f.includeSchemas)
	replace(&opts.Selection.ExcludeSchemas, f.excludeSchemas)
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
	dumps, err := a.dumps(ctx, f.all)
	if err != nil {
		return err
	}
	run := &backupRun{app: a, opts: opts, rotate: !f.noRotate && (a.job == nil || a.job.RotateAfter())}
	run.stampPolicy(ctx)
	if f.dryRun {
		return run.plan(ctx, dumps)
	}
	return run.takeAll(ctx, dumps)
}

// draw shows a backup's progress on a terminal.
func (a *app) draw(p *backup.Progress) (stop func()) {
	return a.screen.Draw(func() observe.Status {
		s := observe.Status{Done: p.Plain.Load(), Total: p.Expected.Load()}
		if step := p.Step.Load(); step != nil {
			s.Step = *step
		}
		if table := p.Table.Load(); table != nil {
			s.Item = *table
		}
		return s
	})
}
