package main

import (
	"context"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// measureLimit bounds the look at the repository after a run. A listing takes
// seconds for a hundred thousand points; what was not counted is not published.
const measureLimit = 15 * time.Second

// publish sends the numbers of the run to where the job wants them.
func (t *telling) publish(ctx context.Context, report observe.Report, interrupted bool) error {
	if t.job.Metrics == "" {
		return nil
	}
	n := t.numbers(report)
	if !interrupted {
		t.measure(ctx, &n)
	}
	if t.job.Metrics == job.MetricsEMF {
		return observe.WriteEMF(t.screen, n)
	}
	cfg, err := t.aws(ctx, "")
	if err != nil {
		return err
	}
	return observe.PutMetrics(ctx, cfg, n)
}

// numbers are what is known without looking at the repository.
func (t *telling) numbers(report observe.Report) observe.Numbers {
	good := *report.ExitCode == exitcode.Done || *report.ExitCode == exitcode.Warnings
	n := observe.Numbers{
		At: report.End, Policy: t.job.Policy, Job: t.job.Name,
		Run: map[metric.Name]float64{metric.Failed: 0, metric.Duration: report.Seconds}, Own: map[metric.Name]float64{},
		Sources: map[string]map[metric.Name]float64{},
	}
	if at, err := t.place(); err == nil {
		n.Repository = metric.Repository(at)
	}
	succeeded := 0.0
	if good {
		succeeded = 1
	} else {
		n.Run[metric.Failed] = 1
	}
	if t.job.Kind == job.KindDrill {
		n.Run[metric.DrillCouldNotRun] = couldNotRun(report)
	}
	// A rotation that went well must not pass for a backup of its policy.
	if t.job.Kind.MakesPoints() {
		n.Run[metric.Succeeded] = succeeded
	} else {
		n.Own[metric.Succeeded] = succeeded
	}
	add := func(source string, name metric.Name, value float64) {
		if n.Sources[source] == nil {
			n.Sources[source] = map[metric.Name]float64{}
		}
		n.Sources[source][name] += value
	}
	for _, p := range report.Points {
		n.Run[metric.StoredBytes] += float64(p.Stored)
		n.Run[metric.PlainBytes] += float64(p.Plain)
		add(p.Source, metric.StoredBytes, float64(p.Stored))
		add(p.Source, metric.PlainBytes, float64(p.Plain))
	}
	t.sofar().walNumbers(n.Run)
	for source, seconds := range t.sofar().ages {
		add(source, metric.Age, seconds)
	}
	return n
}

// couldNotRun is 1 when some drill of a run says nothing about its backup, which is
// also so when the run ended before the first one.
func couldNotRun(report observe.Report) float64 {
	for _, d := range report.Drills {
		if d.Outcome == string(drillreport.CouldNotRun) {
			return 1
		}
	}
	if len(report.Drills) == 0 {
		return 1
	}
	return 0
}

// measure adds what the repository says after the run.
func (t *telling) measure(ctx context.Context, n *observe.Numbers) {
	if t.opened == nil || t.job.Kind == job.KindWAL { // every few minutes is too often to count all that is stored
		return
	}
	ctx, stop := context.WithTimeout(ctx, measureLimit)
	defer stop()
	lanes, err := t.survey(ctx, t.opened, repo.Filter{}, t.job.Policy)
	if err != nil {
		t.log.Warn("the recovery points were not counted for the metrics", "error", err)
		return
	}
	if age, err := t.drillAge(ctx, t.opened, n.At); err != nil {
		t.log.Warn("how long ago a drill proved a backup was not measured", "error", err)
	} else if age != nil {
		n.Run[metric.DrillAge] = age.Seconds()
	}
	points, oldest, without := 0, 0.0, len(lanes) == 0
	for _, l := range lanes {
		points += len(l.points)
		if l.newest == nil {
			without = true
			continue
		}
		oldest = max(oldest, n.At.Sub(started(*l.newest)).Seconds())
		n.Run[metric.Age] = oldest
	}
	n.Run[metric.RecoveryPoints] = float64(points)
	if without {
		if none := t.ageOfNone(ctx, t.opened, t.job.Policy, n.At); none != nil {
			n.Run[metric.Age] = max(oldest, none.Seconds())
		}
	}
	sizes, err := t.opened.Sizes(ctx, repo.Filter{})
	if err != nil {
		t.log.Warn("the size of the repository was not measured for the metrics", "error", err)
		return
	}
	n.Many = map[metric.Name][]float64{metric.SizeRatio: sizeRatios(t.sofar().points, lanes, sizes)}
	total := 0.0
	for _, bytes := range sizes {
		total += float64(bytes)
	}
	n.Run[metric.RepositoryBytes] = total
}

const (
	compared = 7 // points before a new one that its size is held against
	enough   = 3 // of them, so that there is something to compare
)

// sizeRatios says how large each new point is, in percent of the median of those
// before it of its source and kind.
func sizeRatios(made []madePoint, lanes []lane, sizes map[string]int64) []float64 {
	var ratios []float64
	for _, p := range made {
		for _, l := range lanes {
			if l.source != p.Source || l.kind != p.Kind {
				continue
			}
			var before []int64
			for _, older := range l.points {
				// Ids begin with the time: what is smaller is older.
				if size := sizes[older.String()]; older.ID < p.ID && older.Verified() && size > 0 && len(before) < compared {
					before = append(before, size)
				}
			}
			if len(before) >= enough {
				ratios = append(ratios, 100*float64(p.Stored)/median(before))
			}
		}
	}
	return ratios
}

func median(sizes []int64) float64 {
	slices.Sort(sizes)
	middle := len(sizes) / 2
	if len(sizes)%2 == 1 {
		return float64(sizes[middle])
	}
	return float64(sizes[middle-1]+sizes[middle]) / 2
}
