package retention

import (
	"fmt"
	"strconv"
	"time"
)

// Reasons that are the same for every point.
const (
	reasonHeld       = "held"
	reasonLocked     = "locked by the store"
	reasonCondemned  = "found bad: kept until someone looks"
	reasonUnreadable = "unreadable: kept until someone looks"
	reasonNoStart    = "has no start time: kept until someone looks"
	reasonNoID       = "has no id: kept until someone looks"
	reasonSameID     = "another point carries the same id: kept until someone looks"

	pinPrefix                 = "newest "
	reasonNewestVerified      = pinPrefix + "verified recovery point"
	reasonNewestVerifiedFree  = pinPrefix + "verified recovery point that is neither held nor locked"
	reasonNewestVerifiedWhole = pinPrefix + "verified recovery point whose parents are all there"
	reasonNewest              = pinPrefix + "recovery point, none is verified"
	reasonNewestFree          = pinPrefix + "recovery point that is neither held nor locked, none is verified"
	reasonNewestWhole         = pinPrefix + "recovery point whose parents are all there, none is verified"
)

func futureReason(start time.Time) string {
	return "dated in the future (" + start.UTC().Format(time.RFC3339) + "): kept until clocks are checked"
}

func expiredReason(rules *Rules, bound time.Time) string {
	return fmt.Sprintf("older than expire_after %s (%s)", rules.ExpireAfter, bound.In(rules.Location).Format(time.DateOnly))
}

func walReason(rules *Rules, bound time.Time) string {
	return fmt.Sprintf("needed for point-in-time recovery: wal %s reaches back to %s", rules.WAL, bound.In(rules.Location).Format("2006-01-02 15:04"))
}

func walShortReason(rules *Rules) string {
	return fmt.Sprintf("needed for point-in-time recovery: oldest base backup, history is shorter than wal %s", rules.WAL)
}

func walGapReason(gap Range) string {
	return fmt.Sprintf("needed for point-in-time recovery: the archived WAL has a gap before it (%s to %s)", gap.From, gap.To)
}

func serverReason(server Server) string {
	return "the newest base backup of the server with system identifier " + server.System + ", which still archives WAL under this source"
}

func lineReason(line Line) string {
	return fmt.Sprintf("the newest base backup that leads to timeline %d", line.ID)
}

func parentReason(child string, children int) string {
	if children == 1 {
		return "parent of " + child
	}
	return "parent of " + child + " and " + strconv.Itoa(children-1) + " more"
}

// label is the unit as an adjective.
func (u unit) label() string {
	return [...]string{"last", "hourly", "daily", "weekly", "monthly", "yearly"}[u]
}

// noun is the unit as a period of time.
func (u unit) noun() string {
	return [...]string{"", "hour", "day", "week", "month", "year"}[u]
}

// slotReason says which slot the point takes: "daily 3 of 30 (2026-03-01)". It
// is made for every kept point, hence no fmt.
func (r *rule) slotReason(now *calendar) string {
	if r.spans() && r.unit == point {
		return r.withinText()
	}
	b := make([]byte, 0, 48)
	b = append(b, r.unit.label()...)
	switch {
	case r.spans():
		b = append(b, ' ')
		b = append(b, r.withinText()...)
	case r.count == All:
		b = append(b, ", all kept"...)
	default:
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(r.count-r.left), 10)
		b = append(b, " of "...)
		b = strconv.AppendInt(b, int64(r.count), 10)
	}
	if r.unit != point {
		b = append(b, " ("...)
		b = r.unit.appendPeriod(b, now.local)
		b = append(b, ')')
	}
	return string(b)
}

func (r *rule) withinText() string { return "within " + r.value + " of the newest point" }

// oldestReason is for the oldest point of a rule with slots to spare.
func (r *rule) oldestReason() string {
	switch {
	case r.spans():
		return "oldest point, within reach of " + r.name + " " + r.value
	case r.count == All:
		return "oldest point, " + r.name + " keeps all"
	}
	return "oldest point, history is shorter than " + r.name + " " + r.value
}

// appendPeriod names the period t is in: 2026-03-01, 2026-W09, 2026-03, 2026.
func (u unit) appendPeriod(b []byte, t time.Time) []byte {
	switch u {
	case hour:
		return t.AppendFormat(b, "2006-01-02 15h")
	case day:
		return t.AppendFormat(b, time.DateOnly)
	case week:
		y, w := t.ISOWeek()
		return fmt.Appendf(b, "%d-W%02d", y, w)
	case month:
		return t.AppendFormat(b, "2006-01")
	case year:
		return t.AppendFormat(b, "2006")
	}
	return b
}

// dropReasons makes the reasons to delete. Neighbours go for the same reasons,
// so the sentences are made once for each combination and shared.
type dropReasons struct {
	rules *Rules
	list  []rule
	wal   bool

	lastMask uint32
	last     []string
	made     map[uint32][]string
}

// of says, rule by rule, why it does not keep the point the calendar stands at:
// either the rule does not reach so far back, or a newer point has the slot of
// that period.
func (d *dropReasons) of(now *calendar, start time.Time) []string {
	var shadowed uint32 // bit r: rule r has given the slot of this period away
	for i := range d.list {
		r := &d.list[i]
		if r.begun && now.number[r.unit] == r.last && (!r.spans() || r.covers(start)) {
			shadowed |= 1 << i
		}
	}
	if d.last != nil && shadowed == d.lastMask {
		return d.last
	}
	reasons, ok := d.made[shadowed]
	if !ok {
		reasons = d.sentences(shadowed)
		if d.made == nil {
			d.made = map[uint32][]string{}
		}
		d.made[shadowed] = reasons
	}
	d.lastMask, d.last = shadowed, reasons
	return reasons
}

func (d *dropReasons) sentences(shadowed uint32) []string {
	var out []string
	for i := range d.list {
		r := &d.list[i]
		switch {
		case shadowed&(1<<i) != 0:
			out = append(out, "not the newest of its "+r.unit.noun()+" ("+r.name+" "+r.value+")")
		case r.spans():
			out = append(out, r.beyond(r.bound.In(d.rules.Location)))
		default:
			out = append(out, r.beyond(r.oldest.In(d.rules.Location)))
		}
	}
	if d.wal {
		out = append(out, "not the base backup wal "+d.rules.WAL.String()+" needs")
	}
	return out
}

// beyond says that a rule ends before it gets to the point.
func (r *rule) beyond(reach time.Time) string {
	layout := time.DateOnly
	if r.unit <= hour {
		layout = "2006-01-02 15:04"
	}
	return "older than " + r.name + " " + r.value + " (back to " + reach.Format(layout) + ")"
}
