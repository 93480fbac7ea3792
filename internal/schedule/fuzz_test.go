package schedule_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

// Whatever is read says the same in its canonical words, answers at once, and
// runs in ascending order after the moment asked about, in any zone.
func FuzzParseInAnyZone(f *testing.F) {
	for _, seed := range []struct {
		expr, tz string
		after    int64
	}{
		{"0 2 * * *", "UTC", 1_772_330_400},
		{"@daily", "Europe/Berlin", 1_774_738_800},                // the night clocks go forward
		{"30 2 * * *", "Europe/Berlin", 1_792_969_200},            // and the one they go back
		{"*/15 0-6/2 1,15 jan-mar mon", "America/New_York", 0},    // either day field
		{"5/20 4 */2 * fri-sun", "Asia/Kolkata", 4_000_000_000},   // both day fields
		{"0 0 29 2 *", "", 3_976_214_400},                         // 2096, before eight years without one
		{"59 23 31 12 7", "Pacific/Apia", 1_325_203_200},          // the day that Samoa left out
		{"0 0 30 2 *", "UTC", 0},                                  // never
		{"0 24 * * *", "UTC", 0},                                  // out of range
		{"CRON_TZ=UTC 0 2 * * *", "UTC", 0},                       // the zone goes elsewhere
		{"0 2 * * mondays", "Europe/Berln", 0},                    // mistyped
		{"0 0 2 * * ? *", "", 0},                                  // Quartz
		{"* * * * *,0", "Antarctica/Troll", -1},                   // a zone with two-hour summer time
		{strings.Repeat("1,", 120) + "1 * * * *", "UTC", 1 << 40}, // long
	} {
		f.Add(seed.expr, seed.tz, seed.after)
	}
	f.Fuzz(func(t *testing.T, expr, tz string, after int64) {
		began := time.Now()
		s, err := schedule.Parse(expr, tz)
		if err != nil {
			if len(s.Next(time.Unix(0, 0), 1)) > 0 {
				t.Fatalf("%q in %q was refused and runs", expr, tz)
			}
			return
		}
		const years100 = 100 * 365 * 24 * 3600
		from := time.Unix(after%years100, 0)
		runs := s.Next(from, 5)
		canonical, err := schedule.Parse(s.Canonical(), tz)
		if err != nil {
			t.Fatalf("%q: canonical %q is refused: %v", expr, s.Canonical(), err)
		}
		if again := canonical.Next(from, 5); !slices.EqualFunc(runs, again, time.Time.Equal) || canonical.Canonical() != s.Canonical() {
			t.Fatalf("%q in %q runs after %s at %v, canonical %q at %v", expr, tz, from, runs, s.Canonical(), again)
		}
		if len(runs) != 5 {
			t.Fatalf("%q in %q has %d runs after %s", expr, tz, len(runs), from)
		}
		for i, run := range runs {
			if !run.After(from) || (i > 0 && !run.After(runs[i-1])) {
				t.Fatalf("%q in %q runs after %s at %v: not ascending", expr, tz, from, runs)
			}
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Fatalf("%q in %q took %s", expr, tz, took)
		}
	})
}
