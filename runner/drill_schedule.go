package main

import (
	"context"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

// drillSchedules finds out when drills run: by the job, and by the job files that are
// deployed beside the repository. A drill whose schedule is nowhere is left out.
func (a *app) drillSchedules(ctx context.Context, r *repo.Repository, reports []drillreport.Report) map[string]schedule.Schedule {
	plans := map[string]schedule.Schedule{}
	if a.job != nil && a.job.Kind == job.KindDrill && a.job.Schedule != nil {
		if s, err := schedule.Parse(a.job.Schedule.Cron, a.job.Schedule.Timezone); err == nil {
			plans[a.job.Name] = s
		}
	}
	looked := map[string]bool{}
	for _, report := range reports {
		name := report.Drill
		if _, known := plans[name]; known || looked[name] {
			continue
		}
		looked[name] = true
		s, err := deployedSchedule(ctx, r, name)
		if err != nil {
			a.log.Info("when the drill runs next is not known", "drill", name, "error", err)
			continue
		}
		if !s.IsZero() {
			plans[name] = s
		}
	}
	return plans
}

// deployedSchedule reads that of the newest job file of a drill; zero for none.
func deployedSchedule(ctx context.Context, r *repo.Repository, name string) (schedule.Schedule, error) {
	newest, at := "", time.Time{}
	for info, err := range r.Store().List(ctx, "jobs/"+name+"/") {
		if err != nil {
			return schedule.Schedule{}, err
		}
		if newest == "" || info.Modified.After(at) {
			newest, at = info.Key, info.Modified
		}
	}
	if newest == "" {
		return schedule.Schedule{}, nil
	}
	data, err := fetch(ctx, r.Store(), newest)
	if err != nil {
		return schedule.Schedule{}, err
	}
	j, err := job.Parse(data)
	if err != nil || j.Kind != job.KindDrill || j.Schedule == nil {
		return schedule.Schedule{}, err
	}
	return schedule.Parse(j.Schedule.Cron, j.Schedule.Timezone)
}
