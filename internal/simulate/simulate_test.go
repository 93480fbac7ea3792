package simulate_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/simulate"
)

var from = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type fataler interface{ Fatal(args ...any) }

func cron(t fataler, expr, zone string) schedule.Schedule {
	s, err := schedule.Parse(expr, zone)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func forward(t fataler, in simulate.Input) simulate.Result {
	result, err := simulate.Forward(in)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// afterEveryRun plays the same by the book: a rotation after each run, over the
// points that the one before it left.
func afterEveryRun(in simulate.Input) []simulate.Kept {
	var points []retention.Point
	var plan retention.Plan
	until := in.From.In(in.Schedule.Location()).AddDate(0, 0, in.Days)
	for next := in.From.Add(-1); ; {
		run := in.Schedule.Next(next, 1)[0]
		if !run.Before(until) {
			break
		}
		next = run
		points = append(points, retention.Point{ID: fmt.Sprint(len(points), run), Source: "s", Kind: "logical", Start: run, End: run, Verified: true})
		plan = retention.Decide(retention.Input{Points: points, Rules: in.Rules, Now: run})
		points = nil
		for _, d := range plan.Keep {
			points = append(points, *d.Point)
		}
	}
	kept := []simulate.Kept{}
	for _, d := range plan.Keep {
		kept = append(kept, simulate.Kept{Start: d.Point.Start, Reasons: d.Reasons, Tier: d.Tier})
	}
	return kept
}

func same(a, b []simulate.Kept) bool {
	return slices.EqualFunc(a, b, func(a, b simulate.Kept) bool {
		return a.Start.Equal(b.Start) && slices.Equal(a.Reasons, b.Reasons) && a.Tier == b.Tier
	})
}

// drawRules gives rules that are valid, with or without a ceiling.
func drawRules(t *rapid.T) retention.Rules {
	var rules retention.Rules
	for _, f := range rules.Fields() {
		if rapid.IntRange(0, 3).Draw(t, f.Name+" given") > 0 {
			continue
		}
		if f.Count != nil {
			*f.Count = rapid.IntRange(-1, 8).Draw(t, f.Name)
		} else {
			*f.Span = duration.MustParse(rapid.SampledFrom([]string{"3h", "1d", "40h", "9d", "1mo"}).Draw(t, f.Name))
		}
	}
	if rapid.IntRange(0, 1).Draw(t, "spans") == 0 {
		for _, f := range rules.Fields() {
			if f.Span != nil {
				*f.Span = duration.Duration{}
			}
		}
	}
	if rapid.IntRange(0, 2).Draw(t, "ceiling") == 0 {
		rules.ExpireAfter = duration.MustParse(rapid.SampledFrom([]string{"9d", "35d", "60d"}).Draw(t, "expire_after"))
	}
	if rules.IsZero() {
		rules.KeepDaily = 3
	}
	if rules.Validate() != nil {
		rules.ExpireAfter = duration.Duration{} // shorter than one of the rules
	}
	rules.Location = cron(t, "@daily", rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "Australia/Lord_Howe"}).Draw(t, "zone of the rules")).Location()
	return rules
}

func TestTheOutcomeIsThatOfARotationAfterEveryRun(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := simulate.Input{
			Rules: drawRules(t), Days: rapid.IntRange(1, 60).Draw(t, "days"),
			From: from.Add(time.Duration(rapid.IntRange(0, 365*24).Draw(t, "from")) * time.Hour),
			Schedule: cron(t, rapid.SampledFrom([]string{"0 2 * * *", "0 */6 * * *", "30 1-3 1 * *", "15,45 2,14 * * 1,3", "0 5,6,23 * * *", "0 1-3 1 * *", "0 0 13 * fri"}).Draw(t, "cron"),
				rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "Australia/Lord_Howe"}).Draw(t, "zone")),
		}
		if got, want := forward(t, in).Kept, afterEveryRun(in); !same(got, want) {
			t.Fatalf("%+v\ngot  %v\nwant %v", in, got, want)
		}
	})
}

func TestRotatingInBatchesChangesNothing(t *testing.T) {
	t.Parallel()
	in := simulate.Input{Rules: retention.Rules{Keep: retention.Keep{KeepHourly: 30, KeepDaily: 9, KeepMonthly: 5}}, Schedule: cron(t, "*/20 * * * *", "UTC"), From: from, Days: 45}
	if got, want := forward(t, in), afterEveryRun(in); !same(got.Kept, want) || got.Runs != 45*72 {
		t.Errorf("%d runs\ngot  %v\nwant %v", got.Runs, got.Kept, want)
	}
}

func TestWhatARotationDeletedIsNotThereForTheNext(t *testing.T) {
	t.Parallel()
	got := forward(t, simulate.Input{
		Rules:    retention.Rules{Keep: retention.Keep{KeepWeekly: 5}, ExpireAfter: duration.MustParse("35d")},
		Schedule: cron(t, "0 1-3 1 * *", "UTC"), From: from, Days: 60,
	})
	starts := starts(got)
	if want := []string{"2026-03-01T03:00:00Z", "2026-02-01T03:00:00Z"}; got.Runs != 9 || !slices.Equal(starts, want) {
		t.Errorf("%d runs, kept %v, want %v", got.Runs, starts, want)
	}
}

func starts(r simulate.Result) []string {
	var all []string
	for _, k := range r.Kept {
		all = append(all, k.Start.Format(time.RFC3339))
	}
	return all
}

func TestDaysAreThoseOfTheSchedulesTimeZone(t *testing.T) {
	t.Parallel()
	berlin := cron(t, "30 2 * * *", "Europe/Berlin")
	midnight := time.Date(2026, 3, 27, 0, 0, 0, 0, berlin.Location())
	got := forward(t, simulate.Input{Rules: retention.Rules{Keep: retention.Keep{KeepLast: 9}}, Schedule: berlin, From: midnight, Days: 4})
	if want := []string{"2026-03-30T00:30:00Z", "2026-03-28T01:30:00Z", "2026-03-27T01:30:00Z"}; !slices.Equal(starts(got), want) {
		t.Errorf("kept %v, want %v", starts(got), want)
	}
	if !got.From.Equal(midnight) || !got.Until.Equal(time.Date(2026, 3, 30, 22, 0, 0, 0, time.UTC)) {
		t.Errorf("from %s until %s", got.From, got.Until)
	}
	if len(got.Skipped) != 1 || got.Skipped[0].Format(time.DateTime) != "2026-03-29 02:30:00" {
		t.Errorf("skipped %v", got.Skipped)
	}
}

func TestTheFirstMomentCountsAndTheLastDoesNot(t *testing.T) {
	t.Parallel()
	in := simulate.Input{Rules: retention.Rules{Keep: retention.Keep{KeepDaily: 2}}, Schedule: cron(t, "@daily", ""), From: from, Days: 30}
	got := forward(t, in)
	if want := []string{"2026-01-30T00:00:00Z", "2026-01-29T00:00:00Z"}; got.Runs != 30 || got.Deleted() != 28 || !slices.Equal(starts(got), want) {
		t.Errorf("%d runs, %d deleted, kept %v", got.Runs, got.Deleted(), starts(got))
	}
	for _, k := range got.Kept {
		if len(k.Reasons) == 0 {
			t.Errorf("%s is kept without a reason", k.Start)
		}
	}
	in.Schedule = cron(t, "@yearly", "")
	in.From = from.Add(time.Minute)
	if got := forward(t, in); got.Runs != 0 || len(got.Kept) != 0 {
		t.Errorf("no run falls into these days: %+v", got)
	}
}

func TestWhatCannotBePlayedIsRefused(t *testing.T) {
	t.Parallel()
	daily := retention.Rules{Keep: retention.Keep{KeepDaily: 3}}
	minutely := cron(t, "* * * * *", "")
	for name, c := range map[string]struct {
		in   simulate.Input
		want string
		is   error
	}{
		"no schedule":     {simulate.Input{Rules: daily, Days: 3}, "no schedule", nil},
		"no days":         {simulate.Input{Rules: daily, Schedule: minutely}, "give 1 or more", nil},
		"centuries":       {simulate.Input{Rules: daily, Schedule: minutely, Days: 1 << 40}, "a hundred years", simulate.ErrTooMuch},
		"no rules":        {simulate.Input{Schedule: minutely, Days: 1}, "keeps nothing", nil},
		"too many runs":   {simulate.Input{Rules: daily, Schedule: minutely, From: from, Days: 139}, "more than 200000 runs (reached on 2026-05-19); give fewer days", simulate.ErrTooMuch},
		"too many points": {simulate.Input{Rules: retention.Rules{Keep: retention.Keep{KeepWithin: duration.MustParse("60d")}}, Schedule: minutely, From: from, Days: 60}, "each run looks at all of them", simulate.ErrTooMuch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := simulate.Forward(c.in)
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
}

func BenchmarkForward(b *testing.B) {
	for name, rules := range map[string]retention.Rules{
		"counts":  {Keep: retention.Keep{KeepHourly: 24, KeepDaily: 30, KeepMonthly: 12}},
		"ceiling": {Keep: retention.Keep{KeepHourly: 24, KeepDaily: 30, KeepMonthly: 12}, ExpireAfter: duration.MustParse("400d")},
	} {
		in := simulate.Input{Rules: rules, Schedule: cron(b, "0 * * * *", "Europe/Berlin"), From: from, Days: 3650}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := simulate.Forward(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
