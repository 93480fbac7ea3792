package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/approval"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/physical"
)

// physicalRestore is a restore of a base backup into a data directory.
type physicalRestore struct {
	physical.Options
	act      restoreAct
	ref      repo.Ref // of the base backup that recovery begins with
	flags    restoreFlags
	warnings []string
}

// restorePhysical restores a base backup and has the server recover to the target.
// Where the point was not named only its source counts, and the base backup that
// reaches the target is chosen.
func (a *app) restorePhysical(ctx context.Context, r *repo.Repository, point repo.Listed, named bool, f restoreFlags, warnings []string) error {
	d := physicalRestore{flags: f, warnings: warnings}
	var err error
	if d.Options, err = a.physicalOptions(r, point.Ref, f); err != nil {
		return err
	}
	if named {
		d.Point = point.ID
	}
	if d.Choice, err = physical.Choose(ctx, d.Options); err != nil {
		if errors.Is(err, physical.ErrUnusable) && point.Condemned {
			return exitcode.With(exitcode.BadBackup, err)
		}
		return physicalError(err)
	}
	d.ref = d.Choice.Point()
	if !named && d.ref != point.Ref {
		a.log.Info("the target is reached from an older base backup", "point", d.ref.String())
	}
	m, err := r.Manifest(ctx, d.ref)
	if err != nil {
		return reading(err)
	}
	environment, err := a.environment(ctx, r, m)
	if err != nil {
		return err
	}
	frozen := f.thaw
	if f.dryRun {
		frozen = thawFlags{} // it says what bringing back takes, and asks for nothing
	}
	for _, ref := range d.Choice.Chain {
		if err := a.thawed(ctx, r, ref, frozen); err != nil {
			return err
		}
	}
	d.act = a.physicalAct(d, r, environment)
	examine := func(ctx context.Context) error {
		_, err := physical.Examine(ctx, d.Options)
		return err
	}
	if f.dryRun {
		plan, err := physical.Examine(ctx, d.Options)
		if err != nil {
			return physicalError(err)
		}
		return a.physicalPlan(d, plan)
	}
	d.act.log = a.writtenDown(ctx, r, environment)
	begun := a.now()
	var result physical.Result
	done, err := a.restoring(ctx, d.act, examine, func(ctx context.Context) (acted, error) {
		stop := a.screen.Draw(d.status)
		var err error
		result, err = physical.Run(ctx, d.Options)
		stop()
		a.warn(result.Warnings...)
		return acted{Warnings: result.Warnings}, err
	})
	if err != nil {
		return physicalError(err)
	}
	result.Warnings = slices.Concat(warnings, done.Warnings)
	return a.physicalDone(d, result, a.now().Sub(begun))
}

// physicalOptions are the flags as the engine reads them.
func (a *app) physicalOptions(r *repo.Repository, ref repo.Ref, f restoreFlags) (physical.Options, error) {
	target, err := f.recover.aim()
	if err != nil {
		return physical.Options{}, err
	}
	spaces, err := f.recover.spaces()
	if err != nil {
		return physical.Options{}, err
	}
	directory, err := filepath.Abs(f.directory)
	if err != nil {
		return physical.Options{}, err
	}
	dir := f.recover.tablespaceDir
	if dir != "" {
		if dir, err = filepath.Abs(dir); err != nil {
			return physical.Options{}, err
		}
	}
	command := f.recover.restoreCommand
	if command == "" {
		if command, err = a.restoreCommand(ref.Source); err != nil {
			return physical.Options{}, err
		}
	}
	more := map[string]string{}
	if f.recover.port != 0 {
		more["port"] = strconv.Itoa(f.recover.port)
	}
	return physical.Options{
		Settings: more,
		Repo:     r, Source: ref.Source, Target: target, Directory: directory, Delta: f.recover.delta, Tablespaces: spaces, TablespaceDir: dir,
		Action: f.recover.action, RestoreCommand: command, ArchiveMode: f.recover.archiveMode, Jobs: f.jobs, Start: f.recover.start,
		Now: a.now, Log: a.log, Progress: &physical.Progress{},
	}, nil
}

// restoreCommand is what the restored server fetches its log with: this program, told
// where from in words that hold no secret. What it knows by variables, such as
// credentials of the store, the server has to know too.
func (a *app) restoreCommand(source string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find out where this program is, for restore_command: %w", err)
	}
	words := []string{self, "wal", "fetch"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, flag, value)
		}
	}
	file := a.flags.job
	if file != "" && !isBucketURL(file) {
		if file, err = filepath.Abs(file); err != nil {
			return "", err
		}
	}
	add("--job", file)
	if file == "" || a.flags.repository != "" {
		at, err := a.place()
		if err != nil {
			return "", err
		}
		add("--repository", at.String())
	}
	add("--source", source)
	add("--key", a.flags.key)
	if a.flags.from == job.FromReplica {
		add("--from", a.flags.from)
		add("--replica", a.flags.replica)
	}
	add("--region", a.flags.region)
	add("--s3-endpoint", a.flags.endpoint)
	add("--log-level", "warn")
	for i, word := range words {
		words[i] = strings.ReplaceAll(shellWord(word), "%", "%%")
	}
	return strings.Join(append(words, "%f", "%p"), " "), nil
}

// physicalAct is what is around it, as around a restore into a database.
func (a *app) physicalAct(d physicalRestore, r *repo.Repository, environment string) restoreAct {
	host := thisHost()
	act := restoreAct{
		what: "restore", of: d.ref.String(), to: host + ":" + d.Directory, log: r, environment: environment, approval: d.flags.approval, hooks: d.flags.hooks,
		detail: map[string]string{"directory": d.Directory, "host": host, "target": d.Target.String(), "delta": strconv.FormatBool(d.Delta), "start": strconv.FormatBool(d.Start)},
		told: map[string]string{
			"DIRECTORY": d.Directory, "HOST": host, "TARGET": d.Target.String(), "POINT": d.ref.ID, "SOURCE": d.ref.Source, "KIND": d.ref.Kind, "REPOSITORY": r.URL(),
		},
	}
	if environment != "" {
		act.detail["environment"] = environment
	}
	return act
}

func (d physicalRestore) status() observe.Status {
	s := observe.Status{Done: d.Progress.Done.Load(), Total: d.Progress.Expected.Load()}
	if step := d.Progress.Step.Load(); step != nil {
		s.Step = *step
	}
	return s
}

// physicalPlan is the dry run: every step of it, with sizes.
func (a *app) physicalPlan(d physicalRestore, p physical.Plan) error {
	d.warnings = slices.Concat(d.warnings, p.Warnings)
	a.warn(p.Warnings...)
	before, after := a.aroundAct(d.act, d.flags)
	steps := append(append(before, p.Steps...), after...)
	if a.flags.json {
		doc := map[string]any{
			"id": p.Point.ID, "source": p.Point.Source, "kind": p.Point.Kind, "chain": chainIDs(p.Chain), "directory": d.Directory, "steps": steps,
			"stored_bytes": p.Stored, "bytes": p.Bytes, "files": p.Files, "fetch_bytes": p.Fetched, "reused_bytes": p.Reused, "removed": p.Removed,
			"target": d.Target.String(), "window": p.Window, "restore_command": p.Command, "approval": nil, "warnings": nonNil(d.warnings),
		}
		if approval.Needed(d.act.environment) {
			doc["approval"] = map[string]any{"needed": approval.Code(a.now()), "given": approval.Check(d.flags.approval, d.act.environment, a.now()) == nil}
		}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	}
	a.say("Restoring %s of %s into %s would", p.Point.ID, p.Point.Source, d.Directory)
	for i, s := range steps {
		a.say("%2d. %s", i+1, s.What)
	}
	a.say("Size: %s in %s, of which %s are fetched (the backup is stored in %s).", size(p.Bytes), plural(p.Files, "file"), size(p.Fetched), size(p.Stored))
	a.say("%s", reachable(p.Window))
	return warnedIf(d.warnings)
}

// aroundAct is what is before and after the steps of the engine.
func (a *app) aroundAct(act restoreAct, f restoreFlags) (before, after []physical.Step) {
	add := func(to *[]physical.Step, format string, args ...any) {
		*to = append(*to, physical.Step{What: fmt.Sprintf(format, args...)})
	}
	if approval.Needed(act.environment) {
		given := "which is given"
		if err := approval.Check(act.approval, act.environment, a.now()); err != nil {
			given = "which is not given yet"
		}
		add(&before, "take the approval, since the environment is %s: --approval %s, %s", act.environment, approval.Code(a.now()), given)
	}
	add(&before, "write to the audit log that %s restores this", by())
	limit, err := f.hooks.limit()
	if err != nil {
		limit = 0 // it was looked at before
	}
	if h := f.hooks.before; h != "" {
		add(&before, "run the before hook, at most %s, and stop if it fails: %s", limit, h)
	}
	if h := f.hooks.after; h != "" {
		add(&after, "run the after hook, at most %s, whatever became of the restore: %s", limit, h)
	}
	add(&after, "write to the audit log how it ended")
	return before, after
}

func reachable(w archive.Window) string {
	return fmt.Sprintf("From it every moment from %s to %s can be recovered.", stamp(w.From), stamp(w.To))
}

func chainIDs(refs []repo.Ref) []string {
	ids := make([]string, 0, len(refs))
	for _, r := range refs {
		ids = append(ids, r.ID)
	}
	return ids
}

// physicalDone tells how it ended.
func (a *app) physicalDone(d physicalRestore, r physical.Result, lasted time.Duration) error {
	if a.flags.json {
		doc := map[string]any{
			"id": r.Point.ID, "source": r.Point.Source, "kind": r.Point.Kind, "chain": chainIDs(r.Chain), "directory": r.Directory, "files": r.Files, "bytes": r.Bytes,
			"fetched_bytes": r.Fetched, "reused_bytes": r.Reused, "removed": r.Removed, "target": d.Target.String(), "window": r.Window, "timeline": r.Timeline,
			"started": r.Started, "reached": r.Reached, "seconds": lasted.Seconds(), "durations": r.Durations, "warnings": nonNil(r.Warnings),
		}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	}
	kept := ""
	if r.Reused > 0 || r.Removed > 0 {
		kept = fmt.Sprintf("; %s of it was there already, and what else was there is removed (%s)", size(r.Reused), count(r.Removed))
	}
	a.say("Restored %s of %s into %s in %s: %s, %s, all as the server's own checksums say%s.", r.Point.ID, r.Point.Source, r.Directory, took(lasted), plural(r.Files, "file"), size(r.Bytes), kept)
	if reached := r.Reached; reached == nil {
		a.say("Start the server on it: it recovers to %s and then %s.", d.Target, atTarget(d.Options))
	} else {
		moment := "no transaction after the base backup"
		if !reached.Time.IsZero() {
			moment = "the transaction of " + reached.Time.UTC().Format("2006-01-02 15:04:05.999999Z")
		}
		a.say("Recovered to %s, position %s, on timeline %s; the server is %s.", moment, reached.LSN, reached.Timeline, reached.State)
		if reached.Said != "" {
			a.say("It said: %s.", printable(reached.Said))
		}
		if !r.Started && reached.State != "shut down" {
			a.say("It is stopped now: start it with its configuration.")
		}
	}
	return warnedIf(r.Warnings)
}

// atTarget is what a server does when it has come there.
func atTarget(o physical.Options) string {
	switch {
	case o.Target.Latest, o.Action == physical.Promote:
		return "serves"
	case o.Action == physical.Pause:
		return "pauses: SELECT pg_wal_replay_resume() promotes it"
	}
	return "shuts down"
}

// physicalError gives what a restore found the exit code that belongs to it.
func physicalError(err error) error {
	switch {
	case errors.As(err, new(*archive.Unreachable)):
		return exitcode.With(exitcode.NotFound, err)
	case isAny(err, physical.ErrNotEmpty, physical.ErrForeign, physical.ErrRunning, physical.ErrOptions, approval.ErrNeeded):
		return usage(err)
	}
	return reading(err)
}
