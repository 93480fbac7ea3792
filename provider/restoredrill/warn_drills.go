package restoredrill

import (
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

// missed is how many times in a row a drill has to be missing: schedulers start late,
// and a restore takes a while until its report is there.
const missed = 2

// overdue tells of drills that should have run and left no report. of are the sources
// that are named; without them one report stands for all.
func (f found) overdue(when schedule.Schedule, of []string) (all []warning) {
	last := func(source string) (time.Time, bool) {
		for _, r := range f.reports {
			if source == "" || r.Point.Source == source {
				return r.Start, true
			}
		}
		return time.Time{}, false
	}
	if len(of) == 0 {
		of = []string{""}
	}
	for _, source := range of {
		run, ran := last(source)
		since := run
		if f.deployed.After(since) {
			since = f.deployed
		}
		if since.IsZero() {
			continue
		}
		due := when.Next(since, missed)
		if len(due) < missed || due[missed-1].After(f.now) {
			continue
		}
		what := "no drill has run yet, and its first times have passed"
		if ran {
			what = fmt.Sprintf("no drill has run since %s, and its last times have passed", day(run))
		}
		if source != "" {
			what += " (" + source + ")"
		}
		all = append(all, warning{what, fmt.Sprintf(
			"It was due at %s and at %s, and left no report. Whatever starts it may have stopped, or it cannot reach the repository: look at its log. Until a drill runs, nothing proves that the backups can be restored.", moment(due[0]), moment(due[1]))})
	}
	return all
}

// outcomes tells of drills whose newest report is not as it should be.
func (f found) outcomes(of []string) (all []warning) {
	for _, r := range f.reports {
		if !f.counts(r, of) {
			continue
		}
		point := r.Point.Source
		if r.Point.ID != "" {
			point += ", recovery point " + r.Point.ID
		}
		switch r.Outcome {
		case drillreport.BadBackup:
			all = append(all, warning{
				fmt.Sprintf("the last drill, of %s, found a bad backup of %s", day(r.Start), r.Point.Source),
				fmt.Sprintf("%s: %s. Take a backup now, and look for what damaged this one: `pgbackup-runner drills` shows the report %s.", point, reason(r), r.ID),
			})
		case drillreport.CouldNotRun:
			all = append(all, warning{
				fmt.Sprintf("the last drill of %s, of %s, could not run and proved nothing", r.Point.Source, day(r.Start)),
				fmt.Sprintf("%s: %s. It says nothing about the backup: `pgbackup-runner drills` shows the report %s.", point, reason(r), r.ID),
			})
		}
		if r.RTO.Kept != nil && !*r.RTO.Kept {
			all = append(all, warning{
				fmt.Sprintf("the last restore of %s, of %s, took %s, and the policy's objective is %s", r.Point.Source, day(r.Start), span(r.RTO.Seconds), span(r.RTO.Objective)),
				fmt.Sprintf("%s: a restore that is needed would take as long. Give it more processors, or change objectives.rto of the policy.", point),
			})
		}
		if r.RPO.BrokeRPO() {
			all = append(all, warning{
				fmt.Sprintf("at the last drill of %s, of %s, %s of changes would have been lost, and the policy's objective is %s", r.Point.Source, day(r.Start), span(r.RPO.Seconds), span(r.RPO.Objective)),
				fmt.Sprintf("%s: its WAL came into the repository late, or did not come: look at `pgbackup-runner wal status`, or change objectives.rpo of the policy.", point),
			})
		}
	}
	return all
}

// counts tells whether a report is of a source that is still drilled: one that is
// named, or had its turn when the newest report was written.
func (f found) counts(r drillreport.Report, of []string) bool {
	if len(of) > 0 {
		return slices.Contains(of, r.Point.Source)
	}
	return f.reports[0].Start.Sub(r.Start) < oneRun
}

// oneRun is more than one run over all sources takes, and less than lies between two.
const oneRun = 20 * time.Hour

func reason(r drillreport.Report) string {
	if r.Reason == "" {
		return "no reason was written"
	}
	return trimStop(r.Reason)
}

func trimStop(s string) string {
	for len(s) > 0 && s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// span is a number of seconds as people say it.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d > time.Minute {
		d = d.Round(time.Second)
	}
	return d.String()
}
