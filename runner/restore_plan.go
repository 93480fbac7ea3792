package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/approval"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/restore/swap"
)

// restorePlan is the dry run of a restore into a database: every step of it, with
// sizes, and how long it may take by what drills of the source took.
func (a *app) restorePlan(ctx context.Context, d databaseRestore) error {
	o := d.Options
	preview := swap.Preview{Bytes: -1}
	if d.flags.replace {
		var err error
		if preview, err = swap.Examine(ctx, swap.Options{Target: o.Target, Now: a.now, Log: a.log}); err != nil {
			return restoreError(err)
		}
		o.Target = o.Target.WithDatabase(preview.Beside)
	}
	steps, err := restore.Plan(ctx, o)
	if err != nil {
		return restoreError(err)
	}
	steps = a.around(d, preview, steps)
	guess := a.guess(ctx, d)
	if a.flags.json {
		doc := map[string]any{"id": d.Ref.ID, "source": d.Ref.Source, "database": d.Target.Database, "steps": steps, "warnings": nonNil(d.warnings),
			"stored_bytes": d.manifest.StoredSize(), "bytes": d.manifest.Totals.Bytes, "estimated_seconds": nil, "approval": nil}
		if guess != nil {
			doc["estimated_seconds"], doc["estimated_from"] = guess.seconds, guess.from.ID
		}
		if approval.Needed(d.act.environment) {
			doc["approval"] = map[string]any{"needed": approval.Code(a.now()), "given": approval.Check(d.flags.approval, d.act.environment, a.now()) == nil}
		}
		if d.flags.replace && preview.Exists {
			doc["replaces"] = map[string]any{"bytes": preview.Bytes, "sessions": preview.Sessions, "old_database": preview.Old}
		}
		if err := a.printJSON(doc); err != nil {
			return err
		}
	}
	a.say("Restoring %s of %s would", d.Ref.ID, d.Ref.Source)
	for i, s := range steps {
		a.say("%2d. %s", i+1, s.What)
	}
	m := d.manifest
	a.say("Size: %s to read, %s in tables; the server needs room for the tables and their indexes%s.", size(m.StoredSize()), size(m.Totals.Bytes), besideOld(preview))
	if guess == nil {
		a.say("How long it takes is not known: no drill has restored %s yet.", d.Ref.Source)
	} else {
		a.say("It takes about %s, as drill %s of %s did: %s of tables in %s.", took(seconds(guess.seconds)), guess.from.Drill, stamp(guess.from.Start),
			size(guess.from.Contents.Bytes), took(seconds(guess.from.RTO.Seconds)))
	}
	return warnedIf(d.warnings)
}

func besideOld(p swap.Preview) string {
	switch {
	case !p.Exists:
		return ""
	case p.Bytes < 0:
		return ", beside the old database"
	}
	return fmt.Sprintf(", beside the %s of the old database", size(p.Bytes))
}

// around puts before and after the engine's steps what a restore has around it.
func (a *app) around(d databaseRestore, p swap.Preview, steps []restore.Step) []restore.Step {
	var before, after []restore.Step
	add := func(to *[]restore.Step, format string, args ...any) {
		*to = append(*to, restore.Step{What: fmt.Sprintf(format, args...)})
	}
	if env := d.act.environment; approval.Needed(env) {
		given := "which is given"
		if err := approval.Check(d.flags.approval, env, a.now()); err != nil {
			given = "which is not given yet"
		}
		add(&before, "take the approval, since the environment is %s: --approval %s, %s", env, approval.Code(a.now()), given)
	}
	add(&before, "write to the audit log that %s restores this", by())
	limit, err := d.flags.hooks.limit()
	if err != nil {
		limit = 0 // it was looked at before
	}
	if h := d.flags.hooks.before; h != "" {
		add(&before, "run the before hook, at most %s, and stop if it fails: %s", limit, h)
	}
	if d.flags.replace {
		for _, name := range p.Leftovers {
			add(&before, "drop %s, which a restore that did not end left", name)
		}
		if p.Exists {
			add(&before, "work in a database beside %s, which goes on serving", d.Target.Database)
			add(&after, "end the sessions of %s (%s now) and exchange the databases by two renames in one transaction", d.Target.Database, count(int64(p.Sessions)))
			add(&after, "keep the old one as %s, with the time of that moment, until somebody drops it", p.Old)
		} else {
			add(&after, "rename it to %s, which does not exist yet", d.Target.Database)
		}
	}
	if h := d.flags.hooks.after; h != "" {
		add(&after, "run the after hook, at most %s, whatever became of the restore: %s", limit, h)
	}
	add(&after, "write to the audit log how it ended")
	return append(append(before, steps...), after...)
}

// guess is how long a restore may take, in seconds, and what drill says so.
type guess struct {
	seconds float64
	from    drillreport.Report
}

// guess reads the reports of drills of the source. That they can not be read makes
// no difference to a restore.
func (a *app) guess(ctx context.Context, d databaseRestore) *guess {
	listed, err := d.Repo.DrillReports(ctx, repo.DrillFilter{Source: d.Ref.Source, Newest: drillsLookedAt})
	if err != nil {
		a.log.Info("how long drills took is not known", "error", err)
		return nil
	}
	var reports []drillreport.Report
	for _, l := range listed {
		if l.Report != nil {
			reports = append(reports, *l.Report)
		}
	}
	return guessed(reports, d.Ref.Source, d.manifest.Totals.Bytes)
}

// drillsLookedAt is how many of the newest reports of each drill count.
const drillsLookedAt = 5

// guessed takes the newest drill that restored all of a point of the source, reports
// being the newest first, and scales what it took by the bytes in tables. Below a
// mebibyte it is the starting that takes its time, and nothing is scaled down.
func guessed(reports []drillreport.Report, source string, bytes int64) *guess {
	const least = 1 << 20
	for _, r := range reports {
		if r.Outcome != drillreport.Proven || r.Point.Source != source || r.RTO.Seconds <= 0 {
			continue
		}
		scale := float64(max(bytes, least)) / float64(max(r.Contents.Bytes, least))
		return &guess{seconds: r.RTO.Seconds * scale, from: r}
	}
	return nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
