package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// gitHubMinutes is the shortest interval at which GitHub starts a workflow.
const gitHubMinutes = 5

// GitHub gives the values of cron for `on: schedule` of a GitHub Actions
// workflow, which together are the schedule. GitHub knows UTC alone: a schedule
// in a zone whose clocks stand still is said in UTC, where it may need several
// lines; one in a zone with summer time cannot be said, nor one that runs more
// often than every five minutes. Those errors wrap ErrNotThere.
//
// GitHub starts workflows late when it is busy, only those of the default
// branch, and in public repositories none any more after 60 days without
// activity.
//
// Source: GitHub documentation, "Events that trigger workflows", schedule.
func (s Schedule) GitHub() ([]string, error) {
	const where = "GitHub Actions"
	if s.IsZero() {
		return nil, fmt.Errorf("an empty schedule: %w", ErrNotThere)
	}
	if gap := s.shortestGap(); gap < gitHubMinutes {
		return nil, fmt.Errorf("schedule %q for %s: it runs at an interval of %s, and GitHub starts nothing more often than every %d minutes: %w; write such as \"*/%d * * * *\"",
			s.expr, where, minutes(gap), gitHubMinutes, ErrNotThere, gitHubMinutes)
	}
	dom, dow, rule := s.days()
	if rule == bothFields {
		return nil, s.errBothFields(where)
	}
	offset, fixed := fixedOffset(s.loc)
	if !fixed {
		return nil, fmt.Errorf("schedule %q in %s for %s: GitHub knows UTC alone, and clocks in %s change during the year: %w; give timezone = \"UTC\" and the hours as seen there",
			s.expr, s.zone, where, s.zone, ErrNotThere)
	}
	var lines []string
	for _, part := range s.inUTC(offset, dom == allDays && dow == allWeekdays && s.month == fullSet(1, 12)) {
		weekdays := dow
		if part.day != 0 && (dom != allDays || s.month != fullSet(1, 12)) {
			return nil, fmt.Errorf("schedule %q in %s for %s: GitHub knows UTC alone, where this is another day, and days of the month cannot be moved: %w; give timezone = \"UTC\" and the time as seen there",
				s.expr, s.zone, where, ErrNotThere)
		}
		if part.day != 0 {
			weekdays = moved(dow, part.day)
		}
		lines = append(lines, fiveFields(part.minute, part.hour, dom, s.month, weekdays))
	}
	slices.Sort(lines)
	return lines, nil
}

func minutes(n int) string {
	if n == 1 {
		return "1 minute"
	}
	return fmt.Sprintf("%d minutes", n)
}

// shortestGap is the least number of minutes between two runs, in a zone whose
// clocks stand still; a day for one run a day or fewer.
func (s Schedule) shortestGap() int {
	const day = 24 * 60
	shortest, first, last := day, -1, -1
	for h := range s.hour.all() {
		for m := range s.minute.all() {
			now := 60*h + m
			if first < 0 {
				first = now
			} else {
				shortest = min(shortest, now-last)
			}
			last = now
		}
	}
	if overnight := first + day - last; overnight < shortest && s.onNeighbours() {
		shortest = overnight
	}
	return shortest
}

// onNeighbours reports whether two days in a row ever match.
func (s Schedule) onNeighbours() bool {
	before := false
	for date := anyTime; date.Before(anyTime.AddDate(searchYears, 0, 0)); date = date.AddDate(0, 0, 1) {
		now := s.onDay(date)
		if now && before {
			return true
		}
		before = now
	}
	return false
}

// fixedOffset gives how many minutes a zone is ahead of UTC, when its clocks are
// not set any more from the years on that schedules are made for.
func fixedOffset(loc *time.Location) (ahead int, fixed bool) {
	t := anyTime.In(loc)
	_, end := t.ZoneBounds()
	_, seconds := t.Zone()
	return seconds / 60, end.IsZero() && seconds%60 == 0
}

// timesInUTC are hours and minutes, each hour with each minute, on the day of
// the schedule, the one before (-1) or the one after (1).
type timesInUTC struct {
	day          int
	hour, minute set
}

// inUTC moves the times of day of the schedule to UTC. An offset of half an
// hour tears an hour apart, midnight tears a day apart: hence several parts.
//
// Example, 02:00 and 02:30 in Kolkata (5 h 30 ahead): 20:30 and 21:00 of the day
// before. Where every day is meant it does not matter which day it is.
func (s Schedule) inUTC(ahead int, everyDay bool) []timesInUTC {
	type part struct{ day, hours int } // moved by so many days, and hours
	parts := map[part]timesInUTC{}
	for h := range s.hour.all() {
		for m := range s.minute.all() {
			t := 60*h + m - ahead
			day := floorDiv(t, 24*60)
			t -= 24 * 60 * day
			key := part{day, floorDiv(m-ahead, 60)}
			p := parts[key]
			parts[key] = timesInUTC{day, p.hour | 1<<(t/60), p.minute | 1<<(t%60)}
		}
	}
	var joined []timesInUTC
	for _, p := range parts {
		if everyDay {
			p.day = 0
		}
		joined = append(joined, p)
	}
	slices.SortFunc(joined, func(a, b timesInUTC) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.hour, b.hour), cmp.Compare(a.minute, b.minute))
	})
	return join(joined)
}

// join puts parts of one day together that share their hours or their minutes.
func join(parts []timesInUTC) []timesInUTC {
	for i := range parts {
		for j := i + 1; j < len(parts); j++ {
			a, b := parts[i], parts[j]
			if a.day == b.day && (a.hour == b.hour || a.minute == b.minute) {
				parts[i] = timesInUTC{a.day, a.hour | b.hour, a.minute | b.minute}
				return join(slices.Delete(parts, j, j+1))
			}
		}
	}
	return parts
}

// moved is the set of week days so many days later.
func moved(dow set, days int) set {
	var out set
	for d := range dow.all() {
		out |= 1 << ((d + days + 7) % 7)
	}
	return out
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
