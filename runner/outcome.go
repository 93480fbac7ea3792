package main

import (
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
)

// madePoint is a recovery point that this run committed: its bytes before (Plain)
// and after compression (Stored), and for dumps the rows and tables in it.
type madePoint = observe.Point

// outcome is what a run did, gathered while it does it for those who are told.
type outcome struct {
	points       []madePoint
	deleted      int
	deletedBytes int64
	drills       []observe.Drill
	warnings     []string
	ages         map[string]float64 // seconds of the newest good point, by source
	wal          *walSeen           // nil: nothing was looked at
}

// madePoint notes a committed point. Every command that makes points calls it,
// whether anybody is told or not.
func (a *app) madePoint(p madePoint) {
	a.note(func(o *outcome) { o.points = append(o.points, p) })
}

// deletedPoints notes that the run deleted n points of so many stored bytes.
func (a *app) deletedPoints(n int, bytes int64) {
	a.note(func(o *outcome) { o.deleted, o.deletedBytes = o.deleted+n, o.deletedBytes+bytes })
}

// deletedAll notes what a rotation deleted.
func (a *app) deletedAll(points []rotate.Decision) {
	bytes := int64(0)
	for _, p := range points {
		bytes += p.Bytes
	}
	a.deletedPoints(len(points), bytes)
}

// drilled notes what came of a drill.
func (a *app) drilled(r drillreport.Report) {
	d := observe.Drill{
		Source: r.Point.Source, Point: r.Point.ID, Report: r.ID, Outcome: string(r.Outcome), Reason: r.Reason, RTOSeconds: r.RTO.Seconds, RTOKept: r.RTO.Kept,
	}
	a.note(func(o *outcome) { o.drills = append(o.drills, d) })
}

func (a *app) noteWarning(w string) {
	a.note(func(o *outcome) { o.warnings = append(o.warnings, w) })
}

// noteAges notes how old the newest good point of each source is. The oldest kind
// of a source counts for it; one without a good point is as old as none is.
func (a *app) noteAges(list []sourceStatus, none *time.Duration) {
	ages := map[string]float64{}
	for _, s := range list {
		switch {
		case s.Age != nil:
			ages[s.Source] = max(ages[s.Source], float64(*s.Age))
		case none != nil:
			ages[s.Source] = max(ages[s.Source], none.Seconds())
		}
	}
	a.note(func(o *outcome) { o.ages = ages })
}

func (a *app) note(what func(*outcome)) {
	a.outcomeMu.Lock()
	defer a.outcomeMu.Unlock()
	what(&a.outcome)
}

// sofar is a copy of what happened until now.
func (a *app) sofar() outcome {
	var o outcome
	a.note(func(now *outcome) { o = *now })
	o.points, o.warnings, o.drills = slices.Clone(o.points), slices.Clone(o.warnings), slices.Clone(o.drills)
	return o
}
