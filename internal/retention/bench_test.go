package retention_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// BenchmarkDecideMillion holds R7: a million points are planned in under two
// seconds, also when every rule is at work or every point is kept.
func BenchmarkDecideMillion(b *testing.B) {
	const n = 1_000_000
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		b.Fatal(err)
	}
	everything := retention.Keep{
		KeepLast: 10, KeepHourly: 100, KeepDaily: 365, KeepWeekly: 520, KeepMonthly: 1200, KeepYearly: retention.All,
		KeepWithin: duration.MustParse("7d"), KeepWithinHourly: duration.MustParse("30d"), KeepWithinDaily: duration.MustParse("1y"),
		KeepWithinWeekly: duration.MustParse("10y"), KeepWithinMonthly: duration.MustParse("50y"), KeepWithinYearly: duration.MustParse("100y"),
	}
	for _, c := range []struct {
		name    string
		sources int
		every   time.Duration
		rules   retention.Rules
	}{
		{"one source, usual rules", 1, time.Hour, retention.Rules{Keep: retention.Keep{KeepLast: 3, KeepDaily: 30, KeepWeekly: 12, KeepMonthly: 12, KeepYearly: 7}}},
		{"a hundred sources, every rule, Berlin", 100, time.Hour, retention.Rules{Keep: everything, Location: berlin}},
		{"all kept", 1, time.Hour, retention.Rules{Keep: retention.Keep{KeepHourly: retention.All, KeepDaily: retention.All}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			points := make([]retention.Point, n)
			for i := range points {
				start := now.Add(-time.Duration(i/c.sources) * c.every).Truncate(time.Second)
				points[i] = retention.Point{
					ID:     fmt.Sprintf("%s-%08d", start.Format("20060102T150405Z"), i),
					Source: fmt.Sprintf("db%d", i%c.sources), Kind: "logical",
					Start: start, End: start.Add(time.Minute), Verified: true,
				}
			}
			rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { points[i], points[j] = points[j], points[i] })
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				plan := retention.Decide(retention.Input{Points: points, Rules: c.rules, Now: now})
				if len(plan.Keep)+len(plan.Delete) != n {
					b.Fatalf("%d kept and %d deleted of %d", len(plan.Keep), len(plan.Delete), n)
				}
			}
		})
	}
}
