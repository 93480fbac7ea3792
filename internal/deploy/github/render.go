package github

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/host"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/shell"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

// credentialsAction takes on the role; pinned, because it sees the token.
const credentialsAction = "aws-actions/configure-aws-credentials@v5.1.0"

// program is where the runner is put: the folder a run begins in is empty.
const program = "./pgbackup-runner"

func render(s Spec) (Rendered, error) {
	if err := s.check(); err != nil {
		return Rendered{}, err
	}
	when, err := schedule.Parse(s.Job.Schedule.Cron, s.Job.Schedule.Timezone)
	if err != nil {
		return Rendered{}, err
	}
	lines, err := when.GitHub()
	if err != nil {
		return Rendered{}, err
	}
	steps, err := s.steps()
	if err != nil {
		return Rendered{}, err
	}
	name := host.UnitName(s.Job.Name)
	w := &writer{}
	w.line(0, "# Written by pgbackup. Changes made by hand are undone when it is written again.")
	w.line(0, "# GitHub starts schedules late when it is busy, only on the default branch, and in")
	w.line(0, "# public repositories no longer after 60 days without activity: a pgbackup_alarm")
	w.line(0, "# notices that.")
	w.line(0, "name: %s", text(name))
	w.line(0, "on:")
	if !s.Config.Disabled {
		w.line(1, "schedule:")
		for _, cron := range lines {
			w.line(2, "- cron: %s", text(cron))
		}
	}
	w.line(1, "workflow_dispatch:")
	if s.hasDryRun() {
		w.line(2, "inputs:")
		w.line(3, "dry_run:")
		w.line(4, "description: %s", text("Only say what would be done"))
		w.line(4, "type: boolean")
		w.line(4, "default: false")
	}
	w.line(0, "permissions:")
	w.line(1, "id-token: write # for the role in AWS; nothing of this repository is read")
	w.line(0, "concurrency:")
	w.line(1, "group: %s", text(name))
	w.line(1, "cancel-in-progress: false")
	w.line(0, "jobs:")
	w.line(1, "run:")
	w.line(2, "runs-on: %s", text(s.machine()))
	w.line(2, "timeout-minutes: %d", int(s.timeout()/time.Minute))
	w.line(2, "steps:")
	for _, step := range steps {
		w.step(step)
	}
	workflow := w.String()
	if err := noExpressions(workflow, steps); err != nil {
		return Rendered{}, err
	}
	trust := roleParts.FindStringSubmatch(s.Config.RoleARN)
	return Rendered{
		Path: ".github/workflows/" + name + ".yml", Workflow: workflow,
		TrustPolicy: iampolicy.TrustGitHub(trust[1], trust[2], s.Config.Repository, "refs/heads/"+cmp.Or(s.Config.Branch, DefaultBranch)).Indented(),
	}, nil
}

// step is one step of the workflow: an action, or a script.
type step struct {
	name, when, uses string
	with             [][2]string // values of the action
	env              [][2]string // values are written as they are: the expressions of GitHub
	run              string
}

func (s Spec) steps() ([]step, error) {
	url, sum, err := s.Runner.Object(cmp.Or(s.Config.Architecture, "x86_64"))
	if err != nil {
		return nil, err
	}
	jobURL, err := deploy.JobURL(s.Job)
	if err != nil {
		return nil, err
	}
	list := []step{
		{name: "Take on the role in AWS", uses: credentialsAction, with: [][2]string{
			{"role-to-assume", text(s.Config.RoleARN)}, {"aws-region", text(s.region())},
			{"role-session-name", text(host.UnitName(s.Job.Name))},
			// A run that outlives its session can no longer write to the repository.
			{"role-duration-seconds", fmt.Sprint(int(s.timeout().Seconds()))},
		}},
		{name: "Fetch the runner and check it", run: shell.Fetch(shell.Program{
			URL: url, SHA256: sum, Region: s.Runner.Repository.Region, Endpoint: s.Runner.Repository.Endpoint,
		}, program)},
	}
	if s.Job.Kind.NeedsTools() {
		list = append(list, s.installTools())
	}
	list = append(list, s.runJob(sum, jobURL))
	if s.Config.SlackSecret != "" {
		list = append(list, s.tellSlack())
	}
	return list, nil
}

// installTools takes the programs from PostgreSQL's own archive, which has every
// major version: those of the client, and of the server for a drill that starts one.
func (s Spec) installTools() step {
	version := cmp.Or(s.Config.PostgresVersion, DefaultPostgresVersion)
	if s.Job.HasScratchCluster() {
		// The package would start a server of its own, which nobody asked for.
		return step{name: fmt.Sprintf("Install the server of PostgreSQL %d", version), run: fmt.Sprintf(`sudo apt-get update -q
sudo apt-get install -y -q postgresql-common
sudo mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' | sudo tee /etc/postgresql-common/createcluster.d/pgbackup.conf
sudo /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y
sudo apt-get install -y -q postgresql-%d
`, version)}
	}
	return step{name: fmt.Sprintf("Install the client programs of PostgreSQL %d", version), run: fmt.Sprintf(`sudo apt-get update -q
sudo apt-get install -y -q postgresql-common
sudo /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y
sudo apt-get install -y -q postgresql-client-%d
`, version)}
}

func (s Spec) runJob(sum, jobURL string) step {
	st := step{name: "Run the job", env: [][2]string{{deploy.RunnerHash, text(sum)}}}
	for _, name := range slices.Sorted(maps.Keys(s.Config.Environment)) {
		st.env = append(st.env, [2]string{name, text(s.Config.Environment[name])})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Config.Secrets)) {
		st.env = append(st.env, [2]string{name, "${{ secrets." + s.Config.Secrets[name] + " }}"})
	}
	command := append(append([]string{program}, s.Job.Words()...), "--job", jobURL)
	st.run = "set -- " + shell.Join(command...) + "\n"
	if s.hasDryRun() {
		st.env = append(st.env, [2]string{"DRY_RUN", "${{ inputs.dry_run }}"})
		st.run += "if [ \"$DRY_RUN\" = true ]; then set -- \"$@\" --dry-run; fi\n"
	}
	st.run += shell.WarningsAreSuccess()
	return st
}

// tellSlack keeps the URL, which is a secret, off the command line.
func (s Spec) tellSlack() step {
	return step{
		name: "Tell Slack", when: "failure() || cancelled()",
		env: [][2]string{
			{"SLACK_WEBHOOK_URL", "${{ secrets." + s.Config.SlackSecret + " }}"},
			{"RUN_URL", "${{ github.server_url }}/${{ github.repository }}/actions/runs/${{ github.run_id }}"},
		},
		run: fmt.Sprintf(`printf 'url = "%%s"\n' "$SLACK_WEBHOOK_URL" | curl --config - --fail --silent --show-error \
  --max-time 30 --retry 2 --header 'Content-Type: application/json' \
  --data "{\"text\": \"pgbackup: job %s did not succeed: $RUN_URL\"}"
`, s.Job.Name),
	}
}

// hasDryRun: verification and freshness change nothing that a dry run could leave
// out.
func (s Spec) hasDryRun() bool {
	return s.Job.Kind.MakesPoints() || s.Job.Kind == job.KindRotate || s.Job.Kind == job.KindDrill
}

func (s Spec) machine() string {
	if s.Config.RunsOn == "" && s.Config.Architecture == "arm64" {
		return "ubuntu-24.04-arm"
	}
	return cmp.Or(s.Config.RunsOn, "ubuntu-24.04")
}

func (s Spec) timeout() time.Duration { return cmp.Or(s.Config.Timeout, DefaultTimeout) }

// noExpressions holds that GitHub evaluates nothing but what is written here: it
// looks for ${{ in every text, a script and a file name included.
func noExpressions(workflow string, steps []step) error {
	ours := 0
	for _, s := range steps {
		for _, e := range s.env {
			if strings.HasPrefix(e[1], "${{") {
				ours += strings.Count(e[1], "${{")
			}
		}
	}
	if strings.Count(workflow, "${{") != ours {
		return fmt.Errorf("a value holds %q, which GitHub would evaluate: use another text, or secrets for a secret", "${{")
	}
	return nil
}

// writer writes YAML in the order that people expect of a workflow.
type writer struct{ strings.Builder }

func (w *writer) line(depth int, format string, args ...any) {
	fmt.Fprintf(w, strings.Repeat("  ", depth)+format+"\n", args...)
}

func (w *writer) step(s step) {
	w.line(3, "- name: %s", text(s.name))
	if s.when != "" {
		w.line(4, "if: %s", text(s.when))
	}
	if s.uses != "" {
		w.line(4, "uses: %s", s.uses)
	}
	w.values("with", s.with)
	w.values("env", s.env)
	if s.run != "" {
		w.line(4, "run: |")
		for line := range strings.Lines(s.run) {
			w.line(5, "%s", strings.TrimSuffix(line, "\n"))
		}
	}
}

func (w *writer) values(what string, values [][2]string) {
	if len(values) == 0 {
		return
	}
	w.line(4, "%s:", what)
	for _, v := range values {
		w.line(5, "%s: %s", v[0], v[1])
	}
}

// words that YAML takes for something else than a text, in one version or another.
var words = []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}

// text is a scalar of YAML, in which a text of JSON is one too; what plainly is a
// text has no quotes. One that begins with a digit may be a number.
func text(s string) string {
	if machine.MatchString(s) && s[0] >= 'a' && s[0] <= 'z' && !slices.Contains(words, s) {
		return s
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(fmt.Sprintf("a text cannot be written: %v", err)) // every text can
	}
	return strings.TrimSuffix(b.String(), "\n")
}
