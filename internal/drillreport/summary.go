package drillreport

import (
	"cmp"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

// Trend is how many of the newest drills a summary tells about.
const Trend = 10

// Late is how long after its time a drill may be missing before it is overdue:
// schedulers start late, and a restore takes a while until its report is there.
const Late = 6 * time.Hour

// Summary is the history of one drill of one source (V6). Times are UTC.
type Summary struct {
	Drill  string `json:"drill"`
	Source string `json:"source"`
	Last   *Brief `json:"last"`        // the newest one
	Proven *Brief `json:"last_proven"` // the newest one that proved a backup, nil for none
	// Next is when it runs again, nil where no schedule is known.
	Next *time.Time `json:"next"`
	// Overdue: by its schedule it should have run again Late ago.
	Overdue bool    `json:"overdue"`
	Trend   []Brief `json:"trend"` // the newest ones, newest first, at most Trend
}

// Brief is a drill in a line.
type Brief struct {
	ID      string    `json:"id"`
	Start   time.Time `json:"start"`
	Seconds float64   `json:"seconds"` // of all of it
	Outcome Outcome   `json:"outcome"`
	Reason  string    `json:"reason,omitempty"`
	Point   string    `json:"point,omitempty"` // id
	RTO     RTO       `json:"rto"`
	RPO     *RPO      `json:"rpo,omitempty"`
}

// Brief is the report in a line.
func (r Report) Brief() Brief {
	return Brief{ID: r.ID, Start: r.Start, Seconds: r.End.Sub(r.Start).Seconds(), Outcome: r.Outcome, Reason: r.Reason, Point: r.Point.ID, RTO: r.RTO, RPO: r.RPO}
}

// BrokeRTO tells whether the restore took longer than the objective allows.
func (r RTO) BrokeRTO() bool { return r.Kept != nil && !*r.Kept }

// Summarize tells of each drill and source among the reports, which may be in any
// order, by name. plan says when a drill runs, the zero Schedule for one that is
// not known.
func Summarize(reports []Report, plan func(drill string) schedule.Schedule, now time.Time) []Summary {
	type lane struct{ drill, source string }
	lanes := map[lane][]Report{}
	for _, r := range reports {
		key := lane{r.Drill, r.Point.Source}
		lanes[key] = append(lanes[key], r)
	}
	list := make([]Summary, 0, len(lanes))
	for key, runs := range lanes {
		// Ids begin with the time, and order where two began in one second.
		slices.SortFunc(runs, func(a, b Report) int { return cmp.Compare(b.ID, a.ID) })
		s := Summary{Drill: key.drill, Source: key.source}
		for i, r := range runs {
			brief := r.Brief()
			if i == 0 {
				s.Last = &brief
			}
			if s.Proven == nil && r.Outcome == Proven {
				s.Proven = &brief
			}
			if i < Trend {
				s.Trend = append(s.Trend, brief)
			}
		}
		s.Next, s.Overdue = due(plan(key.drill), s.Last.Start, now)
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Summary) int { return cmp.Or(cmp.Compare(a.Drill, b.Drill), cmp.Compare(a.Source, b.Source)) })
	return list
}

// due tells when a drill runs next, and whether it should have run since it last
// did.
func due(plan schedule.Schedule, last, now time.Time) (*time.Time, bool) {
	if plan.IsZero() {
		return nil, false
	}
	var next *time.Time
	if runs := plan.Next(now, 1); len(runs) > 0 {
		next = &runs[0]
	}
	after := plan.Next(last, 1)
	return next, len(after) > 0 && after[0].Add(Late).Before(now)
}

// Worst is the outcome of several drills together: one bad backup outweighs all
// that could not run, and those all that were proven. Without a drill nothing was
// proven.
func Worst(reports []Report) Outcome {
	worst := Outcome("")
	order := map[Outcome]int{"": 0, Proven: 1, CouldNotRun: 2, BadBackup: 3}
	for _, r := range reports {
		if order[r.Outcome] > order[worst] {
			worst = r.Outcome
		}
	}
	return cmp.Or(worst, CouldNotRun)
}

// Furthest is the oldest among the newest proofs of each source of a drill: how
// long ago the one that is furthest behind proved a backup. Sources without a proof
// are named in without.
func Furthest(summaries []Summary) (oldest *Brief, without []string) {
	for _, s := range summaries {
		switch {
		case s.Proven == nil:
			without = append(without, s.Source)
		case oldest == nil || s.Proven.Start.Before(oldest.Start):
			oldest = s.Proven
		}
	}
	return oldest, without
}
