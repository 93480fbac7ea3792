package alarm_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/alarm"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
)

var made = time.Date(2026, 11, 1, 9, 17, 0, 0, time.UTC)

func one(t *testing.T, s alarm.Spec, what string) alarm.Alarm {
	t.Helper()
	s.Repository, s.Policy = "s3://acme/prod", "prod"
	alarms, err := alarm.Plan(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alarms {
		if strings.Contains(a.Name, what) {
			return a
		}
	}
	t.Fatalf("no alarm %s in %+v", what, alarms)
	return alarm.Alarm{}
}

// rings tells when an alarm rings between two moments: the first minute it does,
// and whether it still does at the end.
func rings(t *testing.T, a alarm.Alarm, h history, from, to time.Time) (first time.Time, still bool) {
	t.Helper()
	for now := from; now.Before(to); now = now.Add(5 * time.Minute) {
		if still = ringing(t, a, h, now); still && first.IsZero() {
			first = now
		}
	}
	return first, still
}

// nights is a run at 02:10 of each of n days, and the mark of the alarm's making.
func nights(n int, change func(day int, at time.Time) (time.Time, float64)) history {
	h := history{metric.Armed: {{made, 1}}}
	for day := 1; day <= n; day++ {
		at, ok := time.Date(2026, 11, 1+day, 2, 10, 0, 0, time.UTC), 1.0
		if change != nil {
			at, ok = change(day, at)
		}
		if !at.IsZero() {
			h[metric.Succeeded] = append(h[metric.Succeeded], sample{at, ok})
			h[metric.Failed] = append(h[metric.Failed], sample{at, 1 - ok})
		}
	}
	return h
}

func TestANightlyBackupThatIsOnTimeNeverRings(t *testing.T) {
	t.Parallel()
	a := one(t, alarm.Spec{OverdueAfter: 25 * time.Hour}, "overdue")
	if first, _ := rings(t, a, nights(10, nil), made, made.AddDate(0, 0, 10)); !first.IsZero() {
		t.Errorf("rings at %s", first)
	}
}

func TestItDoesNotRingBetweenItsMakingAndTheFirstRun(t *testing.T) {
	t.Parallel()
	a := one(t, alarm.Spec{OverdueAfter: 25 * time.Hour}, "overdue")
	if first, _ := rings(t, a, nights(1, nil), made, made.Add(20*time.Hour)); !first.IsZero() {
		t.Errorf("rings at %s", first)
	}
	// Without a first run at all it does, when the time is over.
	if first, _ := rings(t, a, nights(0, nil), made, made.Add(48*time.Hour)); first.Sub(made) < 25*time.Hour || first.Sub(made) > 26*time.Hour {
		t.Errorf("rings at %s, %s after it was made", first, first.Sub(made))
	}
}

func TestARunThatIsHalfAnHourLateDoesNotRingAndOneTwoHoursLateDoes(t *testing.T) {
	t.Parallel()
	a := one(t, alarm.Spec{OverdueAfter: 25 * time.Hour}, "overdue")
	late := func(by time.Duration) history {
		return nights(6, func(day int, at time.Time) (time.Time, float64) {
			if day == 4 {
				at = at.Add(by)
			}
			return at, 1
		})
	}
	if first, _ := rings(t, a, late(30*time.Minute), made, made.AddDate(0, 0, 6)); !first.IsZero() {
		t.Errorf("30 minutes late rings at %s", first)
	}
	first, still := rings(t, a, late(2*time.Hour), made, made.AddDate(0, 0, 6))
	if want := time.Date(2026, 11, 5, 3, 10, 0, 0, time.UTC); first.Before(want) || first.After(want.Add(time.Hour)) || still {
		t.Errorf("two hours late rings at %s, still %t", first, still)
	}
}

func TestOneFailureRingsAtOnceAndIsOverdueOnlyWhenTheNextFailsToo(t *testing.T) {
	t.Parallel()
	broken := nights(8, func(day int, at time.Time) (time.Time, float64) {
		if day == 4 {
			return at, 0
		}
		return at, 1
	})
	failed := one(t, alarm.Spec{Failed: true}, "failed")
	first, still := rings(t, failed, broken, made, made.AddDate(0, 0, 8))
	if want := time.Date(2026, 11, 5, 2, 10, 0, 0, time.UTC); first.Before(want) || first.After(want.Add(10*time.Minute)) || still {
		t.Errorf("the failure rings at %s, still %t", first, still)
	}
	overdue := one(t, alarm.Spec{OverdueAfter: 25 * time.Hour}, "overdue")
	if first, _ := rings(t, overdue, broken, made, made.AddDate(0, 0, 8)); first.Day() != 5 || first.Hour() != 3 {
		t.Errorf("a night without a good backup is overdue at %s", first)
	}
	patient := one(t, alarm.Spec{OverdueAfter: 49 * time.Hour}, "overdue")
	if first, _ := rings(t, patient, broken, made, made.AddDate(0, 0, 8)); !first.IsZero() {
		t.Errorf("with 49h it rings at %s", first)
	}
}

func TestSilenceRingsAndGoesOnRinging(t *testing.T) {
	t.Parallel()
	for after, silence := range map[time.Duration]history{
		25 * time.Hour:     nights(3, nil),
		6 * 24 * time.Hour: nights(3, nil),
		2 * time.Hour:      nights(3, nil),
	} {
		a := one(t, alarm.Spec{OverdueAfter: after}, "overdue")
		last := time.Date(2026, 11, 4, 2, 10, 0, 0, time.UTC)
		first, still := rings(t, a, silence, last, last.Add(after+48*time.Hour))
		if gap := first.Sub(last); gap < after || gap > after+70*time.Minute || !still {
			t.Errorf("%s: rings %s after the last success, still %t", after, gap, still)
		}
		if total := a.Period * a.Periods; total > 7*86400 || a.Period < 3600 && total > 86400 {
			t.Errorf("%s: CloudWatch does not look back over %d periods of %d s", after, a.Periods, a.Period)
		}
	}
}

func TestLongerThanAWeekTheReportedAgeCountsAndItsAbsenceToo(t *testing.T) {
	t.Parallel()
	a := one(t, alarm.Spec{Drill: &alarm.Drill{Jobs: []string{"weekly"}, OverdueAfter: 8 * 24 * time.Hour}}, "drill-overdue")
	reports := func(days int, stop int) history {
		h := history{metric.Armed: {{made, 1}}}
		for day := 1; day <= days && day <= stop; day++ {
			at := time.Date(2026, 11, 1+day, 6, 0, 0, 0, time.UTC)
			h[metric.DrillAge] = append(h[metric.DrillAge], sample{at, at.Sub(made).Seconds()}) // the last drill was when the alarm was made
		}
		return h
	}
	first, still := rings(t, a, reports(20, 20), made, made.AddDate(0, 0, 15))
	if gap := first.Sub(made); gap < 8*24*time.Hour || gap > 10*24*time.Hour || !still {
		t.Errorf("a drill that did not run rings after %s, still %t", gap, still)
	}
	first, _ = rings(t, a, reports(20, 2), made, made.AddDate(0, 0, 6))
	if want := time.Date(2026, 11, 3, 6, 0, 0, 0, time.UTC).Add(26 * time.Hour); first.Before(want) || first.After(want.Add(time.Hour)) {
		t.Errorf("reports that stop ring at %s", first)
	}
}

func TestABackupOutOfLineWithThoseBeforeItRings(t *testing.T) {
	t.Parallel()
	size := &alarm.Size{Below: 50, Above: 200}
	h := history{metric.SizeRatio: {{made.Add(24 * time.Hour), 101}, {made.Add(24 * time.Hour), 97}, {made.Add(48 * time.Hour), 100}, {made.Add(48 * time.Hour), 31}, {made.Add(72 * time.Hour), 240}}}
	below, _ := rings(t, one(t, alarm.Spec{Size: size}, "size-below"), h, made, made.AddDate(0, 0, 5))
	above, _ := rings(t, one(t, alarm.Spec{Size: size}, "size-above"), h, made, made.AddDate(0, 0, 5))
	if below.Sub(made).Round(10*time.Minute) != 48*time.Hour || above.Sub(made).Round(10*time.Minute) != 72*time.Hour {
		t.Errorf("one source of two at 31%% rings at %s, 240%% at %s", below.Sub(made), above.Sub(made))
	}
}

func TestGrowthAndSizeOfTheStorageRing(t *testing.T) {
	t.Parallel()
	h := history{}
	for day := range 10 {
		bytes := 100e9 + 1e9*float64(day)
		if day >= 6 {
			bytes += 50e9
		}
		h[metric.RepositoryBytes] = append(h[metric.RepositoryBytes], sample{made.AddDate(0, 0, day), bytes})
	}
	growth, still := rings(t, one(t, alarm.Spec{GrowthPerDay: 20e9}, "growth"), h, made, made.AddDate(0, 0, 10))
	if growth.Sub(made) < 6*24*time.Hour || growth.Sub(made) > 7*24*time.Hour || still {
		t.Errorf("growth rings at %s, still %t", growth.Sub(made), still)
	}
	storage, _ := rings(t, one(t, alarm.Spec{StorageAbove: 150e9}, "storage"), h, made, made.AddDate(0, 0, 10))
	if storage.Sub(made) < 6*24*time.Hour || storage.Sub(made) > 6*24*time.Hour+10*time.Minute {
		t.Errorf("size rings at %s", storage.Sub(made))
	}
}

func TestWALThatLagsOrIsSilentRings(t *testing.T) {
	t.Parallel()
	a := one(t, alarm.Spec{WALLag: 15 * time.Minute}, "wal-lag")
	h := history{metric.Armed: {{made, 1}}}
	for minute := 1; minute < 240; minute++ {
		lag := 20.0
		if minute > 120 {
			lag = 20 * 60
		}
		h[metric.WALLag] = append(h[metric.WALLag], sample{made.Add(time.Duration(minute) * time.Minute), lag})
	}
	first, still := rings(t, a, h, made.Add(10*time.Minute), made.Add(5*time.Hour))
	if gap := first.Sub(made); gap < 2*time.Hour || gap > 2*time.Hour+20*time.Minute || !still {
		t.Errorf("rings after %s, still %t", gap, still)
	}
}

func TestAGapInTheWALRingsAsSoonAsItIsSeen(t *testing.T) {
	t.Parallel()
	a := one(t, alarm.Spec{WALGap: true}, "wal-gap")
	h := history{}
	for hour := range 48 {
		gaps := 0.0
		if hour >= 24 {
			gaps = 1
		}
		h[metric.WALGaps] = append(h[metric.WALGaps], sample{made.Add(time.Duration(hour) * time.Hour), gaps})
	}
	first, _ := rings(t, a, h, made, made.Add(48*time.Hour))
	if after := first.Sub(made); after < 24*time.Hour || after > 24*time.Hour+5*time.Minute {
		t.Errorf("rings after %s", after)
	}
	if a.Missing != "ignore" {
		t.Errorf("between two looks the alarm is %s: it would be over although the gap is there", a.Missing)
	}
	if _, still := rings(t, a, history{}, made, made.Add(48*time.Hour)); still {
		t.Error("rings without anything that was published: that is for wal-lag to do")
	}
}

func TestEachJobIsWatchedByItself(t *testing.T) {
	t.Parallel()
	alarms, err := alarm.Plan(alarm.Spec{Repository: "s3://a/b", Policy: "prod", Jobs: []string{"orders", "app"}, OverdueAfter: 25 * time.Hour, Failed: true})
	if err != nil || len(alarms) != 4 {
		t.Fatalf("%+v, %v", alarms, err)
	}
	names := map[string]bool{}
	for _, a := range alarms {
		if names[a.Name] || len(a.Name) > 255 || !strings.HasPrefix(a.Name, "pgbackup-prod-") {
			t.Errorf("name %q", a.Name)
		}
		names[a.Name] = true
		for id, series := range a.Metrics {
			if series.Dimensions[metric.DimensionJob] == "" {
				t.Errorf("%s: %s is not of one job: %v", a.Name, id, series.Dimensions)
			}
		}
		if text, err := json.Marshal(a); err != nil || !strings.Contains(string(text), "evaluation_periods") {
			t.Errorf("%s, %v", text, err)
		}
	}
	other, err := alarm.Plan(alarm.Spec{Repository: "s3://a/c", Policy: "prod", Failed: true})
	if err != nil || names[other[0].Name] {
		t.Errorf("two repositories share the name %s, %v", other[0].Name, err)
	}
}

func TestWhatAlarmsWatchIsReadBackFromThem(t *testing.T) {
	t.Parallel()
	for _, want := range []alarm.Spec{
		{OverdueAfter: 25 * time.Hour, Failed: true},
		{Jobs: []string{"app", "orders-failed"}, OverdueAfter: 9 * 24 * time.Hour, Failed: true, Size: &alarm.Size{Below: 40, Above: 300}},
		{Name: "team-a", StorageAbove: 5e11, GrowthPerDay: 1e10, WALLag: 10 * time.Minute, WALGap: true, Drill: &alarm.Drill{Jobs: []string{"weekly"}, OverdueAfter: 8 * 24 * time.Hour, Failed: true}},
	} {
		want.Repository, want.Policy = "s3://a/b", "prod"
		alarms, err := alarm.Plan(want)
		if err != nil {
			t.Fatal(err)
		}
		foreign := alarms[0]
		foreign.Name = "pgbackup-prod-mine"
		got, ours := alarm.Recover(alarm.Spec{Repository: want.Repository, Policy: want.Policy, Name: want.Name}, append([]alarm.Alarm{foreign}, alarms...))
		if diff := cmp.Diff(want, got); diff != "" || len(ours) != len(alarms) {
			t.Errorf("%d of %d alarms, %s", len(ours), len(alarms), diff)
		}
	}
}

func TestWhatCannotBeWatchedIsNamed(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]alarm.Spec{
		"nothing is watched":                  {},
		"overdue_after = 1m0s: give at least": {OverdueAfter: time.Minute},
		"size.below_percent = 120":            {Size: &alarm.Size{Below: 120}},
		"size.above_percent = 90":             {Size: &alarm.Size{Above: 90}},
		"size: give below_percent":            {Size: &alarm.Size{}},
		"drill.jobs is missing":               {Drill: &alarm.Drill{Failed: true}},
		`"a" is in both jobs`:                 {Jobs: []string{"a"}, Failed: true, Drill: &alarm.Drill{Jobs: []string{"a"}, Failed: true}},
		"wal_lag = 1s":                        {WALLag: time.Second},
	} {
		if _, err := alarm.Plan(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %s", s, err, want)
		}
	}
}
