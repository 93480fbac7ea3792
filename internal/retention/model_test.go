package retention_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// periodName names the calendar period of a rule the slow and obvious way.
func periodName(rule string, t time.Time, position int) string {
	switch rule {
	case "keep_hourly", "keep_within_hourly":
		return t.Format("2006-01-02 15")
	case "keep_daily", "keep_within_daily":
		return t.Format(time.DateOnly)
	case "keep_weekly", "keep_within_weekly":
		y, w := t.ISOWeek()
		return fmt.Sprint(y, "-", w)
	case "keep_monthly", "keep_within_monthly":
		return t.Format("2006-01")
	case "keep_yearly", "keep_within_yearly":
		return t.Format("2006")
	}
	return fmt.Sprint(position)
}

// modelKeeps is the rule as it is documented, taken alone: the newest
// point of each period, until the periods are used up, and the oldest point if
// they never are.
func modelKeeps(all []retention.Point, f retention.Field, loc *time.Location) []string {
	var kept []string
	seen := map[string]bool{}
	for i, p := range all {
		period := periodName(f.Name, p.Start.In(loc), i)
		oldest := i == len(all)-1
		switch {
		case f.Span != nil && (f.Span.IsZero() || !p.Start.After(f.Span.SubtractFrom(all[0].Start, loc))):
		case f.Count != nil && *f.Count != retention.All && len(seen) >= *f.Count:
		case !seen[period] || oldest:
			seen[period] = true
			kept = append(kept, p.ID)
		}
	}
	return kept
}

func TestDecideAgreesWithTheRulesTakenOneByOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var all []retention.Point
		start := now.Add(-time.Duration(rapid.IntRange(0, 24*800).Draw(t, "age")) * time.Hour)
		for i := range rapid.IntRange(1, 120).Draw(t, "points") {
			all = append(all, retention.Point{ID: fmt.Sprintf("p%03d", i), Source: "s", Kind: "logical", Start: start, Verified: true})
			start = start.Add(-time.Duration(rapid.SampledFrom([]int{20, 60, 7 * 60, 24 * 60, 24 * 60, 3 * 24 * 60, 40 * 24 * 60}).Draw(t, "minutes")) * time.Minute)
		}
		rules := drawRules(t)
		want := map[string]bool{all[0].ID: true} // law 3
		for _, f := range rules.Fields() {
			if f.Name == "wal" {
				continue
			}
			for _, id := range modelKeeps(all, f, rules.Location) {
				want[id] = true
			}
		}
		got := keptSet(decide(all, rules))
		for _, p := range all {
			if got[p.ID] != want[p.ID] {
				t.Fatalf("%s (%s): decided %v, by the rules %v", p.ID, p.Start.In(rules.Location), got[p.ID], want[p.ID])
			}
		}
		if !slices.IsSortedFunc(decide(all, rules).Keep, func(a, b retention.Decision) int { return b.Point.Start.Compare(a.Point.Start) }) {
			t.Fatal("not newest first")
		}
	})
}
