package repo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

// race lets writers change policy prod at once, all upon the same revision, and
// gives the one that was told it succeeded.
func race(t *testing.T, r *Repository, upon, writers int) policy.Revision {
	t.Helper()
	revs, errs := make([]policy.Revision, writers), make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			revs[i], errs[i] = r.PutPolicyRevision(t.Context(), upon, prodPolicy(100*upon+i+1), by(fmt.Sprint(i)))
		})
	}
	wg.Wait()
	var won []policy.Revision
	for i, err := range errs {
		switch {
		case err == nil:
			won = append(won, revs[i])
		case !errors.Is(err, ErrPolicyChanged):
			t.Errorf("writer %d: %v", i, err)
		}
	}
	if len(won) != 1 {
		t.Fatalf("upon revision %d, %d writers succeeded: %v", upon, len(won), errs)
	}
	numbers, err := r.revisionKeys(t.Context(), "prod")
	if err != nil || numbers.newest() != won[0].Number || numbers.begun() != nil {
		t.Fatalf("revision %d won, the newest is %d, begun is %+v: %v", won[0].Number, numbers.newest(), numbers.begun(), err)
	}
	return won[0]
}

func TestOfManyAppliesUponOneRevisionExactlyOneSucceeds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		repository func(*testing.T) *Repository
		rounds     int
		writers    int
	}{
		"directory": {policyRepository, 12, 12},
		"bucket":    {func(t *testing.T) *Repository { return newRepo(t, bucket(t), false) }, 2, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := c.repository(t)
			upon := 0
			for range c.rounds {
				upon = race(t, r, upon, c.writers).Number
			}
			past, err := r.PolicyHistory(t.Context(), "prod")
			if err != nil || len(past) != c.rounds {
				t.Errorf("%d revisions were written in %d rounds: %v", len(past), c.rounds, err)
			}
		})
	}
}

// Whatever the moment at which another apply does all of its work, one of the two
// succeeds, and its document is in force.
func TestAnApplyInTheMiddleOfAnotherIsNoticed(t *testing.T) {
	t.Parallel()
	for moment := 1; ; moment++ {
		r := policyRepository(t)
		r.patience = 50 * time.Millisecond
		if _, err := r.PutPolicyRevision(t.Context(), 0, prodPolicy(30), by("ada")); err != nil {
			t.Fatal(err)
		}
		calls, ran, other := 0, false, error(nil)
		slow := r.over(&meddler{Store: r.store, before: func(string, string) error {
			if calls++; calls == moment {
				_, other = r.PutPolicyRevision(context.Background(), 1, prodPolicy(90), by("bob"))
				ran = true
			}
			return nil
		}})
		_, err := slow.PutPolicyRevision(t.Context(), 1, prodPolicy(60), by("eve"))
		if !ran {
			if moment < 5 {
				t.Errorf("an apply made only %d calls", calls)
			}
			return
		}
		current, readErr := r.CurrentPolicy(t.Context(), "prod")
		if readErr != nil {
			t.Fatal(readErr)
		}
		switch daily := current.Document.Retention.KeepDaily; {
		case (err == nil) == (other == nil):
			t.Errorf("at call %d: %v, and the other %v", moment, err, other)
		case err == nil && daily != 60, other == nil && daily != 90:
			t.Errorf("at call %d: %d days are in force: %v, and the other %v", moment, daily, err, other)
		}
		for _, err := range []error{err, other} {
			if err != nil && !errors.Is(err, ErrPolicyChanged) {
				t.Errorf("at call %d: %v", moment, err)
			}
		}
	}
}

// rootOf is the directory that a repository is in.
func rootOf(r *Repository) string { return strings.TrimPrefix(r.URL(), "file://") }

func age(t *testing.T, r *Repository, key string, by time.Duration) {
	t.Helper()
	at := time.Now().Add(-by)
	if err := os.Chtimes(filepath.Join(rootOf(r), key), at, at); err != nil {
		t.Fatal(err)
	}
}

func TestAClaimOfADeadApplyIsWaitedForAndThenLeftBehind(t *testing.T) {
	t.Parallel()
	r := policyRepository(t)
	r.patience = 20 * time.Millisecond
	if _, err := r.PutPolicyRevision(t.Context(), 0, prodPolicy(30), by("ada")); err != nil {
		t.Fatal(err)
	}
	if n, err := r.claimRevision(t.Context(), "prod", by("dead")); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	_, err := r.PutPolicyRevision(t.Context(), 1, prodPolicy(14), by("ada"))
	if !errors.Is(err, ErrPolicyChanged) || !strings.Contains(err.Error(), "another apply claimed revision 2") {
		t.Fatalf("beside one that may be at work: %v", err)
	}
	begun, err := r.BegunRevision(t.Context(), "prod")
	if err != nil || begun == nil || begun.Number != 2 || begun.By != "dead" || begun.Claimed.IsZero() {
		t.Fatalf("%+v, %v", begun, err)
	}
	age(t, r, claimKey("prod", 2), 10*time.Minute)
	// Also what changes nothing is written: nothing else ends the doubt.
	rev, err := r.PutPolicyRevision(t.Context(), 1, prodPolicy(30), by("ada"))
	if err != nil || rev.Number != 3 {
		t.Fatalf("revision %d, %v", rev.Number, err)
	}
	if begun, err := r.BegunRevision(t.Context(), "prod"); begun != nil || err != nil {
		t.Errorf("%+v, %v", begun, err)
	}
	if n, err := r.NewestRevision(t.Context(), "prod"); n != 3 || err != nil {
		t.Errorf("newest is %d, %v", n, err)
	}
}

func TestAChangeUponARevisionOfAnotherRepositoryIsRefused(t *testing.T) {
	t.Parallel()
	r := policyRepository(t)
	_, err := r.PutPolicyRevision(t.Context(), 3, prodPolicy(7), by("ada"))
	if !errors.Is(err, ErrPolicyChanged) || !strings.Contains(err.Error(), "upon revision 3") || !strings.Contains(err.Error(), "another repository") {
		t.Errorf("%v", err)
	}
	if keys := keysOf(t, r.store, policiesPrefix); len(keys) != 0 {
		t.Errorf("it left %q", keys)
	}
}

// Between the review and the write, somebody retired the policy and declared and
// retired another of its name: what was found to be lost is of another change.
func TestALossFoundOfAnotherChangeIsNotWritten(t *testing.T) {
	t.Parallel()
	r := policyRepository(t)
	old, next := prodPolicy(30), prodPolicy(7)
	envelope := by("eve")
	envelope.Loss = &policy.Loss{From: old.Digest(), To: next.Digest()}
	if _, err := r.PutPolicyRevision(t.Context(), 0, next, envelope); !errors.Is(err, ErrPolicyChanged) {
		t.Errorf("where nothing is: %v", err)
	}
	if _, err := r.PutPolicyRevision(t.Context(), 0, prodPolicy(90), by("ada")); err != nil {
		t.Fatal(err)
	}
	if err := r.RetirePolicy(t.Context(), "prod", by("ada")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.PutPolicyRevision(t.Context(), 0, next, envelope); !errors.Is(err, ErrPolicyChanged) {
		t.Errorf("after another: %v", err)
	}
	envelope.Loss.From = prodPolicy(90).Digest()
	if _, err := r.PutPolicyRevision(t.Context(), 0, next, envelope); err != nil {
		t.Error(err)
	}
}

func TestARevisionUnderTheKeyOfAnotherDocumentIsDamaged(t *testing.T) {
	t.Parallel()
	r := policyRepository(t)
	rev, err := r.PutPolicyRevision(t.Context(), 0, prodPolicy(30), by("ada"))
	if err != nil {
		t.Fatal(err)
	}
	data := raw(t, r.store, rev.Key())
	wrong := policy.RevisionKey("prod", 1, prodPolicy(7).Digest())
	if _, err := r.store.Put(t.Context(), wrong, data, objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.store.Delete(t.Context(), rev.Key()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.CurrentPolicy(t.Context(), "prod"); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "its key is not named after") {
		t.Errorf("%v", err)
	}
}
