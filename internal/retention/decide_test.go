package retention_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// p makes a verified logical point of source "db" whose id is its start, given
// as "2006-01-02" or "2006-01-02 15:04" in UTC.
func p(start string, change ...func(*retention.Point)) retention.Point {
	layout := "2006-01-02 15:04"
	t, err := time.Parse(layout[:len(start)], start)
	if err != nil {
		panic(err)
	}
	point := retention.Point{ID: start, Source: "db", Kind: "logical", Start: t, End: t.Add(time.Hour), Verified: true}
	for _, c := range change {
		c(&point)
	}
	return point
}

func held(x *retention.Point)       { x.Held = true }
func locked(x *retention.Point)     { x.Locked = true }
func condemned(x *retention.Point)  { x.Condemned = true }
func unreadable(x *retention.Point) { x.Unreadable, x.Verified = true, false }
func unverified(x *retention.Point) { x.Verified = false }
func physical(x *retention.Point)   { x.Kind = retention.KindPhysical }
func parent(id string) func(*retention.Point) {
	return func(x *retention.Point) { x.Parent = id }
}

func points(starts ...string) []retention.Point {
	var all []retention.Point
	for _, s := range starts {
		all = append(all, p(s))
	}
	return all
}

func ids(decisions []retention.Decision) []string {
	var all []string
	for _, d := range decisions {
		all = append(all, d.Point.ID)
	}
	return all
}

func reasons(plan retention.Plan) map[string]string {
	all := map[string]string{}
	for _, d := range slices.Concat(plan.Keep, plan.Delete) {
		all[d.Point.ID] = strings.Join(d.Reasons, "; ")
	}
	return all
}

var (
	now  = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	span = duration.MustParse
)

func location(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return loc
}

// TestEachRuleKeepsWhatItsExampleSays holds the examples above countSlots,
// setAside, pinNewest, pinWALBases and pinParents.
func TestEachRuleKeepsWhatItsExampleSays(t *testing.T) {
	t.Parallel()
	type keep = retention.Keep
	for _, c := range []struct {
		name   string
		rules  retention.Rules
		points []retention.Point
		want   []string
	}{
		{"keep_last", retention.Rules{Keep: keep{KeepLast: 2}}, points("2026-03-05", "2026-03-04", "2026-03-03"), []string{"2026-03-05", "2026-03-04"}},
		{
			"keep_hourly", retention.Rules{Keep: keep{KeepHourly: 2}}, points("2026-03-05 04:50", "2026-03-05 04:10", "2026-03-05 03:30", "2026-03-05 01:00"),
			[]string{"2026-03-05 04:50", "2026-03-05 03:30"},
		},
		{
			"keep_daily", retention.Rules{Keep: keep{KeepDaily: 3}}, points("2026-03-05 14:00", "2026-03-05 02:00", "2026-03-03", "2026-03-01", "2026-02-20"),
			[]string{"2026-03-05 14:00", "2026-03-03", "2026-03-01"},
		},
		{"keep_weekly", retention.Rules{Keep: keep{KeepWeekly: 2}}, points("2026-03-09", "2026-03-08", "2026-03-02", "2026-03-01"), []string{"2026-03-09", "2026-03-08"}},
		{
			"keep_monthly and the oldest", retention.Rules{Keep: keep{KeepMonthly: 12}}, points("2026-03-05", "2026-02-28", "2026-02-14", "2026-02-01"),
			[]string{"2026-03-05", "2026-02-28", "2026-02-01"},
		},
		{"keep_yearly", retention.Rules{Keep: keep{KeepYearly: 1}}, points("2026-01-02", "2025-12-31"), []string{"2026-01-02"}},
		{
			"keep_daily -1", retention.Rules{Keep: keep{KeepDaily: retention.All}}, points("2026-03-05 14:00", "2026-03-05 02:00", "2026-03-04 14:00", "2026-03-04 02:00", "2026-03-04 01:00"),
			[]string{"2026-03-05 14:00", "2026-03-04 14:00", "2026-03-04 01:00"},
		},
		{
			"keep_within is exclusive at its end", retention.Rules{Keep: keep{KeepWithin: span("2d")}}, points("2026-03-05 02:00", "2026-03-04 02:00", "2026-03-03 02:00"),
			[]string{"2026-03-05 02:00", "2026-03-04 02:00"},
		},
		{
			"keep_within_daily", retention.Rules{Keep: keep{KeepWithinDaily: span("10d")}}, points("2026-03-05 14:00", "2026-03-05 02:00", "2026-03-01", "2026-02-01"),
			[]string{"2026-03-05 14:00", "2026-03-01"},
		},
		{
			"keep_within counts from the newest point, not from now", retention.Rules{Keep: keep{KeepWithin: span("2d")}}, points("2020-03-05", "2020-03-04", "2020-03-01"),
			[]string{"2020-03-05", "2020-03-04"},
		},
		{
			"keep_within_monthly goes by the calendar", retention.Rules{Keep: keep{KeepWithinMonthly: span("2mo")}}, points("2025-03-31", "2025-03-01", "2025-02-01", "2025-01-31", "2025-01-30"),
			[]string{"2025-03-31", "2025-02-01"},
		},
		{
			"rules are OR-ed", retention.Rules{Keep: keep{KeepLast: 1, KeepMonthly: 2}}, points("2026-03-05", "2026-03-04", "2026-02-28", "2026-01-31"),
			[]string{"2026-03-05", "2026-02-28"},
		},
		{
			"days begin in the time zone of the policy", retention.Rules{Keep: keep{KeepDaily: 2}, Location: location("America/New_York")}, points("2026-03-05 06:00", "2026-03-05 04:00", "2026-03-04 06:00", "2026-03-04 04:00"),
			[]string{"2026-03-05 06:00", "2026-03-05 04:00"}, // 1 a.m. on the 5th and 11 p.m. on the 4th
		},
		{
			"the hour that comes twice is one hour", retention.Rules{Keep: keep{KeepHourly: 2}, Location: location("Europe/Berlin")}, points("2025-10-26 01:30", "2025-10-26 00:30", "2025-10-25 23:30", "2025-10-25 22:30"),
			[]string{"2025-10-26 01:30", "2025-10-25 23:30"},
		},
		{
			"ISO week 53 goes over the year", retention.Rules{Keep: keep{KeepWeekly: 2}}, points("2021-01-04", "2021-01-03", "2020-12-28", "2020-12-27"),
			[]string{"2021-01-04", "2021-01-03"},
		},
		{
			"what is set aside uses no slot", retention.Rules{Keep: keep{KeepLast: 2}},
			[]retention.Point{p("2031-01-01"), p("2026-03-05"), p("2026-03-04", held), p("2026-03-03"), p("2026-03-02")},
			[]string{"2031-01-01", "2026-03-05", "2026-03-04", "2026-03-03"},
		},
		{
			"what is set aside anchors no span", retention.Rules{Keep: keep{KeepWithin: span("3d")}},
			[]retention.Point{p("2031-01-01"), p("2026-03-19", held), p("2026-03-18", locked), p("2026-03-17", condemned), p("2026-03-16", unreadable), p("2026-03-05"), p("2026-03-03"), p("2026-03-01")},
			[]string{"2031-01-01", "2026-03-19", "2026-03-18", "2026-03-17", "2026-03-16", "2026-03-05", "2026-03-03"},
		},
		{
			"a point slightly ahead of the clock counts", retention.Rules{Keep: keep{KeepLast: 1}}, points("2026-03-20 12:09", "2026-03-20 11:00"),
			[]string{"2026-03-20 12:09"},
		},
		{
			"an incremental keeps its parents", retention.Rules{Keep: keep{KeepLast: 1}},
			[]retention.Point{p("2026-03-01"), p("2026-03-02", parent("2026-03-01")), p("2026-03-03", parent("2026-03-02")), p("2026-02-01")},
			[]string{"2026-03-03", "2026-03-02", "2026-03-01"},
		},
		{
			"the ceiling spares the newest verified", retention.Rules{Keep: keep{KeepLast: 1}, ExpireAfter: span("10d")},
			[]retention.Point{p("2026-03-03", unverified), p("2026-03-02"), p("2026-03-01")},
			[]string{"2026-03-02"},
		},
		{
			"the ceiling spares the newest when nothing is verified", retention.Rules{Keep: keep{KeepLast: 3}, ExpireAfter: span("10d")},
			[]retention.Point{p("2026-03-03", unverified), p("2026-03-02", unverified)},
			[]string{"2026-03-03"},
		},
		{
			"the ceiling takes no parent of what stays", retention.Rules{Keep: keep{KeepLast: 5}, ExpireAfter: span("10d")},
			[]retention.Point{p("2026-03-15", parent("2026-03-01")), p("2026-03-01"), p("2026-02-28")},
			[]string{"2026-03-15", "2026-03-01"},
		},
		{
			"an unverified newest point does not replace the verified one", retention.Rules{Keep: keep{KeepLast: 1}},
			[]retention.Point{p("2026-03-05", unverified), p("2026-03-04"), p("2026-03-03")},
			[]string{"2026-03-05", "2026-03-04"},
		},
		{
			"a verified point without its parent does not stand in for a whole one", retention.Rules{Keep: keep{KeepLast: 1}},
			[]retention.Point{p("2026-03-05", parent("gone")), p("2026-03-04"), p("2026-03-03")},
			[]string{"2026-03-05", "2026-03-04"},
		},
		{"without rules nothing goes", retention.Rules{}, points("2026-03-05", "2020-03-04"), []string{"2026-03-05", "2020-03-04"}},
		{"wal says nothing about logical points", retention.Rules{Keep: keep{WAL: span("7d")}}, points("2026-03-05", "2020-03-04"), []string{"2026-03-05", "2020-03-04"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			plan := retention.Decide(retention.Input{Points: c.points, Rules: c.rules, Now: now})
			if got := ids(plan.Keep); !slices.Equal(got, c.want) {
				t.Errorf("keeps %v\n want %v\nreasons %v", got, c.want, reasons(plan))
			}
		})
	}
}

func TestWALKeepsTheBaseBackupTheWindowNeeds(t *testing.T) {
	t.Parallel()
	bases := []retention.Point{p("2026-03-01", physical), p("2026-03-08", physical), p("2026-03-12", physical), p("2026-03-15", physical), p("2026-03-19", physical)}
	archived := time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name     string
		points   []retention.Point
		archived time.Time
		wal      string
		base     string
		want     []string // the newest verified is always there
	}{
		{"newest base that ended before the window", bases, archived, "7d", "2026-03-12", []string{"2026-03-19", "2026-03-12"}},
		{"a base that ended inside the window does not do", []retention.Point{p("2026-03-13 11:30", physical), p("2026-03-10", physical)}, archived, "7d", "2026-03-10", []string{"2026-03-13 11:30", "2026-03-10"}},
		{"history shorter than the window keeps the oldest", bases, archived, "30d", "2026-03-01", []string{"2026-03-19", "2026-03-01"}},
		{"a stopped archive ages nothing out", bases, archived.AddDate(0, 0, -10), "1d", "2026-03-08", []string{"2026-03-19", "2026-03-08"}},
		{"an archive dated in the future does not move the window", bases, archived.AddDate(5, 0, 0), "2d", "2026-03-15", []string{"2026-03-19", "2026-03-15"}},
		{"an unknown archive counts from the newest base", bases, time.Time{}, "2d", "2026-03-15", []string{"2026-03-19", "2026-03-15"}},
		{
			"a bad base does not do", []retention.Point{p("2026-03-01", physical), p("2026-03-12", physical, condemned), p("2026-03-19", physical)}, archived, "7d", "2026-03-01",
			[]string{"2026-03-19", "2026-03-12", "2026-03-01"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			plan := retention.Decide(retention.Input{
				Points: c.points, Rules: retention.Rules{Keep: retention.Keep{WAL: span(c.wal)}}, Now: now,
				Archives: map[retention.Server]retention.Archive{{Source: "db"}: {Newest: c.archived}},
			})
			if got := ids(plan.Keep); !slices.Equal(got, c.want) {
				t.Errorf("keeps %v, want %v: %v", got, c.want, reasons(plan))
			}
			if w := plan.Windows[retention.Server{Source: "db"}]; len(w) == 0 || w[len(w)-1].ID != c.base {
				t.Errorf("the window begins with %v, want %s", w, c.base)
			}
			if !strings.Contains(reasons(plan)[c.base], "needed for point-in-time recovery") {
				t.Errorf("reason is %q", reasons(plan)[c.base])
			}
		})
	}
}

func TestSourcesAndKindsAreDecidedApart(t *testing.T) {
	t.Parallel()
	all := points("2026-03-05", "2026-03-04")
	for i, p := range points("2026-03-03", "2026-03-02") {
		p.ID, p.Kind = fmt.Sprintf("globals %d", i), "globals"
		all = append(all, p)
	}
	for i, p := range points("2026-03-01", "2026-02-02") {
		p.ID, p.Source = fmt.Sprintf("another %d", i), "another"
		all = append(all, p)
	}
	plan := retention.Decide(retention.Input{Points: all, Rules: retention.Rules{Keep: retention.Keep{KeepLast: 1}}, Now: now})
	if got, want := ids(plan.Keep), []string{"another 0", "globals 0", "2026-03-05"}; !slices.Equal(got, want) {
		t.Errorf("keeps %v, want %v", got, want)
	}
}

func TestClocksThatJumpDeleteNothingNew(t *testing.T) {
	t.Parallel()
	all := points("2026-03-05", "2026-03-04", "2026-03-03")
	rules := retention.Rules{Keep: retention.Keep{KeepLast: 3, KeepWithin: span("30d")}}
	for _, clock := range []time.Time{now, now.AddDate(50, 0, 0), now.AddDate(-50, 0, 0), {}} {
		if plan := retention.Decide(retention.Input{Points: all, Rules: rules, Now: clock}); len(plan.Delete) != 0 {
			t.Errorf("at %s deletes %v", clock, reasons(plan))
		}
	}
	rules.ExpireAfter = span("60d")
	plan := retention.Decide(retention.Input{Points: all, Rules: rules, Now: now.AddDate(50, 0, 0)})
	if got := ids(plan.Keep); !slices.Equal(got, []string{"2026-03-05"}) {
		t.Errorf("with a ceiling and a clock 50 years ahead keeps %v: %v", got, reasons(plan))
	}
}

func TestDoubtfulPointsAreKeptAndSaidSo(t *testing.T) {
	t.Parallel()
	twin := p("2026-03-05")
	twin.Start = twin.Start.AddDate(0, 0, -1)
	nameless, timeless := p("2026-03-06"), p("2026-03-07")
	nameless.ID, timeless.Start = "", time.Time{}
	all := []retention.Point{
		twin, p("2026-03-05"), nameless, timeless, p("2031-03-05"),
		p("2026-03-10"), p("2026-03-09", held, locked), p("2026-03-08", condemned), p("2026-03-04", unreadable), p("2026-03-03"),
		p("2026-03-02", parent("gone"), held), p("2026-03-01", parent("2026-02-28"), held), p("2026-02-28", parent("2026-03-01")),
	}
	plan := retention.Decide(retention.Input{Points: all, Rules: retention.Rules{Keep: retention.Keep{KeepLast: 1}}, Now: now})
	want := map[string]string{
		"":           "has no id: kept until someone looks",
		"2026-03-05": "another point carries the same id: kept until someone looks",
		"2026-03-07": "has no start time: kept until someone looks",
		"2031-03-05": "dated in the future (2031-03-05T00:00:00Z): kept until clocks are checked",
		"2026-03-10": "last 1 of 1; newest verified recovery point",
		"2026-03-09": "held; locked by the store",
		"2026-03-08": "found bad: kept until someone looks",
		"2026-03-04": "unreadable: kept until someone looks",
		"2026-03-03": "older than keep_last 1 (back to 2026-03-10 00:00)",
		"2026-03-02": "held; its parent gone is missing: it cannot be restored",
		"2026-03-01": "held; parent of 2026-02-28",
		"2026-02-28": "parent of 2026-03-01",
	}
	got := reasons(plan)
	for id, reason := range want {
		if got[id] != reason {
			t.Errorf("%q: %q, want %q", id, got[id], reason)
		}
	}
	if ids := ids(plan.Delete); !slices.Equal(ids, []string{"2026-03-03"}) {
		t.Errorf("deletes %v", ids)
	}
}

func TestReasonsSayWhichRuleAndHowFarItReaches(t *testing.T) {
	t.Parallel()
	rules := retention.Rules{
		Keep:        retention.Keep{KeepLast: 1, KeepDaily: 2, KeepWeekly: 12, KeepWithin: span("1d"), KeepWithinMonthly: span("1y")},
		ExpireAfter: span("90d"),
	}
	plan := retention.Decide(retention.Input{
		Points: points("2026-03-19 02:00", "2026-03-19 01:00", "2026-03-18 02:00", "2026-03-17", "2026-03-16", "2026-03-01", "2026-02-28", "2025-12-01"),
		Rules:  rules, Now: now,
	})
	want := map[string]string{
		"2026-03-19 02:00": "last 1 of 1; daily 1 of 2 (2026-03-19); weekly 1 of 12 (2026-W12); within 1d of the newest point; monthly within 1y of the newest point (2026-03); newest verified recovery point",
		"2026-03-19 01:00": "within 1d of the newest point",
		"2026-03-18 02:00": "daily 2 of 2 (2026-03-18)",
		"2026-03-17":       "older than keep_last 1 (back to 2026-03-19 02:00); older than keep_daily 2 (back to 2026-03-18); not the newest of its week (keep_weekly 12); older than keep_within 1d (back to 2026-03-18 02:00); not the newest of its month (keep_within_monthly 1y)",
		"2026-03-01":       "weekly 2 of 12 (2026-W09)",
		"2026-02-28":       "oldest point, history is shorter than keep_weekly 12; monthly within 1y of the newest point (2026-02)",
		"2025-12-01":       "older than expire_after 90d (2025-12-20)",
	}
	got := reasons(plan)
	for id, reason := range want {
		if got[id] != reason {
			t.Errorf("%s:\n got %s\nwant %s", id, got[id], reason)
		}
	}
}

func TestDecideOfNothingIsAnEmptyPlan(t *testing.T) {
	t.Parallel()
	plan := retention.Decide(retention.Input{Rules: retention.Rules{Keep: retention.Keep{KeepLast: 1}}, Now: now})
	if len(plan.Keep)+len(plan.Delete)+len(plan.Windows) != 0 {
		t.Errorf("%+v", plan)
	}
}
