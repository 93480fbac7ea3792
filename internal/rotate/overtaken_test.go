package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// meanwhile does something before the first deletion whose key it matches.
type meanwhile struct {
	objstore.Store
	match func(key string) bool
	do    func()
}

func (m *meanwhile) Delete(ctx context.Context, keys ...string) error {
	if m.do != nil && slices.ContainsFunc(keys, m.match) {
		do := m.do
		m.do = nil
		do()
	}
	return m.Store.Delete(ctx, keys...)
}

// through opens the same repository through another store.
func (f *fixture) through(store objstore.Store) *repo.Repository {
	f.t.Helper()
	r, err := repo.Open(f.t.Context(), store, repo.OpenOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

func TestARotationStopsWhenItsPolicyIsChangedBetweenTwoSources(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.revise("prod", retention.Keep{KeepLast: 1}, good())
	f.points("a", 0, 1, 2)
	b := f.points("b", 0, 1, 2)
	c := f.points("c", 0, 1)
	opts := f.options(retention.Keep{KeepLast: 1})
	opts.Repo = f.through(&meanwhile{Store: f.Store(), match: func(key string) bool { return strings.HasPrefix(key, "manifests/a/") }, do: func() {
		f.revise("prod", daily(30), good())
	}})
	out, err := Run(t.Context(), opts)
	if !errors.Is(err, repo.ErrPolicyChanged) || !strings.Contains(err.Error(), "rotate b: ") || !strings.Contains(err.Error(), "revision 2 now") {
		t.Fatalf("%v", err)
	}
	if len(out.Delete) != 2 || out.Delete[0].Source != "a" {
		t.Errorf("deleted %v", idsOf(out.Delete))
	}
	for _, ref := range slices.Concat(b, c) {
		if !slices.Contains(f.ids(), ref.ID) {
			t.Errorf("%s is gone", ref)
		}
	}
	for _, d := range out.Keep {
		if d.Source != "a" && d.Start.Before(now) && d.Reasons[0] != policyChanged {
			t.Errorf("%s stays for %q", d.ref, d.Reasons)
		}
	}
}

func TestARotationOfManyPointsStopsSoonAfterItsPolicyIsChanged(t *testing.T) {
	t.Parallel()
	f := opened(t, folder(t)+"/repo", true)
	f.revise("prod", retention.Keep{KeepLast: 1}, good())
	const n = 2*lookEveryPoint + 50
	for i := range n {
		f.started("a", now.Add(-time.Duration(i+1)*time.Hour), "prod")
	}
	opts := f.options(retention.Keep{KeepLast: 1})
	opts.Repo = f.through(&meanwhile{Store: f.Store(), match: func(key string) bool { return strings.HasPrefix(key, "manifests/") }, do: func() {
		f.revise("prod", retention.Keep{KeepLast: n}, policy.Envelope{Loss: none()})
	}})
	out, err := Run(t.Context(), opts)
	if !errors.Is(err, repo.ErrPolicyChanged) {
		t.Fatalf("%v", err)
	}
	if got := len(out.Delete); got == 0 || got > lookEveryPoint || len(f.refs()) != n-got || len(out.Keep) != n-got {
		t.Errorf("%s", fmt.Sprint("deleted ", got, ", kept ", len(out.Keep), ", left ", len(f.refs())))
	}
}
