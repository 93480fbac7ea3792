package schedule_test

import (
	"fmt"
	"os"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

func TestAccZZProfile(t *testing.T) {
	c := newCloud(t)
	cfg := c.head(c.one) + `
resource "pgbackup_schedule" "nightly" {
  for_each = toset([for n in range(100) : format("app-%03d", n)])
  name   = each.key
  policy = pgbackup_policy.prod.id
  runner = pgbackup_runner.main.release
  cron   = "0 2 * * *"
  job    = { logical = { databases = [each.key], server = { host = "db.example.org", user = "u", password_ref = "secretsmanager:acme/db#password" } } }
  run_on = {
    ` + onFargate + `
  }
}
`
	w := providertest.NewWorkspace(t, cfg)
	at := func(name string, do func()) {
		f, _ := os.Create("/tmp/w/prof." + name)
		_ = pprof.StartCPUProfile(f)
		begun := time.Now()
		do()
		pprof.StopCPUProfile()
		f.Close()
		fmt.Println(name, time.Since(begun))
	}
	at("apply", func() { w.MustApply() })
	at("plan", func() { w.Plan() })
}
