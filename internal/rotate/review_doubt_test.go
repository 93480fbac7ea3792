package rotate

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// A small loss is reviewed while most of it is held, then the holds end: nobody
// agreed to what goes now.
func TestACodeDoesNotApproveWhatWasHeldWhenItWasReviewed(t *testing.T) {
	t.Parallel()
	for name, letGo := range map[string]bool{"the holds end": true, "they stay": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := reviewed(t)
			refs := f.nightly("a", "prod", 10)
			for _, ref := range refs[5:] { // all that 4 days lose but one
				if err := f.Hold(t.Context(), ref, repo.Mark{At: now}); err != nil {
					t.Fatal(err)
				}
			}
			f.at(now)
			old := dailyDoc(9)
			reviewedAt, appliedAt := now.Add(time.Hour), now.Add(3*time.Hour)
			before := f.review(&old, dailyDoc(4), reviewedAt, reviewedAt)
			if before.Live.Points != 1 {
				t.Fatalf("%d points are lost while the others are held", before.Live.Points)
			}
			if letGo {
				for _, ref := range refs[5:] {
					if err := f.Release(t.Context(), ref, repo.Mark{At: now.Add(2 * time.Hour)}); err != nil {
						t.Fatal(err)
					}
				}
				f.at(now.Add(2 * time.Hour))
			}
			after := f.review(&old, dailyDoc(4), reviewedAt, appliedAt)
			if _, ok := approves(t, after, before.Code); ok == letGo {
				t.Errorf("%s is accepted: %v, of a loss of %d points now", before.Code, ok, after.Live.Points)
			}
		})
	}
}

// What the store says was written in an hour is left out of a review, and a
// rotation would find it.
func TestAStoreWhoseClockIsAheadLeavesTheLossInDoubt(t *testing.T) {
	t.Parallel()
	f := reviewed(t)
	f.nightly("a", "prod", 3)
	old := dailyDoc(9)
	if err := f.review(&old, dailyDoc(1), now, now).CheckClock(); err != nil {
		t.Fatal(err)
	}
	ref := f.started("a", now.Add(-time.Minute), "prod")
	ahead := now.Add(time.Hour)
	if err := os.Chtimes(filepath.Join(f.dir, filepath.FromSlash(ref.ManifestKey())), ahead, ahead); err != nil {
		t.Fatal(err)
	}
	err := f.review(&old, dailyDoc(1), now, now).CheckClock()
	if err == nil || !strings.Contains(err.Error(), "set the clock") || errors.Is(err, repo.ErrDamaged) {
		t.Errorf("%v", err)
	}
}
