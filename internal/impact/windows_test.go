package impact_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

func TestWindowsAreToldBeforeAndAfter(t *testing.T) {
	t.Parallel()
	at := func(day int) time.Time { return time.Date(2026, 11, day, 2, 3, 0, 0, time.UTC) }
	w := func(before, after time.Time, lost bool) impact.Window {
		return impact.Window{Source: "db", System: "7", Before: before, After: after, Lost: lost}
	}
	spared := w(at(14), at(14), false)
	spared.Spared, spared.Protected = "policy dev keeps it", true
	waits := spared
	waits.Spared, waits.Protected = "a manifest can not be read", false
	for _, c := range []struct {
		name    string
		windows []impact.Window
		says    string
		total   string
		approve int
	}{
		{"shorter", []impact.Window{w(at(14), at(16), true)}, "point-in-time recovery of db is possible from 14 November 2026 02:03 to now; under the new rules from 16 November 2026 02:03 to now: the WAL before goes", "2 days of point-in-time recovery of db", 1},
		{"longer", []impact.Window{w(at(16), at(14), false)}, "from 16 November 2026 02:03 to now; under the new rules from 14 November 2026 02:03 to now", "0 recovery points (0 B)", 0},
		{"the same", []impact.Window{w(at(14), at(14), false)}, "point-in-time recovery of db stays possible from 14 November 2026 02:03 to now", "0 recovery points (0 B)", 0},
		{"none left", []impact.Window{w(at(14), time.Time{}, true)}, "from 14 November 2026 02:03 to now; under the new rules not at all", "all point-in-time recovery of db", 1},
		{"new", []impact.Window{w(time.Time{}, at(14), false)}, "will be possible from 14 November 2026 02:03 to now; under the old rules it would not", "0 recovery points (0 B)", 0},
		{"spared", []impact.Window{spared}, "and stays so although the rules would shorten it: policy dev keeps it", "0 recovery points (0 B)", 0},
		{"spared for now", []impact.Window{waits}, "although the rules would shorten it: a manifest can not be read", "part of the point-in-time recovery of 1 server (as soon as what keeps it is put right)", 1},
		{"two servers of a source", []impact.Window{w(at(14), at(16), true), {Source: "db", System: "8", Before: at(14), After: at(14)}}, "point-in-time recovery of db (system 8) stays possible", "2 days of point-in-time recovery of db", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			doc := policy.Document{Format: policy.Format, Name: "prod", Retention: retention.Keep{KeepLast: 1}}
			i, err := impact.Of(impact.Facts{AsOf: at(20), Old: &doc, New: doc, Windows: c.windows})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(i.Sentences, func(s string) bool { return strings.Contains(s, c.says) }) {
				t.Errorf("says %q, want %q", i.Sentences, c.says)
			}
			if got := i.Total(); !strings.Contains(got, c.total) {
				t.Errorf("total %q, want %q", got, c.total)
			}
			if i.ToApprove() != c.approve || i.Loses() != (c.approve > 0) {
				t.Errorf("%d to approve, want %d", i.ToApprove(), c.approve)
			}
		})
	}
}

func TestAStoryOfLostWALAloneHasNoHoleWhereTheTableOfPointsWouldBe(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 1, 2, 0, 0, 0, time.UTC)
	doc := policy.Document{Format: policy.Format, Name: "prod", Retention: retention.Keep{KeepLast: 1}}
	i, err := impact.Of(impact.Facts{AsOf: start.AddDate(0, 0, 20), Old: &doc, New: doc, Windows: []impact.Window{{Source: "db", System: "7", Before: start, After: start.AddDate(0, 0, 3), Lost: true}}})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "wal_alone", impact.Story("file:///r", "prod", i, "EXPIRE-1-abcdef"))
}

func TestManyWindowsAreToldInFewWordsThoseThatLoseFirst(t *testing.T) {
	t.Parallel()
	var windows []impact.Window
	start := time.Date(2026, 11, 1, 2, 0, 0, 0, time.UTC)
	for i := range 20 {
		w := impact.Window{Source: string(rune('a' + i)), System: "7", Before: start, After: start}
		if i >= 12 {
			w.After, w.Lost = start.AddDate(0, 0, 3), true
		}
		windows = append(windows, w)
	}
	doc := policy.Document{Format: policy.Format, Name: "prod", Retention: retention.Keep{KeepLast: 1}}
	i, err := impact.Of(impact.Facts{AsOf: start.AddDate(0, 0, 20), Old: &doc, New: doc, Windows: windows})
	if err != nil {
		t.Fatal(err)
	}
	story := impact.Story("file:///r", "prod", i, "EXPIRE-8-abcdef")
	for _, want := range []string{"point-in-time recovery of m is possible", "so it is for 15 servers more, of which 3 lose some of it", "point-in-time recovery of m, n, o, others, part of it", "and 8 servers whose recovery to any moment begins later"} {
		if !strings.Contains(story, want) {
			t.Errorf("the story lacks %q:\n%s", want, story)
		}
	}
	if strings.Contains(story, "recovery of a ") {
		t.Errorf("one that loses nothing is told of before:\n%s", story)
	}
}
