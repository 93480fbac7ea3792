//go:build bench

package bench

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

var providerBin = flag.String("provider", "", "path of terraform-provider-pgbackup")

// planned is how many resources the plan rows have.
const planned = 500

const (
	ourPlan   = "plan of our resources"
	otherPlan = "plan of terraform_data"
)

// plans compares a plan of our resources, nothing changed, with one of as many
// resources that belong to Terraform itself and touch nothing.
func (b *bench) plans() {
	cli := b.terraform()

	ours := b.configuration("ours", fmt.Sprintf(`
terraform {
  required_providers {
    pgbackup = { source = "pgbackup/pgbackup" }
  }
}
resource "pgbackup_repository" "main" {
  directory = { path = %q }
}
resource "pgbackup_policy" "app" {
  count      = %d
  name       = "app-${count.index}"
  repository = pgbackup_repository.main.id
  retention  = { keep_last = 3, keep_daily = 30 }
}
`, filepath.Join(b.dir, "planned"), planned-1))
	other := b.configuration("other", fmt.Sprintf("resource \"terraform_data\" \"app\" {\n  count = %d\n  input = \"app-${count.index}\"\n}\n", planned))
	b.must(run(b.ctx, b.env, cli, "-chdir="+other, "init", "-no-color"))
	for _, dir := range []string{ours, other} {
		b.must(run(b.ctx, b.env, cli, "-chdir="+dir, "apply", "-auto-approve", "-no-color"))
	}
	for range *rounds {
		b.measure(ourPlan, b.must(run(b.ctx, b.env, cli, "-chdir="+ours, "plan", "-detailed-exitcode", "-no-color")))
		b.measure(otherPlan, b.must(run(b.ctx, b.env, cli, "-chdir="+other, "plan", "-detailed-exitcode", "-no-color")))
	}
}

// terraform gives the CLI, led to the provider that was built.
func (b *bench) terraform() (cli string) {
	if *providerBin == "" {
		b.t.Fatal("give -provider; `make bench` does")
	}
	cli = testenv.Terraform(b.t)
	config := filepath.Join(b.dir, "cli.tfrc")
	overrides := ""
	for _, registry := range []string{"registry.terraform.io", "registry.opentofu.org"} {
		overrides += fmt.Sprintf("    %q = %q\n", registry+"/pgbackup/pgbackup", filepath.Dir(*providerBin))
	}
	b.file(config, "provider_installation {\n  dev_overrides {\n"+overrides+"  }\n  direct {}\n}\n")
	b.env = append(b.env, "TF_CLI_CONFIG_FILE="+config, "CHECKPOINT_DISABLE=1")
	return cli
}

func (b *bench) configuration(name, text string) string {
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.t.Fatal(err)
	}
	b.file(filepath.Join(dir, "main.tf"), text)
	return dir
}

func (b *bench) file(path, text string) {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}
