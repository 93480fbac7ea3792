package policy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

func span(s string) duration.Duration { return duration.MustParse(s) }

func to(class, after string, tiers ...string) policy.Transition {
	return policy.Transition{After: span(after), Class: class, Tiers: tiers}
}

func TestEachChangeReadsAsASentenceWithItsDirection(t *testing.T) {
	t.Parallel()
	ceiling := func(s string) func(*policy.Document) {
		return func(d *policy.Document) { d.Storage.ExpireAfter = span(s) }
	}
	moves := func(moves ...policy.Transition) func(*policy.Document) {
		return func(d *policy.Document) { d.Storage.Transitions = moves }
	}
	for _, c := range []struct {
		before, after func(*policy.Document)
		want          string
	}{
		{nil, func(d *policy.Document) { d.Name = "main" }, "policy name: prod -> main (other)"},
		{nil, func(d *policy.Document) { d.Environment = "" }, "environment: production -> none (other)"},
		{nil, func(d *policy.Document) { d.Timezone = "" }, "time zone: Europe/Berlin -> UTC (other)"},
		{nil, func(d *policy.Document) { d.Objectives.RPO = span("1h") }, "recovery point objective (RPO): 24h -> 1h (other)"},
		{nil, func(d *policy.Document) { d.Objectives.RTO = duration.Duration{} }, "recovery time objective (RTO): 4h -> none (other)"},
		{nil, func(d *policy.Document) { d.Retention.KeepLast = 5 }, "newest points: 3 -> 5 (longer)"},
		{nil, func(d *policy.Document) { d.Retention.KeepHourly = 24 }, "hourly points: none -> 24 (longer)"},
		{nil, func(d *policy.Document) { d.Retention.KeepDaily = 14 }, "daily points: 30 -> 14 (shorter)"},
		{nil, func(d *policy.Document) { d.Retention.KeepWeekly = 0 }, "weekly points: 12 -> none (shorter)"},
		{nil, func(d *policy.Document) { d.Retention.KeepMonthly = retention.All }, "monthly points: 12 -> all (longer)"},
		{func(d *policy.Document) { d.Retention.KeepYearly = retention.All }, nil, "yearly points: all -> 7 (shorter)"},
		{nil, func(d *policy.Document) { d.Retention.KeepWithin = span("2w") }, "every point within: none -> 2w (longer)"},
		{func(d *policy.Document) { d.Retention.KeepWithinMonthly = span("2y") }, nil, "monthly points within: 2y -> none (shorter)"},
		{nil, func(d *policy.Document) { d.Retention.WAL = span("14d") }, "point-in-time recovery: 7d -> 14d (longer)"},
		{ceiling("1mo"), ceiling("30d"), "age limit of every point: 1mo -> 30d (other)"},
		{nil, ceiling("10y"), "age limit of every point: 2555d -> 10y (longer)"},
		{nil, ceiling("0s"), "age limit of every point: 2555d -> none (longer)"},
		{ceiling("0s"), nil, "age limit of every point: none -> 2555d (shorter)"},
		{nil, func(d *policy.Document) { d.Storage.Class = "STANDARD_IA" }, "storage class at upload: STANDARD -> STANDARD_IA (other)"},
		{nil, func(d *policy.Document) { d.Storage.Classes.Monthly = "GLACIER_IR" }, "storage class of monthly points: STANDARD -> GLACIER_IR (other)"},
		{moves(to("GLACIER", "90d")), moves(to("GLACIER", "60d")), "transition to GLACIER: after 90d -> after 60d (other)"},
		{nil, moves(to("DEEP_ARCHIVE", "180d", "yearly", "monthly")), "transition to DEEP_ARCHIVE: none -> after 180d (monthly, yearly) (other)"},
		{moves(to("GLACIER", "90d")), moves(to("GLACIER", "12w", "yearly"), to("GLACIER", "30d", "daily", "weekly", "monthly")), "transition to GLACIER: after 90d -> after 30d (daily, weekly, monthly), after 12w (yearly) (other)"},
		{moves(to("GLACIER", "90d")), moves(to("DEEP_ARCHIVE", "90d")), "transition to GLACIER: after 90d -> none (other); transition to DEEP_ARCHIVE: none -> after 90d (other)"},
	} {
		a, b := prod(), prod()
		if c.before != nil {
			c.before(&a)
		}
		if c.after != nil {
			c.after(&b)
		}
		got := ""
		for i, change := range policy.Diff(a, b) {
			if i > 0 {
				got += "; "
			}
			got += fmt.Sprintf("%s (%s)", change, change.Direction)
		}
		if got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestWhatMeansTheSameIsNoChange(t *testing.T) {
	t.Parallel()
	a, b := tiered(), tiered()
	b.Objectives.RPO = span("1440m")
	b.Storage.Class = ""
	a.Storage.Class = "STANDARD"
	slices.Reverse(b.Storage.Transitions)
	b.Storage.Transitions[0].Tiers = []string{"yearly", "monthly"}
	b.Storage.Transitions[1].After = span("1w")
	if changes := policy.Diff(a, b); len(changes) != 0 {
		t.Errorf("no difference is %v", changes)
	}
	if a.Digest() == b.Digest() {
		t.Error("the digest is of the spelling")
	}
	a, b = prod(), prod()
	b.Timezone, a.Timezone = "", "UTC"
	if changes := policy.Diff(a, b); len(changes) != 0 {
		t.Errorf("no difference is %v", changes)
	}
}

func TestAChangeSurvivesJSON(t *testing.T) {
	t.Parallel()
	before, after := prod(), prod()
	after.Retention.KeepDaily = 14
	data, err := json.Marshal(policy.Diff(before, after))
	if want := `[{"field":"keep_daily","label":"daily points","before":"30","after":"14","direction":"shorter"}]`; err != nil || string(data) != want {
		t.Fatalf("%s, %v", data, err)
	}
	var back []policy.Change
	if err := json.Unmarshal(data, &back); err != nil || !slices.Equal(back, policy.Diff(before, after)) {
		t.Errorf("%v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"direction":"sideways"}`), new(policy.Change)); err == nil {
		t.Error("an unknown direction was accepted")
	}
}

func TestADifferenceTurnsRoundWithItsDocuments(t *testing.T) {
	t.Parallel()
	opposite := map[policy.Direction]policy.Direction{policy.Shorter: policy.Longer, policy.Longer: policy.Shorter, policy.Other: policy.Other}
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyDocument(t, "a"), anyDocument(t, "b")
		there, back := policy.Diff(a, b), policy.Diff(b, a)
		if len(there) != len(back) {
			t.Fatalf("%v and back %v", there, back)
		}
		for i, c := range there {
			turned := policy.Change{Field: c.Field, Label: c.Label, Before: c.After, After: c.Before, Direction: opposite[c.Direction]}
			if back[i] != turned || c.Label == "" || c.Before == c.After {
				t.Fatalf("%+v and back %+v", c, back[i])
			}
		}
	})
}
