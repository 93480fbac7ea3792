package retention_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// drawPoints makes a history with gaps, clusters, marks, incrementals, missing
// parents and points dated in the future.
func drawPoints(t *rapid.T) []retention.Point {
	n := rapid.IntRange(0, 40).Draw(t, "points")
	start := now
	var all []retention.Point
	for i := range n {
		step := rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour, 7 * time.Hour, 24 * time.Hour, 25 * time.Hour, 24 * 9 * time.Hour, 24 * 40 * time.Hour, 24 * 400 * time.Hour}).Draw(t, "step")
		start = start.Add(-step)
		point := retention.Point{
			ID: fmt.Sprintf("p%02d", i), Source: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "source"),
			Kind: rapid.SampledFrom([]string{"logical", retention.KindPhysical}).Draw(t, "kind"), Start: start, End: start.Add(time.Minute),
			Verified: rapid.IntRange(0, 3).Draw(t, "verified") > 0,
		}
		switch rapid.IntRange(0, 14).Draw(t, "mark") {
		case 0:
			point.Held = true
		case 1:
			point.Locked = true
		case 2:
			point.Condemned = true
		case 3:
			point.Unreadable = true
		case 4:
			point.Start = now.AddDate(3, 0, i)
		case 5, 6, 7:
			point.Parent = fmt.Sprintf("p%02d", i+rapid.IntRange(1, 3).Draw(t, "parent"))
		}
		all = append(all, point)
	}
	return all
}

var spans = []string{"0s", "1h", "1d", "7d", "1mo", "1y", "10y"}

// drawRules always keeps something for logical points too; a policy of wal alone
// is a case of its own.
func drawRules(t *rapid.T) retention.Rules {
	var rules retention.Rules
	for _, f := range rules.Fields() {
		if rapid.IntRange(0, 2).Draw(t, f.Name+" given") > 0 {
			continue
		}
		if f.Count != nil {
			*f.Count = rapid.IntRange(-1, 6).Draw(t, f.Name)
		} else {
			*f.Span = duration.MustParse(rapid.SampledFrom(spans).Draw(t, f.Name))
		}
	}
	if rules.KeepDaily == 0 {
		rules.KeepDaily = rapid.IntRange(1, 5).Draw(t, "keep_daily at least")
	}
	rules.Location = location(rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York"}).Draw(t, "zone"))
	return rules
}

func drawCeiling(t *rapid.T, rules retention.Rules) retention.Rules {
	rules.ExpireAfter = duration.MustParse(rapid.SampledFrom(spans).Draw(t, "expire_after"))
	return rules
}

func decide(all []retention.Point, rules retention.Rules) retention.Plan {
	return retention.Decide(retention.Input{Points: all, Rules: rules, Now: now})
}

func keptSet(plan retention.Plan) map[string]bool {
	set := map[string]bool{}
	for _, d := range plan.Keep {
		set[d.Point.ID] = true
	}
	return set
}

func groupOf(p retention.Point) string { return p.Source + "/" + p.Kind }

func isAside(p retention.Point) bool {
	return p.Held || p.Locked || p.Condemned || p.Unreadable || p.Start.After(now)
}

func TestNewestVerifiedPointSurvivesEveryRuleAndEveryClock(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all, rules := drawPoints(t), drawCeiling(t, drawRules(t))
		clock := now.AddDate(rapid.IntRange(-20, 100).Draw(t, "clock"), 0, 0)
		kept := keptSet(retention.Decide(retention.Input{Points: all, Rules: rules, Now: clock}))
		newest := map[string]retention.Point{}
		for _, p := range all {
			best, seen := newest[groupOf(p)]
			if p.Verified && !p.Condemned && !p.Unreadable && !p.Start.After(clock) && (!seen || p.Start.After(best.Start)) {
				newest[groupOf(p)] = p
			}
		}
		for group, p := range newest {
			for _, q := range all { // any of several with the same start will do
				if q.Start.Equal(p.Start) && groupOf(q) == group && q.Verified && !q.Condemned && !q.Unreadable && kept[q.ID] {
					kept[p.ID] = true
				}
			}
			if !kept[p.ID] {
				t.Fatalf("%s: the newest verified point %s goes", group, p.ID)
			}
		}
	})
}

func TestEveryPointIsDecidedOnceWithAReason(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := drawPoints(t)
		plan := decide(all, drawCeiling(t, drawRules(t)))
		seen := map[string]int{}
		for _, d := range slices.Concat(plan.Keep, plan.Delete) {
			seen[d.Point.ID]++
			if len(d.Reasons) == 0 || slices.Contains(d.Reasons, "") {
				t.Fatalf("%s has no reason", d.Point.ID)
			}
		}
		for _, p := range all {
			if seen[p.ID] != 1 {
				t.Fatalf("%s is decided %d times", p.ID, seen[p.ID])
			}
		}
	})
}

func TestAddingOrRaisingARuleNeverDeletesMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all, before := drawPoints(t), drawRules(t)
		// Raising wal may choose another base backup, so it stays as it is; what
		// it guarantees grows nevertheless.
		after := before
		fields := after.Fields()
		f := fields[rapid.IntRange(0, len(fields)-2).Draw(t, "rule")]
		switch {
		case f.Span != nil:
			longer := duration.MustParse(rapid.SampledFrom(spans).Draw(t, "longer"))
			if longer.Compare(*f.Span) > 0 {
				*f.Span = longer
			}
		case *f.Count != retention.All:
			*f.Count += rapid.IntRange(0, 10).Draw(t, "more")
			if rapid.Bool().Draw(t, "all") {
				*f.Count = retention.All
			}
		}
		kept := keptSet(decide(all, after))
		for id := range keptSet(decide(all, before)) {
			if !kept[id] {
				t.Fatalf("with more of %s, %s goes", f.Name, id)
			}
		}
	})
}

func TestDecidingAgainOverWhatWasKeptDeletesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all, rules := drawPoints(t), drawCeiling(t, drawRules(t))
		var kept []retention.Point
		for _, d := range decide(all, rules).Keep {
			kept = append(kept, *d.Point)
		}
		if again := decide(kept, rules); len(again.Delete) > 0 {
			t.Fatalf("the second run deletes %v", reasons(again))
		}
	})
}

func TestTheOutcomeDoesNotDependOnTheOrderOfThePoints(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all, rules := drawPoints(t), drawCeiling(t, drawRules(t))
		shuffled := rapid.Permutation(all).Draw(t, "order")
		a, b := decide(all, rules), decide(shuffled, rules)
		same := func(x, y retention.Decision) bool { return *x.Point == *y.Point && slices.Equal(x.Reasons, y.Reasons) }
		if !slices.EqualFunc(a.Keep, b.Keep, same) || !slices.EqualFunc(a.Delete, b.Delete, same) {
			t.Fatalf("%v\n%v", reasons(a), reasons(b))
		}
	})
}

func TestPointsSetAsideStayAndTakeNothingFromTheOthers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all, rules := drawPoints(t), drawCeiling(t, drawRules(t))
		var others []retention.Point
		for i := range all {
			all[i].Parent = "" // a parent that is set aside does change what can be restored
			if p := all[i]; !isAside(p) {
				others = append(others, p)
			}
		}
		kept := keptSet(decide(all, rules))
		for _, p := range all {
			if isAside(p) && !kept[p.ID] {
				t.Fatalf("%s is set aside and goes", p.ID)
			}
		}
		for id := range keptSet(decide(others, rules)) {
			if !kept[id] {
				t.Fatalf("%s goes because of points that are set aside", id)
			}
		}
	})
}

func TestNoKeptIncrementalLosesAParent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := drawPoints(t)
		kept := keptSet(decide(all, drawCeiling(t, drawRules(t))))
		byID := map[string]retention.Point{}
		for _, p := range all {
			byID[p.ID] = p
		}
		for id := range kept {
			p := byID[id]
			if q, there := byID[p.Parent]; there && groupOf(p) == groupOf(q) && !kept[q.ID] {
				t.Fatalf("%s stays, its parent %s goes", p.ID, q.ID)
			}
		}
	})
}
