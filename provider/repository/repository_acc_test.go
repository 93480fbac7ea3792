package repository_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

const address = "pgbackup_repository.main"

func gone(dir string) func() error {
	return func() error {
		if _, err := os.Stat(filepath.Join(dir, "repository.json")); err == nil {
			return errors.New("repository.json is still there")
		}
		return nil
	}
}

func emptyPlan() resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
}

func action(a plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, a)}}
}

func TestAccRepository_directoryFromCreateToImport(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a b", "pg")
	id := "file://" + strings.ReplaceAll(dir, " ", "%20")
	config := providertest.Repository(dir)
	providertest.RunWith(t, gone(dir),
		resource.TestStep{
			Config: config,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact(id)),
				plancheck.ExpectKnownValue(address, tfjsonpath.New("sealed"), knownvalue.Bool(false)),
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact(id)),
				statecheck.ExpectKnownValue(address, tfjsonpath.New("repository_id"), knownvalue.StringRegexp(regexp.MustCompile(`^[0-9a-f]{32}$`))),
			},
		},
		resource.TestStep{Config: config, ConfigPlanChecks: emptyPlan()},
		resource.TestStep{Config: providertest.Repository(dir, "force_destroy = true"), ConfigPlanChecks: action(plancheck.ResourceActionUpdate)},
		resource.TestStep{Config: config, ConfigPlanChecks: action(plancheck.ResourceActionUpdate)},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateId: "file:///does/not/exist", ExpectError: providertest.Message("create it (mkdir -p -m 700) or mount it")},
	)
}

func TestAccRepository_disappears(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := providertest.Repository(dir)
	providertest.Run(t,
		resource.TestStep{Config: config},
		resource.TestStep{
			PreConfig: func() {
				if err := os.Remove(filepath.Join(dir, "repository.json")); err != nil {
					t.Fatal(err)
				}
			},
			Config: config, ConfigPlanChecks: action(plancheck.ResourceActionCreate),
		},
		resource.TestStep{Config: config, ConfigPlanChecks: emptyPlan()},
	)
}

// A mount that is not there must not make Terraform create a repository below
// the mount point.
func TestAccRepository_aPlaceThatDoesNotAnswerKeepsTheState(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mount")
	config := providertest.Repository(dir)
	move := func(from, to string) func() {
		return func() {
			if err := os.Rename(from, to); err != nil {
				t.Fatal(err)
			}
		}
	}
	providertest.Run(t,
		resource.TestStep{Config: config},
		resource.TestStep{PreConfig: move(dir, dir+".away"), Config: config, ConfigPlanChecks: emptyPlan()},
		resource.TestStep{PreConfig: move(dir+".away", dir), Config: config, ConfigPlanChecks: emptyPlan()},
	)
}

func TestAccRepository_pointsAreNotDestroyedWithoutForceDestroyInState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := filepath.Join(t.TempDir(), "other")
	config := providertest.Repository(dir)
	refused := providertest.Message("the repository has recovery points: 1 of 1 source(s)")
	add := func() { providertest.AddPoint(t, providertest.Open(t, "file://"+dir), "shop") }
	providertest.RunWith(t, gone(dir),
		resource.TestStep{Config: config},
		resource.TestStep{PreConfig: add, Config: config, Destroy: true, ExpectError: refused},
		// Removed from the configuration, moved elsewhere, encrypted: all of them
		// would end this repository.
		resource.TestStep{Config: " ", ExpectError: refused},
		resource.TestStep{Config: providertest.Repository(other), ExpectError: refused},
		resource.TestStep{Config: providertest.Repository(other, "force_destroy = true"), ExpectError: refused},
		resource.TestStep{Config: providertest.Repository(dir, "encryption = { key_ref = \"env:NOT_NEEDED\" }"), ExpectError: refused},
		resource.TestStep{Config: providertest.Repository(dir, "force_destroy = true")},
	)
}

// The plan's guard does not see a tainted resource, nor -replace: only Delete
// does.
func TestAccRepository_pointsOfATaintedRepositoryAreNotDestroyedEither(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := providertest.Repository(dir)
	var point repo.Ref
	providertest.RunWith(t, gone(dir),
		resource.TestStep{Config: config},
		resource.TestStep{
			PreConfig: func() { point = providertest.AddPoint(t, providertest.Open(t, "file://"+dir), "shop") },
			Config:    config, Taint: []string{address}, ExpectError: providertest.Message("deleting pgbackup_repository"),
		},
		resource.TestStep{
			PreConfig: func() {
				r := providertest.Open(t, "file://"+dir)
				if found := only(t, r); found != point {
					t.Errorf("the repository holds %s", found)
				}
				if err := r.Delete(t.Context(), point, repo.Tombstone{Reasons: []string{"the test is over"}}); err != nil {
					t.Fatal(err)
				}
			},
			Config: config, ConfigPlanChecks: action(plancheck.ResourceActionReplace),
		},
	)
}

func TestAccRepository_aHeldPointStopsEvenForceDestroy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := providertest.Repository(dir, "force_destroy = true")
	providertest.RunWith(t, gone(dir),
		resource.TestStep{Config: config},
		resource.TestStep{
			PreConfig: func() {
				r := providertest.Open(t, "file://"+dir)
				if err := r.Hold(t.Context(), providertest.AddPoint(t, r, "shop"), mark()); err != nil {
					t.Fatal(err)
				}
			},
			Config: config, Destroy: true, ExpectError: providertest.Message("is held; release it first"),
		},
		resource.TestStep{
			PreConfig: func() {
				r := providertest.Open(t, "file://"+dir)
				if err := r.Release(t.Context(), only(t, r), mark()); err != nil {
					t.Fatal(err)
				}
			},
			Config: config,
		},
	)
}

func TestAccRepository_encryptionAndItsSecondKey(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("ACC_KEY_ONE", seal.NewKey().Encode())
	t.Setenv("ACC_KEY_TWO", seal.NewKey().Encode())
	t.Setenv("ACC_KEY_SHORT", "c2hvcnQ=")
	with := func(ref string) string {
		return providertest.Repository(dir, fmt.Sprintf("encryption = { key_ref = %q }", ref))
	}
	opensWith := func(ref string) func() {
		return func() {
			if err := openWithKey(t, "file://"+dir, ref); err != nil {
				t.Errorf("open with %s: %v", ref, err)
			}
		}
	}
	providertest.RunWith(t, gone(dir),
		resource.TestStep{Config: with("env:ACC_KEY_SHORT"), ExpectError: providertest.Message("key is not 256 bits")},
		resource.TestStep{Config: with("env:ACC_KEY_NOT_SET"), ExpectError: providertest.Message("the environment variable is not set")},
		resource.TestStep{Config: with("env:ACC_KEY_ONE"), ConfigStateChecks: []statecheck.StateCheck{
			statecheck.ExpectKnownValue(address, tfjsonpath.New("sealed"), knownvalue.Bool(true)),
		}},
		resource.TestStep{Config: with("env:ACC_KEY_ONE"), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{Config: with("env:ACC_KEY_TWO"), ConfigPlanChecks: action(plancheck.ResourceActionUpdate)},
		resource.TestStep{PreConfig: opensWith("env:ACC_KEY_ONE"), Config: with("env:ACC_KEY_TWO"), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{PreConfig: opensWith("env:ACC_KEY_TWO"), ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{Config: providertest.Repository(dir), ConfigPlanChecks: action(plancheck.ResourceActionReplace)},
	)
}

func TestAccRepository_whatIsThereAlreadyIsImportedNotAdopted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	two := providertest.Repository(dir) + strings.Replace(providertest.Repository(dir), `"main"`, `"second"`, 1)
	providertest.Run(t,
		resource.TestStep{Config: providertest.Repository(dir)},
		resource.TestStep{Config: two, ExpectError: providertest.Message("A repository is already there. If it is to be managed here, import it")},
	)
}

func TestAccRepository_mistakesAreFoundAtPlan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ config, want string }{
		"relative path":  {providertest.Repository("backups"), "Give an absolute path"},
		"both places":    {providertest.Repository("/x", `s3 = { bucket = "b-1" }`), "Exactly one of these attributes must be configured: [directory,s3]"},
		"no place":       {`resource "pgbackup_repository" "main" {}`, "Exactly one of these attributes must be configured: [directory,s3]"},
		"bucket name":    {`resource "pgbackup_repository" "main" { s3 = { bucket = "No_Bucket" } }`, "lower-case letters, digits"},
		"prefix":         {`resource "pgbackup_repository" "main" { s3 = { bucket = "b-1", prefix = "/a" } }`, "nor begin or end with a slash"},
		"other endpoint": {`resource "pgbackup_repository" "main" { s3 = { bucket = "b-1", endpoint = "minio" } }`, "give a URL such as"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, resource.TestStep{Config: c.config, PlanOnly: true, ExpectError: providertest.Message(c.want)})
		})
	}
}

func TestAccRepository_s3(t *testing.T) {
	s3 := testenv.S3(t)
	for _, pair := range s3.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	provider := fmt.Sprintf("provider \"pgbackup\" {\n  region = %q\n  endpoints = {\n    s3 = %q\n  }\n}\n", s3.Region, s3.Endpoint)
	repository := func(prefix, lines string) string {
		return fmt.Sprintf("resource \"pgbackup_repository\" \"main\" {\n  s3 = {\n    create_bucket = false\n    bucket = %q\n    prefix = %q\n    %s\n  }\n}\n", s3.Bucket, prefix, lines)
	}
	config := provider + repository("prod", "")
	providertest.Run(t,
		resource.TestStep{Config: config},
		resource.TestStep{Config: config, ConfigPlanChecks: emptyPlan()},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true},
		// The same place, reached by settings of its own: the id stays too.
		resource.TestStep{
			Config:           "provider \"pgbackup\" {}\n" + repository("prod", fmt.Sprintf("region = %q\n endpoint = %q", s3.Region, s3.Endpoint)),
			ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
		},
		resource.TestStep{Config: config},
		resource.TestStep{
			PreConfig: func() {
				if err := os.Remove(filepath.Join(s3.Dir, s3.Bucket, "prod", "repository.json")); err != nil {
					t.Fatal(err)
				}
			},
			Config: config, ConfigPlanChecks: action(plancheck.ResourceActionCreate),
		},
		resource.TestStep{Config: provider + repository("elsewhere", ""), ConfigPlanChecks: action(plancheck.ResourceActionReplace)},
		resource.TestStep{Config: provider + strings.Replace(repository("x", ""), s3.Bucket, "no-such-bucket", 1), ExpectError: regexp.MustCompile(`(?i)no-such-bucket`)},
	)
}

func TestAccRepository_aFileInThePlaceOfTheDirectoryIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	providertest.Run(t, resource.TestStep{Config: providertest.Repository(file + "/pg"), ExpectError: providertest.Message(file + " is a file; name a directory")})
}
