//go:build bench

package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist/runnertest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// scheduled is how many schedules the rows about AWS have.
const scheduled = 100

const (
	createAll    = "apply of schedules"
	planAll      = "plan of schedules, nothing changed"
	planNew      = "plan of a new runner"
	applyNew     = "apply of a new runner"
	destroyAll   = "destroy of schedules"
	createOther  = "apply of terraform_data"
	planOther    = "plan of terraform_data"
	destroyOther = "destroy of terraform_data"
)

// TestSchedules measures a repository and many schedules on Fargate against an
// emulator of AWS, beside as many resources that touch nothing, and counts the
// calls of AWS. The emulator is one Python process on the same cores: its answers
// are most of the time of an apply, so the calls say more than the ratios.
func TestSchedules(t *testing.T) {
	b := &bench{t: t, ctx: context.Background(), dir: t.TempDir(), rows: map[string]*row{}}
	server := testenv.AWS(t)
	calls := newCallCounter(t, server.Endpoint)
	b.env = server.Env()
	cli := b.terraform()

	releases := filepath.Join(b.dir, "releases")
	for _, version := range []string{"one", "two"} {
		dir := filepath.Join(releases, version)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		runnertest.Build(t, dir, runnerdist.AMD64, version)
	}
	ours := b.configuration("schedules", fmt.Sprintf(schedulesConfiguration, releases, calls.URL, scheduled))
	other := b.configuration("nothing", fmt.Sprintf("resource \"terraform_data\" \"job\" {\n  count = %d\n  input = \"job-${count.index}\"\n}\n", scheduled))
	b.must(run(b.ctx, b.env, cli, "-chdir="+other, "init", "-no-color"))

	counted := map[string]map[string]int{}
	do := func(name, dir string, args ...string) {
		calls.taken()
		b.measure(name, b.must(run(b.ctx, b.env, cli, append([]string{"-chdir=" + dir}, append(args, "-no-color")...)...)))
		counted[name] = calls.taken()
	}
	for range *rounds {
		do(createAll, ours, "apply", "-auto-approve")
		do(createOther, other, "apply", "-auto-approve")
		do(planAll, ours, "plan", "-detailed-exitcode")
		do(planOther, other, "plan", "-detailed-exitcode")
		do(planNew, ours, "plan", "-var=release=two")
		do(applyNew, ours, "apply", "-auto-approve", "-var=release=two")
		do(destroyAll, ours, "destroy", "-auto-approve", "-var=release=two")
		do(destroyOther, other, "destroy", "-auto-approve")
	}
	for _, name := range []string{createAll, planAll, planNew, applyNew, destroyAll} {
		t.Logf("%s: %d calls\n%s", name, total(counted[name]), listed(counted[name]))
	}

	against := func(name, base string) string {
		return fmt.Sprintf("%.1fx its time (%.1f s)", b.seconds(name)/b.seconds(base), b.seconds(name))
	}
	each := func(name string) string {
		return fmt.Sprintf("%.1f calls a schedule", float64(total(counted[name]))/scheduled)
	}
	what := fmt.Sprintf("%d schedules on Fargate, an emulator on the same cores", scheduled)
	b.publish([]string{
		fmt.Sprintf("| first apply of %s | an apply of %d `terraform_data` | %s, %s | |", what, scheduled, against(createAll, createOther), each(createAll)),
		fmt.Sprintf("| plan of the same, nothing changed | a plan of %d `terraform_data` | %s, %s | |", scheduled, against(planAll, planOther), each(planAll)),
		fmt.Sprintf("| plan that gives all of them another runner | the same | %s, %s | |", against(planNew, planOther), each(planNew)),
		fmt.Sprintf("| apply of that | an apply of %d `terraform_data` | %s, %s | |", scheduled, against(applyNew, createOther), each(applyNew)),
		fmt.Sprintf("| destroy of all | a destroy of %d `terraform_data` | %s, %s | |", scheduled, against(destroyAll, destroyOther), each(destroyAll)),
	})
}

func (b *bench) seconds(name string) float64 { return b.rows[name].wall().Seconds() }

// schedulesConfiguration has the folder of releases, the endpoint and how many
// schedules. A declared endpoint may lack what is particular to AWS, such as the
// conditions in bucket policies that the emulator takes no notice of.
const schedulesConfiguration = `
terraform {
  required_providers {
    pgbackup = { source = "pgbackup/pgbackup" }
  }
}

variable "release" {
  default = "one"
}

provider "pgbackup" {
  region      = "us-east-1"
  runner_path = "%s/${var.release}"
  endpoints   = { for service in ["s3", "ecs", "iam", "logs", "scheduler", "sqs", "sts"] : service => %q }
}

resource "pgbackup_repository" "main" {
  s3 = { bucket = "bench-backups", prefix = "prod" }
}

resource "pgbackup_policy" "prod" {
  name       = "prod"
  repository = pgbackup_repository.main.id
  retention  = { keep_daily = 30 }
}

resource "pgbackup_runner" "main" {
  repository    = pgbackup_repository.main.id
  architectures = ["x86_64"]
}

resource "pgbackup_schedule" "nightly" {
  for_each = toset([for n in range(%d) : format("app-%%03d", n)])
  name     = each.key
  policy   = pgbackup_policy.prod.id
  runner   = pgbackup_runner.main.release
  cron     = "0 2 * * *"
  job = {
    logical = {
      databases = [each.key]
      server = {
        host         = "db.example.org"
        user         = "backup"
        password_ref = "secretsmanager:acme/db#password"
      }
    }
  }
  run_on = {
    fargate = {
      cluster         = "arn:aws:ecs:us-east-1:123456789012:cluster/backups"
      subnets         = ["subnet-0a1b2c3d"]
      security_groups = ["sg-0a1b2c3d"]
    }
  }
}
`
