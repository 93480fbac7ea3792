package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/approval"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/foreign"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/swap"
)

// restoreForeign restores a file that another program made into a database.
func (a *app) restoreForeign(ctx context.Context, name string, f restoreFlags) error {
	switch {
	case f.directory != "" || f.file != "" || f.diff || f.to == "" && !f.verifyOnly:
		return usagef("restore: a dump of another program is restored into a database: give --to-database")
	case f.selects() || len(f.roles) > 0:
		return usagef("restore: a dump of another program is restored whole: --table, --schema, --data-only, --schema-only and --map-role need a recovery point, which `pgbackup-runner import` makes of it")
	}
	key, err := f.foreign.key(a)
	if err != nil {
		return err
	}
	source, err := a.foreignPlaces().Find(ctx, name)
	if err != nil {
		return err
	}
	options := foreign.Options{
		Source: source, Key: key, Database: f.foreign.database, Jobs: f.jobs, NoOwner: f.noOwner, NoRights: f.noPrivileges,
		Globals: f.glob, Analyze: f.analyze, Log: a.log, Progress: &foreign.Progress{},
	}
	if f.verifyOnly {
		return a.examineForeign(ctx, options)
	}
	if options.Target, err = a.restoreTarget(ctx, f.to); err != nil {
		return err
	}
	r := a.openForAudit(ctx)
	environment, err := a.environment(ctx, r, nil)
	if err != nil {
		return err
	}
	act := a.restoreAct("restore_foreign", f, options.Target, r, environment)
	act.of = source.Name
	act.tell(map[string]string{"FILE": source.Name})
	if f.replace {
		if options.Properties, err = propertiesOf(ctx, options.Target); err != nil {
			return err
		}
	}
	if f.dryRun {
		return a.planForeign(ctx, options, f, act)
	}
	return a.loadForeign(ctx, options, f, act)
}

// loadForeign does the restore, with what is around it.
func (a *app) loadForeign(ctx context.Context, o foreign.Options, f restoreFlags, act restoreAct) error {
	begun := a.now()
	var result foreign.Result
	var swapped swap.Result
	done, err := a.restoring(ctx, act, func(ctx context.Context) error {
		_, _, err := planOf(ctx, o, f)
		return err
	}, func(ctx context.Context) (acted, error) {
		stop := a.drawForeign(o.Progress)
		defer stop()
		var err error
		if f.replace {
			swapped, err = a.replace(ctx, o.Target, true, func(ctx context.Context, beside postgres.Target) error {
				o := o
				o.Target = beside
				var err error
				result, err = foreign.Load(ctx, o)
				return err
			})
			result.Database = o.Target.Database
		} else {
			result, err = foreign.Load(ctx, o)
		}
		return acted{Old: swapped.Old, Warnings: append(result.Warnings, swapped.Warnings...)}, err
	})
	a.warn(result.Warnings...)
	if err != nil {
		if wrapped := foreignError(err); codeOf(wrapped) != codeOf(err) {
			return wrapped
		}
		return restoreError(err)
	}
	return a.restoredForeign(o, f, result, swapped, done.Warnings, a.now().Sub(begun))
}

func (a *app) restoredForeign(o foreign.Options, f restoreFlags, result foreign.Result, swapped swap.Result, warnings []string, lasted time.Duration) error {
	if a.flags.json {
		doc := map[string]any{
			"file": o.Source.Name, "format": result.Facts.Format, "wrapped_in": nonNil(result.Facts.Layers), "database_in_file": result.Of,
			"database": result.Database, "created": result.Created, "tables": result.Tables, "rows": result.Rows, "proven": false, "proof": foreign.NoProof,
			"seconds": lasted.Seconds(), "durations": result.Durations, "notes": nonNil(result.Notes), "warnings": nonNil(warnings),
		}
		if f.replace {
			doc["old_database"] = swapped.Old
		}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	}
	a.say("Restored %s (%s) into database %s in %s: %s with %s, counted and compared with nothing.",
		o.Source.Name, wrappedIn(result.Facts), result.Database, took(lasted), plural(result.Tables, "table"), plural(result.Rows, "row"))
	for _, note := range result.Notes {
		a.say("Note: %s.", note)
	}
	a.unproven(result.Facts)
	a.toldReplaced(o.Target, f, swapped)
	return warnedIf(warnings)
}

// planOf looks at the file and the server, and changes nothing.
func planOf(ctx context.Context, o foreign.Options, f restoreFlags) ([]string, *foreign.Facts, error) {
	if f.replace {
		preview, err := swap.Examine(ctx, swap.Options{Target: o.Target, Log: o.Log})
		if err != nil {
			return nil, nil, err
		}
		o.Target = o.Target.WithDatabase(preview.Beside)
	}
	return foreign.Plan(ctx, o)
}

func (a *app) planForeign(ctx context.Context, o foreign.Options, f restoreFlags, act restoreAct) error {
	steps, facts, err := planOf(ctx, o, f)
	if err != nil {
		return restoreError(foreignError(err))
	}
	if f.replace {
		steps = append(steps, "end the sessions of database "+o.Target.Database+" and put the new one in its place; the old one stays beside it until somebody drops it")
	}
	if act.log != nil {
		steps = slices.Insert(steps, 0, "write to the audit log that "+by()+" restores this")
	}
	if approval.Needed(act.environment) {
		steps = slices.Insert(steps, 0, fmt.Sprintf("take the approval, since the environment is %s: --approval %s", act.environment, approval.Code(a.now())))
	}
	if a.flags.json {
		if err := a.printJSON(map[string]any{"file": o.Source.Name, "format": facts.Format, "wrapped_in": nonNil(facts.Layers), "database": o.Target.Database, "steps": steps}); err != nil {
			return err
		}
	}
	a.say("Restoring %s would", o.Source.Name)
	for i, s := range steps {
		a.say("%2d. %s", i+1, s)
	}
	if o.Source.Size >= 0 {
		a.say("Size: %s to read, twice where it is SQL: first to see that it is whole.", size(o.Source.Size))
	}
	return nil
}

// examineForeign reads a file to its end and says what it is.
func (a *app) examineForeign(ctx context.Context, o foreign.Options) error {
	facts, err := foreign.Examine(ctx, o)
	if err != nil {
		return foreignError(err)
	}
	sum, n, err := foreign.Digest(ctx, o.Source)
	if err != nil {
		return err
	}
	at, from := facts.Date(o.Source)
	if a.flags.json {
		return a.printJSON(map[string]any{"file": o.Source.Name, "sha256": sum, "bytes": n, "format": facts.Format, "wrapped_in": nonNil(facts.Layers),
			"databases": facts.Databases, "server_version": facts.ServerVersion, "dump_version": facts.DumpVersion, "date": at, "date_from": from, "proven": false, "proof": foreign.NoProof})
	}
	a.say("%s: %s, %s, SHA-256 %s", o.Source.Name, wrappedIn(facts), size(n), sum)
	if !at.IsZero() {
		a.say("Dumped %s, says %s.", at.Format(time.RFC3339), from)
	}
	if facts.ServerVersion != "" {
		a.say("From PostgreSQL %s by pg_dump %s.", facts.ServerVersion, facts.DumpVersion)
	}
	for _, db := range facts.Databases {
		what := "One database"
		if db.Name != "" {
			what = fmt.Sprintf("Database %q", db.Name)
		}
		a.say("%s: %s.", what, plural(db.Tables, "table"))
	}
	a.unproven(facts)
	return nil
}

// propertiesOf are those of the database that is replaced, for a file that does not
// tell its own; none when there is no such database.
func propertiesOf(ctx context.Context, t postgres.Target) (postgres.DatabaseProperties, error) {
	conn, err := t.Connect(ctx)
	if errors.Is(err, postgres.ErrNoDatabase) {
		return postgres.DatabaseProperties{}, nil
	}
	if err != nil {
		return postgres.DatabaseProperties{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return postgres.ReadDatabaseProperties(ctx, conn)
}

// openForAudit opens the repository that is named, if one is: it only keeps the audit
// log and the policies here, and a restore of a file can do without.
func (a *app) openForAudit(ctx context.Context) *repo.Repository {
	if _, err := a.place(); err != nil {
		return nil
	}
	r, err := a.open(ctx)
	if err != nil {
		a.log.Warn("the repository can not be opened: this restore is not in its audit log", "error", err)
		return nil
	}
	return r
}
