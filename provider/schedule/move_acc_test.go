package schedule_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

func TestAccSchedule_movesBetweenTargetsAndTheOldOneGoesAfterTheNewOneWorks(t *testing.T) {
	c := newCloud(t)
	dir := t.TempDir()
	onHost := fmt.Sprintf("host = { directory = %q, runner_path = \"/usr/local/bin/pgbackup-runner\" }", dir)
	const onLambda = `lambda = { memory = 1024, timeout = "5m", retry_attempts = 0 }` // the default is 5
	file := filepath.Join(dir, "nightly.job.json")
	w := providertest.NewWorkspace(t, c.config(c.One, "rotate = {}", onFargate))
	w.MustApply()

	// A new runner shows in the plan, and the builds of the old one stay while used.
	w.Configure(c.config(c.Two, "rotate = {}", onFargate))
	w.Plan()
	if got := w.Show(address).Actions; !slices.Equal(got, []string{"update"}) {
		t.Errorf("a new runner: the plan does %v", got)
	}
	if r := w.ApplySaved(); r.Failed {
		t.Fatal(r)
	}

	w.Configure(c.config(c.Two, "rotate = {}", onLambda))
	w.Plan()
	if got := w.Show(address); !slices.Equal(got.Actions, []string{"update"}) || got.Unknown["left_behind"] != true {
		t.Errorf("a move is planned as %v, left_behind %v", got.Actions, got.Unknown["left_behind"])
	}
	if r := w.ApplySaved(); r.Failed {
		t.Fatal(r)
	}
	plansNothing(t, w, "on Lambda")
	made := strings.Join(c.Made(), "\n")
	if !strings.Contains(made, "function ") || strings.Contains(made, "task definition") || strings.Contains(made, "-execution") {
		t.Errorf("on Lambda there is:\n%s", made)
	}

	// Import of what is there plans nothing that matters.
	id := fmt.Sprint(w.State(address)["id"])
	w.Command("state", "rm", address)
	w.Command("import", address, id)
	w.Plan()
	if got := w.Show(address); !slices.Equal(got.Actions, []string{"no-op"}) && !slices.Equal(got.Actions, []string{"update"}) {
		t.Errorf("after an import the plan does %v", got.Actions)
	}
	if state := w.State(address); fmt.Sprint(state["run_on"]) == "" || !strings.Contains(fmt.Sprint(state["run_on"]), "5m") || state["job_digest"] != nil && state["job_digest"] == "" {
		t.Errorf("imported: %v", state)
	}
	w.MustApply()
	plansNothing(t, w, "after an import")

	// The old deployment cannot be removed: the new one counts, and it is tried again.
	c.Refusing(func(service string, r *http.Request) bool {
		return service == "lambda" && r.Method == http.MethodDelete
	})
	w.Configure(c.config(c.Two, "rotate = {}", onHost))
	r := w.MustApply()
	if warned := strings.Join(r.Warnings(), "\n"); !strings.Contains(warned, "the deployment on lambda could not be removed, and may still run") {
		t.Errorf("warnings: %s", warned)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	if left, _ := w.State(address)["left_behind"].([]any); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	c.Refusing(nil)
	w.Plan()
	if got := w.Show(address).Actions; !slices.Equal(got, []string{"update"}) {
		t.Errorf("with something left behind the plan does %v", got)
	}
	if r := w.ApplySaved(); r.Failed {
		t.Fatal(r)
	}
	if made := c.Made(); len(made) > 0 {
		t.Errorf("after the second try there is %v", made)
	}
	plansNothing(t, w, "on the host")

	// Back, and a new deployment that cannot be made leaves the old one alone.
	c.Refusing(func(service string, r *http.Request) bool {
		return service == "scheduler" && r.Method == http.MethodPost
	})
	w.Configure(c.config(c.Two, "rotate = {}", onFargate))
	if r := w.Apply(); !r.Failed || !strings.Contains(r.String(), "scheduler:") {
		t.Errorf("a deployment that cannot be made: %s", r)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the old deployment is gone: %v", err)
	}
	if made := c.Made(); len(made) > 0 {
		t.Errorf("half a deployment stayed: %v", made)
	}
	c.Refusing(nil)
	w.MustApply()
	if _, err := os.Stat(file); err == nil {
		t.Error("the files of the host are still there")
	}
	id = fmt.Sprint(w.State(address)["id"])
	before := w.State(address)
	w.Command("state", "rm", address)
	w.Command("import", address, id)
	for name, want := range before {
		if got := w.State(address)[name]; name != "job_digest" && asJSON(got) != asJSON(want) {
			t.Errorf("imported %s:\n%s\nwas\n%s", name, asJSON(got), asJSON(want))
		}
	}
	w.MustApply()
	plansNothing(t, w, "imported from Fargate")
	w.Command("destroy", "-auto-approve")
	if made := c.Made(); len(made) > 0 || len(c.Keys("jobs/"))+len(c.Keys("runner/")) > 0 {
		t.Errorf("left after the destroy: %v %v %v", made, c.Keys("jobs/"), c.Keys("runner/"))
	}
}
