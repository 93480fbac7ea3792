package retention

import "time"

// The tiers of kept points, by the longest calendar period a point stands for.
// Storage classes and transitions are chosen by them.
const (
	TierHourly  = "hourly"
	TierDaily   = "daily"
	TierWeekly  = "weekly"
	TierMonthly = "monthly"
	TierYearly  = "yearly"
)

// Tiers lists the tiers, shortest period first.
func Tiers() []string {
	return []string{TierHourly, TierDaily, TierWeekly, TierMonthly, TierYearly}
}

// tierOf is the tier that a unit makes; a unit of single points makes none.
func (u unit) tier() string {
	return [...]string{"", TierHourly, TierDaily, TierWeekly, TierMonthly, TierYearly}[u]
}

// UploadTier is the tier of a point nothing is known of but that it is new: the
// shortest period the rules distinguish. keep_last, keep_within and wal keep
// points one by one, which is what daily points are for most people.
//
//	keep_last 3, keep_weekly 4    daily
//	keep_hourly 24, keep_daily 7  hourly
//	keep_monthly 12               monthly
func (r Rules) UploadTier() string {
	shortest := year + 1
	for _, f := range r.Fields() {
		if !f.set() {
			continue
		}
		u, known := unitOf[f.Name]
		if !known || u == point { // wal, keep_last, keep_within
			u = day
		}
		shortest = min(shortest, u)
	}
	if shortest > year {
		return TierDaily
	}
	return shortest.tier()
}

// tiers finds the tier of the kept points of a group: the longest period among
// the rules that keep the point and whose calendar period is over. Today's point
// is the newest of this year too, but tomorrow's will be: it is daily until the
// year has ended.
//
// Example, keep_daily 7, keep_monthly 12, keep_yearly 7 on 2026-03-20:
// 03-20 and 03-19 are daily, 02-28 is monthly, 2025-12-31 is yearly.
type tiers struct {
	now    calendar
	over   [year + 1]int64 // periods before these numbers are over
	upload string
}

func newTiers(rules *Rules, now time.Time) tiers {
	t := tiers{now: calendar{loc: rules.Location}, upload: rules.UploadTier()}
	t.now.at(now, 0)
	t.over = t.now.number
	return t
}

// lifted is the longer of what a point has and what a rule of unit u makes of
// the point the calendar stands at.
func (t *tiers) lifted(has, u unit, at *calendar) unit {
	if u > has && at.number[u] < t.over[u] {
		return u
	}
	return has
}

// name is the tier of a kept point that the rules made u of.
func (t *tiers) name(u unit) string {
	if u == point {
		return t.upload
	}
	return u.tier()
}
