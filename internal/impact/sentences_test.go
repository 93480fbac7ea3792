package impact_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

func within(text string) retention.Keep {
	return retention.Keep{KeepWithin: duration.MustParse(text)}
}

func glacier(d *policy.Document) {
	d.Storage.Transitions = []policy.Transition{{After: duration.MustParse("7d"), Class: "GLACIER"}}
}

// What a reviewer reads, change by change: law 5.
func TestSentencesSayWhatEachChangeMeans(t *testing.T) {
	t.Parallel()
	twoSources := append(nightly("app@db", 30, 1e6), nightly("shop", 20, 1e6)...)
	prices := cost.Prices("us-east-1")
	for name, c := range map[string]struct {
		points   []impact.Point
		old, new policy.Document
		prices   cost.Table
		want     []string
	}{
		"shorter": {nightly("app", 30, 256e6), document(retention.Keep{KeepDaily: 30}), document(retention.Keep{KeepDaily: 14}), cost.Table{}, []string{
			"daily points: 30 -> 14, the oldest daily restore point moves from 23 October 2026 to 8 November 2026",
			"16 recovery points (3.8 GiB) of 1 source will be deleted by the next rotation because of this change",
			"the oldest moment that can be restored moves from 23 October 2026 to 8 November 2026",
		}},
		"shorter, in two sources": {twoSources, document(retention.Keep{KeepDaily: 30}), document(retention.Keep{KeepDaily: 14}), cost.Table{}, []string{
			"daily points: 30 -> 14, the oldest daily restore point moves from 23 October 2026 to 8 November 2026 in app@db, the farthest of the 2 sources where it moves",
			"22 recovery points (21.0 MiB) of 2 sources will be deleted by the next rotation because of this change",
			"the oldest moment that can be restored moves from 23 October 2026 to 8 November 2026 in app@db, the farthest of the 2 sources where it moves",
		}},
		"shorter than what there is not": {nightly("app", 5, 1e6), document(retention.Keep{KeepDaily: 30}), document(retention.Keep{KeepDaily: 14}), cost.Table{}, []string{
			"daily points: 30 -> 14, the oldest daily restore point stays that of 17 November 2026",
			"no recovery point is deleted because of this change",
		}},
		"longer": {nightly("app", 14, 1e6), document(retention.Keep{KeepDaily: 14}), document(retention.Keep{KeepDaily: 60}), cost.Table{}, []string{
			"daily points: 14 -> 60, the oldest daily restore point stays that of 8 November 2026; 14 daily points exist today; 60 from 6 January 2027 on, if one is made each day",
			"no recovery point is deleted because of this change",
		}},
		"longer, while points wait to go": {nightly("app", 20, 1e6), document(retention.Keep{KeepDaily: 14}), document(retention.Keep{KeepDaily: 60}), cost.Table{}, []string{
			"daily points: 14 -> 60, the oldest daily restore point moves from 8 November 2026 to 2 November 2026; 20 daily points exist today; 60 from 31 December 2026 on, if one is made each day",
			"no recovery point is deleted because of this change",
			"6 recovery points stay that the old rules would delete by the next rotation",
			"the oldest moment that can be restored moves from 8 November 2026 to 2 November 2026",
		}},
		"a longer span": {nightly("app", 30, 1e6), document(within("30d")), document(within("60d")), cost.Table{}, []string{
			"every point within: 30d -> 60d, the oldest restore point kept by age stays that of 23 October 2026; the whole 60d is covered from 22 December 2026 on",
			"no recovery point is deleted because of this change",
		}},
		"a new rule": {nightly("app", 30, 1e6), document(retention.Keep{KeepDaily: 30}), document(retention.Keep{KeepDaily: 30, KeepWeekly: 12}), cost.Table{}, []string{
			"weekly points: none -> 12, the oldest weekly restore point is that of 23 October 2026; 5 weekly points exist today; 12 from 9 January 2027 on, if one is made each week",
			"no recovery point is deleted because of this change",
		}},
		"for ever": {nightly("app", 3, 1e6), document(retention.Keep{KeepLast: 3}), document(retention.Keep{KeepLast: 3, KeepMonthly: retention.All}), cost.Table{}, []string{
			"monthly points: none -> all, the oldest monthly restore point is that of 19 November 2026; 1 monthly point exists today; one of every month stays from now on",
			"no recovery point is deleted because of this change",
		}},
		"a rule that goes": {nightly("app", 30, 1e6), document(retention.Keep{KeepLast: 1, KeepWeekly: 12}), document(retention.Keep{KeepLast: 1}), cost.Table{}, []string{
			"weekly points: 12 -> none, the oldest weekly restore point (23 October 2026) is no longer kept as such",
			"5 recovery points (4.8 MiB) of 1 source will be deleted by the next rotation because of this change; it deletes 24 more that the rules before would delete too",
			"the oldest moment that can be restored moves from 23 October 2026 to 21 November 2026",
		}},
		"a rule about other points": {nightly("app", 3, 1e6), document(retention.Keep{KeepLast: 3}), document(retention.Keep{KeepLast: 3, WAL: duration.MustParse("7d")}), cost.Table{}, []string{
			"point-in-time recovery: none -> 7d, no recovery point is kept by it today",
			"no recovery point is deleted because of this change",
		}},
		"larger gaps": {nightly("app", 30, 1e6), document(retention.Keep{KeepDaily: 30}), document(retention.Keep{KeepDaily: 2, KeepWeekly: 4}), cost.Table{}, []string{
			"daily points: 30 -> 2, the oldest daily restore point moves from 23 October 2026 to 20 November 2026",
			"weekly points: none -> 4, the oldest weekly restore point is that of 1 November 2026",
			"25 recovery points (23.8 MiB) of 1 source will be deleted by the next rotation because of this change",
			"the oldest moment that can be restored moves from 23 October 2026 to 1 November 2026",
			"the largest gap between restorable moments grows from 1 day to 7 days",
		}},
		"another time zone": {nightly("app", 3, 1e6), document(retention.Keep{KeepDaily: 3}), document(retention.Keep{KeepDaily: 3}, zone("Europe/Berlin")), cost.Table{}, []string{
			"time zone: UTC -> Europe/Berlin, hours, days, weeks, months and years begin at other moments, so another point may be the newest of each",
			"no recovery point is deleted because of this change",
		}},
		"a ceiling": {nightly("app", 30, 1e6), document(retention.Keep{KeepLast: 30}), document(retention.Keep{KeepLast: 30}, expireAfter("20d")), cost.Table{}, []string{
			"age limit of every point: none -> 20d, 10 recovery points older than that (1 November 2026) go",
			"10 recovery points (9.5 MiB) of 1 source will be deleted by the next rotation because of this change",
			"the oldest moment that can be restored moves from 23 October 2026 to 2 November 2026",
		}},
		"archived": {nightly("app", 30, 100e9), document(retention.Keep{KeepDaily: 30}), document(retention.Keep{KeepDaily: 30}, glacier), prices, []string{
			"transition to GLACIER: none -> after 7d, for what is there and what comes",
			"a point in GLACIER can not be read until it was brought back: up to 5 hours and $0.93 for one of 93.1 GiB (estimate, not a bill)",
			"no recovery point is deleted because of this change",
			"storing what is kept goes from $64.26 to $22.71 a month (estimate, not a bill: S3 list prices of us-east-1, 2026-11), if all of it were stored by the rules",
		}},
		"objectives": {nightly("app", 3, 1e6), document(retention.Keep{KeepDaily: 3}), document(retention.Keep{KeepDaily: 3}, func(d *policy.Document) { d.Objectives.RPO = duration.MustParse("24h") }), cost.Table{}, []string{
			"recovery point objective (RPO): none -> 24h, no recovery point is touched",
			"no recovery point is deleted because of this change",
		}},
		"an empty repository": {nil, document(retention.Keep{KeepDaily: 30}), document(retention.Keep{KeepDaily: 14}), prices, []string{
			"daily points: 30 -> 14, no recovery point is kept by it today",
			"no recovery point is deleted because of this change",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := of(t, impact.Facts{Points: c.points, Old: &c.old, New: c.new, Prices: c.prices})
			if diff := cmp.Diff(c.want, got.Sentences); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDaysInSentencesAreThoseOfThePolicysTimeZone(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 1, 23, 30, 0, 0, time.UTC) // 2 November in Berlin
	points := []impact.Point{
		{Source: "a", Kind: "logical", ID: "1", Start: at, Restorable: true},
		{Source: "a", Kind: "logical", ID: "2", Start: at.AddDate(0, 0, 10), Restorable: true},
	}
	old, next := document(retention.Keep{KeepLast: 2}, zone("Europe/Berlin")), document(retention.Keep{KeepLast: 1}, zone("Europe/Berlin"))
	got := of(t, impact.Facts{Points: points, Old: &old, New: next})
	if all := strings.Join(got.Sentences, "\n"); !strings.Contains(all, "moves from 2 November 2026 to 12 November 2026") {
		t.Error(all)
	}
}

func TestPointsThatAreNotRestorableAreNoMomentToGoBackTo(t *testing.T) {
	t.Parallel()
	points := nightly("app", 10, 1e6)
	points[9].Restorable = false // found bad
	old := document(retention.Keep{KeepLast: 10})
	got := of(t, impact.Facts{Points: points, Old: &old, New: document(retention.Keep{KeepLast: 9})})
	if slices.ContainsFunc(got.Sentences, func(s string) bool { return strings.HasPrefix(s, "the oldest moment") }) || got.Points != 1 {
		t.Errorf("%q", got.Sentences)
	}
}

func TestWhatAnotherPolicyKeepsNeedsNoApproval(t *testing.T) {
	t.Parallel()
	points := nightly("app", 4, 1e6)
	for i := range points {
		points[i].Spared, points[i].Protected = "policy dev keeps it", true
	}
	old := document(retention.Keep{KeepLast: 4})
	f := impact.Facts{Points: points, Old: &old, New: document(retention.Keep{KeepLast: 1})}
	if got := of(t, f); got.Loses() || got.Spared != 3 || got.Points != 0 {
		t.Errorf("%+v", got)
	}
	for i := range points {
		points[i].Protected = false // as when a manifest can not be read
	}
	if got := of(t, f); !got.Loses() || got.Waiting != 3 || got.Points != 0 {
		t.Errorf("%+v", got)
	}
}
