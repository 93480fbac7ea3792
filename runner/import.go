package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/imported"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/point"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/foreign"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/scratch"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// importFlags of the command import.
type importFlags struct {
	foreign                        foreignFlags
	kind, date, directory, maximum string
	dryRun, hold                   bool
}

func newImport(a *app) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use: "import FILE|FOLDER|s3://BUCKET/KEY|https://…", Short: "Make recovery points of dumps that other programs wrote", Args: cobra.MinimumNArgs(1),
		Long: `Load each dump into a PostgreSQL server that is started for that alone, and back it up
from there under the dump's own date: verified, encrypted and restorable like any other
backup, and seen by rotation as one of that day. The dumps themselves are not changed.

Read are plain SQL, custom, directory and tar formats of pg_dump and the output of
pg_dumpall, compressed by gzip, zstd or bzip2 and encrypted by openssl enc, in any order.
They are recognised by their content. Of a folder every file is imported, and of
s3://bucket/prefix/ every object.

The date is the one that the dump carries, else one in the file's name, else the time the
file was last changed; --date gives another. A file is imported once: the same content
again is passed over.

The server programs of PostgreSQL have to be on this machine, of the version that was
dumped or newer.`,
		Example: `  pgbackup-runner import /var/backups/app-2026-03-01.sql.gz --source app@db1 --repository file:///var/backups/pg
  pgbackup-runner import s3://old-backups/app/ --source app@db1 --job /etc/pgbackup/nightly.job.json --dry-run
  pgbackup-runner import app.sql.gz.enc --source app@db1 --passphrase file:/etc/old-backup-key`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.importFiles(cmd.Context(), args, f) },
	}
	set := cmd.Flags()
	f.foreign.register(set)
	set.StringVar(&f.kind, "kind", "", "kind of the new points: logical, the only one")
	set.StringVar(&f.date, "date", "", "when the dump was made, a `TIME` in UTC such as 2026-03-01T02:00:00Z or 2026-03-01; for one file")
	set.StringVar(&f.directory, "scratch-directory", "", "the `FOLDER` in which the server is made: it needs room for the database (default that for temporary files)")
	set.StringVar(&f.maximum, "max-duration", "", "give up on a file after this `DURATION`")
	set.BoolVar(&f.dryRun, "dry-run", false, "say what would be imported, under which dates, and write nothing")
	set.BoolVar(&f.hold, "hold", false, "keep the new points from every retention rule until they are released")
	return cmd
}

// importRun is one invocation of import.
type importRun struct {
	*backupRun
	flags imported.Options
	dry   bool

	done    []importedPoint
	skipped []importedPoint
}

// importedPoint is a line of the document of `import --json`.
type importedPoint struct {
	ID     string        `json:"id,omitempty"` // of the point, "" in a dry run
	Source string        `json:"source"`
	Start  time.Time     `json:"start"`
	Bytes  int64         `json:"bytes"` // stored
	Tables int64         `json:"tables"`
	Rows   int64         `json:"rows"`
	File   repo.Imported `json:"file"`
}

func (a *app) importFiles(ctx context.Context, places []string, f importFlags) error {
	if f.kind != "" && f.kind != string(job.KindLogical) {
		return usagef("--kind %q: dumps become points of kind %s", f.kind, job.KindLogical)
	}
	source := a.sourceName("")
	if source == "" {
		return usagef("import: give --source NAME, such as the name under which the database is backed up now")
	}
	if err := repo.CheckSource(source); err != nil {
		return usagef("--source: %w", err)
	}
	date, err := importDate(f.date)
	if err != nil {
		return err
	}
	key, err := f.foreign.key(a)
	if err != nil {
		return err
	}
	opts, err := a.backupOptions(backupFlags{hold: f.hold, maximum: f.maximum})
	if err != nil {
		return err
	}
	var files []*foreign.Source
	for _, place := range places {
		found, err := a.foreignPlaces().FindAll(ctx, place)
		if err != nil {
			return err
		}
		files = append(files, found...)
	}
	if !date.IsZero() && len(files) > 1 {
		return usagef("import: --date is of one file, and %d are named", len(files))
	}
	if opts.Repo, err = a.open(ctx); err != nil {
		return err
	}
	if !opts.Repo.HasKey() {
		return repoNeedsKey(opts.Repo)
	}
	opts.Source = source
	run := &importRun{backupRun: &backupRun{app: a, opts: opts}, dry: f.dryRun}
	run.stampPolicy(ctx)
	run.flags = imported.Options{Key: key, Database: f.foreign.database, Date: date, Scratch: scratch.Options{Directory: f.directory}}
	for _, file := range files {
		if ctx.Err() != nil {
			break
		}
		if err := run.file(ctx, file); err != nil {
			err = foreignError(err)
			run.errs = append(run.errs, err)
			run.failed = append(run.failed, failedDump{Source: source, Kind: string(job.KindLogical), Database: file.Name, Problem: oneLine(err.Error())})
			if len(files) > 1 {
				a.log.Error("a file was not imported", "file", file.Name, "error", err)
			}
		}
	}
	return run.finish(ctx, len(files))
}

// file imports the databases of one file that were not imported before.
func (r *importRun) file(ctx context.Context, file *foreign.Source) error {
	o := r.flags
	o.Options, o.File, o.Reading = r.opts, file, &foreign.Progress{}
	o.Progress = &point.Progress{}
	found, err := imported.Look(ctx, o)
	if err != nil {
		return err
	}
	for _, f := range found {
		line := importedPoint{Source: f.Source, Start: f.Start, File: f.Imported}
		when := fmt.Sprintf("%s (by %s)", f.Start.Format(time.RFC3339), f.Imported.DateFrom)
		switch {
		case f.Exists != nil:
			line.ID = f.Exists.ID
			r.skipped = append(r.skipped, line)
			r.say("%s was imported before, as %s of %s.", file.Name, f.Exists.ID, f.Source)
		case r.dry:
			r.done = append(r.done, line)
			r.say("Would import %s (%s) as a backup of %s of %s.", file.Name, describeImported(f.Imported), f.Source, when)
		default:
			stop := r.drawForeign(o.Reading)
			result, err := imported.Run(ctx, o, f)
			stop()
			if errors.Is(err, point.ErrImported) {
				r.skipped = append(r.skipped, line)
				continue
			}
			if err != nil {
				return err
			}
			for _, w := range result.Warnings {
				r.warned("%s: %s", file.Name, w)
			}
			m := result.Manifest
			line.ID, line.Bytes, line.Tables, line.Rows, line.File = m.ID, m.StoredSize(), m.Totals.Tables, m.Totals.Rows, *m.Origin.Imported
			r.done = append(r.done, line)
			r.say("Imported %s (%s) as %s of %s, dated %s: %s, %s stored.", file.Name, describeImported(f.Imported), m.ID, m.Source, when, inIt(m), size(m.StoredSize()))
			for _, note := range m.Origin.Imported.Notes {
				r.say("Note: %s.", note)
			}
		}
	}
	return nil
}

func describeImported(file repo.Imported) string {
	text := file.Format
	if len(file.WrappedIn) > 0 {
		text += " in " + strings.Join(file.WrappedIn, " in ")
	}
	if file.Database != "" {
		text += ", database " + file.Database
	}
	return text
}

// finish prints the document and sums up.
func (r *importRun) finish(ctx context.Context, wanted int) error {
	if r.app.flags.json {
		name := "imported"
		if r.dry {
			name = "would_import"
		}
		doc := map[string]any{name: nonNil(r.done), "skipped": nonNil(r.skipped), "failed": nonNil(r.failed), "warnings": nonNil(r.warnings)}
		if err := r.printJSON(doc); err != nil {
			return errors.Join(append(r.errs, err)...)
		}
	}
	switch {
	case len(r.errs) == 1 && wanted == 1:
		return r.errs[0]
	case len(r.errs) > 0:
		return exitcode.Errorf(r.failureCode(), "%d of %d files were not imported; the first error: %w", len(r.errs), wanted, r.errs[0])
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	if r.dry {
		r.say("Nothing was written.")
	} else if len(r.done) > 0 {
		r.say("No proof that the files held what was dumped: they have no record to compare with. From here on the points are verified like any other.")
	}
	return warnedIf(r.warnings)
}

// importDate reads --date, zero when it is not given.
func importDate(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", time.DateTime} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, usagef("--date %q: write it as 2026-03-01T02:00:00Z or 2026-03-01", text)
}
