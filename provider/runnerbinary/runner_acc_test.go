package runnerbinary_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/runnertest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/usemark"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

const address = "pgbackup_runner.main"

// builds are two releases of small programs for both architectures.
func builds(t *testing.T) (one, two string) {
	t.Helper()
	top := t.TempDir()
	for _, version := range []string{"one", "two"} {
		dir := filepath.Join(top, version)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, arch := range []string{runnerdist.AMD64, runnerdist.ARM64} {
			runnertest.Build(t, dir, arch, version)
		}
	}
	return filepath.Join(top, "one"), filepath.Join(top, "two")
}

func find(t *testing.T, path, arch string) runnerdist.Build {
	t.Helper()
	set, err := runnerdist.FromPath(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := set.Find(arch)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func provider(runnerPath string) string {
	return fmt.Sprintf("provider \"pgbackup\" {\n  runner_path = %q\n}\n", runnerPath)
}

func runner(lines string) string {
	return "resource \"pgbackup_runner\" \"main\" {\n  " + lines + "\n}\n"
}

func emptyPlan() resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
}

func action(a plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, a)}}
}

func TestAccRunner_installedOnThisHost(t *testing.T) {
	t.Parallel()
	one, two := builds(t)
	dir := filepath.Join(t.TempDir(), "bin")
	program := filepath.Join(dir, "pgbackup-runner")
	config := func(path string) string { return provider(path) + runner(fmt.Sprintf("install_dir = %q", dir)) }
	arch := runnerdist.ArchName(runtime.GOARCH)
	says := func(version string) func() {
		return func() {
			out, err := exec.Command(program).CombinedOutput()
			if err != nil || string(out) != version+"\n" {
				t.Errorf("the installed program says %q, %v", out, err)
			}
		}
	}
	gone := func() error {
		if _, err := os.Stat(program); err == nil {
			return errors.New(program + " is still there")
		}
		return nil
	}
	first := find(t, one, runtime.GOARCH)
	providertest.RunWith(t, gone,
		resource.TestStep{
			Config: config(one),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectKnownValue(address, tfjsonpath.New("sha256"), knownvalue.MapExact(map[string]knownvalue.Check{arch: knownvalue.StringExact(first.SHA256)})),
				plancheck.ExpectKnownValue(address, tfjsonpath.New("release"), knownvalue.StringExact("host:"+program+"#"+arch+":"+first.SHA256)),
				plancheck.ExpectKnownValue(address, tfjsonpath.New("path"), knownvalue.StringExact(program)),
			}},
		},
		resource.TestStep{PreConfig: says("one"), Config: config(one), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{Config: config(two), ConfigPlanChecks: action(plancheck.ResourceActionUpdate)},
		resource.TestStep{
			PreConfig: func() {
				says("two")()
				if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			},
			Config: config(two), ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
		},
		resource.TestStep{
			PreConfig: func() {
				says("two")()
				if err := os.Chmod(program, 0o600); err != nil {
					t.Fatal(err)
				}
			},
			Config: config(two), ConfigPlanChecks: action(plancheck.ResourceActionCreate),
		},
		resource.TestStep{
			PreConfig: func() {
				says("two")()
				if err := os.Remove(program); err != nil {
					t.Fatal(err)
				}
			},
			Config: config(two), ConfigPlanChecks: action(plancheck.ResourceActionCreate),
		},
		resource.TestStep{PreConfig: says("two"), Config: config(two), ConfigPlanChecks: emptyPlan()},
	)
}

func TestAccRunner_inARepository(t *testing.T) {
	t.Parallel()
	one, two := builds(t)
	dir := t.TempDir()
	config := func(path string) string {
		return provider(path) + providertest.Repository(dir) + runner("repository = pgbackup_repository.main.id")
	}
	build := find(t, one, runnerdist.ARM64)
	stored := func() []byte {
		r, _, err := providertest.Open(t, "file://"+dir).Store().Get(t.Context(), build.Key(), objstore.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		return data
	}
	var original []byte
	providertest.Run(t,
		resource.TestStep{
			Config: config(one),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectKnownValue(address, tfjsonpath.New("keys").AtMapKey("arm64"), knownvalue.StringExact(build.Key())),
			}},
		},
		resource.TestStep{PreConfig: func() { original = stored() }, Config: config(one), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{
			PreConfig: func() {
				if _, err := providertest.Open(t, "file://"+dir).Store().Put(t.Context(), build.Key(), []byte("another program"), objstore.PutOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			Config: config(one), ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
		},
		resource.TestStep{
			PreConfig: func() {
				if string(stored()) != string(original) {
					t.Error("the program was not put right")
				}
				if err := providertest.Open(t, "file://"+dir).Store().Delete(t.Context(), build.Key()); err != nil {
					t.Fatal(err)
				}
			},
			Config: config(one), ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
		},
		// A new program stands beside the old one.
		resource.TestStep{Config: config(two), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), ConfigStateChecks: []statecheck.StateCheck{
			statecheck.ExpectKnownValue(address, tfjsonpath.New("keys").AtMapKey("arm64"), knownvalue.StringExact(find(t, two, runnerdist.ARM64).Key())),
		}},
		resource.TestStep{PreConfig: func() { stored() }, Config: config(two), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{
			Config:           provider(two) + providertest.Repository(dir) + runner("repository = pgbackup_repository.main.id\n architectures = [\"aarch64\"]"),
			ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
		},
	)
}

// A new runner is a change of every schedule that uses it.
func TestAccRunner_aNewProgramShowsInThePlanOfTheSchedule(t *testing.T) {
	t.Parallel()
	one, two := builds(t)
	top := t.TempDir()
	config := func(path string) string {
		return provider(path) + runner(fmt.Sprintf("install_dir = %q", filepath.Join(top, "bin"))) + fmt.Sprintf(`
resource "pgbackup_schedule" "nightly" {
  name   = "nightly"
  policy = "file:///var/backups/pg#prod"
  runner = pgbackup_runner.main.release
  cron   = "0 2 * * *"
  job    = { rotate = {} }
  run_on = { host = { directory = %q } }
}
`, filepath.Join(top, "jobs"))
	}
	providertest.Run(t,
		resource.TestStep{Config: config(one)},
		resource.TestStep{Config: config(one), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{Config: config(two), ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
			plancheck.ExpectResourceAction("pgbackup_schedule.nightly", plancheck.ResourceActionUpdate),
			plancheck.ExpectKnownValue("pgbackup_schedule.nightly", tfjsonpath.New("systemd_service"), knownvalue.StringRegexp(providertest.Message("ExecStart="+filepath.Join(top, "bin", "pgbackup-runner")+" rotate"))),
		}}},
	)
}

func TestAccRunner_mistakesAreFoundAtPlan(t *testing.T) {
	t.Parallel()
	one, _ := builds(t)
	half := t.TempDir()
	if err := os.Link(filepath.Join(one, "pgbackup-runner_linux_arm64"), filepath.Join(half, "pgbackup-runner")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ config, want string }{
		"no place":       {runner(""), "Exactly one of these attributes must be configured: [repository,install_dir]"},
		"two for a host": {provider(one) + runner("install_dir = \"/x\"\n architectures = [\"x86_64\", \"arm64\"]"), "A host has one architecture"},
		"mistyped":       {provider(one) + runner("install_dir = \"/x\"\n architectures = [\"x68_64\"]"), `did you mean "x86_64"?`},
		"not built":      {provider(half) + runner("install_dir = \"/x\"\n architectures = [\"x86_64\"]"), "no runner build for linux/amd64"},
		"no such path":   {provider("/does/not/exist") + runner(`install_dir = "/x"`), "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, resource.TestStep{Config: c.config, PlanOnly: true, ExpectError: providertest.Message(c.want)})
		})
	}
}

func TestAccRunner_aProgramSomebodyReplacedIsNotRemoved(t *testing.T) {
	t.Parallel()
	one, _ := builds(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "pgbackup-runner")
	config := provider(one) + runner(fmt.Sprintf("install_dir = %q", dir))
	providertest.RunWith(t, func() error {
		text, err := os.ReadFile(program)
		if err == nil && !strings.HasPrefix(string(text), "#!") {
			err = errors.New("the other program was written over")
		}
		return err
	},
		resource.TestStep{Config: config},
		resource.TestStep{PreConfig: func() {
			if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil { //nolint:gosec // a program
				t.Fatal(err)
			}
		}, RefreshState: true, ExpectNonEmptyPlan: true},
	)
}

func TestAccRunner_inABucket(t *testing.T) {
	s3 := testenv.S3(t)
	for _, pair := range s3.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	one, _ := builds(t)
	config := fmt.Sprintf("provider \"pgbackup\" {\n runner_path = %q\n endpoints = {\n s3 = %q\n }\n}\n", one, s3.Endpoint) +
		fmt.Sprintf("resource \"pgbackup_repository\" \"main\" {\n s3 = {\n create_bucket = false\n bucket = %q\n }\n}\n", s3.Bucket) + runner("repository = pgbackup_repository.main.id")
	key := find(t, one, runnerdist.AMD64).Key()
	providertest.Run(t,
		resource.TestStep{Config: config},
		resource.TestStep{Config: config, ConfigPlanChecks: emptyPlan()},
		resource.TestStep{
			PreConfig: func() {
				if _, err := s3.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &s3.Bucket, Key: &key, Body: strings.NewReader("another program")}); err != nil {
					t.Fatal(err)
				}
			},
			Config: config, ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
		},
		resource.TestStep{Config: config, ConfigPlanChecks: emptyPlan()},
	)
}

func TestAccRunner_inABucketIsThereForLambdaAndStaysWhileItIsUsed(t *testing.T) {
	s3 := testenv.S3(t)
	for _, pair := range s3.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	one, two := builds(t)
	three := t.TempDir()
	runnertest.Build(t, three, runnerdist.AMD64, "three")
	config := func(path string) string {
		return fmt.Sprintf("provider \"pgbackup\" {\n runner_path = %q\n endpoints = {\n s3 = %q\n }\n}\n", path, s3.Endpoint) +
			fmt.Sprintf("resource \"pgbackup_repository\" \"main\" {\n s3 = {\n create_bucket = false\n bucket = %q\n }\n}\n", s3.Bucket) +
			runner("repository = pgbackup_repository.main.id\n architectures = [\"x86_64\"]")
	}
	first, second := find(t, one, runnerdist.AMD64), find(t, two, runnerdist.AMD64)
	archive := runnerdist.LambdaKey(first.SHA256, runnerdist.AMD64)
	use := usemark.Use{Runner: first.SHA256, Job: "nightly", Target: "fargate", File: strings.Repeat("0a", 32)}.Key()
	put := func(key, text string) func() {
		return func() {
			if _, err := s3.Client().PutObject(t.Context(), &awss3.PutObjectInput{Bucket: &s3.Bucket, Key: &key, Body: strings.NewReader(text)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	is := func(key string, there bool) {
		t.Helper()
		if _, err := s3.Client().HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: &s3.Bucket, Key: &key}); (err == nil) != there {
			t.Errorf("%s: %v, there should be one: %v", key, err, there)
		}
	}
	providertest.Run(t,
		resource.TestStep{Config: config(one), ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
			plancheck.ExpectKnownValue(address, tfjsonpath.New("lambda_keys").AtMapKey("x86_64"), knownvalue.StringExact(archive)),
		}}},
		resource.TestStep{PreConfig: func() { is(archive, true) }, Config: config(one), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true},
		resource.TestStep{PreConfig: put(archive, "another program"), Config: config(one), ConfigPlanChecks: action(plancheck.ResourceActionUpdate)},
		resource.TestStep{PreConfig: put(use, ""), Config: config(one), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{Config: config(two), ConfigPlanChecks: action(plancheck.ResourceActionUpdate)},
		resource.TestStep{Config: config(three), ConfigPlanChecks: action(plancheck.ResourceActionUpdate)},
		resource.TestStep{
			PreConfig: func() {
				is(first.Key(), true)
				is(archive, true)
				is(second.Key(), true) // the one before
			},
			Config: config(one), ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
		},
		resource.TestStep{
			PreConfig: func() { is(second.Key(), false) },
			Config:    strings.Split(config(one), `resource "pgbackup_runner"`)[0], // destroys it
		},
		resource.TestStep{
			PreConfig: func() {
				is(first.Key(), true) // somebody is marked as using it still
				is(find(t, three, runnerdist.AMD64).Key(), false)
			},
			Config: config(one),
		},
	)
}
