package rotate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

func document(name string, keep retention.Keep) policy.Document {
	return policy.Document{Format: policy.Format, Name: name, Retention: keep}
}

// revise writes the next revision of a policy, as of a moment.
func (f *fixture) revise(name string, keep retention.Keep, envelope policy.Envelope) policy.Revision {
	f.t.Helper()
	after := 0
	if current, err := f.CurrentPolicy(f.t.Context(), name); err == nil {
		after = current.Number
	}
	if envelope.At.IsZero() {
		envelope.At = now
	}
	rev, err := f.PutPolicyRevision(f.t.Context(), after, document(name, keep), envelope)
	if err != nil {
		f.t.Fatal(err)
	}
	return rev
}

// settle gives the files of every point the time at which it was made, as if
// backups had run night after night.
func (f *fixture) settle() {
	f.t.Helper()
	listed, err := f.List(f.t.Context(), repo.Filter{})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, l := range listed {
		at := l.Start.Add(time.Minute)
		if err := os.Chtimes(filepath.Join(f.dir, filepath.FromSlash(l.Key)), at, at); err != nil {
			f.t.Fatal(err)
		}
	}
}

func daily(n int) retention.Keep { return retention.Keep{KeepDaily: n} }

func none() *policy.Loss { return &policy.Loss{AsOf: now} }

func (f *fixture) restrictions(rev policy.Revision) []Restriction {
	f.t.Helper()
	held, err := Restrictions(f.t.Context(), f.Repository, rev, now)
	if err != nil {
		f.t.Fatal(err)
	}
	return held
}

// V: a revision whose loss nobody approved deletes nothing that the last good one
// would not.
func TestOnlyAGoodRevisionDeletesMoreThanTheOneBefore(t *testing.T) {
	t.Parallel()
	lost := &policy.Loss{Points: 2, AsOf: now}
	for name, c := range map[string]struct {
		revisions []policy.Envelope // each keeps 3 fewer days than the one before: 6, 3, …
		days      []int             // other days, where given
		holds     string            // words of the reason; "" = good
		keeps     int               // days the restriction keeps, -1 = all
	}{
		"the first, by hand":                     {revisions: []policy.Envelope{{}}},
		"the first, with a loss nobody approved": {revisions: []policy.Envelope{{Loss: lost}}, holds: "revision 1 of policy prod was never approved", keeps: retention.All},
		"nothing lost":                           {revisions: []policy.Envelope{{}, {Loss: none()}}},
		"approved":                               {revisions: []policy.Envelope{{}, {Loss: lost, Approval: "EXPIRE-2-abcdef"}}},
		"never approved":                         {revisions: []policy.Envelope{{}, {Loss: lost}}, holds: "revision 2 of policy prod was never approved and revision 1 keeps it", keeps: 6},
		"by hand":                                {revisions: []policy.Envelope{{}, {}}, holds: "revision 2 of policy prod was never approved and revision 1 keeps it", keeps: 6},
		"by hand, longer":                        {revisions: []policy.Envelope{{}, {}}, days: []int{3, 6}},
		"by hand, beyond all there is":           {revisions: []policy.Envelope{{}, {}}, days: []int{30, 20}},
		"by hand, before there were points":      {revisions: []policy.Envelope{{}, {At: now.AddDate(0, 0, -60)}}},
		"by hand twice":                          {revisions: []policy.Envelope{{}, {}, {}}, days: []int{6, 3, 2}, holds: "revision 2 of policy prod was never approved and revision 1 keeps it", keeps: 6},
		"by hand, and back":                      {revisions: []policy.Envelope{{}, {}, {}}, days: []int{6, 3, 6}},
		"by hand after a good one":               {revisions: []policy.Envelope{{}, {Approval: "EXPIRE-2-abcdef"}, {}}, days: []int{6, 4, 2}, holds: "revision 3 of policy prod was never approved and revision 2 keeps it", keeps: 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.points("a", 0, 1, 2, 3, 4, 5, 6, 7)
			f.settle()
			days := slices.Concat(c.days, []int{6, 3})
			var rev policy.Revision
			for i, e := range c.revisions {
				rev = f.revise("prod", daily(days[i]), e)
			}
			held := f.restrictions(rev)
			if c.holds == "" {
				if len(held) != 0 {
					t.Errorf("held to %+v", held)
				}
				return
			}
			if len(held) != 1 || !strings.Contains(held[0].Why, c.holds) {
				t.Fatalf("held to %+v, want one that says %q", held, c.holds)
			}
			if got := held[0].Rules; got.KeepDaily != c.keeps && got.KeepLast != c.keeps {
				t.Errorf("it keeps %+v, want %d", got.Keep, c.keeps)
			}
		})
	}
}

func TestARetiredCopyMakesNoUnapprovedRevisionGood(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.points("a", 0, 1, 2, 3, 4, 5)
	f.settle()
	f.revise("prod", daily(6), policy.Envelope{})
	f.revise("prod", daily(3), policy.Envelope{})
	if err := f.RetirePolicy(t.Context(), "prod", policy.Envelope{At: now}); err != nil {
		t.Fatal(err)
	}
	rev := f.revise("prod", daily(3), policy.Envelope{})
	if held := f.restrictions(rev); rev.Number != 4 || len(held) != 1 || held[0].Rules.KeepDaily != 6 {
		t.Errorf("revision %d is held to %+v, want 6 days", rev.Number, held)
	}
}

func TestWithAnUnreadableOldRevisionEverythingIsKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.points("a", 0, 1, 2, 3, 4, 5)
	f.settle()
	first := f.revise("prod", daily(6), policy.Envelope{})
	rev := f.revise("prod", daily(3), policy.Envelope{})
	if err := os.WriteFile(filepath.Join(f.dir, first.Key()), []byte(`{"format":1,`), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := f.options(daily(3))
	opts.Restrict = f.restrictions(rev)
	out, err := Run(t.Context(), opts)
	if err != nil || len(out.Delete) != 0 || !slices.Equal(f.ids(), want(p...)) {
		t.Errorf("deleted %v, %v", idsOf(out.Delete), err)
	}
	if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "revision 1 can not be read") || !strings.Contains(out.Warnings[0], "restore "+first.Key()) {
		t.Errorf("warnings %q", out.Warnings)
	}
}

func TestARestrictedRunDeletesWhatAgesOutAnywayAndSaysWhatStays(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.points("a", 0, 1, 2, 3, 4, 5, 6, 7)
	q := f.points("b", 0, 1, 2, 3, 4)
	f.settle()
	f.revise("prod", daily(6), policy.Envelope{})
	opts := f.options(daily(3))
	opts.Restrict = f.restrictions(f.revise("prod", daily(3), policy.Envelope{}))
	planned, err := Plan(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	out, err := Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	for what, o := range map[string]Outcome{"planned": planned, "done": out} {
		if !slices.Equal(idsOf(o.Delete), want(p[6], p[7])) {
			t.Errorf("%s: deletes %v, want only what 6 days do not keep either", what, idsOf(o.Delete))
		}
		for _, d := range o.Keep {
			held := strings.Contains(d.Reasons[0], "revision 2 of policy prod was never approved")
			if restrained := slices.Contains(want(p[3], p[4], p[5], q[3], q[4]), d.ID); held != restrained {
				t.Errorf("%s: %s stays for %q", what, d.ID, d.Reasons)
			}
		}
		if len(o.Warnings) != 1 || !strings.Contains(o.Warnings[0], "revision 2 of policy prod was never approved") ||
			!strings.Contains(o.Warnings[0], "5 recovery points stay") || !strings.Contains(o.Warnings[0], "Terraform") {
			t.Errorf("%s: warnings %q", what, o.Warnings)
		}
	}
	if !slices.Equal(f.ids(), want(append(q, p[:6]...)...)) {
		t.Errorf("left are %v", f.ids())
	}
}
