package repo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// S6, R7
func TestLocksAreExtendedOnceForWhatNeedsIt(t *testing.T) {
	t.Parallel()
	store := lockedBucket(t)
	r := newRepo(t, store, false)
	var refs []Ref
	for range 4 {
		refs = append(refs, putNow(t, r, "app"))
	}
	protect(t, r, week)
	before := time.Now()
	if done := extend(t, r, "app"); done.Points != 4 {
		t.Errorf("first: %+v", done)
	}
	for _, ref := range refs {
		wantLocked(t, store, ref.ManifestKey(), before.AddDate(0, 0, 7))
		for _, key := range keysOf(t, store, ref.DataPrefix()) {
			wantLocked(t, store, key, before.AddDate(0, 0, 7))
		}
	}
	putNow(t, r, "app") // locked as it is written
	store.reset()
	if done := extend(t, r, "app"); done.Points != 1 || store.asked.Load() > samples {
		// Begun within protectionsFresh of the first protection, it is not trusted.
		t.Errorf("second: %+v, %d questions", done, store.asked.Load())
	}
	store.reset()
	if done := extend(t, r, "app"); done.Points != 0 || store.locks.Load() != 0 || store.asked.Load() > samples {
		t.Errorf("third: %+v, %d locks, %d questions", done, store.locks.Load(), store.asked.Load())
	}
	// Longer locks make all of them short.
	protect(t, r, Protection{Mode: objstore.Governance, Days: 30})
	if done := extend(t, r, "app"); done.Points != 5 {
		t.Errorf("after a longer protection: %+v", done)
	}
}

// C3
func TestAnExtensionThatDiesIsDoneAgainAndNeverClaimsTooMuch(t *testing.T) {
	t.Parallel()
	store := lockedBucket(t)
	r := newRepo(t, store, false)
	putNow(t, r, "app")
	protect(t, r, week)
	died := errors.New("killed")
	store.failPut = func(key string) error {
		if strings.HasPrefix(key, extendedPrefix) {
			return died
		}
		return nil
	}
	points, err := r.List(t.Context(), Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ExtendLocks(t.Context(), "app", pointers(points), ""); !errors.Is(err, died) {
		t.Fatalf("%v", err)
	}
	store.failPut = nil
	if done := extend(t, r, "app"); done.Points != 1 {
		t.Errorf("again: %+v", done)
	}
}

// C5
func TestForgedNotesAboutLocksDoNotLetThemRunOut(t *testing.T) {
	t.Parallel()
	store := lockedBucket(t)
	r := newRepo(t, store, false)
	ref := putNow(t, r, "app")
	protect(t, r, week)
	forge := func(until time.Time, content any) {
		t.Helper()
		if err := r.putOnce(t.Context(), extendedPrefix+"app/"+until.UTC().Format(extensionTime)+"-forged.json", content); err != nil {
			t.Fatal(err)
		}
	}
	soon, far := week.until(time.Now()), time.Now().AddDate(50, 0, 0)
	names := []string{pointName(ref)}
	forge(far, extension{Format: 1, Mode: objstore.Compliance, Until: far, Points: names})
	forge(soon.Add(-time.Hour), "no note at all")
	forge(soon.Add(-2*time.Hour), extension{Format: 1, Mode: objstore.Governance, Until: far, Points: names})
	if done := extend(t, r, "app"); done.Points != 1 {
		t.Errorf("with notes that can not be: %+v", done)
	}
	other := putNow(t, r, "other")
	if err := r.putOnce(t.Context(), extendedPrefix+"other/"+soon.UTC().Format(extensionTime)+"-forged.json",
		extension{Format: 1, Mode: objstore.Governance, Until: soon, Points: []string{pointName(other)}}); err != nil {
		t.Fatal(err)
	}
	// It was written under protection, so the store has it locked after all.
	if done := extend(t, r, "other"); done.Points != 0 {
		t.Errorf("a note that is true: %+v", done)
	}
	r.protections.all[0].At = time.Now().AddDate(0, 0, -30)
	unlocked := *r
	unlocked.protections = &protections{at: time.Now()}
	third := putNow(t, &unlocked, "third")
	if done := extend(t, r, "third"); done.Points != 1 {
		t.Errorf("a point that only looks as if it were locked: %+v", done)
	}
	wantLocked(t, store, third.ManifestKey(), time.Now().AddDate(0, 0, 6))
}

func TestWhatIsKnownOfALockIsTheLeastItCanBe(t *testing.T) {
	t.Parallel()
	at := func(day int) time.Time { return clock.AddDate(0, 0, day) }
	h := protectionHistory{
		{Protection: week, At: at(0)},
		{Protection: Protection{}, At: at(10)},
		{Protection: Protection{Mode: objstore.Compliance, Days: 30}, At: at(20)},
		{Protection: week, At: at(30)},
	}
	for _, c := range []struct {
		start, committed time.Time
		p                Protection
		want             time.Time
	}{
		{at(-1), at(-1), week, time.Time{}},
		{at(0), at(0), week, time.Time{}}, // its writer may have looked before
		{at(-1), at(1), week, time.Time{}},
		{at(1), at(1), week, at(8)},
		{at(9), at(11), week, time.Time{}},
		{at(21), at(21), week, at(51)},
		{at(29), at(31), week, at(36)},
		{at(31), at(31), Protection{Mode: objstore.Compliance, Days: 7}, time.Time{}},
		{at(31), at(2), week, at(9)}, // a clock that was ahead
	} {
		got := h.writtenUntil(&Listed{Start: c.start, Committed: c.committed}, c.p)
		if !got.Equal(c.want) {
			t.Errorf("%s to %s: %s, want %s", c.start, c.committed, got, c.want)
		}
	}
}

// R7
func TestAMillionPointsThatAreLockedCostNothingEach(t *testing.T) {
	t.Parallel()
	store := &lockedStore{Store: newStore(t), Locker: noLocks{}}
	r := newRepo(t, store, false)
	r.protections.at, r.protections.all = time.Now(), protectionHistory{{Protection: week, At: time.Now().AddDate(0, -1, 0)}}
	points := make([]*Listed, 1_000_000)
	start := time.Now()
	for i := range points {
		points[i] = &Listed{Ref: Ref{Source: "app", Kind: "logical", ID: fmt.Sprintf("20261121T020000Z-%08d", i)}, Start: start, Committed: start}
	}
	began := time.Now()
	done, err := r.ExtendLocks(t.Context(), "app", points, "")
	if err != nil || done.Points != 0 || store.locks.Load() != 0 || store.asked.Load() > samples {
		t.Errorf("%+v, %v: %d locks, %d questions", done, err, store.locks.Load(), store.asked.Load())
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// noLocks says of everything that it is locked for a week.
type noLocks struct{}

func (noLocks) Lock(context.Context, string, string, time.Time, string) error { return nil }
func (noLocks) LockedUntil(context.Context, string, string) (string, time.Time, error) {
	return objstore.Governance, time.Now().AddDate(0, 0, 7), nil
}
func (noLocks) LegalHold(context.Context, string, string, bool) error { return nil }
