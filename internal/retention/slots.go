package retention

import (
	"time"
)

// unit is the calendar period a rule distinguishes.
type unit uint8

const (
	point unit = iota // every point is a period of its own
	hour
	day
	week // ISO 8601: Monday to Sunday
	month
	year
)

// unitOf is the period that each rule distinguishes; wal distinguishes none.
var unitOf = map[string]unit{
	"keep_last": point, "keep_hourly": hour, "keep_daily": day, "keep_weekly": week, "keep_monthly": month, "keep_yearly": year,
	"keep_within": point, "keep_within_hourly": hour, "keep_within_daily": day, "keep_within_weekly": week,
	"keep_within_monthly": month, "keep_within_yearly": year,
}

// calendar gives each unit its number for one point at a time. Two points are
// in the same period exactly when the numbers are equal.
type calendar struct {
	loc     *time.Location
	number  [year + 1]int64
	local   time.Time
	lastDay int64
	started bool
}

// at moves the calendar to the point that is the position-th of its group.
//
// The hour that clocks repeat in autumn is one hour, because it has one name.
func (c *calendar) at(t time.Time, position int) {
	c.local = t.In(c.loc)
	_, offset := c.local.Zone()
	seconds := c.local.Unix() + int64(offset)
	c.number[point] = int64(position)
	c.number[hour] = floorDiv(seconds, 60*60)
	d := floorDiv(seconds, 24*60*60)
	if c.started && d == c.lastDay {
		return
	}
	c.started, c.lastDay = true, d
	c.number[day] = d
	c.number[week] = floorDiv(d+3, 7) // day 0, 1970-01-01, was a Thursday
	y, m, _ := c.local.Date()
	c.number[month] = int64(y)*12 + int64(m)
	c.number[year] = int64(y)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// rule is one keep rule at work on one group.
type rule struct {
	name  string // as in HCL
	value string // what the user gave
	bit   RuleSet
	unit  unit
	count int // slots of a counting rule, All for no end; 0 for a span

	left   int       // slots not used yet
	bound  time.Time // a span keeps what started after this
	last   int64     // period that got the last slot
	begun  bool      // last is set
	oldest time.Time // start of the point in the last slot
}

// spans reports whether the rule is one of keep_within*.
func (r *rule) spans() bool { return r.count == 0 }

// covers reports whether the rule still has room at a point that starts at t.
func (r *rule) covers(t time.Time) bool {
	if r.spans() {
		return t.After(r.bound)
	}
	return r.left != 0
}

// active lists the rules that apply to a group whose newest point is newest.
//
// A span counts back from that point, not from now: when backups stop, nothing
// ages out.
func active(rules *Rules, newest time.Time) []rule {
	var list []rule
	for i, f := range rules.Fields() {
		unit, known := unitOf[f.Name]
		if !known || !f.set() {
			continue
		}
		r := rule{name: f.Name, value: f.Value(), bit: 1 << i, unit: unit}
		if f.Count != nil {
			r.count, r.left = *f.Count, *f.Count
		} else {
			r.bound = f.Span.SubtractFrom(newest, rules.Location)
		}
		list = append(list, r)
	}
	return list
}

// countSlots runs the counting rules and the spans over the free points, newest
// first.
//
// Counting rules give a slot to the newest point of each period until the slots
// are used up. When history ends before the slots do, the oldest point stays
// too, so that history grows to its full length:
//
//	keep_last 2      over 03-05 03-04 03-03              keeps 03-05 03-04
//	keep_hourly 2    over 04:50 04:10 03:30 01:00        keeps 04:50 03:30
//	keep_daily 3     over 03-05 14:00, 03-05 02:00, 03-03, 03-01, 02-20
//	                 keeps 03-05 14:00, 03-03, 03-01     (days without a point use no slot)
//	keep_weekly 2    over Mon 03-09, Sun 03-08, Mon 03-02, Sun 03-01
//	                 keeps Mon 03-09, Sun 03-08          (weeks begin on Monday)
//	keep_monthly 12  over 03-05, 02-28, 02-14, 02-01     keeps 03-05, 02-28 and, being the oldest, 02-01
//	keep_yearly 1    over 2026-01-02, 2025-12-31         keeps 2026-01-02
//	keep_daily -1    over two points on each of ten days keeps the newest of each day and the oldest point
//
// Spans keep what started less than so long before the newest point:
//
//	keep_within 2d          over 03-05 02:00, 03-04 02:00, 03-03 02:00 keeps 03-05 and 03-04 (03-03 is exactly 2d back)
//	keep_within_daily 10d   over 03-05 14:00, 03-05 02:00, 03-01, 02-01 keeps 03-05 14:00 and 03-01
//
// A group no rule speaks about keeps all its points: a policy of nothing but
// `wal` says nothing about logical backups.
func (g *group) countSlots(rules *Rules) {
	newest, oldest := -1, -1
	for i := range g.points {
		if g.state[i] == free {
			if newest < 0 {
				newest = i
			}
			oldest = i
		}
	}
	if newest < 0 {
		return
	}
	list := active(rules, g.points[newest].Start)
	walApplies := !rules.WAL.IsZero() && g.points[0].Kind == KindPhysical
	if len(list) == 0 && !walApplies {
		g.keepAllFree()
		return
	}
	why := dropReasons{rules: rules, list: list, wal: walApplies}
	now := calendar{loc: rules.Location}
	for i, p := range g.points {
		if g.state[i] != free {
			continue
		}
		now.at(p.Start, i)
		for r := range list {
			if reason, ok := list[r].take(&now, p.Start, i == oldest); ok {
				g.addReason(i, reason)
				g.by[i] |= list[r].bit
				g.longest[i] = g.tiers.lifted(g.longest[i], list[r].unit, &now)
			}
		}
		if !g.kept(i) {
			g.drop[i] = why.of(&now, p.Start)
		}
	}
}

// take gives the point the calendar stands at a slot of the rule, if it has one
// for it.
func (r *rule) take(now *calendar, start time.Time, isOldest bool) (reason string, ok bool) {
	if !r.covers(start) {
		return "", false
	}
	period := now.number[r.unit]
	fresh := !r.begun || period != r.last
	if !fresh && !isOldest {
		return "", false
	}
	r.last, r.begun, r.oldest = period, true, start
	if r.left > 0 {
		r.left--
	}
	if !fresh {
		return r.oldestReason(), true
	}
	return r.slotReason(now), true
}

func (g *group) keepAllFree() {
	reasons := []string{"no rule of the policy is about " + g.points[0].Kind + " points"}
	for i := range g.points {
		if g.state[i] == free {
			g.keep[i] = reasons
		}
	}
}
