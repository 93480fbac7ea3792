package repo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

var policyClock = time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)

func policyRepository(t *testing.T) *Repository {
	t.Helper()
	store, err := dir.Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r, err := Create(t.Context(), store, CreateOptions{Now: policyClock})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func prodPolicy(daily int) policy.Document {
	return policy.Document{Format: policy.Format, Name: "prod", Retention: retention.Keep{KeepDaily: daily}}
}

func by(who string) policy.Envelope { return policy.Envelope{At: policyClock, By: who} }

func TestRevisionsOfAPolicyAreNumberedAndKept(t *testing.T) {
	t.Parallel()
	r := policyRepository(t)
	if _, err := r.CurrentPolicy(t.Context(), "prod"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("a policy that never was: %v", err)
	}
	for i, daily := range []int{30, 14, 30} {
		rev, err := r.PutPolicyRevision(t.Context(), i, prodPolicy(daily), by("ada"))
		if err != nil || rev.Number != i+1 {
			t.Fatalf("revision %d: %d, %v", i+1, rev.Number, err)
		}
	}
	history, err := r.PolicyHistory(t.Context(), "prod")
	if err != nil || len(history) != 3 {
		t.Fatalf("history has %d revisions: %v", len(history), err)
	}
	if got := history[1].Document.Retention.KeepDaily; got != 14 {
		t.Errorf("revision 2 keeps %d days", got)
	}
	if names, err := r.Policies(t.Context()); err != nil || len(names) != 1 || names[0] != "prod" {
		t.Errorf("policies: %v, %v", names, err)
	}
}

func TestTheSamePolicyInAnotherSpellingWritesNoRevision(t *testing.T) {
	t.Parallel()
	r := policyRepository(t)
	doc := prodPolicy(7)
	doc.Objectives.RPO = duration.MustParse("24h")
	if _, err := r.PutPolicyRevision(t.Context(), 0, doc, by("ada")); err != nil {
		t.Fatal(err)
	}
	doc.Objectives.RPO = duration.MustParse("1d")
	rev, err := r.PutPolicyRevision(t.Context(), 1, doc, by("bob"))
	if err != nil || rev.Number != 1 {
		t.Fatalf("revision %d, %v", rev.Number, err)
	}
}

func TestAChangeUponAnOldRevisionIsRefusedAndNamesWhoCameFirst(t *testing.T) {
	t.Parallel()
	r := policyRepository(t)
	for i, daily := range []int{30, 14} {
		if _, err := r.PutPolicyRevision(t.Context(), i, prodPolicy(daily), by("ada")); err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.PutPolicyRevision(t.Context(), 1, prodPolicy(3), by("bob"))
	if !errors.Is(err, ErrPolicyChanged) || !strings.Contains(err.Error(), "by ada") {
		t.Fatalf("a stale change: %v", err)
	}
	if _, err := r.PutPolicyRevision(t.Context(), 0, prodPolicy(3), by("bob")); !errors.Is(err, ErrPolicyChanged) {
		t.Fatalf("creating what is there: %v", err)
	}
}

func TestARetiredPolicyStaysVisibleAndCanComeBack(t *testing.T) {
	t.Parallel()
	r := policyRepository(t)
	if _, err := r.PutPolicyRevision(t.Context(), 0, prodPolicy(30), by("ada")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing left to do
		if err := r.RetirePolicy(t.Context(), "prod", by("ada")); err != nil {
			t.Fatal(err)
		}
	}
	rev, err := r.CurrentPolicy(t.Context(), "prod")
	if err != nil || !rev.Envelope.Retired || rev.Number != 2 {
		t.Fatalf("after retiring: %+v, %v", rev, err)
	}
	rev, err = r.PutPolicyRevision(t.Context(), 0, prodPolicy(30), by("ada"))
	if err != nil || rev.Envelope.Retired || rev.Number != 3 {
		t.Fatalf("declared again: %+v, %v", rev, err)
	}
	if err := r.RetirePolicy(t.Context(), "never-was", by("ada")); err != nil {
		t.Fatal(err)
	}
}

// lostAnswers does every conditional Put and then says it was refused, as a
// retry after a lost answer looks to the caller.
type lostAnswers struct{ objstore.Store }

func (s lostAnswers) Put(ctx context.Context, key string, data []byte, opts objstore.PutOptions) (objstore.Info, error) {
	info, err := s.Store.Put(ctx, key, data, opts)
	if err == nil && opts.IfAbsent {
		return objstore.Info{}, fmt.Errorf("put %s: %w", key, objstore.ErrPrecondition)
	}
	return info, err
}

func TestARevisionWhoseAnswerWasLostIsReadBackAndBelieved(t *testing.T) {
	t.Parallel()
	r := policyRepository(t)
	r.store = lostAnswers{r.store}
	rev, err := r.PutPolicyRevision(t.Context(), 0, prodPolicy(30), by("ada"))
	if err != nil || rev.Number != 1 {
		t.Fatalf("revision %d, %v", rev.Number, err)
	}
}

func TestADamagedNewestRevisionIsAnErrorNotAnOlderPolicy(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func([]byte) []byte{
		"edited": func(b []byte) []byte {
			return []byte(strings.Replace(string(b), `"keep_daily": 14`, `"keep_daily": 1`, 1))
		},
		"cut":       func(b []byte) []byte { return b[:len(b)/2] },
		"of others": func(b []byte) []byte { return []byte(strings.Replace(string(b), `"revision": 2`, `"revision": 7`, 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := policyRepository(t)
			var rev policy.Revision
			for i, daily := range []int{30, 14} {
				var err error
				if rev, err = r.PutPolicyRevision(t.Context(), i, prodPolicy(daily), by("ada")); err != nil {
					t.Fatal(err)
				}
			}
			data, err := rev.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.store.Put(t.Context(), rev.Key(), edit(data), objstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := r.CurrentPolicy(t.Context(), "prod"); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), rev.Key()) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// damage puts half a revision where policy prod's newest one was.
func damage(t *testing.T, r *Repository, rev policy.Revision) {
	t.Helper()
	data, err := rev.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Put(t.Context(), rev.Key(), data[:len(data)/2], objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedRevisionIsSupersededOnlyByWhoKnowsItsNumber(t *testing.T) {
	t.Parallel()
	r := policyRepository(t)
	var rev policy.Revision
	for i, daily := range []int{30, 14} {
		var err error
		if rev, err = r.PutPolicyRevision(t.Context(), i, prodPolicy(daily), by("ada")); err != nil {
			t.Fatal(err)
		}
	}
	damage(t, r, rev)
	for _, after := range []int{0, 1, 3} {
		_, err := r.PutPolicyRevision(t.Context(), after, prodPolicy(7), by("bob"))
		if damaged := (*DamagedRevisionError)(nil); !errors.As(err, &damaged) || damaged.Number != 2 || damaged.Key != rev.Key() {
			t.Fatalf("upon revision %d: %v", after, err)
		}
	}
	_, err := r.PutPolicyRevision(t.Context(), 1, prodPolicy(7), by("bob"))
	for _, want := range []string{rev.Key(), "Restore this object from a version or a replica", "-replace"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
	next, err := r.PutPolicyRevision(t.Context(), 2, prodPolicy(14), by("ada"))
	if err != nil || next.Number != 3 {
		t.Fatalf("revision %d, %v", next.Number, err)
	}
	if _, err := r.store.Head(t.Context(), rev.Key(), ""); err != nil {
		t.Errorf("the damaged object: %v", err)
	}
	damage(t, r, next)
	retired := by("ada")
	retired.Retired = true
	if _, err := r.PutPolicyRevision(t.Context(), 3, prodPolicy(14), retired); err != nil {
		t.Fatal(err)
	}
	if current, err := r.CurrentPolicy(t.Context(), "prod"); err != nil || !current.Envelope.Retired || current.Number != 4 {
		t.Errorf("%+v, %v", current, err)
	}
}

func TestADamagedOldRevisionHidesNoneOfTheOthers(t *testing.T) {
	t.Parallel()
	r := policyRepository(t)
	for i, daily := range []int{30, 14, 7} {
		if _, err := r.PutPolicyRevision(t.Context(), i, prodPolicy(daily), by("ada")); err != nil {
			t.Fatal(err)
		}
	}
	numbers, err := r.revisionKeys(t.Context(), "prod")
	if err != nil {
		t.Fatal(err)
	}
	keys := numbers.keys
	for want, content := range map[error]string{ErrDamaged: `{"format":1,`, ErrNewerFormat: `{"format":99}`} {
		overwrite(t, r.store, keys[1], []byte(content))
		history, err := r.PolicyHistory(t.Context(), "prod")
		if err != nil || len(history) != 3 {
			t.Fatalf("history has %d revisions: %v", len(history), err)
		}
		for i, past := range history {
			if past.Number != i+1 || past.Key != keys[i] || (past.Problem != nil) != (i == 1) {
				t.Errorf("revision %d: %+v", i+1, past)
			}
		}
		problem := history[1].Problem
		if !errors.Is(problem, want) || strings.Contains(problem.Error(), "nothing is rotated") || !strings.Contains(problem.Error(), keys[1]) {
			t.Errorf("revision 2: %v, want %v", problem, want)
		}
	}
	overwrite(t, r.store, keys[2], []byte(`{"format":1,`))
	history, err := r.PolicyHistory(t.Context(), "prod")
	if err != nil || !strings.Contains(history[2].Problem.Error(), "nothing is rotated") {
		t.Errorf("the one in force: %v, %v", history, err)
	}
	r = r.over(&meddler{Store: r.store, before: func(op, key string) error {
		if op == "get" && key == keys[0] {
			return errReset
		}
		return nil
	}})
	if _, err := r.PolicyHistory(t.Context(), "prod"); !errors.Is(err, errReset) {
		t.Errorf("a store that does not answer: %v", err)
	}
}
