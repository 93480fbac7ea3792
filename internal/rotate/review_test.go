package rotate

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// P2, law 5: what the plan says is what a rotation then does.
func TestTheReviewedLossIsWhatTheRotationDeletesBecauseOfTheChange(t *testing.T) {
	t.Parallel()
	repositories := newStock(t, 12, someRepository)
	rapid.Check(t, func(t *rapid.T) {
		f := repositories.draw(t)
		var old *policy.Document
		if rapid.IntRange(0, 5).Draw(t, "has an old policy") > 0 {
			d := anyPolicy(t, "old")
			old = &d
		}
		next := anyPolicy(t, "new")
		r := f.review(old, next, now, now)
		var before []string
		if old != nil {
			before = f.wouldGo(*old, now)
		}
		want := without(f.rotated(next, now), before)
		if r.Live.Points != len(want) || r.Live.Spared != 0 || r.Live.Unsized != 0 {
			t.Fatalf("the review says %d are lost and %d spared, the rotations deleted %v", r.Live.Points, r.Live.Spared, want)
		}
		if code := f.codeOf(old, next, want); r.Code != code {
			t.Fatalf("the code is %q, that of what was deleted %q (%v)", r.Code, code, want)
		}
		if r.Code != "" {
			if at, ok := approves(t, r, r.Code); !ok || !at.Equal(now) {
				t.Fatalf("its own code is not accepted as of now: %v %v", at, ok)
			}
		}
	})
}

// someRepository makes points of some sources, irregular, with held and condemned
// ones and some dated in the future.
func someRepository(f *fixture, random *rand.Rand) {
	for _, source := range []string{"a", "b@host", "c d"}[:random.IntN(4)] {
		for range 1 + random.IntN(9) {
			ref := f.started(source, now.Add(-time.Duration(1+random.IntN(40*24*4))*15*time.Minute), "")
			var err error
			switch random.IntN(10) {
			case 0:
				err = f.Hold(f.t.Context(), ref, repo.Mark{At: now})
			case 1:
				err = f.Condemn(f.t.Context(), ref, repo.Mark{At: now})
			}
			if err != nil {
				f.t.Fatal(err)
			}
		}
		if random.IntN(4) == 0 {
			f.started(source, now.AddDate(0, 0, 30), "")
		}
	}
}

// P3: nightly backups, rotations and holds between review and apply do not void a
// code; anything else does, the end of a hold that kept what is lost now among it.
func TestACodeStaysGoodForSevenDaysWhateverHappensToTheRepository(t *testing.T) {
	t.Parallel()
	repositories := newStock(t, 6, func(f *fixture, random *rand.Rand) {
		for range 8 {
			f.started("a", now.Add(-time.Duration(1+random.IntN(40*24*4))*15*time.Minute), "")
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		f := repositories.draw(t)
		old, next := anyPolicy(t, "old"), anyPolicy(t, "new")
		refs := f.refs()
		asked := now.Add(time.Duration(rapid.IntRange(0, 3*24*3600).Draw(t, "asked")) * time.Second)
		live(t, f, old, &refs, now, asked)
		code := f.review(&old, next, asked, asked).Code
		applied := asked.Add(time.Duration(rapid.IntRange(0, 7*24*3600).Draw(t, "applied")) * time.Second)
		live(t, f, old, &refs, asked, applied)
		r := f.review(&old, next, asked, applied)
		at, ok := approves(t, r, code)
		if code == "" {
			if ok {
				t.Fatal("no code is a code")
			}
			return
		}
		if !ok && !at.IsZero() && r.past.letGo(at) {
			return // a hold ended: nobody who agreed saw what it kept
		}
		if !ok || at.After(applied) || at.Before(applied.Add(-impact.ApprovalLife)) {
			t.Fatalf("%s of %s is not accepted at %s (%v, %v); now it is %q", code, asked, applied, ok, at, r.Code)
		}
		if f.review(&old, next, at, at).Code != code {
			t.Fatalf("the loss as of %s, which the code is said to name, is another", at)
		}
		others := next
		others.Retention.KeepLast += 7
		if _, ok := approves(t, f.review(&old, others, asked, applied), code); ok {
			t.Fatal("it is accepted for other rules")
		}
	})
}

// live lets time pass: backups, rotations under the policy that is in force,
// holds and their ends.
func live(t *rapid.T, f *fixture, d policy.Document, refs *[]repo.Ref, from, to time.Time) {
	for when := from; ; {
		when = when.Add(time.Duration(rapid.IntRange(1, 3*24*3600).Draw(t, "seconds on")) * time.Second)
		if when.After(to) {
			return
		}
		ref := (*refs)[rapid.IntRange(0, len(*refs)-1).Draw(t, "point")]
		var err error
		switch rapid.IntRange(0, 4).Draw(t, "event") {
		case 0:
			err = f.Hold(f.t.Context(), ref, repo.Mark{At: when})
			if errors.Is(err, repo.ErrNotFound) {
				err = nil // a rotation was faster
			}
		case 1:
			err = f.Release(f.t.Context(), ref, repo.Mark{At: when})
		case 2:
			f.rotated(d, when)
		default:
			*refs = append(*refs, f.started("a", when.Add(-time.Minute), ""))
		}
		if err != nil {
			t.Fatal(err)
		}
		f.at(when)
	}
}
