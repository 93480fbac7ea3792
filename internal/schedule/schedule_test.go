package schedule_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

func parse(t *testing.T, expr, zone string) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(expr, zone)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	moment, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

func TestNextRuns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, expr, zone, after string
		want                    []string // UTC
	}{
		{"daily", "0 2 * * *", "", "2026-03-01 01:00", []string{"2026-03-01 02:00", "2026-03-02 02:00"}},
		{"strictly after", "0 2 * * *", "UTC", "2026-03-01 02:00", []string{"2026-03-02 02:00"}},
		{"shorthand", "@weekly", "UTC", "2026-03-01 02:00", []string{"2026-03-08 00:00"}},
		{"steps", "*/20 1 * * *", "UTC", "2026-03-01 00:00", []string{"2026-03-01 01:00", "2026-03-01 01:20", "2026-03-01 01:40", "2026-03-02 01:00"}},
		{"open step", "50/5 1 * * *", "UTC", "2026-03-01 00:00", []string{"2026-03-01 01:50", "2026-03-01 01:55", "2026-03-02 01:50"}},
		{"names", "0 4 * jan,MAR sun", "UTC", "2026-01-20 00:00", []string{"2026-01-25 04:00", "2026-03-01 04:00"}},
		{"week days 5 to 7 end on Sunday", "0 0 * * 5-7", "UTC", "2026-03-02 00:00", []string{"2026-03-06 00:00", "2026-03-07 00:00", "2026-03-08 00:00", "2026-03-13 00:00"}},
		{"fri-sun is the same", "0 0 * * fri-sun", "UTC", "2026-03-02 00:00", []string{"2026-03-06 00:00", "2026-03-07 00:00", "2026-03-08 00:00", "2026-03-13 00:00"}},
		{"day of month or day of week", "0 0 13 * fri", "UTC", "2026-04-01 00:00", []string{"2026-04-03 00:00", "2026-04-10 00:00", "2026-04-13 00:00", "2026-04-17 00:00"}},
		{"a starred day field restricts with the other", "0 0 */10 * mon", "UTC", "2026-05-01 00:00", []string{"2026-05-11 00:00", "2026-06-01 00:00"}},
		{"leap day", "0 0 29 2 *", "UTC", "2026-01-01 00:00", []string{"2028-02-29 00:00", "2032-02-29 00:00"}},
		{"leap day across 2100", "0 0 29 2 *", "UTC", "2096-03-01 00:00", []string{"2104-02-29 00:00"}},
		{"leap day on a Sunday", "0 0 29 2 */7", "UTC", "2033-01-01 00:00", []string{"2060-02-29 00:00", "2088-02-29 00:00", "2128-02-29 00:00"}},
		{"day 7 is Sunday", "0 0 * * 7", "UTC", "2026-03-02 00:00", []string{"2026-03-08 00:00", "2026-03-15 00:00"}},
		{"west of Greenwich the UTC day is the next", "0 22 * * mon", "America/Los_Angeles", "2026-01-05 00:00", []string{"2026-01-06 06:00"}},
		{"east of Greenwich it is the one before", "0 5 1 * *", "Pacific/Auckland", "2026-01-05 00:00", []string{"2026-01-31 16:00"}},
		{"half an hour is skipped on Lord Howe", "15 2 * * *", "Australia/Lord_Howe", "2026-10-02 18:00", []string{"2026-10-04 15:15"}},
		{"a clock that jumps by a day", "0 12 * * *", "Pacific/Apia", "2011-12-28 23:00", []string{"2011-12-29 22:00", "2011-12-30 22:00"}},
		{"day 31 skips short months", "0 0 31 * *", "UTC", "2026-03-01 00:00", []string{"2026-03-31 00:00", "2026-05-31 00:00"}},
		{"zone", "0 2 * * *", "Europe/Berlin", "2026-03-01 12:00", []string{"2026-03-02 01:00"}},
		{"skipped hour does not run", "30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", []string{"2026-03-30 00:30"}},
		{"repeated hour runs once, the first time", "30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", []string{"2026-10-25 00:30", "2026-10-26 01:30"}},
		{"repeated hour in New York", "30 1 * * *", "America/New_York", "2026-10-31 12:00", []string{"2026-11-01 05:30", "2026-11-02 06:30"}},
		{"half an hour is repeated on Lord Howe", "45 1 * * *", "Australia/Lord_Howe", "2026-04-03 18:00", []string{"2026-04-04 14:45", "2026-04-05 15:15"}},
		{"midnight that does not exist", "0 0 * * *", "America/Santiago", "2026-09-05 12:00", []string{"2026-09-07 03:00"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, run := range parse(t, c.expr, c.zone).Next(at(t, c.after), len(c.want)) {
				got = append(got, run.Format("2006-01-02 15:04"))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s in %q after %s: got %v, want %v", c.expr, c.zone, c.after, got, c.want)
			}
		})
	}
}

func TestSkippedListsTheRunsThatClocksSwallow(t *testing.T) {
	t.Parallel()
	got := parse(t, "30 2 * * *", "Europe/Berlin").Skipped(at(t, "2026-01-01 00:00"), at(t, "2028-01-01 00:00"))
	want := []time.Time{at(t, "2026-03-29 02:30"), at(t, "2027-03-28 02:30")}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := parse(t, "30 4 * * *", "Europe/Berlin").Skipped(at(t, "2026-01-01 00:00"), at(t, "2028-01-01 00:00")); len(got) != 0 {
		t.Errorf("04:30 exists every day, got %v", got)
	}
}

func TestErrorsNameTheFieldAndTheNearestValue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expr, zone, want string }{
		{"60 2 * * *", "", `minute "60": 60 is outside 0 to 59; the nearest is 59`},
		{"0 24 * * *", "", `hour "24": 24 is outside 0 to 23; the nearest is 23`},
		{"0 0 0 * *", "", `day of month "0": 0 is outside 1 to 31; the nearest is 1`},
		{"0 0 * jann *", "", `month "jann": "jann" is not a value; did you mean "jan"?`},
		{"0 0 * * monday", "", `day of week "monday": "monday" is not a value; did you mean "mon"?`},
		{"0 0 * * 8", "", `day of week "8": 8 is outside 0 to 7`},
		{"0 0 * * fri-mon", "", `range fri-mon runs backwards; write "fri-6,0-mon"`},
		{"0 0 * * 7-2", "", `range 7-2 runs backwards; write "0-2"`},
		{"0 0 ? * 1", "", `day of month "?": "?" is of Quartz and EventBridge and not known here; the nearest is *`},
		{"0 0 L * *", "", `"L" is of Quartz`},
		{"0 0 * * FRI#2", "", `"FRI#2" is of Quartz`},
		{"0 0 * JULY *", "", `did you mean "jul"?`},
		{"0 0 * * WEDNESDAY", "", `did you mean "wed"?`},
		{"cron(0 2 * * ? *)", "", "is an expression of EventBridge: give five fields"},
		{"0 0 12 * * ? *", "", "looks like Quartz"},
		{"*/61 * * * *", "", "must be a number from 1 to 59"},
		{"30 2 8-14 3 */7", "America/New_York", "clocks in America/New_York skip this time on each of its days"},
		{"0 22-2 * * *", "", `range 22-2 runs backwards; write "22-23,0-2"`},
		{"*/0 * * * *", "", `step "0" must be a number from 1 to 59`},
		{"*/x * * * *", "", `step "x" must be`},
		{"1,,2 * * * *", "", "remove the extra comma"},
		{"a * * * *", "", `"a" is not a number from 0 to 59`},
		{"-1 * * * *", "", `"" is not a number from 0 to 59`},
		{"0 0 2 * * *", "", "has 6 fields, five are needed"},
		{"", "", "has 0 fields"},
		{"@dayly", "", `did you mean "@daily"?`},
		{"@reboot", "", "unknown shorthand @reboot"},
		{"CRON_TZ=UTC 0 0 * * *", "", "goes into timezone"},
		{"0 0 30 2 *", "", "never happens: no month of it has a day 30; the nearest is 29"},
		{"0 0 31 4,6,9 *", "", "the nearest is 30"},
		{"0 2 * * *", "Europe/Berln", `did you mean "Europe/Berlin"?`},
		{"0 2 * * *", "Local", "differs from machine to machine"},
		{strings.Repeat("1,", 200) + "1 * * * *", "", "longer than 256"},
	} {
		_, err := schedule.Parse(c.expr, c.zone)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v; want %s", c.expr, err, c.want)
		}
	}
}

func TestCrontabLinesAreSaidInTheHostsZoneOrNotAtAll(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		expr, zone string
		host       *time.Location
		want       string // "" for an error
	}{
		{"@daily", "UTC", time.UTC, "0 0 * * *"},
		{"@daily", "", nil, "0 0 * * *"},
		{"5/15 2 * jan-MAR fri-sun", "Europe/Berlin", berlin, "5-59/15 2 * 1-3 5-7"},
		{"0 0 */10 * mon", "UTC", time.UTC, "0 0 */10 * 1"},
		{"0 2 * * *", "Etc/UTC", time.UTC, "0 2 * * *"},
		{"0 2 * * *", "UTC", berlin, ""},
		{"0 2 * * *", "Europe/Berlin", time.UTC, ""},
		{"*/15 * * * *", "UTC", berlin, "*/15 * * * *"},
		{"*/15 * * * *", "UTC", kolkata, ""},
	} {
		got, err := parse(t, c.expr, c.zone).Crontab(c.host)
		if got != c.want || (err == nil) != (c.want != "") || (err != nil && !errors.Is(err, schedule.ErrNotThere)) {
			t.Errorf("%s in %q on a host in %v: %q, %v; want %q", c.expr, c.zone, c.host, got, err, c.want)
		}
	}
}

func TestCanonicalFormIsTheSameSchedule(t *testing.T) {
	t.Parallel()
	for _, expr := range expressions {
		s := parse(t, expr, "Europe/Berlin")
		canonical := parse(t, s.Canonical(), "Europe/Berlin")
		after := at(t, "2026-02-01 00:00")
		if a, b := s.Next(after, 50), canonical.Next(after, 50); !slices.Equal(a, b) || len(a) != 50 {
			t.Errorf("%s and %s differ", expr, s.Canonical())
		}
	}
}

func TestTheZeroScheduleNeverRuns(t *testing.T) {
	t.Parallel()
	var s schedule.Schedule
	if _, err := s.Crontab(nil); !s.IsZero() || len(s.Next(time.Now(), 3)) != 0 || s.Systemd() != nil || err == nil {
		t.Error("the zero value does something")
	}
}

func FuzzParse(f *testing.F) {
	for _, expr := range expressions {
		f.Add(expr)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		s, err := schedule.Parse(expr, "America/New_York")
		if err != nil {
			return
		}
		after := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
		runs := s.Next(after, 3)
		if len(runs) != 3 || !runs[0].After(after) || !slices.IsSortedFunc(runs, time.Time.Compare) {
			t.Fatalf("%q next runs at %v", expr, runs)
		}
		canonical, err := schedule.Parse(s.Canonical(), "America/New_York")
		if err != nil || !slices.Equal(canonical.Next(after, 3), runs) {
			t.Fatalf("%q and its canonical form %q differ: %v", expr, s.Canonical(), err)
		}
	})
}
