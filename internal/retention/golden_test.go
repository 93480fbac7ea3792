package retention_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

var update = flag.Bool("update", false, "write the golden files from what Decide says now")

// series gives points every so often between two days in a zone, both included.
func series(zone, from, to string, every time.Duration) []retention.Point {
	loc := location(zone)
	start, err := time.ParseInLocation("2006-01-02 15:04", from, loc)
	if err != nil {
		panic(err)
	}
	end, err := time.ParseInLocation("2006-01-02 15:04", to, loc)
	if err != nil {
		panic(err)
	}
	var all []retention.Point
	for t := start; !t.After(end); t = t.Add(every) {
		all = append(all, retention.Point{
			ID: t.UTC().Format("20060102T150405Z"), Source: "db", Kind: "logical", Start: t, End: t.Add(time.Hour), Verified: true,
		})
	}
	return all
}

func without(all []retention.Point, from, to string) []retention.Point {
	var rest []retention.Point
	for _, p := range all {
		if d := p.Start.UTC().Format(time.DateOnly); d < from || d > to {
			rest = append(rest, p)
		}
	}
	return rest
}

// TestHistoriesAreDecidedAsPinned holds whole histories, with every reason, in
// files a person can read. After a wanted change: go test -update, then read the
// difference.
func TestHistoriesAreDecidedAsPinned(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	type keep = retention.Keep
	for _, c := range []struct {
		name   string
		zone   string
		points []retention.Point
		rules  keep
	}{
		{"two-years-of-daily", "UTC", series("UTC", "2024-03-01 02:00", "2026-03-01 02:00", day), keep{KeepLast: 3, KeepDaily: 30, KeepWeekly: 12, KeepMonthly: 12, KeepYearly: 7}},
		{"spring-in-berlin", "Europe/Berlin", series("Europe/Berlin", "2026-03-28 20:15", "2026-03-30 03:15", time.Hour), keep{KeepHourly: 28, KeepDaily: 3}},
		{"autumn-in-berlin", "Europe/Berlin", series("Europe/Berlin", "2026-10-24 20:15", "2026-10-26 03:15", 30*time.Minute), keep{KeepHourly: 28, KeepDaily: 3}},
		{"spring-in-new-york", "America/New_York", series("America/New_York", "2026-03-07 20:15", "2026-03-09 03:15", time.Hour), keep{KeepHourly: 28, KeepDaily: 3}},
		{"autumn-in-new-york", "America/New_York", series("America/New_York", "2026-10-31 20:15", "2026-11-02 03:15", 30*time.Minute), keep{KeepHourly: 28, KeepDaily: 3}},
		{"leap-days", "UTC", series("UTC", "2027-12-25 00:00", "2028-03-05 00:00", day), keep{KeepMonthly: 3, KeepWithinDaily: span("1mo"), KeepWithinMonthly: span("1y")}},
		{"iso-week-53", "UTC", series("UTC", "2020-12-14 00:00", "2021-01-20 00:00", day), keep{KeepWeekly: 5, KeepYearly: 2}},
		{"irregular-gaps", "UTC", without(without(series("UTC", "2025-06-01 02:00", "2026-01-10 02:00", 3*day), "2025-07-10", "2025-09-20"), "2025-12-01", "2025-12-28"), keep{KeepDaily: 5, KeepWeekly: 6, KeepMonthly: 12}},
		{"many-a-day", "UTC", series("UTC", "2026-01-01 00:00", "2026-01-04 00:00", 45*time.Minute), keep{KeepLast: 4, KeepHourly: 10, KeepDaily: 2, KeepWithinHourly: span("6h")}},
		{"all-of-a-short-history", "UTC", series("UTC", "2026-01-01 00:00", "2026-01-20 00:00", 12*time.Hour), keep{KeepWeekly: retention.All, KeepYearly: 7}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			last := c.points[len(c.points)-1].Start
			rules := retention.Rules{Keep: c.rules, Location: location(c.zone)}
			got := render(retention.Decide(retention.Input{Points: c.points, Rules: rules, Now: last.Add(time.Hour)}), rules)
			golden(t, c.name, got)
		})
	}
}

// golden compares what was decided with the file of that name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

func render(plan retention.Plan, rules retention.Rules) string {
	var b strings.Builder
	writeRules(&b, rules)
	for _, part := range []struct {
		title     string
		decisions []retention.Decision
	}{{"keep", plan.Keep}, {"delete", plan.Delete}} {
		fmt.Fprintf(&b, "\n%s %d\n", part.title, len(part.decisions))
		for _, d := range part.decisions {
			fmt.Fprintf(&b, "  %s  %s\n", d.Point.Start.In(rules.Location).Format("Mon 2006-01-02 15:04 MST"), strings.Join(d.Reasons, "; "))
		}
	}
	return b.String()
}

func writeRules(b *strings.Builder, rules retention.Rules) {
	for _, f := range rules.Fields() {
		if v := f.Value(); v != "off" {
			fmt.Fprintf(b, "%s = %s\n", f.Name, v)
		}
	}
	fmt.Fprintf(b, "time zone %s\n", rules.Location)
}
