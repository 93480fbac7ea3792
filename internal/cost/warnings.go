package cost

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// Warnings says where a policy makes objects leave a storage class before the
// time that S3 bills at least, and what that costs per GB: by a transition, by
// the ceiling, or because the keep rules let go of them. S3 allows it, so it is
// never an error. Sums are estimates; a zero table leaves them out.
func (t Table) Warnings(d policy.Document) []string {
	var warnings []string
	for _, early := range earlyExits(d) {
		warnings = append(warnings, early.sentence(t))
	}
	return warnings
}

// earlyExit is objects leaving a class before the time that is billed at least.
type earlyExit struct {
	cause string   // the attribute that makes them leave
	tiers []string // whose objects, nil for those of every tier
	class string
	days  int    // they were in the class
	least int    // days billed
	sure  string // what must hold for it, as part of the sentence
}

// sentence says it as a person reads it in a plan.
func (e earlyExit) sentence(t Table) string {
	subject := "a point"
	if e.tiers != nil {
		subject = "a " + strings.Join(e.tiers, " or ") + " point"
		if e.tiers[0] == retention.TierHourly {
			subject = "an" + subject[1:]
		}
	}
	s := fmt.Sprintf("%s: %s leaves %s after %dd%s: %dd are billed", e.cause, subject, e.class, e.days, e.sure, e.least)
	if t.IsZero() {
		return s
	}
	usd := float64(e.least-e.days) / 30 * t.Of(e.class).GBMonth
	return fmt.Sprintf("%s, about %s %s per GB wasted (%s)", s, twoDigits(usd), t.Currency, t)
}

// twoDigits writes a small sum with two digits that mean something: 0.0083.
func twoDigits(usd float64) string {
	if usd <= 0 {
		return "0"
	}
	decimals := max(2, 1-int(math.Floor(math.Log10(usd))))
	return fmt.Sprintf("%.*f", decimals, usd)
}

// earlyExits follows the objects of each tier through their classes to the day
// they are deleted. Tiers that fare alike become one.
func earlyExits(d policy.Document) []earlyExit {
	var all []earlyExit
	for _, tier := range d.Tiers() {
		for _, e := range earlyExitsOf(d, tier) {
			i := slices.IndexFunc(all, func(x earlyExit) bool {
				return x.cause == e.cause && x.class == e.class && x.days == e.days
			})
			if i < 0 {
				all = append(all, e)
				continue
			}
			all[i].tiers = append(all[i].tiers, tier)
		}
	}
	for i := range all {
		if len(all[i].tiers) == len(d.Tiers()) {
			all[i].tiers = nil
		}
	}
	return all
}

func earlyExitsOf(d policy.Document, tier string) []earlyExit {
	var exits []earlyExit
	class, since := d.Storage.UploadClass(tier), 0
	leave := func(day int, cause, sure string) {
		c, err := storageclass.Parse(class)
		if err == nil && day > since && day-since < c.MinimumDays {
			exits = append(exits, earlyExit{cause: cause, tiers: []string{tier}, class: class, days: day - since, least: c.MinimumDays, sure: sure})
		}
	}
	end, mortal := endOf(d, tier)
	for _, t := range d.Storage.TransitionsOf(tier) {
		if mortal && t.Days() >= end.days {
			break // deleted before
		}
		i := slices.IndexFunc(d.Storage.Transitions, func(x policy.Transition) bool {
			return x.Class == t.Class && x.IsFor(tier) // a tier enters a class once
		})
		leave(t.Days(), fmt.Sprintf("storage.transitions[%d]", i), "")
		class, since = t.Class, t.Days()
	}
	if mortal {
		leave(end.days, end.cause, end.sure)
	}
	return exits
}

// ending is when the last rule lets go of the points of a tier.
type ending struct {
	days  int
	cause string // the attribute
	sure  string // what must hold for it, as part of a sentence
}

// endOf gives the age at which points of a tier are deleted at the latest, and
// false when the rules do not say. A count of periods is as long as it says
// when every period has a backup, which the sentence then mentions; a count of
// points is taken as so many periods of the shortest tier.
func endOf(d policy.Document, tier string) (ending, bool) {
	tiers := retention.Tiers()
	upload := retention.Rules{Keep: d.Retention}.UploadTier()
	longest := ending{}
	for _, f := range d.Retention.Fields() {
		if f.Value() == "off" {
			continue
		}
		period := f.Name[strings.LastIndexByte(f.Name, '_')+1:]
		if !slices.Contains(tiers, period) {
			period = upload
		}
		if slices.Index(tiers, period) > slices.Index(tiers, tier) {
			continue // keeps points of a longer tier only
		}
		end := ending{cause: "retention." + f.Name}
		switch {
		case f.Span != nil:
			end.days = days(f.Span.Approx())
			if f.Name == "wal" {
				end.days += lasts(1, upload) // the base backup is older than the span
			}
		case *f.Count == retention.All:
			return ending{}, false
		default:
			end.days = lasts(*f.Count, period)
			end.sure = " with a backup every " + units[period]
		}
		if end.days > longest.days {
			longest = end
		}
	}
	if limit := d.Storage.ExpireAfter; !limit.IsZero() && days(limit.Approx()) < longest.days {
		longest = ending{days: days(limit.Approx()), cause: "storage.expire_after"}
	}
	return longest, longest.days > 0
}

const day = 24 * time.Hour

// days rounds up: what lasts an hour lasts into the first day.
func days(d time.Duration) int { return int((d + day - 1) / day) }

// lasts is how many days so many periods of a tier take, rounded up. In days,
// because a million years are more nanoseconds than can be counted.
func lasts(count int, tier string) int {
	if tier == retention.TierHourly {
		return (count + 23) / 24
	}
	return count * periods[tier]
}

// periods are the lengths of the longer tiers in days.
var periods = map[string]int{
	retention.TierDaily: 1, retention.TierWeekly: 7, retention.TierMonthly: 30, retention.TierYearly: 365,
}

var units = map[string]string{
	retention.TierHourly: "hour", retention.TierDaily: "day", retention.TierWeekly: "week", retention.TierMonthly: "month", retention.TierYearly: "year",
}
