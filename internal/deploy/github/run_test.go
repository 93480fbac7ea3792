package github_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/github"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shelltest"
)

// stand-in for the runner: it tells how it was called.
const program = "#!/bin/sh\necho \"ran $* with $DATABASE_URL and $PGBACKUP_RUNNER_SHA256\"\nexit $ENDS_WITH\n"

// workflow is what a machine of GitHub reads of one.
type workflow struct {
	Jobs map[string]struct {
		Steps []struct {
			Name, If, Uses, Run string
			Env                 map[string]string
		}
	}
}

// play runs the scripts of a workflow in one folder, as GitHub does: by bash, which
// ends at the first command that fails. values stand for GitHub's expressions. The
// step that installs PostgreSQL is left out: it changes the machine.
func play(t *testing.T, r shelltest.Repository, text string, values map[string]string) (failed string, code int, output string) {
	t.Helper()
	var w workflow
	if err := yaml.Unmarshal([]byte(text), &w); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, s := range w.Jobs["run"].Steps {
		onFailure := strings.Contains(s.If, "failure()")
		if s.Run == "" || strings.HasPrefix(s.Name, "Install") || onFailure != (failed != "") {
			continue
		}
		env := []string{"ENDS_WITH=" + values["ends with"]}
		for name, value := range s.Env {
			for strings.Contains(value, "${{") {
				before, rest, _ := strings.Cut(value, "${{")
				expression, after, _ := strings.Cut(rest, "}}")
				value = before + values[strings.TrimSpace(expression)] + after
			}
			env = append(env, name+"="+value)
		}
		c, out := r.Run(t, shelltest.Command{Argv: []string{"bash", "-e", "-c", s.Run}, Dir: dir, Env: env})
		output += out
		if c != 0 && failed == "" {
			failed, code = s.Name, c
		}
	}
	return failed, code, output
}

func TestAWorkflowFetchesTheRunnerChecksItAndRunsTheJob(t *testing.T) {
	t.Parallel()
	r := shelltest.New(t, []byte(program))
	var told []string
	slack := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		told = append(told, string(body))
	}))
	t.Cleanup(slack.Close)
	spec := nightly()
	spec.Runner, spec.Job.Repository, spec.Config.SlackSecret = r.Runner, r.Runner.Repository.String(), "SLACK_WEBHOOK"
	rendered, err := github.Render(spec)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"secrets.PRODUCTION_DATABASE_URL": "postgres://geheim", "secrets.SLACK_WEBHOOK": slack.URL + "/hook",
		"github.server_url": "https://github.com", "github.repository": "acme/infrastructure", "github.run_id": "42", "inputs.dry_run": "", "ends with": "3",
	}
	failed, code, out := play(t, r, rendered.Workflow, values)
	if failed != "" || !strings.Contains(out, "ran backup --job "+"s3://") || !strings.Contains(out, "with postgres://geheim and "+r.Runner.SHA256["x86_64"]) || len(told) > 0 {
		t.Fatalf("step %q ended with %d; warnings are no failure:\n%s\nSlack was told %q", failed, code, out, told)
	}
	values["inputs.dry_run"] = "true"
	if failed, _, out = play(t, r, rendered.Workflow, values); failed != "" || !strings.Contains(out, " --dry-run with") {
		t.Errorf("a dry run: step %q failed:\n%s", failed, out)
	}
	values["ends with"] = "1"
	if failed, _, out = play(t, r, rendered.Workflow, values); failed != "Run the job" || len(told) != 1 || !strings.Contains(told[0], `"text": "pgbackup: job nightly did not succeed: https://github.com/acme/infrastructure/actions/runs/42"`) {
		t.Errorf("a failed job: step %q failed, Slack was told %q\n%s", failed, told, out)
	}
	r.Put(t, []byte("#!/bin/sh\necho evil\n"))
	failed, code, out = play(t, r, rendered.Workflow, values)
	if failed != "Fetch the runner and check it" || code != 2 || strings.Contains(out, "evil") || len(told) != 2 {
		t.Errorf("a runner that was tampered with: step %q ended with %d, Slack was told %q\n%s", failed, code, told, out)
	}
}
