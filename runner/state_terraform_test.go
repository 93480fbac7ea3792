package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/versions"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// terraformDir is a working directory of a real CLI with its state in S3.
type terraformDir struct {
	t        *testing.T
	cli, dir string
	srv      *testenv.S3Server
}

// apply writes a configuration with one value and applies it, without the lock:
// this server refuses to take one again over its deletion.
func (d terraformDir) apply(value string) {
	d.t.Helper()
	config := fmt.Sprintf(`terraform {
  backend "s3" {
    bucket                      = %q
    key                         = "env:/prod/terraform.tfstate"
    region                      = %q
    endpoints                   = { s3 = %q }
    use_path_style              = true
    use_lockfile                = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_metadata_api_check     = true
    skip_region_validation      = true
    skip_s3_checksum            = true
  }
}
resource "terraform_data" "value" {
  input = %q
}
`, d.srv.Bucket, d.srv.Region, d.srv.Endpoint, value)
	if err := os.WriteFile(filepath.Join(d.dir, "main.tf"), []byte(config), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.run("init", "-input=false")
	d.run("apply", "-input=false", "-auto-approve", "-lock=false")
}

func (d terraformDir) try(args ...string) (string, error) {
	cmd := exec.CommandContext(d.t.Context(), d.cli, args...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), d.srv.Env()...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (d terraformDir) run(args ...string) string {
	d.t.Helper()
	out, err := d.try(args...)
	if err != nil {
		d.t.Fatalf("%s %v: %v\n%s", d.cli, args, err, out)
	}
	return out
}

// runner runs this program and returns what it printed.
func (d terraformDir) runner(want exitcode.Code, args ...string) (stdout, stderr string) {
	d.t.Helper()
	var out, errs bytes.Buffer
	if got := run(d.t.Context(), streams{in: strings.NewReader(""), out: &out, err: &errs}, args); got != want {
		d.t.Fatalf("%v: exit code %d, want %d\n%s%s", args, got, want, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// The real CLI accepts what `state restore` wrote, and honours the lock it holds.
func TestAStateThatWasRestoredIsTakenByTheRealCLI(t *testing.T) {
	d := terraformDir{t: t, cli: testenv.Terraform(t), dir: t.TempDir(), srv: testenv.S3(t, testenv.S3Versioned())}
	for _, kv := range d.srv.Env() {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
	url := "s3://" + d.srv.Bucket + "/env:/prod/terraform.tfstate"
	endpoint := "--s3-endpoint=" + d.srv.Endpoint
	d.apply("first")
	d.apply("second")

	out, _ := d.runner(exitcode.Done, "state", "versions", url, endpoint, "--json")
	var listed struct {
		Versions []listedState `json:"versions"`
	}
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed.Versions) < 2 {
		t.Fatalf("%v\n%s", err, out)
	}
	newest, oldest := listed.Versions[0], listed.Versions[len(listed.Versions)-1]
	if newest.Serial == nil || oldest.Serial == nil || *newest.Serial <= *oldest.Serial || newest.Lineage == "" || newest.TerraformVersion == "" {
		t.Fatalf("%s", out)
	}

	// The lock is the CLI's own: each sees the other's.
	a := &app{streams: streams{out: &bytes.Buffer{}, err: &bytes.Buffer{}}, now: testClock}
	if err := a.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	o, err := versions.Open(t.Context(), versions.Options{Bucket: d.srv.Bucket, Key: "env:/prod/terraform.tfstate", Region: d.srv.Region, Endpoint: d.srv.Endpoint})
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := a.lockState(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := d.try("plan", "-input=false", "-no-color"); err == nil || !strings.Contains(out, "pgbackup-runner state restore") {
		t.Errorf("the CLI does not see who has the lock: %v\n%s", err, out)
	}
	if _, stderr := d.runner(exitcode.Locked, "state", "restore", url, endpoint, "--version", oldest.VersionID, "--yes"); !strings.Contains(stderr, "is locked by ") {
		t.Errorf("%s", stderr)
	}
	unlock()

	d.runner(exitcode.Done, "state", "restore", url, endpoint, "--version", oldest.VersionID, "--yes", "--current-serial", fmt.Sprint(*newest.Serial))
	var pulled struct {
		Serial  int64  `json:"serial"`
		Lineage string `json:"lineage"`
	}
	if err := json.Unmarshal([]byte(d.run("state", "pull")), &pulled); err != nil || pulled.Serial != *newest.Serial+1 || pulled.Lineage != newest.Lineage {
		t.Errorf("%+v, %v", pulled, err)
	}
	d.apply("second") // goes on from the restored state
	if out := d.run("plan", "-input=false", "-no-color", "-lock=false", "-detailed-exitcode"); !strings.Contains(out, "No changes") {
		t.Errorf("%s", out)
	}
}
