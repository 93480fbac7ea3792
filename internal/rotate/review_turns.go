package rotate

import (
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// turns are the moments after from, up to and including to, at which rules begin
// to see a point that starts then in another light without anything happening to
// it: it is no longer dated in the future, or it grows older than a ceiling. There
// may be moments among them at which nothing turns.
func turns(start time.Time, rules ruleChange, from, to time.Time) []time.Time {
	var all []time.Time
	add := func(at time.Time) {
		if at.After(from) && !at.After(to) {
			all = append(all, at)
		}
	}
	add(start.Add(-retention.FutureSkew))
	for _, r := range []*retention.Rules{rules.before, &rules.after} {
		if r != nil && !r.ExpireAfter.IsZero() {
			expiries(start, r.ExpireAfter, r.Location, from, to, add)
		}
	}
	return all
}

// monthSlack is how far the calendar can move the moment at which a number of
// months is over: from a day that a month lacks to its last.
const monthSlack = 4 * 24 * time.Hour

// expiries gives the moments at which a point may grow older than a ceiling, which
// it is when start is before (now - ceiling).
//
// An exact ceiling turns once, just after start + ceiling. One with months turns
// at that time of day on any day near, and at midnights: on 29, 30 and 31 March,
// "1mo" ago is 28 February each time, at the time of day it is then.
func expiries(start time.Time, ceiling duration.Duration, loc *time.Location, from, to time.Time, add func(time.Time)) {
	due := ceiling.AddTo(start, loc)
	if ceiling.Months() == 0 {
		add(due.Add(1)) // at the moment itself it is as old as the ceiling, not older
		return
	}
	if due.Before(from.Add(-monthSlack)) || due.After(to.Add(monthSlack)) {
		return
	}
	if loc == nil {
		loc = time.UTC
	}
	due = due.In(loc)
	for days := -4; days <= 4; days++ {
		day := due.AddDate(0, 0, days)
		add(day.Add(1))
		add(time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, loc))
	}
}
