package retention_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// TestTiersAreGivenAsPinned holds the tiers of whole histories in files: what a
// point stands for once its day, week, month and year are over.
func TestTiersAreGivenAsPinned(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	type keep = retention.Keep
	for _, c := range []struct {
		name   string
		zone   string
		points []retention.Point
		rules  keep
		now    string // "" = an hour after the newest point
	}{
		{"tiers-of-three-years", "UTC", series("UTC", "2023-03-01 02:00", "2026-03-20 02:00", day), keep{KeepDaily: 14, KeepWeekly: 8, KeepMonthly: 12, KeepYearly: 7}, ""},
		{"tiers-on-the-first-of-january", "UTC", series("UTC", "2025-10-01 02:00", "2026-01-01 02:00", day), keep{KeepDaily: 5, KeepWeekly: 4, KeepMonthly: 4, KeepYearly: 2}, ""},
		{"tiers-around-iso-week-53", "UTC", series("UTC", "2020-12-14 00:00", "2021-01-05 00:00", day), keep{KeepDaily: 10, KeepWeekly: 5, KeepYearly: 2}, ""},
		{"tiers-around-a-leap-day", "UTC", series("UTC", "2028-01-20 00:00", "2028-03-01 00:00", day), keep{KeepDaily: 7, KeepMonthly: 3}, ""},
		{"tiers-of-many-a-day", "UTC", series("UTC", "2026-01-01 00:00", "2026-01-04 00:30", 45*time.Minute), keep{KeepLast: 4, KeepHourly: 10, KeepDaily: 4}, "2026-01-04 00:30"},
		{"tiers-at-midnight-in-berlin", "Europe/Berlin", series("Europe/Berlin", "2026-03-27 23:30", "2026-03-31 23:30", 12*time.Hour), keep{KeepHourly: 6, KeepDaily: 5, KeepMonthly: 2}, "2026-03-31 22:10"},
		{"tiers-in-autumn-in-new-york", "America/New_York", series("America/New_York", "2026-10-31 20:15", "2026-11-01 04:15", 30*time.Minute), keep{KeepHourly: 8, KeepDaily: 2, KeepMonthly: 2}, ""},
		{"tiers-when-backups-stopped", "UTC", without(series("UTC", "2025-06-01 02:00", "2026-01-10 02:00", 3*day), "2025-07-10", "2025-09-20"), keep{KeepLast: 2, KeepWeekly: 6, KeepMonthly: 12}, "2027-02-01 00:00"},
		{"tiers-of-spans", "UTC", series("UTC", "2025-11-01 02:00", "2026-03-20 02:00", day), keep{KeepWithin: span("3d"), KeepWithinWeekly: span("5w"), KeepWithinMonthly: span("1y")}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			at := c.points[len(c.points)-1].Start.Add(time.Hour)
			if c.now != "" {
				at = moment(t, c.now)
			}
			rules := retention.Rules{Keep: c.rules, Location: location(c.zone)}
			plan := retention.Decide(retention.Input{Points: c.points, Rules: rules, Now: at})
			var b strings.Builder
			writeRules(&b, rules)
			fmt.Fprintf(&b, "now %s\nuploaded as %s\n\n", at.In(rules.Location).Format("Mon 2006-01-02 15:04 MST"), rules.UploadTier())
			for _, d := range plan.Keep {
				fmt.Fprintf(&b, "  %s  %-7s  by %s\n", d.Point.Start.In(rules.Location).Format("Mon 2006-01-02 15:04 MST"), d.Tier, strings.Join(namesOf(d.By), ", "))
			}
			golden(t, c.name, b.String())
		})
	}
}

// namesOf lists the rules of a set in the order of the documentation.
func namesOf(set retention.RuleSet) []string {
	var names []string
	for _, f := range (&retention.Keep{}).Fields() {
		if set.Has(f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestTheUploadTierIsTheShortestPeriodTheRulesDistinguish(t *testing.T) {
	t.Parallel()
	for want, all := range map[string][]retention.Keep{
		"hourly":  {{KeepHourly: 24, KeepYearly: 3}, {KeepLast: 3, KeepHourly: 1}, {KeepWithinHourly: span("2d"), KeepDaily: 7}},
		"daily":   {{}, {KeepLast: 3}, {KeepLast: 3, KeepWeekly: 4}, {KeepDaily: 7, KeepMonthly: 2}, {KeepWithin: span("7d"), KeepYearly: 1}, {WAL: span("7d")}, {KeepWithinDaily: span("1mo")}},
		"weekly":  {{KeepWeekly: 4, KeepMonthly: 2}, {KeepWithinWeekly: span("8w")}},
		"monthly": {{KeepMonthly: retention.All}, {KeepWithinMonthly: span("1y"), KeepYearly: 7}},
		"yearly":  {{KeepYearly: 7}},
	} {
		for _, k := range all {
			if got := (retention.Rules{Keep: k}).UploadTier(); got != want {
				t.Errorf("%+v: uploaded as %s, want %s", k, got, want)
			}
		}
	}
}

func TestARuleSetNamesItsRules(t *testing.T) {
	t.Parallel()
	var k retention.Keep
	var all retention.RuleSet
	for i, f := range k.Fields() {
		one := retention.RuleSet(1 << i)
		if !one.Has(f.Name) || !slices.Equal(namesOf(one), []string{f.Name}) {
			t.Errorf("bit %d is %v, want %s", i, namesOf(one), f.Name)
		}
		all |= one
	}
	if len(namesOf(all)) != len(k.Fields()) || all.Has("keep_nothing") || retention.RuleSet(0).Has("wal") {
		t.Errorf("all rules are %v", namesOf(all))
	}
}

func TestPointsNoRuleDecidesAboutHaveNoTier(t *testing.T) {
	t.Parallel()
	held := func(p *retention.Point) { p.Held = true }
	condemned := func(p *retention.Point) { p.Condemned = true }
	plan := decide([]retention.Point{p("2026-03-05"), p("2026-03-04", held), p("2026-03-03", condemned), p("2026-03-02"), p("2026-03-01")}, retention.Rules{Keep: retention.Keep{KeepDaily: 2}})
	tier := map[string]string{}
	for _, d := range plan.Keep {
		tier[d.Point.Start.Format("02")] = d.Tier
	}
	if want := map[string]string{"05": "daily", "04": "", "03": "", "02": "daily"}; fmt.Sprint(tier) != fmt.Sprint(want) {
		t.Errorf("tiers %v, want %v", tier, want)
	}
	for _, d := range plan.Delete {
		if d.Tier != "" || d.By != 0 {
			t.Errorf("%s goes with tier %q by %v", d.Point.ID, d.Tier, namesOf(d.By))
		}
	}
}

// TestTiersAgreeWithTheRulesTakenOneByOne takes the definition at its word.
func TestTiersAgreeWithTheRulesTakenOneByOne(t *testing.T) {
	t.Parallel()
	longest := []string{"yearly", "monthly", "weekly", "daily", "hourly"}
	rapid.Check(t, func(t *rapid.T) {
		all, rules := drawPoints(t), drawRules(t)
		at := now.Add(time.Duration(rapid.IntRange(0, 24*60).Draw(t, "later")) * time.Hour)
		for _, d := range retention.Decide(retention.Input{Points: all, Rules: rules, Now: at}).Keep {
			want := rules.UploadTier()
			if isAside(*d.Point) && (!d.Point.Start.After(now) || d.Point.Start.After(at.Add(retention.FutureSkew))) {
				want = ""
			}
			for _, tier := range longest {
				if want == "" || !d.By.Has("keep_"+tier) && !d.By.Has("keep_within_"+tier) {
					continue
				}
				if periodName("keep_"+tier, d.Point.Start.In(rules.Location), 0) != periodName("keep_"+tier, at.In(rules.Location), 0) && d.Point.Start.Before(at) {
					want = tier
					break
				}
			}
			if d.Tier != want {
				t.Fatalf("%s of %s by %v at %s: tier %q, want %q", d.Point.ID, d.Point.Start, namesOf(d.By), at, d.Tier, want)
			}
		}
	})
}
