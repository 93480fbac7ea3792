package impact_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// asOf is when the tests look.
var asOf = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// nightly gives points of 02:00 of the last n days, newest first, each of so many
// bytes.
func nightly(source string, n int, bytes int64) []impact.Point {
	var all []impact.Point
	for i := range n {
		start := asOf.Truncate(24*time.Hour).AddDate(0, 0, -i).Add(2 * time.Hour)
		all = append(all, impact.Point{
			Source: source, Kind: "logical", ID: start.Format("20060102T150405Z") + fmt.Sprintf("-aaaaa%03d", i),
			Start: start, Bytes: bytes, Restorable: true,
		})
	}
	return all
}

func document(keep retention.Keep, edit ...func(*policy.Document)) policy.Document {
	d := policy.Document{Format: policy.Format, Name: "prod", Retention: keep}
	for _, e := range edit {
		e(&d)
	}
	return d
}

func expireAfter(text string) func(*policy.Document) {
	return func(d *policy.Document) { d.Storage.ExpireAfter = duration.MustParse(text) }
}

func zone(name string) func(*policy.Document) {
	return func(d *policy.Document) { d.Timezone = name }
}

// decided lets the retention engine decide about the points under both
// documents; without an old one everything was kept.
func decided(t testing.TB, f impact.Facts) impact.Facts {
	t.Helper()
	if f.AsOf.IsZero() {
		f.AsOf = asOf
	}
	if f.Old == nil {
		for i := range f.Points {
			f.Points[i].Before = impact.Fate{Kept: true, Tier: retention.TierDaily}
		}
	} else {
		decide(t, f, *f.Old, func(p *impact.Point, fate impact.Fate) { p.Before = fate })
	}
	decide(t, f, f.New, func(p *impact.Point, fate impact.Fate) { p.After = fate })
	return f
}

func decide(t testing.TB, f impact.Facts, d policy.Document, set func(*impact.Point, impact.Fate)) {
	t.Helper()
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	rules, err := d.Rules()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]*impact.Point{}
	var points []retention.Point
	for i := range f.Points {
		p := &f.Points[i]
		at[p.Source+p.Kind+p.ID] = p
		points = append(points, retention.Point{ID: p.ID, Source: p.Source, Kind: p.Kind, Start: p.Start, End: p.Start.Add(time.Minute), Verified: true})
	}
	plan := retention.Decide(retention.Input{Points: points, Rules: rules, Now: f.AsOf})
	for _, k := range plan.Keep {
		set(at[k.Point.Source+k.Point.Kind+k.Point.ID], impact.Fate{Kept: true, By: k.By, Tier: k.Tier})
	}
}

func of(t testing.TB, f impact.Facts) impact.Impact {
	t.Helper()
	i, err := impact.Of(decided(t, f))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// lostSet is the set a code is made of.
func lostSet(f impact.Facts) impact.Set {
	var s impact.Set
	for _, p := range f.Points {
		if p.Before.Kept && !p.After.Kept {
			s.Add(impact.SetOf(p.Source + "/" + p.Kind + "/" + p.ID))
		}
	}
	return s
}
