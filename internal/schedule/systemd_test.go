package schedule_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"
)

// expressions go through every form of every field.
var expressions = []string{
	"0 2 * * *", "@hourly", "@daily", "@weekly", "@monthly", "@yearly", "*/15 * * * *", "7 */6 * * *", "5/20 3 * * *",
	"30 2 * * *", "0,30 1-4 * * *", "0 4 * * 0", "0 4 * * 7", "0 4 * * mon-fri", "0 4 1 * *", "0 4 1,15 * *", "0 4 31 * *",
	"0 4 29 2 *", "0 0 13 * fri", "15 3 1-7 * sun", "0 0 */10 * mon", "0 0 1 */3 *", "0 22 * jun-aug sat,sun", "59 23 31 12 *",
	"1-10/3 0 * * *", "0 0 1-7 1,7 */2", "45 1 28-31 * *", "0 12 * 2 1-5",
}

// TestSystemdElapsesWhenTheScheduleRuns asks systemd itself: what it makes of
// our OnCalendar= lines must be our next runs, also where clocks change.
func TestSystemdElapsesWhenTheScheduleRuns(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("systemd-analyze is needed: install systemd (apt-get install systemd)")
	}
	const n = 12
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/New_York"} {
		for _, expr := range expressions {
			for _, base := range []string{"2026-03-27 12:00", "2026-10-24 12:00", "2026-10-31 12:00"} {
				s := parse(t, expr, zone)
				want := s.Next(at(t, base), n)
				var got []time.Time
				for _, line := range s.Systemd() {
					got = append(got, elapses(t, line, base, n)...)
				}
				slices.SortFunc(got, time.Time.Compare)
				got = slices.CompactFunc(got, time.Time.Equal)
				if !slices.EqualFunc(got[:min(n, len(got))], want, time.Time.Equal) {
					t.Errorf("%s in %s as %q after %s:\nsystemd %v\nwe      %v", expr, zone, s.Systemd(), base, got, want)
				}
			}
		}
	}
}

var elapseLine = regexp.MustCompile(`(?m)(?:Next elapse|Iter\. #\d+): \w+ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC`)

func elapses(t *testing.T, onCalendar, base string, n int) []time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "systemd-analyze", "calendar", "--iterations="+strconv.Itoa(n), "--base-time="+base+":00 UTC", onCalendar)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-analyze refuses %q: %v\n%s", onCalendar, err, out)
	}
	var times []time.Time
	for _, m := range elapseLine.FindAllStringSubmatch(string(out), -1) {
		moment, err := time.Parse(time.DateTime, m[1])
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, moment)
	}
	if len(times) == 0 {
		t.Fatalf("no elapse in the answer of systemd-analyze for %q:\n%s", onCalendar, out)
	}
	return times
}
