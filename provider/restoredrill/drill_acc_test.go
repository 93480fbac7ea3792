package restoredrill_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

func TestAccRestoreDrill_onFargateMovesDriftsAndIsImported(t *testing.T) {
	c := newCloud(t)
	checks := `checks = {
    "recent orders" = { sql = "select count(*) from orders", expect = "> 0", timeout = "30s" }
  }
  amcheck = true
  source  = "random"
  seed    = 42`
	w := providertest.NewWorkspace(t, c.config(c.One, onFargate, scratch, checks))
	w.MustApply()
	plansNothing(t, w, "on Fargate")
	made := c.Made()
	if len(made) != 8 {
		t.Errorf("made: %s", strings.Join(made, "\n"))
	}
	state := w.State(address)
	document := fmt.Sprint(state["deployment"])
	for _, want := range []string{`"drill"`, "prod/drills/*", "prod/condemned/*", "public.ecr.aws/docker/library/postgres:17", `"sizeInGiB": 50`} {
		if !strings.Contains(document, want) {
			t.Errorf("no %s in %s", want, document)
		}
	}
	j, err := job.Parse([]byte(fmt.Sprint(state["job_json"])))
	if err != nil || j.Kind != job.KindDrill || j.Drill.Seed != 42 || len(j.Drill.Checks) != 1 || j.Drill.Checks[0].Expect != "> 0" || j.Metrics != job.MetricsEMF {
		t.Errorf("the runner reads %+v, %v", j, err)
	}

	key := c.Keys("jobs/weekly/")[0]
	if _, err := c.Client().DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: &c.Bucket, Key: &key}); err != nil {
		t.Fatal(err)
	}
	w.Plan()
	if got := w.Show(address).Actions; !slices.Equal(got, []string{"update"}) {
		t.Errorf("job file deleted: the plan does %v", got)
	}
	w.MustApply()
	plansNothing(t, w, "repaired")

	before := w.State(address)
	w.Command("state", "rm", address)
	w.Command("import", address, fmt.Sprint(before["id"]))
	for name, want := range before {
		if got := w.State(address)[name]; name != "job_digest" && fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("imported %s:\n%v\nwas\n%v", name, got, want)
		}
	}
	w.MustApply()
	plansNothing(t, w, "imported")

	for _, to := range []struct{ name, runOn, attribute, want string }{
		{"on Kubernetes", onCluster, "kubernetes_manifest", "- drill"},
		{"on GitHub", onGitHub, "github_workflow", "postgresql-17"},
		{"on another machine", "host = {}", "cloud_init", "#cloud-config"},
	} {
		w.Configure(c.config(c.Two, to.runOn, scratch, checks))
		w.MustApply()
		plansNothing(t, w, to.name)
		state := w.State(address)
		if !strings.Contains(fmt.Sprint(state[to.attribute]), to.want) {
			t.Errorf("%s: no %q in %v", to.name, to.want, state[to.attribute])
		}
		if to.attribute == "cloud_init" {
			continue // its place is not known by its job file
		}
		w.Command("state", "rm", address)
		w.Command("import", address, fmt.Sprint(state["id"]))
		w.MustApply()
		plansNothing(t, w, to.name+" after an import")
	}
	w.Command("destroy", "-auto-approve")
	if left := append(append(c.Made(), c.Keys("jobs/")...), c.Keys("runner/")...); len(left) > 0 {
		t.Errorf("left after the destroy: %v", left)
	}
}

func TestAccRestoreDrill_ofTheReplicaMayReadItAndNoMore(t *testing.T) {
	c := newCloud(t)
	w := providertest.NewWorkspace(t, c.config(c.One, onFargate, scratch, `from = "replica"`, `replica = "s3://acme-dr/prod?region=eu-west-1"`, "allow_archived = true"))
	w.MustApply()
	plansNothing(t, w, "of the replica")
	document := fmt.Sprint(w.State(address)["deployment"])
	if !strings.Contains(document, "acme-dr/prod/points/*") || !strings.Contains(document, "s3:RestoreObject") {
		t.Errorf("the role may not read the replica: %s", document)
	}
	w.Command("destroy", "-auto-approve")
}

func TestAccRestoreDrill_andAScheduleOfItsNameAreTwoJobsOfOneName(t *testing.T) {
	c := newCloud(t)
	config := c.config(c.One, onFargate, scratch)
	w := providertest.NewWorkspace(t, config+`
resource "pgbackup_schedule" "weekly" {
  name   = "weekly"
  policy = pgbackup_policy.prod.id
  runner = pgbackup_runner.main.release
  cron   = "0 2 * * *"
  job    = { verify = {} }
  run_on = { `+onFargate+` }
}
`)
	if r := w.Apply(); !r.Failed || !providertest.Message("give one of them another name").MatchString(r.String()) {
		t.Errorf("a schedule and a drill of one name: %s", r)
	}
	w.Configure(config)
	w.MustApply()
	// Neither imports the other's job.
	id := fmt.Sprint(w.State(address)["id"])
	w.Configure(config + fmt.Sprintf(`
import {
  to = pgbackup_schedule.weekly
  id = %q
}

resource "pgbackup_schedule" "weekly" {
  name   = "weekly"
  policy = pgbackup_policy.prod.id
  cron   = "0 2 * * *"
  job    = { verify = {} }
  run_on = { lambda = {} }
}
`, id))
	if r := w.Plan(); !r.Failed || !providertest.Message(`It is a job of kind "drill"`).MatchString(r.String()) {
		t.Errorf("a drill imported as a schedule: %s", r)
	}
	w.Configure(config)
	w.Command("destroy", "-auto-approve")
}

func TestAccRestoreDrill_everythingIsImportedAsItWasDeclared(t *testing.T) {
	t.Parallel()
	for name, declared := range map[string]string{
		"least":   scratch,
		"scratch": "into = { scratch_cluster = { directory = \"/srv/drills\", extensions = [\"postgis\"], settings = { work_mem = \"64MB\" } } }\n source = \"oldest\"\n jobs = 4\n max_duration = \"6h\"\n amcheck = true\n allow_archived = true\n backups_of = [\"app@db\"]",
		"server":  "into = { database = { server = { host = \"drills\", port = 5433, user = \"drill\", password_ref = \"env:PGPASSWORD\" } } }\n checks = { \"a\" = { sql = \"select true\" }, \"b\" = { sql = \"select 1\", expect = \"non-empty\", timeout = \"1m\" } }",
		"url":     "into = { database = { database_url_ref = \"env:DRILL_URL\" } }\n timezone = \"Europe/Berlin\"\n enabled = true\n notifications = [{ channel = \"ping\", url_ref = \"env:PING\" }]\n metrics = \"cloudwatch\"\n key_ref = \"env:KEY\"",
		"servers": "kind = \"physical\"\n database = \"app\"\n seed = 7\n into = { scratch_cluster = { settings = { shared_preload_libraries = \"timescaledb\" } } }",
		"dumps":   "kind = \"logical\"\n" + scratch,
		"rds":     "into = { rds_instance = { class = \"db.t4g.large\", subnet_group = \"drills\", security_groups = [\"sg-0a1b2c3d\"], region = \"eu-west-1\", database = \"app\", user = \"drill\", password_ref = \"env:PGPASSWORD\", sslmode = \"verify-full\" } }",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			top := t.TempDir()
			config := onDisk(filepath.Join(top, "repository"), filepath.Join(top, "jobs"), declared)
			file := filepath.Join(top, "jobs", "weekly.job.json")
			providertest.RunWith(t, func() error {
				if _, err := os.Stat(file); err == nil {
					return fmt.Errorf("%s is still there", file)
				}
				return nil
			},
				resource.TestStep{Config: config},
				resource.TestStep{Config: config, ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}},
				resource.TestStep{
					ResourceName: address, ImportState: true, ImportStateVerify: true,
					ImportStateVerifyIgnore: []string{"job_digest", "cron_line", "systemd_service", "systemd_timer", "run_on.host.runner_path", "enabled"},
				},
				resource.TestStep{
					PreConfig: func() {
						if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
							t.Fatal(err)
						}
					},
					Config:           config,
					ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate)}},
				},
			)
		})
	}
}

func TestAccRestoreDrill_mistakesAreFoundAtPlanWhereTheyAre(t *testing.T) {
	c := newCloud(t)
	w := providertest.NewWorkspace(t, "")
	for name, m := range map[string]struct{ runOn, lines, want string }{
		"two places":       {onFargate, "into = { scratch_cluster = {}, database = { database_url_ref = \"ssm:x\" } }", "give exactly one of scratch_cluster, database and rds_instance, not 2 (scratch_cluster, database)"},
		"no place":         {onFargate, "into = {}", "not 0"},
		"source":           {onFargate, scratch + "\n source = \"lastest\"", `did you mean "latest"?`},
		"from":             {onFargate, scratch + "\n from = \"repica\"", `did you mean "replica"?`},
		"no replica":       {onFargate, scratch + "\n from = \"replica\"", "say which copy with replica = pgbackup_repository"},
		"idle replica":     {onFargate, scratch + "\n replica = \"s3://b-c-d/e\"", "replica has a meaning with from"},
		"seed":             {onFargate, scratch + "\n seed = 4", `set source = "random"`},
		"no sql":           {onFargate, scratch + "\n checks = { orders = { sql = \"  \" } }", `checks["orders"].sql is empty`},
		"expect":           {onFargate, scratch + "\n checks = { orders = { sql = \"select 1\", expect = \"> many\" } }", "> compares with a number"},
		"jobs":             {onFargate, scratch + "\n jobs = 65", "between 1 and 64"},
		"duration":         {onFargate, scratch + "\n max_duration = \"1mo\"", "goes by the calendar"},
		"lambda":           {"lambda = {}", scratch, "a restore drill needs the server and the programs of PostgreSQL"},
		"no host":          {onFargate, "into = { database = { server = { user = \"drill\" } } }", "into.database.server.host"},
		"server on a task": {onFargate, "into = { database = { server = { host = \"db\", password_ref = \"env:PGPASSWORD\" } } }", "drill.into.database.server.password_ref"},
		"a secret":         {onFargate, "into = { scratch_cluster = {}, database = { server = { host = \"db\", password_ref = \"hunter2\" } } }", "never the secret itself"},
		"folder of a task": {onFargate, "into = { scratch_cluster = { directory = \"/srv\" } }", "the disk of a task is at /tmp alone"},
		"twice":            {onFargate, scratch + "\n backups_of = [\"a@b\", \"a@b\"]", `backups_of[1]: "a@b" is given twice`},
		"kind":             {onFargate, scratch + "\n kind = \"fysical\"", `did you mean "physical"?`},
		"no whole server":  {onFargate, scratch + "\n database = \"app\"", `set kind = "physical"`},
		"a server in one":  {onFargate, "kind = \"physical\"\n into = { database = { database_url_ref = \"ssm:x\" } }", `into.database is no place for backups of kind "physical"`},
		"a server in RDS":  {onFargate, "kind = \"physical\"\n into = { rds_instance = {} }", `into.rds_instance is no place for backups of kind "physical"`},
		"amcheck on RDS":   {onFargate, "into = { rds_instance = {} }\n amcheck = true", "leave amcheck out"},
		"notification":     {onFargate, scratch + "\n notifications = [{ channel = \"slack\", url_ref = \"ssm:x\", secret_ref = \"ssm:y\" }]", "notifications[0].secret_ref"},
	} {
		w.Configure(c.config(c.One, m.runOn, m.lines))
		r := w.Plan()
		if text := r.String(); !r.Failed || !providertest.Message(m.want).MatchString(text) || strings.Contains(r.Output, "hunter2") {
			t.Errorf("%s: want %q in\n%s", name, m.want, text)
		}
	}
}
