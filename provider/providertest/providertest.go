// Package providertest is what the acceptance tests of the resources share: the
// provider served to a real Terraform CLI, and texts of configurations.
//
// What must not live here: assertions about one resource, and anything a
// non-test package imports.
package providertest

import (
	"fmt"
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
	p, err := r.NewPoint(source, "logical", time.Now(), repo.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.WriteStream(t.Context(), "archive", []byte("what was backed up")); err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(t.Context(), &repo.Manifest{End: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return p.Ref()
}
