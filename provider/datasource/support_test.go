package datasource_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// fixture is a repository in a directory, with points that were made in the past.
type fixture struct {
	*repo.Repository
	dir string
	t   *testing.T
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	return newSealed(t, nil)
}

// newSealed is newFixture with an outer key.
func newSealed(t *testing.T, key seal.Wrapper) *fixture {
	t.Helper()
	root := filepath.Join(t.TempDir(), "repo")
	store, err := dir.Create(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r, err := repo.Create(t.Context(), store, repo.CreateOptions{Now: time.Now(), Key: key, Reference: "env:PGBACKUP_KEY"})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{r, root, t}
}

func (f *fixture) url() string { return "file://" + f.dir }

// day is 02:00 of a day of March 2025.
func day(n int) time.Time { return time.Date(2025, 3, n, 2, 0, 0, 0, time.UTC) }

// add commits a point; m says under which policy, and in which tier.
func (f *fixture) add(source string, start time.Time, m repo.Manifest) repo.Ref {
	f.t.Helper()
	w, err := f.NewPoint(source, "logical", start, repo.WriterOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	if err := w.WriteStream(f.t.Context(), "archive", []byte("what was backed up")); err != nil {
		f.t.Fatal(err)
	}
	m.End = start.Add(time.Minute)
	if err := w.Commit(f.t.Context(), &m); err != nil {
		f.t.Fatal(err)
	}
	return w.Ref()
}

// days adds a point for each day of March 2025, and returns them by day.
func (f *fixture) days(source string, first, last int) map[int]repo.Ref {
	f.t.Helper()
	refs := map[int]repo.Ref{}
	for n := first; n <= last; n++ {
		refs[n] = f.add(source, day(n), repo.Manifest{})
	}
	return refs
}

// damage makes the manifest of a point unreadable.
func (f *fixture) damage(ref repo.Ref) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, filepath.FromSlash(ref.ManifestKey())), []byte("{}"), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// data is the configuration of a data source named it.
func data(kind, lines string) string {
	return fmt.Sprintf("data %q \"it\" {\n  %s\n}\n", kind, lines)
}

// expect is the value of an attribute of the data source named it.
func expect(kind string, values map[string]knownvalue.Check) []statecheck.StateCheck {
	var checks []statecheck.StateCheck
	for name, want := range values {
		checks = append(checks, statecheck.ExpectKnownValue("data."+kind+".it", tfjsonpath.New(name), want))
	}
	return checks
}

func number(n int64) knownvalue.Check { return knownvalue.Int64Exact(n) }

// points are the elements of a list of points by id, in this order.
func points(refs ...repo.Ref) knownvalue.Check {
	checks := make([]knownvalue.Check, len(refs))
	for i, ref := range refs {
		checks[i] = knownvalue.ObjectPartial(map[string]knownvalue.Check{
			"id": knownvalue.StringExact(ref.ID), "source": knownvalue.StringExact(ref.Source), "kind": knownvalue.StringExact("logical"),
		})
	}
	return knownvalue.ListExact(checks)
}

func is(output string, want knownvalue.Check) []statecheck.StateCheck {
	return []statecheck.StateCheck{statecheck.ExpectKnownOutputValue(output, want)}
}
