package schedule_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

func TestTranslations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expr, zone, eventBridge, kubernetes, gitHub string }{
		{"0 2 * * *", "", "cron(0 2 * * ? *)", "0 2 * * *", "0 2 * * *"},
		{"@daily", "UTC", "cron(0 0 * * ? *)", "0 0 * * *", "0 0 * * *"},
		{"@weekly", "UTC", "cron(0 0 ? * 1 *)", "0 0 * * 0", "0 0 * * 0"},
		{"0 4 * * 7", "UTC", "cron(0 4 ? * 1 *)", "0 4 * * 0", "0 4 * * 0"},
		{"0 4 * * mon-fri", "UTC", "cron(0 4 ? * 2-6 *)", "0 4 * * 1-5", "0 4 * * 1-5"},
		{"0 4 * * fri-sun", "UTC", "cron(0 4 ? * 1,6,7 *)", "0 4 * * 0,5,6", "0 4 * * 0,5,6"},
		{"*/15 * * * *", "UTC", "cron(0/15 * * * ? *)", "*/15 * * * *", "*/15 * * * *"},
		{"7-50/10 */6 1,15 jan *", "UTC", "cron(7,17,27,37,47 0/6 1,15 1 ? *)", "7-47/10 */6 1,15 1 *", "7-47/10 */6 1,15 1 *"},
		{"0 0 */10 * *", "UTC", "cron(0 0 1,11,21,31 * ? *)", "0 0 1,11,21,31 * *", "0 0 1,11,21,31 * *"},
		{"0 0 1-31 * fri", "UTC", "cron(0 0 * * ? *)", "0 0 * * *", "0 0 * * *"},
		{"0 0 13 * fri", "UTC", "!make two schedules of it, \"0 0 13 * *\" and \"0 0 * * 5\"", "0 0 13 * 5", "0 0 13 * 5"},
		{"0 0 */10 * mon", "UTC", "!restrict one of them", "!restrict one of them", "!restrict one of them"},
		{"0 2 * * *", "Europe/Berlin", "cron(0 2 * * ? *)", "0 2 * * *", "!clocks in Europe/Berlin change during the year"},
		{"0 2 * * *", "Asia/Kolkata", "cron(0 2 * * ? *)", "0 2 * * *", "30 20 * * *"},
		{"0 2 * * mon", "Asia/Kolkata", "cron(0 2 ? * 2 *)", "0 2 * * 1", "30 20 * * 0"},
		{"0 22 * * sat", "America/Phoenix", "cron(0 22 ? * 7 *)", "0 22 * * 6", "0 5 * * 0"},
		{"0 2 1 * *", "Asia/Tokyo", "cron(0 2 1 * ? *)", "0 2 1 * *", "!days of the month cannot be moved"},
		{"0 12 1 * *", "Asia/Tokyo", "cron(0 12 1 * ? *)", "0 12 1 * *", "0 3 1 * *"},
		{"0,15,30,45 * * * *", "Asia/Kolkata", "cron(0/15 * * * ? *)", "*/15 * * * *", "*/15 * * * *"},
		{"0,20,40 3 * * *", "Asia/Kolkata", "cron(0/20 3 * * ? *)", "*/20 3 * * *", "10 22 * * * | 30,50 21 * * *"},
		{"0 1,12 * * mon", "Asia/Tokyo", "cron(0 1,12 ? * 2 *)", "0 1,12 * * 1", "0 16 * * 0 | 0 3 * * 1"},
		{"*/4 * * * *", "UTC", "cron(0/4 * * * ? *)", "*/4 * * * *", "!at an interval of 4 minutes"},
		{"0,57 * * * *", "UTC", "cron(0,57 * * * ? *)", "0,57 * * * *", "!at an interval of 3 minutes"},
		{"0,59 0,23 * * *", "UTC", "cron(0,59 0,23 * * ? *)", "0,59 0,23 * * *", "!at an interval of 1 minute,"},
		{"0,59 0,23 1 * *", "UTC", "cron(0,59 0,23 1 * ? *)", "0,59 0,23 1 * *", "0,59 0,23 1 * *"},
	} {
		s := parse(t, c.expr, c.zone)
		check := func(where, want, got string, err error) {
			problem, wantErr := strings.CutPrefix(want, "!")
			switch {
			case wantErr && (!errors.Is(err, schedule.ErrNotThere) || !strings.Contains(err.Error(), problem)):
				t.Errorf("%s in %q for %s: %q, %v; want an error %s", c.expr, c.zone, where, got, err, problem)
			case !wantErr && (err != nil || got != want):
				t.Errorf("%s in %q for %s: %q, %v; want %s", c.expr, c.zone, where, got, err, want)
			}
		}
		got, zone, err := s.EventBridge()
		check("EventBridge", c.eventBridge, got, err)
		if err == nil && zone != s.Timezone() {
			t.Errorf("EventBridge in %q, want %q", zone, s.Timezone())
		}
		got, zone, err = s.Kubernetes()
		check("Kubernetes", c.kubernetes, got, err)
		if err == nil && zone != s.Timezone() {
			t.Errorf("Kubernetes in %q, want %q", zone, s.Timezone())
		}
		lines, err := s.GitHub()
		check("GitHub", c.gitHub, strings.Join(lines, " | "), err)
	}
	var minutes []string
	for m := range 60 {
		if m%7 != 3 && m%5 != 4 {
			minutes = append(minutes, fmt.Sprint(m))
		}
	}
	long := parse(t, strings.Join(minutes, ",")+" 0,2,3,5,7,9,11,13,14,16,17,19,21,23 1,3,4,6,8,9,11,13,15,17 * *", "")
	if _, _, err := long.EventBridge(); err != nil {
		t.Errorf("it fits: %v", err)
	}
}

func TestNothingIsSaidOfTheZeroSchedule(t *testing.T) {
	t.Parallel()
	var s schedule.Schedule
	_, _, eventBridge := s.EventBridge()
	_, _, kubernetes := s.Kubernetes()
	_, gitHub := s.GitHub()
	for _, err := range []error{eventBridge, kubernetes, gitHub} {
		if !errors.Is(err, schedule.ErrNotThere) {
			t.Errorf("%v", err)
		}
	}
}

// drawField writes a field in every way there is.
func drawField(t *rapid.T, name string, low, high int) string {
	value := func(from int) int { return rapid.IntRange(from, high).Draw(t, name) }
	switch rapid.IntRange(0, 6).Draw(t, name+" form") {
	case 0, 1, 2:
		return "*"
	case 3:
		return fmt.Sprintf("*/%d", rapid.IntRange(1, high).Draw(t, name+" step"))
	case 4:
		a := value(low)
		return fmt.Sprintf("%d-%d", a, value(a))
	case 5:
		return fmt.Sprintf("%d/%d", value(low), rapid.IntRange(1, high).Draw(t, name+" step"))
	}
	items := make([]string, rapid.IntRange(1, 4).Draw(t, name+" items"))
	for i := range items {
		items[i] = fmt.Sprint(value(low))
	}
	return strings.Join(items, ",")
}

// drawSchedule makes one that runs, in one of the zones, and a moment shortly
// before the clocks change in many of them.
func drawSchedule(t *rapid.T, zones ...string) (schedule.Schedule, time.Time) {
	minute := drawField(t, "minute", 0, 59)
	if rapid.Bool().Draw(t, "rarely") {
		minute = rapid.SampledFrom([]string{"0", "45", "*/20", "5,15,50", "7-37/10"}).Draw(t, "minutes")
	}
	fields := []string{
		minute, drawField(t, "hour", 0, 23), drawField(t, "day of month", 1, 31), drawField(t, "month", 1, 12), drawField(t, "day of week", 0, 6),
	}
	if rapid.Bool().Draw(t, "all months") {
		fields[3] = "*"
	}
	from := rapid.SampledFrom([]time.Time{
		time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC), time.Date(2026, 10, 23, 12, 0, 0, 0, time.UTC), time.Date(2026, 4, 3, 12, 0, 0, 0, time.UTC),
		time.Date(2028, 2, 27, 0, 0, 0, 0, time.UTC), time.Date(2026, 12, 29, 0, 0, 0, 0, time.UTC),
	}).Draw(t, "from")
	s, err := schedule.Parse(strings.Join(fields, " "), rapid.SampledFrom(zones).Draw(t, "zone"))
	if err != nil { // a day that no month has
		s, err = schedule.Parse("0 2 * * *", "UTC")
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, from
}

// span is how far an expression is followed, minute by minute.
const span = 5 * 24 * time.Hour

func between(s schedule.Schedule, from time.Time) []time.Time {
	return slices.Collect(s.Between(from, from.Add(span)))
}

var zones = []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Auckland", "America/St_Johns", "Asia/Tokyo", "America/Phoenix", "Pacific/Kiritimati"}

func TestAnExpressionOfEventBridgeRunsWhenTheScheduleDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, from := drawSchedule(t, zones...)
		expression, zone, err := s.EventBridge()
		if err != nil {
			if !errors.Is(err, schedule.ErrNotThere) {
				t.Fatal(err)
			}
			return
		}
		if got, want := readEventBridge(t, expression).scan(t, zone, from, false), between(s, from); !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Fatalf("%s as %s in %s\nthere %v\nhere  %v", s, expression, zone, got, want)
		}
	})
}

func TestACronJobRunsWhenTheScheduleDoesAndTwiceInARepeatedHour(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, from := drawSchedule(t, zones...)
		expression, zone, err := s.Kubernetes()
		if err != nil {
			if !errors.Is(err, schedule.ErrNotThere) {
				t.Fatal(err)
			}
			return
		}
		if got, want := readCron(t, expression).scan(t, zone, from, false), between(s, from); !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Fatalf("%s as %s in %s\nthere %v\nhere  %v", s, expression, zone, got, want)
		}
	})
	s := parse(t, "30 2 * * *", "Europe/Berlin")
	expression, zone, err := s.Kubernetes()
	if err != nil {
		t.Fatal(err)
	}
	from := at(t, "2026-10-24 12:00")
	if twice := readCron(t, expression).scan(t, zone, from, true); len(twice) != len(between(s, from))+1 {
		t.Errorf("in autumn Kubernetes runs at %v", twice)
	}
}

func TestTheLinesForGitHubRunWhenTheScheduleDoes(t *testing.T) {
	t.Parallel()
	said := 0
	rapid.Check(t, func(t *rapid.T) {
		s, from := drawSchedule(t, "UTC", "Asia/Kolkata", "Asia/Tokyo", "America/Phoenix", "Pacific/Kiritimati", "Pacific/Marquesas", "Asia/Kathmandu")
		lines, err := s.GitHub()
		if err != nil {
			if !errors.Is(err, schedule.ErrNotThere) {
				t.Fatal(err)
			}
			return
		}
		said++
		var got []time.Time
		for _, line := range lines {
			got = append(got, readCron(t, line).scan(t, "UTC", from, false)...)
		}
		slices.SortFunc(got, time.Time.Compare) // a moment that two lines name is run twice
		if want := between(s, from); !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Fatalf("%s in %s as %q\nthere %v\nhere  %v", s, s.Timezone(), lines, got, want)
		}
		for i := 1; i < len(got); i++ {
			if got[i].Sub(got[i-1]) < 5*time.Minute {
				t.Fatalf("%s as %q runs at %s and %s", s, lines, got[i-1], got[i])
			}
		}
	})
	if said < 10 {
		t.Errorf("only %d schedules could be said: next to nothing was tested", said)
	}
}
