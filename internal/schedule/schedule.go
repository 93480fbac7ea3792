// Package schedule is the one dialect in which this product says when a job
// runs: five cron fields in a time zone. It computes the next runs and says the
// same schedule in the words of other schedulers, or that it cannot be said
// there.
//
// It is pure: it starts nothing and reads no clock. Parsing is in parse.go. Each
// translation has a file named after the scheduler; it is the same schedule
// there, or an error that wraps ErrNotThere, says why, and what to write.
//
// When clocks change: a local time that is skipped in spring does not run on
// that day; one that comes twice in autumn runs once, the first time. systemd
// timers and EventBridge Scheduler do the same; the crons of a host and of
// Kubernetes follow rules of their own on these two days. A daily job between 01:00 and
// 03:00 local time therefore has one day in the year without a run in most time
// zones with summer time; Skipped lists these.
package schedule

import (
	"iter"
	"math/bits"
	"time"
)

// Schedule is a parsed expression. The zero value never runs; make one with
// Parse.
type Schedule struct {
	expr   string
	zone   string
	loc    *time.Location
	minute set
	hour   set
	dom    set
	month  set
	dow    set // Sunday is 0
	// A day field that begins with "*" does not restrict; see onDay.
	domStar, dowStar bool
	canonical        [5]string
}

// String gives the expression as the user wrote it.
func (s Schedule) String() string { return s.expr }

// Timezone gives the IANA name of the zone, "UTC" if none was given.
func (s Schedule) Timezone() string { return s.zone }

// Location gives the zone.
func (s Schedule) Location() *time.Location { return s.loc }

// IsZero reports whether s is the zero value.
func (s Schedule) IsZero() bool { return s.loc == nil }

// Next gives the n next runs strictly after a moment, in UTC and ascending.
func (s Schedule) Next(after time.Time, n int) []time.Time {
	runs := make([]time.Time, 0, max(n, 0))
	s.walk(after, func(run, wanted time.Time, exists bool) bool {
		if exists {
			runs = append(runs, run.UTC())
		}
		return len(runs) < n
	})
	return runs
}

// Between gives the runs from a moment on, that moment included, up to another,
// which is not, in UTC and ascending.
func (s Schedule) Between(from, until time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		s.walk(from.Add(-1), func(run, _ time.Time, exists bool) bool {
			return run.Before(until) && (!exists || yield(run.UTC()))
		})
	}
}

// Skipped gives the local times, written as if in UTC, between after and before
// at which the schedule would run if clocks did not skip them.
func (s Schedule) Skipped(after, before time.Time) []time.Time {
	var skipped []time.Time
	s.walk(after, func(run, wanted time.Time, exists bool) bool {
		if run.After(before) {
			return false
		}
		if !exists {
			skipped = append(skipped, wanted)
		}
		return true
	})
	return skipped
}

// searchYears is longer than the longest gap a satisfiable schedule has: 29
// February does not exist between 2096 and 2104, and falls on one day of the
// week every 28 years, or after 40 across such a gap.
const searchYears = 41

// walk calls visit for every matching local time after a moment, in order,
// until visit says stop. wanted is the local time, written in UTC; run is its
// moment; exists is false for a local time that clocks skip.
func (s Schedule) walk(after time.Time, visit func(run, wanted time.Time, exists bool) bool) {
	if s.loc == nil {
		return
	}
	y, m, d := after.In(s.loc).Date()
	// A day earlier, because the local date is not monotonic where clocks are
	// set back across midnight.
	date := time.Date(y, m, d-1, 0, 0, 0, 0, time.UTC)
	for end := date.AddDate(searchYears, 0, 0); date.Before(end); date = date.AddDate(0, 0, 1) {
		if !s.onDay(date) {
			continue
		}
		for h := range s.hour.all() {
			for min := range s.minute.all() {
				wanted := date.Add(time.Duration(h)*time.Hour + time.Duration(min)*time.Minute)
				run, exists := moment(wanted, s.loc)
				if !run.After(after) {
					continue
				}
				if exists {
					end = date.AddDate(searchYears, 0, 0)
				}
				if !visit(run, wanted, exists) {
					return
				}
			}
		}
	}
}

// onDay applies cron's rule for days: when both day fields are restricted, one
// of them has to match, otherwise both.
func (s Schedule) onDay(date time.Time) bool {
	if !s.month.has(int(date.Month())) {
		return false
	}
	dom, dow := s.dom.has(date.Day()), s.dow.has(int(date.Weekday()))
	if s.domStar || s.dowStar {
		return dom && dow
	}
	return dom || dow
}

// moment gives the first moment at which clocks in loc show a local time, given
// as if it were UTC, and whether they ever do.
func moment(wanted time.Time, loc *time.Location) (time.Time, bool) {
	y, m, d := wanted.Date()
	t := time.Date(y, m, d, wanted.Hour(), wanted.Minute(), 0, 0, loc)
	shown := t.Hour() == wanted.Hour() && t.Minute() == wanted.Minute() && t.Day() == d
	if !shown {
		return t, false
	}
	// time.Date does not say which of two moments it gives: look whether the
	// clock showed the same before it was last set.
	since, _ := t.ZoneBounds()
	if since.IsZero() {
		return t, true
	}
	_, offset := t.Zone()
	_, before := since.Add(-time.Second).Zone()
	if first := t.Add(time.Duration(offset-before) * time.Second); first.Before(since) {
		return first, true
	}
	return t, true
}

// set holds the values of one field as bits.
type set uint64

func (s set) has(n int) bool { return s&(1<<n) != 0 }

func (s set) all() func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for rest := s; rest != 0; rest &= rest - 1 {
			if !yield(bits.TrailingZeros64(uint64(rest))) {
				return
			}
		}
	}
}
