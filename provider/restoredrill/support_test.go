package restoredrill_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment/deploymenttest"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

const address = "pgbackup_restore_drill.weekly"

const (
	scratch   = `into = { scratch_cluster = {} }`
	onFargate = `fargate = {
      cluster         = "arn:aws:ecs:us-east-1:123456789012:cluster/backups"
      subnets         = ["subnet-0a1b2c3d"]
      security_groups = ["sg-0a1b2c3d"]
      storage         = 50
    }`
	onCluster = `kubernetes = {
      namespace = "shop"
      role_arn  = "arn:aws:iam::123456789012:role/drills"
    }`
	onGitHub = `github_actions = {
      repository = "acme/infrastructure"
      role_arn   = "arn:aws:iam::123456789012:role/drills"
    }`
)

// cloud is an emulated AWS with configurations of drills.
type cloud struct{ *deploymenttest.Cloud }

func newCloud(t *testing.T) *cloud {
	t.Helper()
	return &cloud{deploymenttest.New(t)}
}

// config of a drill; runners is the folder of a release.
func (c *cloud) config(runners, runOn string, lines ...string) string {
	return c.Head(runners) + drill("policy = pgbackup_policy.prod.id", "runner = pgbackup_runner.main.release", "run_on = {\n"+runOn+"\n}", strings.Join(lines, "\n"))
}

func drill(lines ...string) string {
	return fmt.Sprintf("\nresource \"pgbackup_restore_drill\" \"weekly\" {\n  name = \"weekly\"\n  cron = \"0 4 * * 0\"\n  %s\n}\n", strings.Join(lines, "\n  "))
}

// onDisk is a configuration of a drill on this host, with a repository in a
// directory.
func onDisk(repository, jobs string, lines ...string) string {
	return providertest.Repository(repository) + `
resource "pgbackup_policy" "prod" {
  name       = "prod"
  repository = pgbackup_repository.main.id
  objectives = { rto = "4h" }
  retention  = { keep_daily = 30 }
}
` + drill("policy = pgbackup_policy.prod.id", fmt.Sprintf("run_on = {\nhost = {\ndirectory = %q\nrunner_path = \"/usr/local/bin/pgbackup-runner\"\n}\n}", jobs), strings.Join(lines, "\n"))
}

func plansNothing(t *testing.T, w *providertest.Workspace, when string) {
	t.Helper()
	deploymenttest.PlansNothing(t, w, address, when)
}
