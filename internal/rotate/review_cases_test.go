package rotate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// dailyDoc keeps so many days.
func dailyDoc(n int) policy.Document { return doc(retention.Keep{KeepDaily: n}) }

// nightly makes points of the last n nights.
func (f *fixture) nightly(source, madeUnder string, n int) []repo.Ref {
	f.t.Helper()
	var refs []repo.Ref
	for i := range n {
		refs = append(refs, f.started(source, now.AddDate(0, 0, -i).Add(-10*time.Hour), madeUnder))
	}
	f.at(now.Add(-time.Hour))
	return refs
}

func reviewed(t *testing.T) *fixture {
	t.Helper()
	return opened(t, filepath.Join(folder(t), "repo"), true)
}

func TestAChangeThatLosesNothingHasNoCode(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	f.nightly("a", "prod", 10)
	old := dailyDoc(5)
	for what, next := range map[string]policy.Document{
		"longer":    dailyDoc(8),
		"the same":  dailyDoc(5),
		"new rule":  doc(retention.Keep{KeepDaily: 5, KeepWeekly: 4}),
		"otherwise": doc(retention.Keep{KeepLast: 5}),
	} {
		r := f.review(&old, next, now, now)
		if r.Code != "" || r.Live.Loses() || r.Frozen.Loses() || r.Live.Points != 0 {
			t.Errorf("%s: %q, %+v", what, r.Code, r.Live)
		}
		if _, ok := approves(t, r, ""); ok {
			t.Errorf("%s: no code is taken for a code", what)
		}
	}
	if r := f.review(&old, dailyDoc(8), now, now); r.Live.Gained != 3 {
		t.Errorf("%d points are gained by three more days", r.Live.Gained)
	}
}

func TestWithoutAPolicyBeforeEverythingThatGoesIsALoss(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	refs := f.nightly("a", "", 10)
	r := f.review(nil, dailyDoc(4), now, now)
	if r.Live.Points != 6 || r.Live.Groups[0].Before != 10 || r.Code == "" {
		t.Errorf("%q, %+v", r.Code, r.Live)
	}
	if !r.Live.Groups[0].OldestBefore.Equal(now.AddDate(0, 0, -9).Add(-10*time.Hour)) || r.Live.Lost[0] != refs[9].String() {
		t.Errorf("%+v", r.Live)
	}
}

// Destroying a policy and declaring it anew with shorter rules is no way round.
func TestARetiredPolicyIsTheOneBefore(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	f.nightly("a", "prod", 10)
	if d, _, err := lastDocument(t.Context(), f.Repository, "prod"); d != nil || err != nil {
		t.Fatalf("%v, %v of a policy that never was", d, err)
	}
	if _, err := f.PutPolicyRevision(t.Context(), 0, dailyDoc(9), policy.Envelope{At: now}); err != nil {
		t.Fatal(err)
	}
	if err := f.RetirePolicy(t.Context(), "prod", policy.Envelope{At: now}); err != nil {
		t.Fatal(err)
	}
	last, rev, err := lastDocument(t.Context(), f.Repository, "prod")
	if err != nil || last == nil || last.Retention.KeepDaily != 9 || !rev.Envelope.Retired {
		t.Fatalf("%+v %+v %v", last, rev, err)
	}
	if r := f.review(last, dailyDoc(4), now, now); r.Live.Points != 5 || r.Code == "" {
		t.Errorf("%q, %+v", r.Code, r.Live)
	}
}

func TestCodesOfOtherLossesAreRefused(t *testing.T) {
	t.Parallel()
	f, other := reviewed(t), reviewed(t)
	refs := f.nightly("a", "prod", 10)
	other.nightly("a", "prod", 10)
	old := dailyDoc(9)
	r := f.review(&old, dailyDoc(4), now, now)
	var never []string
	for _, ref := range refs[3:8] { // as many as are lost, but others
		never = append(never, ref.String())
	}
	for what, code := range map[string]string{
		"of another repository": other.review(&old, dailyDoc(4), now, now).Code,
		"of other rules":        f.review(&old, dailyDoc(3), now, now).Code,
		"of other rules before": func() string { d := dailyDoc(10); return f.review(&d, dailyDoc(4), now, now).Code }(),
		"of nothing before":     f.review(nil, dailyDoc(4), now, now).Code,
		"of a loss never there": f.codeOf(&old, dailyDoc(4), never),
		"changed":               r.Code[:len(r.Code)-1] + map[bool]string{true: "0", false: "1"}[!strings.HasSuffix(r.Code, "0")],
		"malformed":             "EXPIRE-5",
		"empty":                 "",
	} {
		if _, ok := approves(t, r, code); ok || code == r.Code {
			t.Errorf("%s: %q is accepted", what, code)
		}
	}
	if at, ok := approves(t, r, r.Code); !ok || !at.Equal(now) {
		t.Errorf("its own code: %v %v", at, ok)
	}
}

func TestACodeIsVoidAfterSevenDaysUnlessItStillNamesTheLoss(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	f.nightly("a", "prod", 10)
	old := dailyDoc(9)
	code := f.review(&old, dailyDoc(4), now, now).Code
	later := now.AddDate(0, 0, 30)
	if at, ok := approves(t, f.review(&old, dailyDoc(4), now, later), code); !ok || !at.Equal(later) {
		t.Errorf("the same loss a month later: %v %v", at, ok)
	}
	tomorrow := now.Add(14 * time.Hour)
	f.started("a", tomorrow, "prod")
	f.at(tomorrow)
	for days, want := range map[int]bool{1: true, 7: true, 8: false, 30: false} {
		when := now.AddDate(0, 0, days)
		if _, ok := approves(t, f.review(&old, dailyDoc(4), now, when), code); ok != want {
			t.Errorf("after %d days with a backup on the first: accepted is %v", days, ok)
		}
	}
}

func TestFrozenIsTheSameWhateverHappensSince(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	refs := append(f.nightly("a", "prod", 10), f.nightly("b", "dev", 9)...)
	dev := dailyDoc(30)
	dev.Name = "dev"
	revision, err := f.PutPolicyRevision(t.Context(), 0, dev, policy.Envelope{At: now})
	if err := errors.Join(err, f.Hold(t.Context(), refs[6], repo.Mark{At: now})); err != nil {
		t.Fatal(err)
	}
	f.at(now.Add(-time.Minute))
	old, next := dailyDoc(8), dailyDoc(4)
	frozen := func(when time.Time) any {
		r, err := ReviewChange(t.Context(), ReviewOptions{Repo: f.Repository, Old: &old, New: next, AsOf: now, Now: when, Prices: cost.Prices("us-east-1")})
		if err != nil {
			t.Fatal(err)
		}
		return r.Frozen
	}
	first := frozen(now)
	if i := first.(impact.Impact); i.Points == 0 || i.Spared == 0 {
		t.Fatalf("%+v", i)
	}
	when := now
	for _, event := range []struct {
		what string
		do   func() error
	}{
		{"a backup", func() error { f.started("a", when, "prod"); return nil }},
		{"a new source", func() error { f.started("c", when, "prod"); return nil }},
		{"a rotation", func() error { f.rotated(old, when); return nil }},
		{"a hold", func() error { return f.Hold(t.Context(), refs[4], repo.Mark{At: when}) }},
		{"a release", func() error { return f.Release(t.Context(), refs[6], repo.Mark{At: when}) }},
		{"a bad point", func() error { return f.Condemn(t.Context(), refs[1], repo.Mark{At: when}) }},
		{"the change itself", func() error { f.rotated(next, when); return nil }},
		{"another policy's change", func() error {
			dev.Retention.KeepDaily = 1
			_, err := f.PutPolicyRevision(t.Context(), revision.Number, dev, policy.Envelope{At: when})
			return err
		}},
	} {
		when = when.Add(3 * time.Hour)
		if err := event.do(); err != nil {
			t.Fatal(err)
		}
		f.at(when)
		if diff := cmp.Diff(first, frozen(when.Add(time.Hour))); diff != "" {
			t.Errorf("after %s (-before +after):\n%s", event.what, diff)
		}
	}
}

func TestWhatARotationSparesIsNoLossAndIsTold(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	f.nightly("good", "prod", 6)
	refs := f.nightly("damaged", "prod", 6)
	f.nightly("elsewhere", "dev", 6)
	dev := dailyDoc(30)
	dev.Name = "dev"
	if _, err := f.PutPolicyRevision(t.Context(), 0, dev, policy.Envelope{At: now.Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	manifest := filepath.Join(f.dir, filepath.FromSlash(refs[2].ManifestKey()))
	info, err := os.Stat(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(manifest, []byte("{"), 0o600), os.Chtimes(manifest, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	old := dailyDoc(30)
	r := f.review(&old, dailyDoc(2), now, now)
	if r.Live.Points != 4 || r.Live.Spared != 8 || r.Live.Waiting != 4 || len(r.Live.Lost) != 4 {
		t.Errorf("%d lost, %d spared, %d of them for now", r.Live.Points, r.Live.Spared, r.Live.Waiting)
	}
	told := strings.Join(r.Live.Sentences, "\n")
	for _, want := range []string{"8 recovery points that the rules would delete stay: ", refs[2].ID, "policy dev, which made it, keeps it"} {
		if !strings.Contains(told, want) {
			t.Errorf("%q is not told:\n%s", want, told)
		}
	}
	if diff := cmp.Diff(r.Live, r.Frozen); diff != "" {
		t.Errorf("as of now, live and frozen differ:\n%s", diff)
	}
}

// Its own rotation would keep them, so the change of this policy loses them not.
func TestInAReviewAnotherPolicySparesWhatItsUnapprovedRevisionMustKeep(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	f.nightly("a", "dev", 6)
	f.revise("dev", daily(30), good())
	f.at(now.Add(-2 * time.Hour))
	f.revise("dev", daily(1), policy.Envelope{At: now.Add(-time.Hour)})
	f.at(now.Add(-time.Hour))
	old := dailyDoc(30)
	r := f.review(&old, dailyDoc(2), now, now.Add(time.Hour))
	for what, i := range map[string]impact.Impact{"live": r.Live, "frozen": r.Frozen} {
		if i.Spared != 4 || i.Points != 0 || !strings.Contains(strings.Join(i.Sentences, "\n"), "revision 2 of policy dev was never approved") {
			t.Errorf("%s: %d lost, %d spared:\n%s", what, i.Points, i.Spared, strings.Join(i.Sentences, "\n"))
		}
	}
}

func TestAReviewThatIsCutShortIsAnError(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	f.nightly("a", "prod", 3)
	old := dailyDoc(3)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	r, err := ReviewChange(ctx, ReviewOptions{Repo: f.Repository, Old: &old, New: dailyDoc(1), Now: now})
	if r != nil || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "prod") {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestPointsThatGoWhileTheReviewReadsAreNotInDoubt(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	f.nightly("a", "prod", 10)
	old := dailyDoc(8)
	opts := ReviewOptions{Repo: f.Repository, Old: &old, New: dailyDoc(4), AsOf: now, Now: now.Add(time.Hour)}
	rules, err := opts.rules()
	if err != nil {
		t.Fatal(err)
	}
	p, err := readPast(t.Context(), opts, rules)
	if err != nil {
		t.Fatal(err)
	}
	f.rotated(old, now.Add(time.Minute)) // two go
	for _, at := range []time.Time{opts.Now, opts.AsOf} {
		i, _, err := p.impact(t.Context(), at)
		if err != nil || i.Points != 4 || i.Spared != 0 {
			t.Errorf("%+v, %v", i, err)
		}
	}
}

func TestRulesThatKeepNothingAreNotReviewed(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	if _, err := ReviewChange(t.Context(), ReviewOptions{Repo: f.Repository, New: doc(retention.Keep{}), Now: now}); err == nil || !strings.Contains(err.Error(), "keeps nothing") {
		t.Error(err)
	}
}

// R2: what the rule wal keeps depends on when base backups ended, which only their
// manifests say.
func TestAShorterWindowOfPointInTimeRecoveryLosesTheBaseBackupOfTheLongerOne(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	var refs []repo.Ref
	for i := range 5 {
		start := now.AddDate(0, 0, -3*i).Add(-10 * time.Hour)
		w, err := f.NewPoint("a", "physical", start, repo.WriterOptions{})
		if err == nil {
			err = w.WriteStream(t.Context(), "archive", []byte("base"))
		}
		if err == nil {
			err = w.Commit(t.Context(), &repo.Manifest{End: start.Add(time.Hour), Physical: somewhere})
		}
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, w.Ref())
	}
	f.at(now.Add(-time.Hour))
	old, next := doc(retention.Keep{WAL: duration.MustParse("10d")}), doc(retention.Keep{WAL: duration.MustParse("4d")})
	r := f.review(&old, next, now, now)
	want := without(f.wouldGo(next, now), f.wouldGo(old, now))
	if len(want) != 1 || want[0] != refs[4].String() || r.Live.Points != 1 || r.Live.Lost[0] != want[0] || r.Code != f.codeOf(&old, next, want) {
		t.Errorf("lost are %v, %q; rotations say %v", r.Live.Lost, r.Code, want)
	}
	if _, ok := approves(t, r, r.Code); !ok {
		t.Error("its own code is refused")
	}
	// Its tombstone says when it ended.
	if gone := f.rotated(next, now.Add(time.Hour)); !slices.Contains(gone, want[0]) {
		t.Fatalf("a rotation deleted %v", gone)
	}
	later := f.review(&old, next, now, now.Add(2*time.Hour))
	if diff := cmp.Diff(r.Frozen, later.Frozen); diff != "" {
		t.Errorf("after the rotation (-before +after):\n%s", diff)
	}
	if _, ok := approves(t, later, r.Code); !ok || later.Code != "" {
		t.Errorf("after the rotation its code is accepted: %v; now it is %q", ok, later.Code)
	}
}

// A code is asked for while a backup runs, whose point a rotation deletes later: that
// point is not part of the loss then nor now.
func TestAPointThatWasJustBeingMadeCountsForNothingWhenItIsGone(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	refs := f.nightly("a", "prod", 10)
	old, next := doc(retention.Keep{KeepLast: 8}), doc(retention.Keep{KeepLast: 4})
	f.started("a", now.Add(-30*time.Second), "prod") // and 30 seconds to go
	hold := func(when time.Time, do func(context.Context, repo.Ref, repo.Mark) error) {
		if err := do(t.Context(), refs[5], repo.Mark{At: when}); err != nil {
			t.Fatal(err)
		}
		f.at(when)
	}
	hold(now.Add(-10*time.Second), f.Hold) // a loss there is only for half a minute
	first := f.review(&old, next, now, now)
	if first.Live.Points != 4 {
		t.Fatalf("%+v", first.Live)
	}
	hold(now.Add(20*time.Second), f.Release)
	when := now
	for range 8 {
		when = when.Add(time.Hour)
		f.started("a", when, "prod")
	}
	if gone := f.rotated(old, when.Add(time.Hour)); len(gone) != 11 {
		t.Fatalf("a rotation deleted %v", gone)
	}
	later := f.review(&old, next, now, when.Add(2*time.Hour))
	if diff := cmp.Diff(first.Frozen, later.Frozen); diff != "" {
		t.Errorf("after the rotation (-before +after):\n%s", diff)
	}
	// Without what was read for Frozen, too.
	for _, asOf := range []time.Time{now, when.Add(2 * time.Hour)} {
		r := f.review(&old, next, asOf, when.Add(2*time.Hour))
		if at, ok := approves(t, r, first.Code); !ok || at.Before(now.Add(-10*time.Second)) || !at.Before(now.Add(30*time.Second)) {
			t.Errorf("shown as of %s, its code is accepted: %v, as of %s", asOf, ok, at)
		}
	}
}

func TestOnlyWhatAnotherPolicyKeepsStaysForGood(t *testing.T) {
	t.Parallel()
	old, next := dailyDoc(30), dailyDoc(1)
	t.Run("and what it builds on", func(t *testing.T) {
		t.Parallel()
		f := reviewed(t)
		full := f.made("a", 9, "prod", 1, "")
		f.made("a", 8, "dev", 1, full.ID)
		f.made("a", 1, "prod", 1, "")
		f.revise("dev", daily(30), policy.Envelope{At: now.Add(-time.Hour)})
		f.at(now.Add(-time.Hour))
		if r := f.review(&old, next, now, now); r.Live.Points != 0 || r.Live.Spared != 2 || r.Live.Waiting != 0 || r.Live.Loses() {
			t.Errorf("%+v", r.Live)
		}
	})
	// The same words, "parent of", and it goes when the manifest is put right.
	t.Run("and not what a damaged point builds on", func(t *testing.T) {
		t.Parallel()
		f := reviewed(t)
		full := f.made("a", 9, "prod", 1, "")
		child := f.made("a", 8, "prod", 1, full.ID)
		f.made("a", 1, "prod", 1, "")
		if err := os.WriteFile(filepath.Join(f.dir, filepath.FromSlash(child.ManifestKey())), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		f.at(now.Add(-time.Hour))
		if r := f.review(&old, next, now, now); r.Live.Points != 0 || r.Live.Spared != 2 || r.Live.Waiting != 2 || !r.Live.Loses() {
			t.Errorf("%+v", r.Live)
		}
	})
}
