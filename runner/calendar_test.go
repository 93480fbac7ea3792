package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func drawn(c calendar, points ...calendarPoint) string { return strings.Join(c.draw(points), "\n") }

func pointAt(t *testing.T, text, tier string) calendarPoint {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return calendarPoint{at, tier}
}

func TestACalendarShowsRecentDaysAndOlderMonths(t *testing.T) {
	t.Parallel()
	points := []calendarPoint{
		pointAt(t, "2026-03-02T02:00:00Z", "daily"), pointAt(t, "2026-03-02T03:00:00Z", "hourly"), pointAt(t, "2026-03-01T02:00:00Z", "weekly"),
		pointAt(t, "2026-02-28T02:00:00Z", "monthly"), pointAt(t, "2026-02-22T02:00:00Z", "weekly"),
		pointAt(t, "2026-01-31T02:00:00Z", "monthly"), pointAt(t, "2025-12-31T02:00:00Z", "yearly"), pointAt(t, "2022-12-31T02:00:00Z", ""),
	}
	const want = `        Jan  Feb  Mar  Apr  May  Jun  Jul  Aug  Sep  Oct  Nov  Dec
2022      ·    ·    ·    ·    ·    ·    ·    ·    ·    ·    ·   1+
  …
2025      ·    ·    ·    ·    ·    ·    ·    ·    ·    ·    ·   1y
2026     1m   2m   3w    ·    ·    ·    ·    ·    ·    ·    ·    ·

       February 2026                  March 2026
Mo  Tu  We  Th  Fr  Sa  Su    Mo  Tu  We  Th  Fr  Sa  Su
                         ·                             1w
 ·   ·   ·   ·   ·   ·   ·     2d  ·   ·   ·   ·   ·   ·
 ·   ·   ·   ·   ·   ·   ·     ·   ·   ·   ·   ·   ·   ·
 ·   ·   ·   ·   ·   ·  22w    ·   ·   ·   ·   ·   ·   ·
 ·   ·   ·   ·   ·  28m        ·   ·   ·   ·   ·   ·   ·
                               ·   ·

y yearly · m monthly · w weekly · d daily · h hourly · + kept for another reason
a year's row: how many points are kept, the longest tier
a month: the date, the longest tier kept of that day
· nothing is kept; days begin in UTC`
	if diff := cmp.Diff(want, drawn(calendar{width: 80}, points...)); diff != "" {
		t.Error(diff)
	}
}

func TestDaysOfACalendarBeginInItsTimeZone(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	const want = `       February 2026
Mo  Tu  We  Th  Fr  Sa  Su
                         1d
 ·   ·   ·   ·   ·   ·   ·
 ·   ·   ·   ·   ·   ·   ·
 ·   ·   ·   ·   ·   ·   ·
 ·   ·   ·   ·   ·   ·

d daily
a month: the date, the longest tier kept of that day
· nothing is kept; days begin in Europe/Berlin`
	got := drawn(calendar{zone: berlin, width: 10}, pointAt(t, "2026-01-31T23:30:00Z", "daily"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := (calendar{}).draw(nil); got != nil {
		t.Errorf("nothing is drawn as %q", got)
	}
}

func TestACalendarKeepsToTheWidthAndItsRowsWhateverTheHistory(t *testing.T) {
	t.Parallel()
	var points []calendarPoint
	for at := time.Date(1950, 1, 1, 2, 0, 0, 0, time.UTC); at.Year() < 2027; at = at.AddDate(0, 0, 1) {
		points = append(points, calendarPoint{at, "daily"})
	}
	for _, width := range []int{60, 66, 80, 120, 200} {
		lines := (calendar{width: width}).draw(points)
		if len(lines) > 100 {
			t.Errorf("%d lines", len(lines))
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); n > width {
				t.Errorf("%d columns of %d: %s", n, width, line)
			}
		}
	}
	if text := drawn(calendar{width: 80}, points...); !strings.Contains(text, "17,167 points before 1997") {
		t.Errorf("what is left out is not counted:\n%s", text)
	}
}

func TestOnlyAColouredCalendarHasEscapes(t *testing.T) {
	t.Parallel()
	p := pointAt(t, "2026-02-01T00:00:00Z", "weekly")
	if text := drawn(calendar{width: 80}, p); strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
	if text := drawn(calendar{width: 80, colour: true}, p); !strings.Contains(text, "\x1b[36m 1w\x1b[0m") {
		t.Errorf("%q", text)
	}
}
