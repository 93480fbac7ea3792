package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/swap"
)

// databaseRestore is a restore of a logical point into a database.
type databaseRestore struct {
	restore.Options
	manifest *repo.Manifest
	flags    restoreFlags
	act      restoreAct
	warnings []string
}

// restoreDatabase restores a logical point into a database, or in the place of one.
func (a *app) restoreDatabase(ctx context.Context, r *repo.Repository, ref repo.Ref, target postgres.Target, f restoreFlags, warnings []string) error {
	m, err := r.Manifest(ctx, ref)
	if err != nil {
		return reading(err)
	}
	environment, err := a.environment(ctx, r, m)
	if err != nil {
		return err
	}
	options, err := f.options()
	if err != nil {
		return err
	}
	options.Repo, options.Ref, options.Target, options.Log, options.Progress = r, ref, target, a.log, &restore.Progress{}
	d := databaseRestore{Options: options, manifest: m, flags: f, warnings: warnings, act: a.restoreAct("restore", f, target, r, environment)}
	d.act.of = ref.String()
	d.act.tell(map[string]string{
		"POINT": ref.ID, "SOURCE": ref.Source, "KIND": ref.Kind, "POINT_TIME": m.Start.UTC().Format(time.RFC3339), "REPOSITORY": r.URL(),
	})
	if f.dryRun {
		return a.restorePlan(ctx, d)
	}
	d.act.log = a.writtenDown(ctx, r, environment)
	begun := a.now()
	var result restore.Result
	var swapped swap.Result
	done, err := a.restoring(ctx, d.act, d.examine, func(ctx context.Context) (acted, error) {
		stop := a.screen.Draw(d.status)
		var err error
		if f.replace {
			// Without the backup's owner and rights the new one would belong to who restores,
			// and let everybody in: it gets those of the one it replaces.
			swapped, err = a.replace(ctx, target, f.noOwner || f.noPrivileges, func(ctx context.Context, beside postgres.Target) error {
				o := d.Options
				o.Target = beside
				result, err = restore.Run(ctx, o)
				d.step("exchanging the databases")
				return err
			})
			result.Database = target.Database
		} else {
			result, err = restore.Run(ctx, d.Options)
		}
		stop()
		a.warn(result.Warnings...)
		return acted{Old: swapped.Old, Warnings: append(result.Warnings, swapped.Warnings...)}, err
	})
	if errors.Is(err, restore.ErrNotEmpty) && !f.replace && !f.selects() {
		err = fmt.Errorf("%w; --replace puts the backup in its place and keeps it under another name", err)
	}
	if err != nil {
		return restoreError(err)
	}
	result.Warnings = slices.Concat(warnings, done.Warnings)
	return a.restored(d, result, swapped, a.now().Sub(begun))
}

// restoreAct is what is around a restore into a database, without what it is of.
func (a *app) restoreAct(what string, f restoreFlags, target postgres.Target, log *repo.Repository, environment string) restoreAct {
	act := restoreAct{
		what: what, to: target.String(), log: log, environment: environment, approval: f.approval, hooks: f.hooks,
		detail: map[string]string{"database": target.Database, "host": target.Host, "replace": strconv.FormatBool(f.replace)},
		told: map[string]string{
			"DATABASE": target.Database, "HOST": target.Host, "PORT": strconv.Itoa(int(target.Port)), "USER": target.User, "REPLACE": strconv.FormatBool(f.replace),
		},
	}
	if environment != "" {
		act.detail["environment"] = environment
	}
	for name, what := range map[string][]string{"tables": f.tables, "schemas": f.schemas} {
		if len(what) > 0 {
			act.detail[name] = strings.Join(what, " ")
		}
	}
	return act
}

// tell adds to what hooks are told.
func (act *restoreAct) tell(more map[string]string) {
	for name, value := range more {
		act.told[name] = value
	}
}

// replace puts what fill makes in the place of a database. keep gives it the owner,
// settings and rights of the one it replaces, for a fill that knows none.
func (a *app) replace(ctx context.Context, target postgres.Target, keep bool, fill func(ctx context.Context, beside postgres.Target) error) (swap.Result, error) {
	result, err := swap.Run(ctx, swap.Options{Target: target, Fill: fill, Keep: keep, Now: a.now, Log: a.log})
	a.warn(result.Warnings...)
	return result, err
}

// examine looks at the point and the server as a dry run does.
func (d databaseRestore) examine(ctx context.Context) error {
	o := d.Options
	if d.flags.replace {
		preview, err := swap.Examine(ctx, swap.Options{Target: o.Target, Log: o.Log})
		if err != nil {
			return err
		}
		o.Target = o.Target.WithDatabase(preview.Beside)
	}
	_, err := restore.Plan(ctx, o)
	return err
}

func (d databaseRestore) step(what string) { d.Progress.Step.Store(&what) }

func (d databaseRestore) status() observe.Status {
	s := observe.Status{Done: d.Progress.Loaded.Load(), Total: d.Progress.Expected.Load()}
	if step := d.Progress.Step.Load(); step != nil {
		s.Step = *step
	}
	return s
}

// options are the flags as the engine reads them.
func (f restoreFlags) options() (restore.Options, error) {
	roles, err := f.roleMap()
	return restore.Options{
		Jobs: f.jobs, NoOwner: f.noOwner, NoPrivileges: f.noPrivileges, Globals: f.glob, Analyze: f.analyze, RoleMap: roles,
		Select: restore.Selection{Tables: f.tables, Schemas: f.schemas, DataOnly: f.dataOnly, SchemaOnly: f.schemaOnly, WithDependencies: f.withDependencies, WithoutUnmet: f.withoutUnmet},
	}, err
}

func (a *app) restored(d databaseRestore, result restore.Result, swapped swap.Result, lasted time.Duration) error {
	if a.flags.json {
		doc := map[string]any{
			"id": result.Ref.ID, "source": result.Ref.Source, "database": result.Database, "created": result.Created,
			"tables": result.Tables, "rows": result.Rows, "bytes": result.Bytes, "seconds": lasted.Seconds(),
			"durations": result.Durations, "added": nonNil(result.Added), "left_out": nonNil(result.LeftOut), "warnings": nonNil(result.Warnings),
		}
		if d.flags.replace {
			doc["old_database"], doc["ended_sessions"], doc["away_seconds"], doc["removed"] = swapped.Old, swapped.Ended, swapped.Away.Seconds(), nonNil(swapped.Removed)
		}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	}
	if d.flags.schemaOnly {
		a.say("Restored definitions of %s into database %s in %s, and no rows.", result.Ref.ID, result.Database, took(lasted))
	} else {
		a.say("Restored %s into database %s in %s: %s, %s, all equal to the backup.",
			result.Ref.ID, result.Database, took(lasted), plural(int64(result.Tables), "table"), plural(result.Rows, "row"))
	}
	for _, what := range result.Added {
		a.say("Also restored, because it is needed: %s.", what)
	}
	for _, left := range result.LeftOut {
		a.say("Not restored: %s: %s.", left.What, left.Why)
	}
	a.toldReplaced(d.Target, d.flags, swapped)
	return warnedIf(result.Warnings)
}

// toldReplaced says what became of the database that was replaced.
func (a *app) toldReplaced(target postgres.Target, f restoreFlags, swapped swap.Result) {
	for _, name := range swapped.Removed {
		a.say("Dropped %s, which a restore that did not end had left.", name)
	}
	switch {
	case !f.replace:
	case swapped.Old == "":
		a.say("There was no database %s before: nothing was replaced.", target.Database)
	default:
		a.say("It took the place of the old one within %s; %s ended. The old one is %s until you drop it.",
			took(swapped.Away), plural(int64(swapped.Ended), "session")+was(swapped.Ended), swapped.Old)
	}
}

func was(n int) string {
	if n == 1 {
		return " was"
	}
	return " were"
}
