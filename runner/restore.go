package main

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/unpack"
)

// restoreFlags of the command restore.
type restoreFlags struct {
	to                                           string
	kind, directory, file                        string
	diff, overwrite                              bool
	today                                        job.Config // where --diff finds today's configuration
	jobs                                         int
	dryRun, noOwner, noPrivileges, glob, analyze bool
}

// laterRestoreFlags are known to the design and not to this version.
var laterRestoreFlags = []string{"target-time", "table", "schema", "replace", "verify-only", "approval"}

func newRestore(a *app) *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use: "restore latest|ID", Short: "Restore a backup: into a database, a directory or a file", Args: cobra.ExactArgs(1),
		Long: `Restore a whole logical backup, with several workers that read their parts straight
from the repository, and compare every table's rows and hash with the backup. The
database is made if it does not exist, and refused if anything is in it.

Files and configuration are restored into a directory that is new or empty: what was
/etc/app is then DIRECTORY/etc/app. --diff shows what restoring a configuration would
change today. The output of a command, and globals, are restored into a file.`,
		Example: "  pgbackup-runner restore latest --job nightly.job.json --to-database app_restored\n  pgbackup-runner restore 20260301T020000Z-abcdefgh --to-database postgres://postgres@other.example.org/app\n  pgbackup-runner restore latest --kind files --to-directory /tmp/app\n  pgbackup-runner restore latest --job config.json --diff",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.restore(cmd.Context(), args[0], f) },
	}
	set := cmd.Flags()
	set.StringVar(&f.to, "to-database", "", "`URI` of the database to fill, or only its NAME on the server of --database or the job")
	set.StringVar(&f.kind, "kind", "", "latest of this `KIND`")
	set.StringVar(&f.directory, "to-directory", "", "files, config: the `DIRECTORY` to restore into")
	set.StringVar(&f.file, "to-file", "", "command, globals: the `FILE` to write; `cat` writes to standard output")
	set.BoolVar(&f.overwrite, "overwrite", false, "replace files of the same names in a directory that is not empty, or the file")
	set.BoolVar(&f.diff, "diff", false, "config: show what it would change today, and change nothing")
	set.StringVar(&f.today.Directory, "directory", "", "with --diff: today's configuration is in this `FOLDER`")
	set.StringVar(&f.today.RDSInstance, "rds-instance", "", "with --diff: today's is that of this RDS instance, by `IDENTIFIER`")
	set.StringVar(&f.today.RDSCluster, "rds-cluster", "", "with --diff: today's is that of this RDS cluster, by `IDENTIFIER`")
	set.IntVar(&f.jobs, "jobs", 0, "workers (default the number of processors, at most 8)")
	set.BoolVar(&f.dryRun, "dry-run", false, "say what would be done and do nothing")
	set.BoolVar(&f.noOwner, "no-owner", false, "let everything belong to the role that restores")
	set.BoolVar(&f.noPrivileges, "no-privileges", false, "do not restore GRANTs")
	set.BoolVar(&f.glob, "globals", false, "first make the roles and tablespaces that the server lacks")
	set.BoolVar(&f.analyze, "analyze", false, "gather the planner's statistics at the end, so that the first queries are fast")
	return cmd
}

func (a *app) restore(ctx context.Context, name string, f restoreFlags) error {
	if err := checkRestorePoint(name); err != nil {
		return err
	}
	if f.jobs < 0 || f.jobs > 64 {
		return usagef("--jobs %d: give a number from 1 to 64", f.jobs)
	}
	way, err := f.way()
	if err != nil {
		return err
	}
	var target postgres.Target
	if f.to != "" {
		if target, err = a.restoreTarget(ctx, f.to); err != nil {
			return err
		}
	}
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	kind := f.kind
	if kind == "" && len(way.kinds) == 1 {
		kind = way.kinds[0]
	}
	point, err := a.find(ctx, r, name, kind)
	if err != nil {
		return reading(err)
	}
	if err := fits(point, way); err != nil {
		return err
	}
	var warnings []string
	if point.Condemned {
		warnings = append(warnings, point.String()+" was found bad by a verification; it is restored because it was named")
		a.warn(warnings...)
	}
	switch {
	case f.diff:
		return a.restoreDiff(ctx, r, point.Ref, f, warnings)
	case f.directory != "":
		return a.restoreDirectory(ctx, r, point.Ref, f, warnings)
	case f.file != "":
		return a.restoreFile(ctx, r, point.Ref, f, warnings)
	}
	var progress restore.Progress
	opts := restore.Options{
		Repo: r, Ref: point.Ref, Target: target, Jobs: f.jobs,
		NoOwner: f.noOwner, NoPrivileges: f.noPrivileges, Globals: f.glob, Analyze: f.analyze, Log: a.log, Progress: &progress,
	}
	if f.dryRun {
		return a.restorePlan(ctx, opts, warnings)
	}
	begun := a.now()
	stop := a.screen.Draw(func() observe.Status {
		s := observe.Status{Done: progress.Loaded.Load(), Total: progress.Expected.Load()}
		if step := progress.Step.Load(); step != nil {
			s.Step = *step
		}
		return s
	})
	result, err := restore.Run(ctx, opts)
	stop()
	a.warn(result.Warnings...)
	if err != nil {
		return restoreError(err)
	}
	result.Warnings = append(warnings, result.Warnings...)
	return a.restored(result, a.now().Sub(begun))
}

func restoreError(err error) error {
	if isAny(err, restore.ErrNotEmpty, unpack.ErrNotEmpty) {
		return usage(err)
	}
	return reading(err)
}

func (a *app) restored(result restore.Result, d time.Duration) error {
	if a.flags.json {
		doc := map[string]any{
			"id": result.Ref.ID, "source": result.Ref.Source, "database": result.Database, "created": result.Created,
			"tables": result.Tables, "rows": result.Rows, "bytes": result.Bytes, "seconds": d.Seconds(),
			"durations": result.Durations, "warnings": nonNil(result.Warnings),
		}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	}
	a.say("Restored %s into database %s in %s: %s, %s, all equal to the backup.",
		result.Ref.ID, result.Database, took(d), plural(int64(result.Tables), "table"), plural(result.Rows, "row"))
	if len(result.Warnings) > 0 {
		return errWarned
	}
	return nil
}

func (a *app) restorePlan(ctx context.Context, opts restore.Options, warnings []string) error {
	steps, err := restore.Plan(ctx, opts)
	if err != nil {
		return restoreError(err)
	}
	if a.flags.json {
		doc := map[string]any{"id": opts.Ref.ID, "source": opts.Ref.Source, "database": opts.Target.Database, "steps": steps, "warnings": nonNil(warnings)}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	}
	a.say("Restoring %s of %s would", opts.Ref.ID, opts.Ref.Source)
	for i, s := range steps {
		a.say("%2d. %s", i+1, s.What)
	}
	if len(warnings) > 0 {
		return errWarned
	}
	return nil
}

var looksLikeTime = regexp.MustCompile(`^\d{4}-\d{2}`)

// checkRestorePoint names what this version can not restore from.
func checkRestorePoint(name string) error {
	var what string
	switch {
	case strings.Contains(name, "://"):
		what = "from a URL"
	case strings.ContainsAny(name, "/\\"), strings.HasSuffix(name, ".dump"), strings.HasSuffix(name, ".sql"), strings.HasSuffix(name, ".gz"):
		what = "from a file"
	case looksLikeTime.MatchString(name):
		what = "by time"
	default:
		return nil
	}
	return usagef("restore %q: restoring %s is not available in this version; give latest or an id that `pgbackup-runner list` shows", name, what)
}

// restoreTarget reads --to-database.
func (a *app) restoreTarget(ctx context.Context, to string) (postgres.Target, error) {
	if strings.Contains(to, "://") || strings.Contains(to, "=") {
		t, err := postgres.ParseTarget(to)
		if err != nil {
			return t, usagef("--to-database: %w", err)
		}
		if hasPassword(to) {
			a.warn("the password in --to-database can be read by every user of this machine while the program runs; put it into PGPASSWORD or ~/.pgpass")
		}
		return t, nil
	}
	s, err := a.server(ctx)
	if err != nil {
		return postgres.Target{}, err
	}
	return s.WithDatabase(to), nil
}
