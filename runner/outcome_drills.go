package main

import (
	"context"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drill"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

// drillAge is how long ago the drill of the job's policy that is furthest behind
// proved a backup. One that never did is as old as the policy. nil where no drill
// ever reported, or where that is not known.
func (a *app) drillAge(ctx context.Context, r *repo.Repository, now time.Time) (*time.Duration, error) {
	listed, err := r.DrillReports(ctx, repo.DrillFilter{Newest: 1})
	if err != nil || len(listed) == 0 {
		return nil, err
	}
	var reports []drillreport.Report
	for _, d := range a.standing(listed) {
		if d.Report != nil && d.Report.Outcome == drillreport.Proven {
			reports = append(reports, *d.Report)
			continue
		}
		// The newest one proves nothing: which one did?
		all, err := r.DrillReports(ctx, repo.DrillFilter{Drill: d.Drill, Source: d.Source})
		if err != nil {
			return nil, err
		}
		for _, d := range all {
			if d.Report != nil {
				reports = append(reports, *d.Report)
			}
		}
	}
	if len(reports) == 0 {
		return nil, nil
	}
	unplanned := func(string) schedule.Schedule { return schedule.Schedule{} }
	oldest, without := drillreport.Furthest(drillreport.Summarize(reports, unplanned, now))
	if len(without) > 0 {
		return a.ageOfNone(ctx, r, a.job.Policy, now), nil
	}
	age := max(0, now.Sub(oldest.Start))
	return &age, nil
}

// standing leaves out the newest reports that say nothing about what goes on: of drills
// by hand, of other policies, and of a source that its drill has since left out, which
// shows in others that were drilled a day later.
func (a *app) standing(newest []repo.DrillListed) []repo.DrillListed {
	last := map[string]time.Time{} // of each drill
	started := func(d repo.DrillListed) time.Time {
		at, err := repo.ParseID(d.ID)
		if err != nil {
			return time.Time{} // a listing has valid ones only
		}
		return at
	}
	for _, d := range newest {
		if at := started(d); at.After(last[d.Drill]) {
			last[d.Drill] = at
		}
	}
	var list []repo.DrillListed
	for _, d := range newest {
		switch {
		case d.Drill == drill.Manual, last[d.Drill].Sub(started(d)) > drill.DefaultLimit:
		case d.Report != nil && d.Report.Policy != a.job.Policy:
		default:
			list = append(list, d)
		}
	}
	return list
}
