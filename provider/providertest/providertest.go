// Package providertest is what the acceptance tests of the resources share: the
// provider served to a real Terraform CLI, and texts of configurations.
//
// What must not live here: assertions about one resource, and anything a
// non-test package imports.
package providertest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider"
)

// Run runs the steps with a real CLI against the provider in this process.
func Run(t *testing.T, steps ...resource.TestStep) {
	t.Helper()
	RunWith(t, nil, steps...)
}

// RunWith is Run with a look at what is left after everything was destroyed.
func RunWith(t *testing.T, destroyed func() error, steps ...resource.TestStep) {
	t.Helper()
	testenv.Terraform(t)
	test := resource.TestCase{ProtoV6ProviderFactories: Factories(), Steps: steps}
	if destroyed != nil {
		test.CheckDestroy = func(*terraform.State) error { return destroyed() }
	}
	resource.Test(t, test)
}

// Factories serve the provider in this process.
func Factories() map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){
		"pgbackup": providerserver.NewProtocol6WithError(provider.New("test")()),
	}
}

// Message matches words of a diagnostic, in whatever case, however the CLI wraps
// its lines.
func Message(words string) *regexp.Regexp {
	var parts []string
	for _, w := range strings.Fields(words) {
		parts = append(parts, regexp.QuoteMeta(w))
	}
	return regexp.MustCompile(`(?i)` + strings.Join(parts, `[\s│╷╵]+`))
}

// Repository is the configuration of a directory repository named main, with
// further lines in it.
func Repository(dir string, lines ...string) string {
	return fmt.Sprintf("resource \"pgbackup_repository\" \"main\" {\n  directory = {\n    path = %q\n  }\n  %s\n}\n", dir, strings.Join(lines, "\n  "))
}

// Open opens the repository at a place, as a runner on this host would.
func Open(t *testing.T, id string) *repo.Repository {
	t.Helper()
	at, err := location.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	store, err := location.Open(t.Context(), at, location.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), store, repo.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// AddPoint commits a small recovery point of a source to a repository.
func AddPoint(t *testing.T, r *repo.Repository, source string) repo.Ref {
	t.Helper()
	return AddPointAt(t, r, source, time.Now())
}

// AddPointAt commits a small recovery point that started at a moment of the
// past. In a directory its manifest is as old as that, so that the history of
// the repository has it there from then on.
func AddPointAt(t *testing.T, r *repo.Repository, source string, start time.Time) repo.Ref {
	t.Helper()
	return addPoint(t, r, source, repo.Manifest{Start: start})
}

// addPoint commits a small recovery point with what the manifest says.
func addPoint(t *testing.T, r *repo.Repository, source string, m repo.Manifest) repo.Ref {
	t.Helper()
	start := m.Start
	p, err := r.NewPoint(source, "logical", start, repo.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.WriteStream(t.Context(), "archive", []byte("what was backed up")); err != nil {
		t.Fatal(err)
	}
	m.End = start
	if err := p.Commit(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	at, err := location.Parse(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	if at.IsDirectory() {
		if err := os.Chtimes(filepath.Join(at.Directory, filepath.FromSlash(p.Ref().ManifestKey())), start, start); err != nil {
			t.Fatal(err)
		}
	}
	return p.Ref()
}

// AddDays commits one recovery point for each day from the oldest to the newest,
// both given in days before now, and returns them newest first.
func AddDays(t *testing.T, r *repo.Repository, source string, newest, oldest int) []repo.Ref {
	t.Helper()
	return AddDaysOf(t, r, source, "", newest, oldest)
}

// AddDaysOf is AddDays of points that were made under the first revision of a
// policy.
func AddDaysOf(t *testing.T, r *repo.Repository, source, policy string, newest, oldest int) []repo.Ref {
	t.Helper()
	revision := 0
	if policy != "" {
		revision = 1
	}
	now := time.Now().Add(-time.Minute)
	var refs []repo.Ref
	for days := newest; days <= oldest; days++ {
		refs = append(refs, addPoint(t, r, source, repo.Manifest{Start: now.AddDate(0, 0, -days), Policy: policy, PolicyRevision: revision}))
	}
	return refs
}
