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

// revise writes the next revision of a policy, as of a moment. A loss in the
// envelope is given the digests of this change, as the provider does.
func (f *fixture) revise(name string, keep retention.Keep, envelope policy.Envelope) policy.Revision {
	f.t.Helper()
	after, from := 0, ""
	if current, err := f.CurrentPolicy(f.t.Context(), name); err == nil {
		after, from = current.Number, current.StoredDigest()
	}
	if envelope.Loss != nil {
		loss := *envelope.Loss
		loss.From, loss.To = from, document(name, keep).Digest()
		envelope.Loss = &loss
	}
	if envelope.At.IsZero() {
		envelope.At = now
	}
	rev, err := f.PutPolicyRevision(f.t.Context(), after, document(name, keep), envelope)
	if err != nil {
		f.t.Fatal(err)
	}
	f.written(rev, envelope.At)
	return rev
}

// written dates the object of a revision, where it is a file.
func (f *fixture) written(rev policy.Revision, at time.Time) {
	f.t.Helper()
	if f.dir == "" {
		return
	}
	if err := os.Chtimes(filepath.Join(f.dir, filepath.FromSlash(rev.Key())), at, at); err != nil {
		f.t.Fatal(err)
	}
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

// good and approvedLoss are the envelopes of a provider.
func good() policy.Envelope { return policy.Envelope{Loss: none()} }

func approvedLoss(code string) policy.Envelope {
	return policy.Envelope{Approval: code, Loss: &policy.Loss{Points: 2, AsOf: now}}
}

func (f *fixture) restrictions(rev policy.Revision) []Restriction {
	f.t.Helper()
	held, err := Restrictions(f.t.Context(), f.Repository, rev)
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
		"the first, by hand":                           {revisions: []policy.Envelope{{}}, holds: "revision 1 of policy prod was never approved and it is the first", keeps: retention.All},
		"the first, with a loss nobody approved":       {revisions: []policy.Envelope{{Loss: lost}}, holds: "revision 1 of policy prod was never approved", keeps: retention.All},
		"the first, by hand, before there were points": {revisions: []policy.Envelope{{At: now.AddDate(0, 0, -60)}}},
		"an approval without what it approves":         {revisions: []policy.Envelope{good(), {Approval: "EXPIRE-2-abcdef"}}, holds: "revision 2 of policy prod was never approved", keeps: 6},
		"nothing lost":                                 {revisions: []policy.Envelope{good(), {Loss: none()}}},
		"approved":                                     {revisions: []policy.Envelope{good(), approvedLoss("EXPIRE-2-abcdef")}},
		"never approved":                               {revisions: []policy.Envelope{good(), {Loss: lost}}, holds: "revision 2 of policy prod was never approved and revision 1 keeps it", keeps: 6},
		"by hand":                                      {revisions: []policy.Envelope{good(), {}}, holds: "revision 2 of policy prod was never approved and revision 1 keeps it", keeps: 6},
		"by hand, longer":                              {revisions: []policy.Envelope{good(), {}}, days: []int{3, 6}},
		"by hand, beyond all there is":                 {revisions: []policy.Envelope{good(), {}}, days: []int{30, 20}},
		"by hand, before there were points":            {revisions: []policy.Envelope{good(), {At: now.AddDate(0, 0, -60)}}},
		"by hand twice":                                {revisions: []policy.Envelope{good(), {}, {}}, days: []int{6, 3, 2}, holds: "revision 2 of policy prod was never approved and revision 1 keeps it", keeps: 6},
		"by hand, and back":                            {revisions: []policy.Envelope{good(), {}, {}}, days: []int{6, 3, 6}},
		"by hand after a good one":                     {revisions: []policy.Envelope{good(), approvedLoss("EXPIRE-2-abcdef"), {}}, days: []int{6, 4, 2}, holds: "revision 3 of policy prod was never approved and revision 2 keeps it", keeps: 4},
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
	f.revise("prod", daily(6), good())
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
	first := f.revise("prod", daily(6), good())
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
	f.revise("prod", daily(6), good())
	held := f.restrictions(f.revise("prod", daily(3), policy.Envelope{}))
	opts := f.options(daily(3))
	opts.Restrict = held
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

func TestAChangeIsHeldAgainstTheLastRulesThatAreAMeasure(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.points("a", 0, 1, 2, 3, 4, 5, 6, 7)
	f.settle()
	against := func(days, revision int) {
		t.Helper()
		d, rev, err := HeldAgainst(t.Context(), f.Repository, "prod")
		if err != nil || rev.Number != revision || (d == nil) != (days == 0) || d != nil && d.Retention.KeepDaily != days {
			t.Errorf("%+v, %d, %v; want %d days and revision %d", d, rev.Number, err, days, revision)
		}
	}
	against(0, 0)
	f.revise("prod", daily(6), good())
	against(6, 1)
	f.revise("prod", daily(3), policy.Envelope{}) // by hand: nobody approved it
	against(6, 2)
	f.revise("prod", daily(2), approvedLoss("EXPIRE-4-abcdef"))
	against(2, 3)
	f.retire("prod")
	against(2, 4)
}

// handwrite writes a revision as somebody with an editor would.
func (f *fixture) handwrite(rev policy.Revision, at time.Time) policy.Revision {
	f.t.Helper()
	data, err := rev.Encode()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, filepath.FromSlash(rev.Key())), data, 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.written(rev, at)
	rev, err = f.CurrentPolicy(f.t.Context(), rev.Document.Name)
	if err != nil {
		f.t.Fatal(err)
	}
	return rev
}

// A revision made from the one before it, with a shorter rule and all else as it was.
func TestALossCopiedFromAnotherRevisionShowsNothing(t *testing.T) {
	t.Parallel()
	for name, envelope := range map[string]policy.Envelope{"nothing lost": good(), "approved": approvedLoss("EXPIRE-2-abcdef")} {
		f := newFixture(t)
		f.revise("prod", daily(9), good())
		f.points("a", 0, 1, 2, 3, 4, 5, 6, 7)
		f.settle()
		rev := f.revise("prod", daily(6), envelope)
		rev.Number, rev.Document.Retention.KeepDaily = 3, 3
		rev = f.handwrite(rev, now)
		if held := f.restrictions(rev); len(held) != 1 || held[0].Rules.KeepDaily != 6 {
			t.Errorf("%s: held to %+v, want 6 days", name, held)
		}
		// The same document after another one: the digest before it is another.
		rev = f.revise("prod", daily(9), good())
		rev.Number, rev.Document, rev.Envelope.Loss = 5, document("prod", daily(3)), none()
		rev.Envelope.Loss.From, rev.Envelope.Loss.To = document("prod", daily(6)).Digest(), rev.Document.Digest()
		if held := f.restrictions(f.handwrite(rev, now)); len(held) != 1 || held[0].Rules.KeepDaily != 9 {
			t.Errorf("%s, from elsewhere: held to %+v, want 9 days", name, held)
		}
	}
}

// What an envelope says of its time is not believed against the store's.
func TestARevisionIsJudgedAsOfWhenItWasStored(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.points("a", 0, 1, 2, 3, 4, 5, 6, 7)
	f.settle()
	first := f.revise("prod", daily(6), policy.Envelope{At: now.AddDate(0, 0, -60)})
	if held := f.restrictions(first); len(held) != 0 {
		t.Errorf("before there were points: held to %+v", held)
	}
	second := f.revise("prod", daily(3), policy.Envelope{At: now.AddDate(0, 0, -59)})
	if held := f.restrictions(second); len(held) != 0 {
		t.Errorf("before there were points: held to %+v", held)
	}
	f.written(second, now)
	if held := f.restrictions(second); len(held) != 1 || held[0].Rules.KeepDaily != 6 {
		t.Errorf("backdated: held to %+v, want 6 days", held)
	}
	f.written(first, now)
	if held := f.restrictions(first); len(held) != 1 || held[0].Rules.KeepLast != retention.All {
		t.Errorf("the first, backdated: held to %+v, want everything", held)
	}
}

// The object of the newest revision is gone, its claim is not: the one before it is
// not in force again.
func TestWhileABegunRevisionIsMissingNothingIsDeleted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.revise("prod", daily(3), good())
	p := f.points("a", 0, 1, 2, 3, 4, 5)
	f.settle()
	lost := f.revise("prod", daily(6), policy.Envelope{Loss: none(), By: "ada"})
	if err := os.Remove(filepath.Join(f.dir, lost.Key())); err != nil {
		t.Fatal(err)
	}
	rev, err := f.CurrentPolicy(t.Context(), "prod")
	if err != nil || rev.Number != 1 {
		t.Fatal(rev.Number, err)
	}
	opts := f.options(daily(3))
	opts.Restrict = f.restrictions(rev)
	out, err := Run(t.Context(), opts)
	if err != nil || len(out.Delete) != 0 || !slices.Equal(f.ids(), want(p...)) {
		t.Errorf("deleted %v, %v", idsOf(out.Delete), err)
	}
	if len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], "revision 2 of policy prod was begun") || !strings.Contains(out.Warnings[0], "by ada") || !strings.Contains(out.Warnings[0], "-replace=ADDRESS") {
		t.Errorf("warnings %q", out.Warnings)
	}
}

// A backup that began in the second the policy was written in was committed later,
// also when it is deleted by now.
func TestAFirstRevisionIsGoodThoughABackupWasAtWork(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.points("a", 0, 1)
	f.settle() // committed a minute after they began
	rev := f.revise("prod", daily(1), policy.Envelope{At: now.AddDate(0, 0, -1).Add(30 * time.Second)})
	if held := f.restrictions(rev); len(held) != 0 {
		t.Errorf("held to %+v", held)
	}
	if _, err := Run(t.Context(), f.options(daily(1))); err != nil || len(f.ids()) != 1 {
		t.Fatal(f.ids(), err)
	}
	if held := f.restrictions(rev); len(held) != 0 {
		t.Errorf("after the point was deleted: held to %+v", held)
	}
}
