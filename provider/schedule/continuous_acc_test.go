package schedule_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

const (
	receiving = `source = "shop"
  job = {
    wal = {
      mode      = "receive"
      server    = { host = "db.example.org", user = "backup", password_ref = "env:PGPASSWORD" }
      slot      = "pgbackup_shop"
      every     = "5s"
      heartbeat = { every = "30s" }
    }
  }`
	pushing = `source = "shop"
  job = {
    wal = { mode = "push" }
  }`
)

// always is a configuration of a job that runs all the time: without cron.
func (s site) always(job, extra string) string {
	return strings.Replace(s.config(s.jobs, "x", job, extra), `cron   = "x"`, "", 1)
}

func told(r providertest.Result) string { return strings.Join(r.Warnings(), "\n") }

func TestAccSchedule_aReceiverIsAServiceThatRunsAllTheTime(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	units := fmt.Sprintf("systemd_directory = %q\n user = \"postgres\"\n environment_file = \"/etc/pgbackup/env\"", s.systemd)
	jobFile, service, timer := filepath.Join(s.jobs, "nightly.job.json"), filepath.Join(s.systemd, "pgbackup-nightly.service"), filepath.Join(s.systemd, "pgbackup-nightly.timer")
	w := providertest.NewWorkspace(t, s.always(receiving, units))
	empty := func(when string) {
		t.Helper()
		if r := w.Plan("-detailed-exitcode"); r.Failed {
			t.Errorf("%s a plan is not empty:\n%s\n%s", when, r, w.PlanText())
		}
	}
	applied := func(when string, wants ...string) {
		t.Helper()
		r := w.MustApply()
		for _, want := range wants {
			if !strings.Contains(told(r), want) {
				t.Errorf("%s: no warning %q in\n%s", when, want, told(r))
			}
		}
		empty(when)
	}
	applied("made", "systemctl daemon-reload && systemctl enable --now pgbackup-nightly.service")
	j, err := job.Parse([]byte(read(t, jobFile)))
	if err != nil || !j.Receives() || j.Schedule != nil || j.Source != "shop" || j.WAL.Slot != "pgbackup_shop" || j.WAL.Heartbeat == nil {
		t.Errorf("the runner reads %+v, %v", j, err)
	}
	if text := read(t, service); !strings.Contains(text, "pgbackup-runner wal receive --job "+jobFile+"\n") || !strings.Contains(text, "Restart=always\n") {
		t.Errorf("service: %s", text)
	}
	if _, err := os.Stat(timer); !os.IsNotExist(err) {
		t.Errorf("a timer of a receiver: %v", err)
	}
	if state := w.State(address); state["systemd_timer"] != nil || state["cron_line"] != nil || state["archive_command"] != nil {
		t.Errorf("state: %v", state)
	}

	for name, damage := range map[string]func(){
		"service deleted": remove(t, service),
		"job file edited": func() {
			if err := os.WriteFile(jobFile, []byte(strings.Replace(read(t, jobFile), "5s", "1h", 1)), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		damage()
		if r := w.Plan(); strings.Join(w.Show(address).Actions, "") != "update" {
			t.Errorf("%s: %s", name, r)
		}
		applied(name)
	}
	w.Configure(s.always(strings.Replace(receiving, `"5s"`, `"2s"`, 1), units))
	applied("changed", "systemctl daemon-reload && systemctl restart pgbackup-nightly.service")

	w.Command("state", "rm", address)
	w.Command("import", address, jobFile+"?systemd_directory="+s.systemd)
	applied("imported")

	w.Configure(strings.Replace(s.always(strings.Replace(receiving, `"5s"`, `"2s"`, 1), units), "source =", "enabled = false\n source =", 1))
	applied("not enabled", "systemctl stop pgbackup-nightly.service")
	if _, err := os.Stat(service); !os.IsNotExist(err) {
		t.Errorf("still started: %v", err)
	}

	// The server hands its WAL over instead.
	w.Configure(s.config(s.jobs, "*/5 * * * *", pushing, units))
	command := "if [ -r /etc/pgbackup/env ]; then set -a; . /etc/pgbackup/env; set +a; fi; exec /usr/local/bin/pgbackup-runner wal push --job " + jobFile + " %p"
	applied("pushed", "enable --now pgbackup-nightly.timer", "nothing is archived before the server's archive_command is: "+command)
	if text := read(t, service); !strings.Contains(text, "pgbackup-runner wal status --job "+jobFile+"\n") || !strings.Contains(text, "Type=oneshot\n") {
		t.Errorf("service: %s", text)
	}
	if state := w.State(address); state["archive_command"] != command || !strings.Contains(read(t, timer), "OnCalendar=") {
		t.Errorf("state: %v", state)
	}
	w.Configure(s.config(s.jobs, "*/10 * * * *", pushing, units))
	if r := w.MustApply(); strings.Contains(told(r), "archive_command") {
		t.Errorf("told of an archive_command that stays: %s", told(r))
	}
	w.Configure(s.always(receiving, units))
	applied("received again", "systemctl stop pgbackup-nightly.timer && systemctl daemon-reload && systemctl enable --now pgbackup-nightly.service", "the server still has the archive_command that was for it")
	if _, err := os.Stat(timer); !os.IsNotExist(err) {
		t.Errorf("the timer stays: %v", err)
	}
	w.Command("destroy", "-auto-approve")
	for _, dir := range []string{s.jobs, s.systemd} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left after the destroy: %v, %v", left, err)
		}
	}
}

func TestAccSchedule_aReceiverIsADeploymentInACluster(t *testing.T) {
	c := newCloud(t)
	const onCluster = `kubernetes = {
      namespace  = "shop"
      role_arn   = "arn:aws:iam::123456789012:role/backup"
      secret_env = { PGPASSWORD = { secret = "db", key = "password" } }
    }`
	config := func(job, runOn string, lines ...string) string {
		return strings.Replace(c.config(c.One, job, runOn, lines...), `cron   = "0 2 * * *"`, "", 1)
	}
	const receive = `wal = { mode = "receive", server = { host = "db.shop.svc", user = "backup", password_ref = "env:PGPASSWORD" } }`
	w := providertest.NewWorkspace(t, config(receive, onCluster))
	w.MustApply()
	plansNothing(t, w, "on Kubernetes")
	state := w.State(address)
	if text := fmt.Sprint(state["kubernetes_manifest"]); !strings.Contains(text, "kind: Deployment") || strings.Contains(text, "CronJob") || !strings.Contains(text, "replicas: 1") || state["job_url"] == nil {
		t.Errorf("on Kubernetes: %v", state)
	}
	w.Command("state", "rm", address)
	w.Command("import", address, fmt.Sprint(state["id"]))
	w.MustApply()
	plansNothing(t, w, "after an import")
	w.Configure(config(receive, onCluster, "enabled = false"))
	w.MustApply()
	if text := fmt.Sprint(w.State(address)["kubernetes_manifest"]); !strings.Contains(text, "replicas: 0") {
		t.Errorf("not enabled: %s", text)
	}
	// A base backup of the same server, by a CronJob.
	w.Configure(c.config(c.One, strings.Replace(receive, `wal = { mode = "receive", `, `physical = { `, 1), onCluster))
	if r := w.MustApply(); !strings.Contains(told(r), "apply kubernetes_manifest") {
		t.Errorf("warnings: %s", told(r))
	}
	plansNothing(t, w, "of a base backup")
	if text := fmt.Sprint(w.State(address)["kubernetes_manifest"]); !strings.Contains(text, "kind: CronJob") || strings.Contains(text, "kind: Deployment") {
		t.Errorf("a base backup: %s", text)
	}

	const secret = `server = { host = "db.example.org", user = "backup", password_ref = "ssm:/db" }`
	const push = `wal = { mode = "push" }`
	onGitHub := "github_actions = {\n repository = \"acme/infrastructure\"\n role_arn = \"arn:aws:iam::123456789012:role/backup\"\n }"
	stream := fmt.Sprintf(`wal = { mode = "receive", %s }`, secret)
	for name, m := range map[string]struct{ config, want string }{
		"receive on Fargate":    {config(stream, onFargate), "a receiver of WAL runs all the time, and EventBridge Scheduler starts tasks that end"},
		"receive on Lambda":     {config(stream, "lambda = {}"), "a receiver of WAL runs all the time, and a function ends after 15 minutes"},
		"receive on GitHub":     {config(stream, onGitHub), "a receiver of WAL runs all the time, and a run of a workflow ends"},
		"push on Fargate":       {c.config(c.One, push, onFargate), "archive_command is called by the server on its own machine"},
		"push on Lambda":        {c.config(c.One, push, "lambda = {}"), "archive_command is called by the server on its own machine"},
		"push on GitHub":        {c.config(c.One, push, onGitHub), "archive_command is called by the server on its own machine"},
		"push on Kubernetes":    {c.config(c.One, push, onCluster), "archive_command is called by the server on its own machine"},
		"physical on Lambda":    {c.config(c.One, fmt.Sprintf("physical = { %s }", secret), "lambda = {}"), "a base backup reads a whole server"},
		"spooled in an own pod": {config(strings.Replace(receive, "server", `confirm = "spooled", server`, 1), onCluster), "give a spool in a writable volume"},
	} {
		w.Configure(m.config)
		if r := w.Plan(); !r.Failed || !providertest.Message(m.want).MatchString(r.String()) {
			t.Errorf("%s: want %q in\n%s", name, m.want, r)
		}
	}
}

func TestAccSchedule_mistakesInWhatRunsAllTheTimeAreFoundAtPlan(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	of := func(job string) string { return "job = {\n" + job + "\n}" }
	for name, c := range map[string]struct{ config, want string }{
		"cron of a receiver":  {s.config(s.jobs, "0 2 * * *", receiving, ""), "a receiver of WAL runs all the time: leave cron out"},
		"zone of a receiver":  {strings.Replace(s.always(receiving, ""), "source =", "timezone = \"Europe/Berlin\"\n source =", 1), "leave timezone out"},
		"told of a receiver":  {strings.Replace(s.always(receiving, ""), "source =", "notifications = [{ channel = \"ping\", url_ref = \"ssm:/ping\" }]\n source =", 1), "notifications are of runs that end"},
		"push without cron":   {s.always(pushing, ""), `cron is missing: a job of kind "wal" has to be started`},
		"backup without cron": {s.always(logical, ""), `cron is missing: a job of kind "logical" has to be started`},
		"by cron":             {s.always(receiving, fmt.Sprintf("cron_directory = %q", s.cron)), "cron keeps nothing running"},
		"delayed":             {s.always(receiving, `randomized_delay = "5m"`), "there is no start to delay"},
		"bounded":             {s.always(of("wal = { mode = \"receive\" }\n max_duration = \"6h\""), ""), "have no meaning for a receiver of WAL"},
		"RDS streams":         {s.always(of(`wal = { mode = "receive", server = { host = "a.b.us-east-1.rds.amazonaws.com" } }`), ""), "RDS and Aurora let nobody stream from them"},
		"RDS based":           {s.config(s.jobs, "0 2 * * *", of(`physical = { server = { host = "a.b.us-east-1.rds.amazonaws.com" } }`), ""), "job.physical.server.host"},
		"no mode":             {s.always(of("wal = {}"), ""), "mode"},
		"another mode":        {s.always(of(`wal = { mode = "pull" }`), ""), "push"},
		"slot of a push":      {s.config(s.jobs, "0 2 * * *", of(`wal = { mode = "push", slot = "a" }`), ""), `job.wal.slot: has a meaning with mode "receive" only`},
		"jobs of a receiver":  {s.always(of(`wal = { mode = "receive", jobs = 3 }`), ""), `job.wal.jobs: has a meaning with mode "push" only`},
		"slot":                {s.always(of(`wal = { mode = "receive", slot = "Shop-1" }`), ""), "job.wal.slot"},
		"too seldom":          {s.always(of(`wal = { mode = "receive", every = "2h" }`), ""), "give a time from 100ms to 1h"},
		"rate":                {s.config(s.jobs, "0 2 * * *", of("physical = { max_rate = 1000 }"), ""), "max_rate"},
		"relative spool":      {s.always(of(`wal = { mode = "receive", spool = "spool" }`), ""), "Give an absolute path"},
		"url and server":      {s.config(s.jobs, "0 2 * * *", of(`physical = { database_url_ref = "env:X", server = { host = "db" } }`), ""), "says server and database already"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, resource.TestStep{Config: c.config, PlanOnly: true, ExpectError: providertest.Message(c.want)})
		})
	}
}
