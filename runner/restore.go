package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/approval"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/hook"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/swap"
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

	replace, verifyOnly  bool
	tables, schemas      []string
	dataOnly, schemaOnly bool
	withDependencies     bool     // also restore what the selected needs and the database lacks
	withoutUnmet         bool     // leave out what can not be made for want of something
	roles                []string // as given: old=new
	approval             string
	hooks                hookFlags
	thaw                 thawFlags
	foreign              foreignFlags
	recover              recoverFlags
}

// hookFlags are the commands around a restore into a database.
type hookFlags struct{ before, after, timeout string }

func newRestore(a *app) *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use: "restore latest|ID|TIME|PATH|URL", Short: "Restore a backup: into a database, a directory or a file", Args: cobra.MaximumNArgs(1),
		Long: `Restore a logical backup, with several workers that read their parts straight from
the repository, and compare every table's rows and hash with the backup. The database
is made if it does not exist, and refused if anything is in it.

--replace puts the backup in the place of a database that is there: it is restored
beside it and checked while the old one serves, then sessions are ended and two renames
in one transaction exchange them. The old one stays as NAME_before_TIME until somebody
drops it; needed is room for both. A failure at any step leaves the old one serving.

TIME is a date or an RFC 3339 time, UTC unless it says otherwise: the newest verified
backup that began then or before is restored. PATH and URL are of dumps that other
programs made: .sql, .sql.gz, .dump, a directory format in a tar, and those encrypted by
openssl. They are recognised by their content.

Where the backup's policy, or the job's, is of a production environment, restoring into
a database needs --approval RESTORE-PROD-YYYYMMDD with today's date in UTC. What was
restored where, by whom and with which approval is written to the audit log.

--before-hook runs when everything that can be looked at beforehand was found right;
if it fails nothing is done. --after-hook runs whatever became of the restore then, so
that what was scaled down comes up again. Both get what they need to know in PGBACKUP_…
variables.

Files and configuration are restored into a directory that is new or empty: what was
/etc/app is then DIRECTORY/etc/app. --diff shows what restoring a configuration would
change today. The output of a command, and globals, are restored into a file.

A base backup is restored into a data directory (--to-directory), by parallel reads,
every file held against the server's own checksum, with the settings that have the
server recover by the archived WAL to --target-time, --target-lsn, --target-xid,
--target-name, or to all there is. The base backup is chosen by the target; one that
can not be reached is refused, with the times that can be (exit code 4). --delta brings
a stopped data directory of the same system to that state and fetches only what
differs. --start starts the server where nobody reaches it, waits for the target, says
which moment it has come to, and starts it as it is configured. As root, the files are
given to the directory's owner. A restore that was killed is repeated by the same
command; until it has ended no server starts on the directory.

The server calls this program's wal fetch for its log, as the user it runs as: the
repository and its key must be readable for that user.`,
		Example: `  pgbackup-runner restore latest --job nightly.job.json --to-database app_restored
  pgbackup-runner restore 2026-03-01T02:30:00Z --job nightly.job.json --to-database app --replace --dry-run
  pgbackup-runner restore latest --job nightly.job.json --to-database app --replace --approval RESTORE-PROD-20260301
  pgbackup-runner restore latest --job nightly.job.json --to-database app_restored --table public.orders
  pgbackup-runner restore 20260301T020000Z-abcdefgh --to-database postgres://postgres@other.example.org/app
  pgbackup-runner restore /var/backups/app.sql.gz --to-database app_restored
  pgbackup-runner restore latest --kind files --to-directory /tmp/app
  pgbackup-runner restore latest --job config.json --diff
  pgbackup-runner restore --target-time 2026-03-01T09:45:00Z --job base.job.json --to-directory /var/lib/postgresql/15/main --delta --start
  pgbackup-runner restore --target-time 2026-03-01T09:45:00Z --job base.job.json --to-directory /srv/copy --archive-mode off --tablespace-dir /srv/copy-spaces --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			// A database that takes the place of another is asked for everything at once.
			if f.replace && !cmd.Flags().Changed("analyze") {
				f.analyze = true
			}
			switch {
			case len(args) == 1:
				return a.restore(cmd.Context(), args[0], f)
			case f.recover.aims():
				return a.restore(cmd.Context(), "latest", f)
			}
			return usagef("restore: say what: latest, an id, a time, or a file; for a base backup a target will do, such as --target-time; see `pgbackup-runner restore --help`")
		},
	}
	f.register(cmd.Flags())
	return cmd
}

func (f *restoreFlags) register(set *pflag.FlagSet) {
	set.StringVar(&f.to, "to-database", "", "`URI` of the database to fill, or only its NAME on the server of --database or the job")
	set.StringVar(&f.kind, "kind", "", "latest of this `KIND`")
	set.BoolVar(&f.replace, "replace", false, "put it in the place of the database of that name, which stays as NAME_before_TIME")
	set.StringVar(&f.approval, "approval", "", "the `CODE` that production needs: RESTORE-PROD-YYYYMMDD, today in UTC")
	set.BoolVar(&f.dryRun, "dry-run", false, "say what would be done, how large it is and how long it may take, and do nothing")
	set.BoolVar(&f.verifyOnly, "verify-only", false, "read the backup back and compare everything there is to compare, and restore nothing")
	set.StringArrayVar(&f.tables, "table", nil, "only this `TABLE`, with its indexes, constraints, sequences and rights: schema.table, or a pattern of pg_dump (repeatable)")
	set.StringArrayVar(&f.schemas, "schema", nil, "only what is in this `SCHEMA`, or a pattern of pg_dump (repeatable)")
	set.BoolVar(&f.dataOnly, "data-only", false, "only rows, into tables that are there and empty")
	set.BoolVar(&f.schemaOnly, "schema-only", false, "only definitions, no rows")
	set.BoolVar(&f.withDependencies, "with-dependencies", false, "with --table, --schema: also restore the types, functions, extensions and tables they need and the database lacks")
	set.BoolVar(&f.withoutUnmet, "without-unmet", false, "with --table, --schema: leave out, and name, what needs something that is not there, such as a foreign key")
	set.IntVar(&f.jobs, "jobs", 0, "workers (default the number of processors, at most 8)")
	set.BoolVar(&f.noOwner, "no-owner", false, "let everything belong to the role that restores")
	set.BoolVar(&f.noPrivileges, "no-privileges", false, "do not restore GRANTs")
	set.BoolVar(&f.noPrivileges, "no-acl", false, "the same as --no-privileges")
	set.StringArrayVar(&f.roles, "map-role", nil, "let what belongs or was granted to role OLD be NEW's: `OLD=NEW` (repeatable)")
	set.BoolVar(&f.glob, "globals", false, "first make the roles and tablespaces that the server lacks")
	set.BoolVar(&f.analyze, "analyze", false, "gather the planner's statistics at the end, so that the first queries are fast (default with --replace)")
	set.StringVar(&f.hooks.before, "before-hook", "", "`COMMAND` for the shell to run before anything is restored; if it fails nothing is")
	set.StringVar(&f.hooks.after, "after-hook", "", "`COMMAND` for the shell to run afterwards, whatever became of the restore; if it fails the exit code is 3")
	set.StringVar(&f.hooks.timeout, "hook-timeout", "", "how long each hook may run, a `DURATION` (default 5m)")
	set.StringVar(&f.directory, "to-directory", "", "files, config, physical: the `DIRECTORY` to restore into")
	set.StringVar(&f.file, "to-file", "", "command, globals: the `FILE` to write; `cat` writes to standard output")
	set.BoolVar(&f.overwrite, "overwrite", false, "replace files of the same names in a directory that is not empty, or the file")
	set.BoolVar(&f.diff, "diff", false, "config: show what it would change today, and change nothing")
	set.StringVar(&f.today.Directory, "directory", "", "with --diff: today's configuration is in this `FOLDER`")
	set.StringVar(&f.today.RDSInstance, "rds-instance", "", "with --diff: today's is that of this RDS instance, by `IDENTIFIER`")
	set.StringVar(&f.today.RDSCluster, "rds-cluster", "", "with --diff: today's is that of this RDS cluster, by `IDENTIFIER`")
	f.thaw.register(set)
	f.foreign.register(set)
	f.recover.register(set)
}

// selects tells whether only a part of the backup is wanted.
func (f restoreFlags) selects() bool {
	return len(f.tables)+len(f.schemas) > 0 || f.dataOnly || f.schemaOnly
}

// check finds flags that do not go together, before anything is opened.
func (f restoreFlags) check() error {
	switch {
	case f.jobs < 0 || f.jobs > 64:
		return usagef("--jobs %d: give a number from 1 to 64", f.jobs)
	case f.dataOnly && f.schemaOnly:
		return usagef("restore: --data-only and --schema-only leave nothing: give one")
	case f.replace && f.to == "":
		return usagef("restore: --replace needs --to-database: the database whose place the backup takes")
	case f.replace && f.selects():
		return usagef("restore: --replace exchanges a whole database: --table, --schema, --data-only and --schema-only would lose the rest of it. Restore them into another database, or beside what is there")
	case (f.withDependencies || f.withoutUnmet) && len(f.tables)+len(f.schemas) == 0:
		return usagef("restore: --with-dependencies and --without-unmet belong to --table and --schema")
	case f.withDependencies && f.withoutUnmet:
		return usagef("restore: --with-dependencies brings what --without-unmet leaves out: give one")
	case f.verifyOnly && (f.dryRun || f.replace):
		return usagef("restore: --verify-only restores nothing: leave --dry-run and --replace out")
	case f.to == "" && (f.directory == "" || f.kind != "" && f.kind != string(job.KindPhysical)) && (f.hooks.before != "" || f.hooks.after != ""):
		return usagef("restore: hooks belong to --to-database, and to base backups")
	case f.to == "" && (f.selects() || len(f.roles) > 0):
		return usagef("restore: --table, --schema, --data-only, --schema-only and --map-role belong to --to-database")
	}
	if _, err := f.roleMap(); err != nil {
		return err
	}
	if _, err := f.thaw.plan(); err != nil {
		return err
	}
	if err := f.recover.check(f); err != nil {
		return err
	}
	_, err := f.hooks.limit()
	return err
}

func (h hookFlags) limit() (time.Duration, error) {
	if h.timeout == "" {
		return hook.DefaultLimit, nil
	}
	d, err := duration.Parse(h.timeout)
	if err != nil {
		return 0, usagef("--hook-timeout: %w", err)
	}
	limit, exact := d.Exact()
	if !exact || limit <= 0 {
		return 0, usagef("--hook-timeout %s: give seconds, minutes, hours or days, such as 90s", h.timeout)
	}
	return limit, nil
}

func (a *app) restore(ctx context.Context, name string, f restoreFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if flag := f.recover.given(); flag != "" {
		f.kind = string(job.KindPhysical)
		if isForeign(name) {
			return usagef("restore: %s belongs to base backups, %s is a file", flag, name)
		}
	}
	if isForeign(name) {
		return a.restoreForeign(ctx, name, f)
	}
	if f.verifyOnly {
		return a.restoreVerify(ctx, name, f)
	}
	way, err := f.way()
	if err != nil {
		return err
	}
	target, err := a.restoreTarget(ctx, f.to)
	if err != nil {
		return err
	}
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	kind := f.kind
	if kind == "" && len(way.kinds) == 1 {
		kind = way.kinds[0]
	}
	point, err := a.restorePoint(ctx, r, name, kind)
	if err != nil {
		return reading(err)
	}
	if err := fits(point, way); err != nil {
		return err
	}
	if err := f.fitsKind(name, point.Kind); err != nil {
		return err
	}
	var warnings []string
	if point.Condemned {
		warnings = append(warnings, point.String()+" was found bad by a verification; it is restored because it was named")
		a.warn(warnings...)
	}
	if point.Kind == string(job.KindPhysical) {
		return a.restorePhysical(ctx, r, point, name != "latest", f, warnings)
	}
	frozen := f.thaw
	if f.dryRun {
		frozen = thawFlags{} // it says what bringing back takes, and asks for nothing
	}
	if err := a.thawed(ctx, r, point.Ref, frozen); err != nil {
		return err
	}
	switch {
	case f.diff:
		return a.restoreDiff(ctx, r, point.Ref, f, warnings)
	case f.directory != "":
		return a.restoreDirectory(ctx, r, point.Ref, f, warnings)
	case f.file != "":
		return a.restoreFile(ctx, r, point.Ref, f, warnings)
	}
	return a.restoreDatabase(ctx, r, point.Ref, target, f, warnings)
}

// restoreVerify reads a point back instead of restoring it. It leaves no mark on a
// bad one: whoever looks before a restore may do so from a place that only reads.
func (a *app) restoreVerify(ctx context.Context, name string, f restoreFlags) error {
	r, err := a.open(ctx)
	if err != nil {
		return err
	}
	point, err := a.restorePoint(ctx, r, name, f.kind)
	if err != nil && (point.ID == "" || codeOf(reading(err)) != exitcode.BadBackup) {
		return reading(err)
	}
	a.say("Reading %s back; nothing is restored.", point)
	return a.verify(ctx, []string{point.String()}, verifyFlags{jobs: 1, noMark: true, thaw: f.thaw})
}

// restoreError gives what a restore found the exit code that belongs to it.
func restoreError(err error) error {
	switch {
	case isAny(err, restore.ErrNotEmpty, unpack.ErrNotEmpty, swap.ErrRefused, approval.ErrNeeded):
		return usage(err)
	case isAny(err, swap.ErrBusy):
		return exitcode.With(exitcode.Locked, err)
	}
	return reading(err)
}
