package schedule_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

func TestAccSchedule_textsForOthersToApply(t *testing.T) {
	c := newCloud(t)
	const job = `logical = { databases = ["app"], server = { host = "db.shop.svc", user = "backup", password_ref = "env:PGPASSWORD" } }`
	const onCluster = `kubernetes = {
      namespace   = "shop"
      role_arn    = "arn:aws:iam::123456789012:role/backup"
      secret_env  = { PGPASSWORD = { secret = "db", key = "password" } }
      tolerations = [{ key = "spot", operator = "Exists", effect = "NoSchedule" }]
      volumes     = { "/srv" = { claim = "uploads" } }
    }`
	const onGitHub = `github_actions = {
      repository = "acme/infrastructure"
      role_arn   = "arn:aws:iam::123456789012:role/backup"
      secrets    = { PGPASSWORD = "DB_PASSWORD" }
    }`
	w := providertest.NewWorkspace(t, c.config(c.One, job, onCluster, `notifications = [{ channel = "ping", url_ref = "ssm:/ping", on = ["failure"] }]`))
	w.MustApply()
	plansNothing(t, w, "on Kubernetes")
	state := w.State(address)
	if text := fmt.Sprint(state["kubernetes_manifest"]); !strings.Contains(text, "kind: CronJob") || !strings.Contains(text, `"notify"`) || state["job_url"] == nil || state["github_workflow"] != nil {
		t.Errorf("on Kubernetes: %v", state)
	}
	takenOver := func(where string) {
		w.Command("state", "rm", address)
		w.Command("import", address, fmt.Sprint(state["id"]))
		w.MustApply()
		plansNothing(t, w, where+" after an import")
	}
	takenOver("on Kubernetes")
	w.Configure(c.config(c.Two, job, onCluster))
	w.MustApply()
	if used := marks(c.Keys("runner/")); len(used) != 2 {
		t.Errorf("the runner of the manifest before is not kept: %v", used)
	}
	w.Configure(c.config(c.Two, job, onGitHub, "enabled = false"))
	r := w.MustApply()
	if warned := strings.Join(r.Warnings(), "\n"); !strings.Contains(warned, "kubectl delete") || !strings.Contains(warned, "commit github_workflow") {
		t.Errorf("warnings: %s", warned)
	}
	plansNothing(t, w, "on GitHub")
	state = w.State(address)
	if text := fmt.Sprint(state["github_workflow"]); strings.Contains(text, "cron:") || !strings.Contains(text, "workflow_dispatch") || !strings.Contains(fmt.Sprint(state["github_trust_policy"]), "acme/infrastructure") {
		t.Errorf("on GitHub: %v", state)
	}
	takenOver("on GitHub")
	if used := marks(c.Keys("runner/")); len(used) != 3 { // two ended a moment ago
		t.Errorf("marks after the move: %v", used)
	}
	// Another machine by cloud-init, from nothing but the bucket.
	w.Configure(c.config(c.Two, job, `host = { environment_file = "/etc/pgbackup/passwords" }`))
	w.MustApply()
	plansNothing(t, w, "on another machine")
	state = w.State(address)
	if text := fmt.Sprint(state["cloud_init"]); !strings.HasPrefix(text, "#cloud-config") || !strings.Contains(text, fmt.Sprint(state["job_url"])) || state["job_path"] != nil {
		t.Errorf("on another machine: %v", state)
	}
	w.Command("destroy", "-auto-approve")
	if keys := append(c.Keys("jobs/"), c.Keys("runner/")...); len(keys) > 0 {
		t.Errorf("left after the destroy: %v", keys)
	}
}

func marks(keys []string) []string {
	return slices.DeleteFunc(keys, func(k string) bool { return !strings.Contains(k, "used-by") })
}

func TestAccSchedule_mistakesInAWSAreFoundAtPlan(t *testing.T) {
	c := newCloud(t)
	fargate := func(from, to string) string { return strings.Replace(onFargate, from, to, 1) }
	w := providertest.NewWorkspace(t, "")
	for name, m := range map[string]struct{ job, runOn, want string }{
		"size":              {"rotate = {}", fargate("1024", "3000"), "memory of 3000 MiB does not go with cpu = 512"},
		"cluster":           {"rotate = {}", fargate("arn:aws:ecs:us-east-1:123456789012:cluster/backups", "backups"), "cluster \"backups\": give the ARN"},
		"subnet":            {"rotate = {}", fargate("subnet-0a1b2c3d", "vpc-1"), "subnet-0a1b2c3d4e5f67890"},
		"file on fargate":   {`logical = { server = { password_ref = "file:/etc/x" } }`, onFargate, "logical.server.password_ref"},
		"tools on lambda":   {"logical = {}", "lambda = {}", "needs pg_dump"},
		"architecture":      {"rotate = {}", fargate("cpu ", "architecture = \"arm64\"\n cpu "), "the runner was not brought for arm64"},
		"two targets":       {"rotate = {}", onFargate + "\n lambda = {}", "give exactly one of fargate, lambda, host, kubernetes and github_actions, not 2 (fargate, lambda)"},
		"none":              {"rotate = {}", "", "not 0"},
		"a secret":          {`logical = { server = { password_ref = "hunter2" } }`, onFargate, "never the secret itself"},
		"secret variable":   {"rotate = {}", fargate("PGCONNECT_TIMEOUT", "PGPASSWORD"), "PGPASSWORD would hold a secret"},
		"retention":         {"rotate = {}", "lambda = { log_retention_days = 31 }", "log_retention_days is 31"},
		"relative files":    {`files = { paths = ["etc"] }`, onFargate, "job.files.paths[0]"},
		"limits":            {"rotate = {}\n max_duration = \"1m\"\n stall_timeout = \"1h\"", onFargate, "job.stall_timeout"},
		"unmounted":         {`files = { paths = ["/srv"] }`, "kubernetes = {}", "is not in the pod"},
		"a host with parts": {"rotate = {}", `host = { cron_directory = "/etc/cron.d" }`, "directory"},
	} {
		w.Configure(c.config(c.One, m.job, m.runOn))
		r := w.Plan()
		if text := r.String(); !r.Failed || !providertest.Message(m.want).MatchString(text) || strings.Contains(r.Output, "hunter2") {
			t.Errorf("%s: want %q in\n%s", name, m.want, text)
		}
	}
	for name, m := range map[string]struct{ line, want string }{
		"tag":          {`tags = { "pgbackup:name" = "x" }`, "are set by the provider"},
		"channel":      {`notifications = [{ channel = "mail", url_ref = "ssm:x" }]`, "slack"},
		"signed slack": {`notifications = [{ channel = "slack", url_ref = "ssm:x", secret_ref = "ssm:y" }]`, "notifications[0].secret_ref"},
		"metrics":      {`metrics = "statsd"`, "cloudwatch"},
		"key":          {`key_ref = "env:KEY"`, "key_ref"},
	} {
		config := c.config(c.One, "rotate = {}", onFargate, m.line)
		if name == "tag" {
			config = strings.Replace(config, "tags   = { team = \"data\" }", "", 1)
		}
		w.Configure(config)
		if r := w.Plan(); !r.Failed || !strings.Contains(r.String(), m.want) {
			t.Errorf("%s: want %q in\n%s", name, m.want, r)
		}
	}
}
