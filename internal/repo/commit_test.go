package repo

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

func TestASleeperThatWasSweptCanNotCommit(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		for _, opts := range []WriterOptions{{}, {Parent: NewID(clock)}} {
			sleeper, err := begin(t.Context(), r, "app", pieces([]byte("data"), 1), opts)
			if err != nil {
				t.Fatal(err)
			}
			// Its lease is taken over while it sleeps, and the next run sweeps.
			swept, err := r.Sweep(t.Context(), "app")
			if err != nil || swept.Points != 1 {
				t.Fatalf("swept %+v: %v", swept, err)
			}
			if keys := keysOf(t, r.Store(), pointsPrefix); len(keys) != 0 {
				t.Errorf("data was left: %q", keys)
			}
			// It wakes, stores more, and commits.
			if err := sleeper.WriteStream(t.Context(), "tables", []byte("more")); err != nil {
				t.Fatal(err)
			}
			if err := sleeper.Commit(t.Context(), &Manifest{}); !errors.Is(err, ErrFenced) {
				t.Errorf("commit: %v", err)
			}
			wantListed(t, r, 0)
			if swept, err = r.Sweep(t.Context(), "app"); err != nil || swept.Points != 1 || len(keysOf(t, r.Store(), pointsPrefix)) != 0 {
				t.Errorf("what it stored after the fence was not swept: %+v, %v", swept, err)
			}
		}
	})
}

func TestASleeperThatCommitsBeforeTheFenceKeepsItsData(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, r *Repository) {
		data := pseudorandom(11, 100)
		// Every call of the sweeper is a moment at which the sleeper may wake.
		for moment := 1; ; moment++ {
			sleeper, err := begin(t.Context(), r, "app", pieces(data, 2), WriterOptions{})
			if err != nil {
				t.Fatal(err)
			}
			calls, committed := 0, errors.New("not tried")
			sweeper := r.over(&meddler{Store: r.Store(), before: func(string, string) error {
				if calls++; calls == moment {
					committed = sleeper.Commit(context.Background(), &Manifest{})
				}
				return nil
			}})
			if _, err := sweeper.Sweep(t.Context(), "app"); err != nil {
				t.Fatal(err)
			}
			if calls < moment {
				if moment < 5 {
					t.Errorf("the sweeper made only %d calls", calls)
				}
				return
			}
			if committed == nil {
				wantReads(t, r, sleeper.Ref(), data)
			} else if !errors.Is(committed, ErrFenced) {
				t.Errorf("at call %d the commit failed otherwise: %v", moment, committed)
			}
			for _, p := range wantPoints(t, r) {
				wantReads(t, r, p.Ref, data)
			}
		}
	})
}

func wantPoints(t testing.TB, r *Repository) []Listed {
	t.Helper()
	points, err := r.List(context.Background(), Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return points
}

func TestACommitBelievesWhatItReadsBackAndNotTheAnswer(t *testing.T) {
	t.Parallel()
	commit := func(t *testing.T, m *meddler) (*Repository, *PointWriter, error) {
		r := newRepo(t, newStore(t), true)
		p, err := begin(t.Context(), r, "app", pieces([]byte("data"), 1), WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		m.Store = r.Store()
		p.repo = r.over(m)
		return r, p, p.Commit(t.Context(), &Manifest{})
	}
	onManifest := func(times int, answer error) func(op, key string) error {
		return func(op, key string) error {
			if op == "put" && strings.HasPrefix(key, manifestsPrefix) && times > 0 {
				times--
				return answer
			}
			return nil
		}
	}
	for what, m := range map[string]*meddler{
		"a 412 after our own success":     {after: onManifest(1, objstore.ErrPrecondition)},
		"a time-out that hides success":   {after: onManifest(9, errReset)},
		"a deadline that hides success":   {after: onManifest(9, context.DeadlineExceeded)},
		"time-outs, then an answer":       {before: onManifest(3, errReset)},
		"a failed read-back, then again":  {after: onManifest(1, errReset), before: failOnce("get", manifestsPrefix)},
		"no answer about a tombstone":     {before: failOnce("head", tombstonesPrefix)},
		"a 412 although nothing is there": {before: onManifest(2, objstore.ErrPrecondition)},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r, p, err := commit(t, m)
			if err != nil {
				t.Fatal(err)
			}
			wantReads(t, r, p.Ref(), []byte("data"))
		})
	}
	for what, m := range map[string]*meddler{
		"time-outs that hide failure": {before: onManifest(9, errReset)},
		"rights that ended":           {before: onManifest(1, objstore.ErrDenied)},
		"a full store":                {before: onManifest(1, objstore.ErrNoSpace)},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r, p, err := commit(t, m)
			if err == nil {
				t.Fatal("it was believed")
			}
			wantListed(t, r, 0)
			p.repo = r // the store answers again
			if err := p.Abort(t.Context()); err != nil {
				t.Fatal(err)
			}
			if keys := keysOf(t, r.Store(), pointsPrefix); len(keys) != 0 {
				t.Errorf("left after abort: %q", keys)
			}
			// A write of ours that was still under way arrives too late.
			absent := objstore.PutOptions{Condition: objstore.Condition{IfAbsent: true}}
			if _, err := r.tryCommit(t.Context(), p.Ref(), []byte("{}"), absent); !errors.Is(err, ErrFenced) {
				t.Errorf("a late commit: %v", err)
			}
		})
	}
}

// failOnce fails the first op on a key below prefix.
func failOnce(op, prefix string) func(op, key string) error {
	done := false
	return func(o, key string) error {
		if o == op && strings.HasPrefix(key, prefix) && !done {
			done = true
			return errReset
		}
		return nil
	}
}

func TestAbortAfterACommitWithoutAnAnswerKeepsThePointThatStands(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	p, err := begin(t.Context(), r, "app", pieces([]byte("data"), 1), WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The manifest arrives, and from then on nothing of this process gets through.
	cut := false
	p.repo = r.over(&meddler{Store: r.Store(),
		before: func(string, string) error {
			if cut {
				return errReset
			}
			return nil
		},
		after: func(op, key string) error {
			if cut = cut || op == "put" && strings.HasPrefix(key, manifestsPrefix); cut {
				return errReset
			}
			return nil
		}})
	if err := p.Commit(t.Context(), &Manifest{}); !errors.Is(err, errUnconfirmed) {
		t.Fatalf("commit: %v", err)
	}
	p.repo = r // the network is back
	if err := p.Abort(t.Context()); err == nil || !strings.Contains(err.Error(), "committed after all") {
		t.Errorf("abort: %v", err)
	}
	wantReads(t, r, p.Ref(), []byte("data"))
}

func TestACommitSentAgainDoesNotBringADeletedPointBack(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	p, err := begin(t.Context(), r, "app", pieces([]byte("data"), 1), WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// The first write succeeds, its answer is lost, and before it can be read
	// back the machine sleeps: another run sees the point and rotates it away.
	slept := false
	p.repo = r.over(&meddler{Store: r.Store(), after: func(op, key string) error {
		if op != "put" || key != p.Ref().ManifestKey() || slept {
			return nil
		}
		slept = true
		if err := r.Delete(context.Background(), p.Ref(), Tombstone{}); err != nil {
			t.Error(err)
		}
		return errReset
	}})
	if err := p.Commit(t.Context(), &Manifest{}); !errors.Is(err, ErrFenced) {
		t.Errorf("commit: %v", err)
	}
	wantListed(t, r, 0)

	// The same, and it dies before it can take its manifest away again.
	overwrite(t, r.Store(), p.Ref().ManifestKey(), []byte("{}"))
	if _, err := r.Sweep(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	wantListed(t, r, 0)
}

func TestALeaseThatWasLostRefusesTheCommit(t *testing.T) {
	t.Parallel()
	r := newRepo(t, newStore(t), false)
	p, err := begin(t.Context(), r, "app", pieces([]byte("data"), 1), WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, lost := context.WithCancelCause(t.Context())
	lost(ErrLeaseLost)
	if err := p.Commit(ctx, &Manifest{}); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("got %v", err)
	}
	wantListed(t, r, 0)
}
