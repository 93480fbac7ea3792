package schedule_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

const (
	onLambda  = `lambda = { memory = 1024, timeout = "5m" }`
	onCluster = `kubernetes = { role_arn = "arn:aws:iam::123456789012:role/backup" }`
)

// beside is a configuration of its own that uses what w made, with a schedule of
// the same name.
func (c *cloud) beside(w *providertest.Workspace, job, runOn string) string {
	id := fmt.Sprint(w.State("pgbackup_policy.prod")["id"])
	release := fmt.Sprint(w.State("pgbackup_runner.main")["release"])
	config := c.config(c.One, job, runOn)
	provider, _, _ := strings.Cut(config, `resource "pgbackup_repository"`)
	_, schedule, _ := strings.Cut(config, `resource "pgbackup_schedule"`)
	return provider + `resource "pgbackup_schedule"` + strings.NewReplacer("pgbackup_policy.prod.id", fmt.Sprintf("%q", id), "pgbackup_runner.main.release", fmt.Sprintf("%q", release)).Replace(schedule)
}

// all is everything there is of schedules.
func (c *cloud) all() []string {
	return append(append(c.Made(), c.Keys("jobs/")...), c.Keys("runner/")...)
}

func TestAccSchedule_oneOfTheSameNameIsNeitherTakenOverNorRemoved(t *testing.T) {
	for target, runOn := range map[string]string{"fargate": onFargate, "lambda": onLambda, "kubernetes": onCluster} {
		t.Run(target, func(t *testing.T) {
			c := newCloud(t)
			first := providertest.NewWorkspace(t, c.config(c.One, "rotate = {}", runOn))
			first.MustApply()
			before, id := c.all(), fmt.Sprint(first.State(address)["id"])
			second := providertest.NewWorkspace(t, c.beside(first, "verify = {}", runOn))
			if target != "kubernetes" {
				second.Configure(c.beside(first, "freshness = {}", runOn))
			}
			if r := second.Apply(); !r.Failed || !providertest.Message("import it (terraform import ADDRESS '"+id+"')").MatchString(r.String()) {
				t.Errorf("a second one of the same name: %s", r)
			}
			if now := c.all(); !slices.Equal(now, before) {
				t.Errorf("the second one changed\n%s\nto\n%s", strings.Join(before, "\n"), strings.Join(now, "\n"))
			}
			plansNothing(t, first, "after a second one was refused")
			if target == "kubernetes" {
				return
			}
			// The same in every respect: an apply that ended before Terraform noted it.
			// When that breaks off again, what was there stays.
			second.Configure(c.beside(first, "rotate = {}", runOn))
			c.Refusing(func(service string, r *http.Request) bool {
				return service == "scheduler" && strings.HasPrefix(r.URL.Path, "/tags/") && r.Method == http.MethodPost
			})
			if r := second.Apply(); !r.Failed || !strings.Contains(r.String(), "scheduler:TagResource") {
				t.Errorf("an apply that breaks off: %s", r)
			}
			c.Refusing(nil)
			if now := c.all(); !slices.Equal(now, before) {
				t.Errorf("a failed create changed\n%s\nto\n%s", strings.Join(before, "\n"), strings.Join(now, "\n"))
			}
			plansNothing(t, first, "after a failed create")
			second.MustApply()
			plansNothing(t, second, "taken over")
			first.Command("destroy", "-auto-approve", "-target="+address)
			if now := c.all(); !slices.Equal(now, before) {
				t.Errorf("the one before removed what was taken over:\n%s\nis\n%s", strings.Join(before, "\n"), strings.Join(now, "\n"))
			}
			second.Command("destroy", "-auto-approve")
			if made := append(c.Made(), c.Keys("jobs/")...); len(made) > 0 {
				t.Errorf("left: %v", made)
			}
		})
	}
}

func TestAccSchedule_twoOfTheSameNameInOneConfigurationAreRefused(t *testing.T) {
	c := newCloud(t)
	config := c.config(c.One, "rotate = {}", onLambda)
	_, again, _ := strings.Cut(config, `resource "pgbackup_schedule" "nightly"`)
	w := providertest.NewWorkspace(t, config+`resource "pgbackup_schedule" "again"`+again)
	if r := w.Apply(); !r.Failed || len(r.Errors()) != 1 || !providertest.Message("another pgbackup_schedule of this configuration is called").MatchString(r.String()) {
		t.Errorf("two of the same name: %s", r)
	}
	w.Command("destroy", "-auto-approve")
	if made := c.all(); len(made) > 0 {
		t.Errorf("left after the destroy: %v", made)
	}
}

func TestAccSchedule_replacedWithCreateBeforeDestroyItIsThere(t *testing.T) {
	dir := t.TempDir()
	for target, runOn := range map[string]string{
		"fargate": onFargate, "lambda": onLambda, "kubernetes": onCluster,
		"host": fmt.Sprintf("host = { directory = %q, runner_path = \"/usr/local/bin/pgbackup-runner\" }", dir),
	} {
		t.Run(target, func(t *testing.T) {
			c := newCloud(t)
			w := providertest.NewWorkspace(t, c.config(c.One, "rotate = {}", runOn, "lifecycle {\n create_before_destroy = true\n }"))
			w.MustApply()
			before := c.all()
			w.MustApply("-replace=" + address)
			if now := c.all(); !slices.Equal(now, before) {
				t.Errorf("replaced, there is\n%s\nand was\n%s", strings.Join(now, "\n"), strings.Join(before, "\n"))
			}
			if target == "host" {
				read(t, filepath.Join(dir, "nightly.job.json"))
			}
			plansNothing(t, w, "replaced")
			// Imported, it is known by its generation as before.
			if target != "host" {
				id := fmt.Sprint(w.State(address)["id"])
				w.Command("state", "rm", address)
				w.Command("import", address, id)
				w.MustApply()
				w.MustApply("-replace=" + address)
				plansNothing(t, w, "imported and replaced")
			}
			w.Command("destroy", "-auto-approve")
			if made := c.all(); len(made) > 0 {
				t.Errorf("left after the destroy: %v", made)
			}
		})
	}
}

func TestAccSchedule_theJobFileThatAStartedTaskAsksForStays(t *testing.T) {
	c := newCloud(t)
	config := c.config(c.One, "rotate = {}", onFargate)
	w := providertest.NewWorkspace(t, config)
	w.MustApply()
	before := c.Keys("jobs/")
	w.Configure(strings.Replace(config, `"0 2 * * *"`, `"0 3 * * *"`, 1))
	w.MustApply()
	if now := c.Keys("jobs/"); len(before) != 1 || len(now) != 2 || !slices.Contains(now, before[0]) {
		t.Errorf("job files: %v, then %v", before, now)
	}
	used := marks(c.Keys("runner/"))
	if len(used) != 2 || !slices.ContainsFunc(used, func(k string) bool { return strings.Contains(k, "/ended_fargate-") }) {
		t.Errorf("marks: %v", used)
	}
	plansNothing(t, w, "with an earlier job file")
	// Back to the first: it is in use again, and the second one stays.
	w.Configure(config)
	w.MustApply()
	w.Configure(c.config(c.One, "rotate = {}", onLambda))
	w.MustApply()
	if now := c.Keys("jobs/"); len(now) < 2 || !slices.Contains(now, before[0]) {
		t.Errorf("job files after a move: %v", now)
	}
	w.Command("destroy", "-auto-approve")
	if left := c.all(); len(left) > 0 {
		t.Errorf("left after the destroy: %v", left)
	}
}
