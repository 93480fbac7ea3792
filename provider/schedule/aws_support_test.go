package schedule_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment/deploymenttest"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// cloud is an emulated AWS with configurations of schedules.
type cloud struct{ *deploymenttest.Cloud }

func newCloud(t *testing.T) *cloud {
	t.Helper()
	return &cloud{deploymenttest.New(t)}
}

const onFargate = `fargate = {
      cluster         = "arn:aws:ecs:us-east-1:123456789012:cluster/backups"
      subnets         = ["subnet-0a1b2c3d"]
      security_groups = ["sg-0a1b2c3d"]
      cpu             = 512
      memory          = 1024
      environment     = { PGCONNECT_TIMEOUT = "20" }
    }`

// config of a schedule; runners is the folder of a release.
func (c *cloud) config(runners, job, runOn string, lines ...string) string {
	return c.Head(runners) + fmt.Sprintf(`
resource "pgbackup_schedule" "nightly" {
  name   = "nightly"
  policy = pgbackup_policy.prod.id
  runner = pgbackup_runner.main.release
  cron   = "0 2 * * *"
  tags   = { team = "data" }
  job    = { %s }
  run_on = {
    %s
  }
  %s
}
`, job, runOn, strings.Join(lines, "\n  "))
}

// plansNothing holds that a second plan is empty.
func plansNothing(t *testing.T, w *providertest.Workspace, when string) {
	t.Helper()
	deploymenttest.PlansNothing(t, w, address, when)
}

func asJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
