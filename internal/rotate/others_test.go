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

// made commits a point with the stamp of a policy.
func (f *fixture) made(source string, days int, by string, revision int, parent string) repo.Ref {
	f.t.Helper()
	start := now.AddDate(0, 0, -days)
	w, err := f.NewPoint(source, "logical", start, repo.WriterOptions{Parent: parent})
	if err != nil {
		f.t.Fatal(err)
	}
	if err := w.WriteStream(f.t.Context(), "archive", []byte(source)); err != nil {
		f.t.Fatal(err)
	}
	if err := w.Commit(f.t.Context(), &repo.Manifest{End: start.Add(time.Minute), Policy: by, PolicyRevision: revision}); err != nil {
		f.t.Fatal(err)
	}
	return w.Ref()
}

func TestWhatAnotherPolicyMadeGoesOnlyWhenThatOneLetsItGoToo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		other  func(f *fixture) // what became of policy other
		policy string           // that rotates
		stay   []int            // days of the points of other that stay
		why    string
	}{
		"it keeps longer": {func(f *fixture) { f.revise("other", daily(6), good()) }, "prod", []int{4, 5}, "policy other, which made it, keeps it"},
		"its newest document": {func(f *fixture) {
			f.revise("other", daily(30), good())
			f.revise("other", daily(5), approvedLoss("EXPIRE-2-abcdef"))
		}, "prod", []int{4}, "policy other"},
		"its newest document was never approved": {func(f *fixture) {
			f.revise("other", daily(6), good())
			f.revise("other", daily(1), policy.Envelope{})
		}, "prod", []int{4, 5}, "revision 2 of policy other was never approved and revision 1 keeps it"},
		"it was never approved at all": {func(f *fixture) { f.revise("other", daily(1), policy.Envelope{}) }, "prod", []int{4, 5, 6}, "revision 1 of policy other was never approved"},
		"it is retired":                {func(f *fixture) { f.revise("other", daily(6), good()); f.retire("other") }, "prod", []int{4, 5}, "policy other"},
		"it keeps less":                {func(f *fixture) { f.revise("other", daily(1), good()) }, "prod", nil, ""},
		"it has no revision":           {func(*fixture) {}, "prod", nil, ""},
		"the operator's own word":      {func(f *fixture) { f.revise("other", daily(6), good()) }, "", nil, ""},
		"the same policy":              {func(f *fixture) { f.revise("other", daily(6), good()) }, "other", nil, ""},
		"it can not be read": {func(f *fixture) {
			rev := f.revise("other", daily(1), good())
			if err := os.WriteFile(filepath.Join(f.dir, rev.Key()), []byte(`{"format":1,`), 0o600); err != nil {
				f.t.Fatal(err)
			}
		}, "prod", []int{4, 5, 6}, "policy other, which made it, can not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			var stay []repo.Ref
			for d := range 7 {
				// Today's to the day before yesterday's are prod's, which keeps two.
				ref := f.made("a", d, map[bool]string{true: "prod", false: "other"}[d < 4], 1, "")
				if d < 2 || slices.Contains(c.stay, d) {
					stay = append(stay, ref)
				}
			}
			unstamped := f.made("a", 7, "other", 0, "") // made under a file or flags of that name
			c.other(f)
			opts := f.options(daily(2))
			opts.Policy = c.policy
			out, err := Run(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.ids(); !slices.Equal(got, want(stay...)) {
				t.Errorf("left %v, want %v", got, want(stay...))
			}
			if !slices.Contains(idsOf(out.Delete), unstamped.ID) {
				t.Errorf("a point that no revision made stays: %+v", out.Keep)
			}
			for _, d := range out.Keep {
				if spared := !d.Start.After(now.AddDate(0, 0, -4)); spared && !strings.Contains(d.Reasons[0], c.why) {
					t.Errorf("%s stays for %q, want %q", d.ID, d.Reasons, c.why)
				}
			}
		})
	}
}

func (f *fixture) retire(name string) {
	f.t.Helper()
	if err := f.RetirePolicy(f.t.Context(), name, policy.Envelope{At: now}); err != nil {
		f.t.Fatal(err)
	}
}

func TestWhatASparedIncrementalBuildsOnStaysToo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.revise("other", daily(9), good())
	full := f.made("a", 9, "prod", 1, "")
	middle := f.made("a", 8, "prod", 1, full.ID)
	child := f.made("a", 7, "other", 1, middle.ID)
	alone := f.made("a", 6, "prod", 1, "")
	newest := f.made("a", 0, "prod", 1, "")
	out, err := Run(t.Context(), f.options(retention.Keep{KeepLast: 1}))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.ids(); !slices.Equal(got, want(full, middle, child, newest)) || !slices.Equal(idsOf(out.Delete), want(alone)) {
		t.Errorf("left %v, deleted %v", got, idsOf(out.Delete))
	}
	for _, d := range out.Keep {
		if d.ID == full.ID && d.Reasons[0] != "parent of "+middle.ID {
			t.Errorf("the full backup stays for %q", d.Reasons)
		}
	}
}
