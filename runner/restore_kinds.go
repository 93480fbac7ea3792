package main

import (
	"context"
	"slices"
	"strings"
	"time"

	backupconfig "github.com/pgbackup/terraform-provider-pgbackup/internal/backup/config"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/config"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/unpack"
)

// restoreWay is a way to restore, and the kinds of points that go it.
type restoreWay struct {
	flag  string
	kinds []string
}

var restoreWays = []restoreWay{
	{"--to-database", []string{string(job.KindLogical)}},
	{"--to-directory", []string{string(job.KindFiles), string(job.KindConfig), string(job.KindPhysical)}},
	{"--to-file", []string{string(job.KindCommand), string(job.KindGlobals)}},
	{"--diff", []string{string(job.KindConfig)}},
}

// way is the one way that the flags say. There is no default: restoring must never
// end up where the backup came from by leaving something out.
func (f restoreFlags) way() (restoreWay, error) {
	var given []restoreWay
	for i, set := range []bool{f.to != "", f.directory != "", f.file != "", f.diff} {
		if set {
			given = append(given, restoreWays[i])
		}
	}
	switch {
	case len(given) == 0:
		return restoreWay{}, usagef("restore: say where to: --to-database NAME (on the server of --database or the job) or --to-database postgres://user@host/name; --to-directory for files, configuration (or --diff) and base backups, --to-file for globals and the output of a command")
	case len(given) > 1:
		return restoreWay{}, usagef("restore: %s and %s are two ways: give one", given[0].flag, given[1].flag)
	case f.dryRun && f.to == "" && f.directory == "":
		return restoreWay{}, errDryRun
	}
	return given[0], nil
}

var errDryRun = usagef("restore: --dry-run belongs to --to-database, and to base backups; `pgbackup-runner cat ID --stream entries` lists what is in a tar")

// fitsKind holds that flags which only some kinds have are given to one of them.
func (f restoreFlags) fitsKind(name, kind string) error {
	physical := kind == string(job.KindPhysical)
	switch {
	case physical && looksLikeTime.MatchString(name):
		return usagef("restore: the moment to recover a base backup's server to is given by --target-time %s; which base backup is taken follows from it", name)
	case physical && (f.noOwner || f.overwrite):
		return usagef("restore: --no-owner and --overwrite have no meaning for a base backup; --delta brings a data directory to its state")
	case physical || f.to != "":
		return nil
	case f.dryRun:
		return errDryRun
	case f.hooks.before != "" || f.hooks.after != "":
		return usagef("restore: hooks belong to --to-database, and to base backups")
	}
	return nil
}

// fits holds that a point of a kind can be restored in a way.
func fits(p repo.Listed, way restoreWay) error {
	if slices.Contains(way.kinds, p.Kind) {
		return nil
	}
	for _, other := range restoreWays {
		if slices.Contains(other.kinds, p.Kind) {
			return usagef("restore: %s is of kind %s, which is restored with %s, not %s", p, p.Kind, other.flag, way.flag)
		}
	}
	return usagef("restore: %s is of kind %s, which this version can not restore", p, p.Kind)
}

// restoreDirectory unpacks files or a configuration.
func (a *app) restoreDirectory(ctx context.Context, r *repo.Repository, ref repo.Ref, f restoreFlags, warnings []string) error {
	var progress unpack.Progress
	begun := a.now()
	stop := a.screen.Draw(func() observe.Status {
		s := observe.Status{Step: "restoring", Done: progress.Written.Load(), Total: progress.Expected.Load()}
		if item := progress.Item.Load(); item != nil {
			s.Item = *item
		}
		return s
	})
	result, err := unpack.Run(ctx, unpack.Options{
		Repo: r, Ref: ref, Directory: f.directory, Overwrite: f.overwrite, Log: a.log, Progress: &progress,
		// A configuration was read through its server, which does not tell its owner.
		NoOwner: f.noOwner || ref.Kind == string(job.KindConfig),
	})
	stop()
	a.warn(result.Warnings...)
	if err != nil {
		return restoreError(err)
	}
	warnings = append(warnings, result.Warnings...)
	seconds := a.now().Sub(begun)
	if a.flags.json {
		doc := map[string]any{"id": ref.ID, "source": ref.Source, "kind": ref.Kind, "directory": f.directory, "entries": result.Entries,
			"files": result.Files, "bytes": result.Bytes, "seconds": seconds.Seconds(), "warnings": nonNil(warnings)}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	}
	a.say("Restored %s into %s in %s: %s, %s, all equal to the backup.", ref.ID, f.directory, took(seconds), plural(result.Files, "file"), size(result.Bytes))
	return warnedIf(warnings)
}

// restoreFile writes the output of a command, or globals.
func (a *app) restoreFile(ctx context.Context, r *repo.Repository, ref repo.Ref, f restoreFlags, warnings []string) error {
	n, err := unpack.Output(ctx, r, ref, f.file, f.overwrite)
	if err != nil {
		return restoreError(err)
	}
	if a.flags.json {
		doc := map[string]any{"id": ref.ID, "source": ref.Source, "kind": ref.Kind, "file": f.file, "bytes": n, "warnings": nonNil(warnings)}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	}
	a.say("Restored %s to %s: %s, equal to the backup.", ref.ID, f.file, size(n))
	return warnedIf(warnings)
}

// todayTimeout bounds how long today's configuration is waited for.
const todayTimeout = 10 * time.Minute

// restoreDiff shows what restoring a configuration would change.
func (a *app) restoreDiff(ctx context.Context, r *repo.Repository, ref repo.Ref, f restoreFlags, warnings []string) error {
	then, err := config.Files(ctx, r, ref)
	if err != nil {
		return reading(err)
	}
	from, err := a.today(ctx, r, ref, f.today)
	if err != nil {
		return err
	}
	found, err := backupconfig.Read(ctx, from, todayTimeout)
	if err != nil {
		return err
	}
	for _, s := range found.Skipped {
		warnings = append(warnings, "today's configuration lacks "+s.What+": "+s.Why)
		a.warn(warnings[len(warnings)-1])
	}
	now := map[string][]byte{}
	for _, file := range found.Files {
		now[file.Name] = file.Data
	}
	d := config.Diff(then, now)
	switch {
	case a.flags.json:
		doc := map[string]any{"id": ref.ID, "source": ref.Source, "equal": d.Equal(), "changed": nonNil(d.Changed), "added": nonNil(d.Added),
			"removed": nonNil(d.Removed), "diff": string(d.Text), "warnings": nonNil(warnings)}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	case d.Equal():
		a.say("The configuration of %s is what it was in %s.", from, ref.ID)
	default:
		for line := range strings.Lines(string(d.Text)) {
			// Tabs are usual in these files; the rest that moves a cursor is not.
			cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			for i := range cells {
				cells[i] = printable(cells[i])
			}
			a.say("%s", strings.Join(cells, "\t"))
		}
	}
	return warnedIf(warnings)
}

// today is where the configuration is now: as given, as the job says, or where the
// backup was taken from.
func (a *app) today(ctx context.Context, r *repo.Repository, ref repo.Ref, given job.Config) (backupconfig.Source, error) {
	if given == (job.Config{}) && (a.job == nil || a.job.Config == nil) {
		m, err := r.Manifest(ctx, ref)
		if err != nil {
			return nil, reading(err)
		}
		if o := m.Origin; o != nil {
			given.Directory = o.Directory
			if o.RDSCluster {
				given.RDSCluster = o.RDS
			} else {
				given.RDSInstance = o.RDS
			}
		}
	}
	from, _, err := a.configSource(ctx, given)
	return from, err
}

// warnedIf ends a command that did its work.
func warnedIf(warnings []string) error {
	if len(warnings) > 0 {
		return errWarned
	}
	return nil
}
