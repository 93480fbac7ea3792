package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// damage makes a repository unreadable.
func damage(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "repository.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAccPlan_ofAPolicyThatIsNewAsksNobodyAndShowsNoImpact(t *testing.T) {
	t.Parallel()
	w := providertest.NewWorkspace(t, prod(filepath.Join(t.TempDir(), "new"), daily(30)))
	passed(t, w.Plan())
	planned := w.Show(address)
	for _, name := range []string{"summary", "impact", "estimated_monthly_cost_usd", "lifecycle_rules"} {
		if value, there := planned.After[name]; !there || value != nil {
			t.Errorf("%s is planned as %v (%v)", name, value, planned.Unknown[name])
		}
	}
}

func TestAccPlan_longerRulesSayWhatIsKeptAndAskNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := providertest.NewWorkspace(t, prod(dir, daily(7)))
	w.MustApply()
	providertest.AddDays(t, providertest.Open(t, "file://"+dir), "shop", 0, 9)
	w.Configure(prod(dir, daily(30)))
	passed(t, w.Plan())
	planned := w.Show(address)
	if impact := planned.After["impact"].(map[string]any); impact["points"] != 0.0 || impact["gained"] != 3.0 {
		t.Errorf("the plan shows %v", impact)
	}
	if text := fmt.Sprint(planned.After["summary"]); !strings.Contains(text, "7 -> 30") {
		t.Errorf("the summary is %s", text)
	}
	passed(t, w.ApplySaved())
	if loss := history(t, dir)[1].Envelope.Loss; loss == nil || loss.Points != 0 {
		t.Errorf("the revision says it loses %+v", loss)
	}
}

func TestAccPlan_withoutRefreshLeavesToTheApplyWhatNoRefreshDated(t *testing.T) {
	t.Parallel()
	w, dir, r := applied(t)
	providertest.AddDays(t, r, "shop", 0, 29)
	w.Configure(prod(dir, daily(14)))
	code := refused(t, w.Plan("-refresh=false"), 16)
	w.Configure(prod(dir, approved(14, code)))
	passed(t, w.Plan("-refresh=false"), willBeDeleted)
	if planned := w.Show(address); planned.Unknown["impact"] != true || planned.Unknown["summary"] != true {
		t.Errorf("unknown is %v", planned.Unknown)
	}
	passed(t, w.ApplySaved(), willBeDeleted)
	if points := w.State(address)["impact"].(map[string]any)["points"]; points != 16.0 {
		t.Errorf("the state shows %v lost points", points)
	}
	// Later there is a date, and it is good however old.
	w.Command("apply", "-refresh-only", "-auto-approve")
	w.Configure(prod(dir, daily(30)))
	passed(t, w.Plan("-refresh=false"))
	if planned := w.Show(address); planned.After["impact"].(map[string]any)["gained"] != 16.0 {
		t.Errorf("the plan shows %v", planned.After["impact"])
	}
}

func TestAccPlan_refreshOnlyChangesNothing(t *testing.T) {
	t.Parallel()
	w, dir, r := applied(t)
	before := w.State(address)
	providertest.AddDays(t, r, "shop", 0, 29)
	w.Configure(prod(dir, daily(14)))
	passed(t, w.Plan("-refresh-only"))
	passed(t, w.Apply("-refresh-only"))
	if after := w.State(address); fmt.Sprint(before) != fmt.Sprint(after) || len(history(t, dir)) != 1 {
		t.Errorf("before %v\nafter %v", before, after)
	}
}

func TestAccPlan_readsNoRepositoryForWhatMeansTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lines := func(rpo, day string) string {
		return daily(30) + "\n  objectives = { rpo = \"" + rpo + "\" }\n  storage = {\n    transitions = [{ after = \"" + day + "\", class = \"STANDARD_IA\" }]\n  }"
	}
	w := providertest.NewWorkspace(t, prod(dir, lines("24h", "24h")))
	w.MustApply()
	w.Command("apply", "-refresh-only", "-auto-approve")
	damage(t, dir)
	w.Configure(prod(dir, lines("1d", "1d")))
	passed(t, w.Plan("-refresh=false"))
	if planned := w.Show(address); planned.Actions[0] != "no-op" {
		t.Errorf("another spelling plans %v", planned.Actions)
	}
	w.Configure(prod(dir, lines("1d", "1d")+"\n  approve_expiry = \"EXPIRE-1-abcdef\""))
	passed(t, w.Apply("-refresh=false"), leftover)
	// With a refresh there is its warning, and no other.
	w.Configure(prod(dir, lines("1d", "1d")))
	passed(t, w.Plan(), "pgbackup_policy (prod) cannot be read", "pgbackup_repository (file://"+dir+") is damaged")
}

func TestAccPlan_ofAnUnreadableRepositoryWarnsAndTheApplyRefuses(t *testing.T) {
	t.Parallel()
	w, dir, _ := applied(t)
	w.Command("apply", "-refresh-only", "-auto-approve")
	damage(t, dir)
	w.Configure(prod(dir, daily(14)))
	unread := "pgbackup_policy (prod): what this change loses cannot be told"
	passed(t, w.Plan("-refresh=false"), unread)
	if planned := w.Show(address); planned.Unknown["impact"] != true {
		t.Errorf("the plan shows an impact: %v", planned.After["impact"])
	}
	if out := w.ApplySaved(); !out.Failed || !strings.Contains(out.String(), "repository.json") {
		t.Errorf("the apply: %s", out)
	}
}

func TestAccPlan_ofRulesThatAreNotKnownYetSaysThatTheApplyAsks(t *testing.T) {
	t.Parallel()
	const unknown = "pgbackup_policy (prod): what this change loses cannot be told, because its rules are not known before apply"
	later := func(dir string) string {
		return prod(dir, "retention = { keep_daily = terraform_data.days.output }") + "resource \"terraform_data\" \"days\" {\n  input = 14\n}\n"
	}
	w, dir, r := applied(t)
	providertest.AddDays(t, r, "shop", 0, 29)
	w.Configure(later(dir))
	passed(t, w.Plan(), unknown)
	if planned := w.Show(address); planned.Unknown["impact"] != true || planned.Unknown["digest"] != true {
		t.Errorf("unknown is %v", planned.Unknown)
	}
	refused(t, w.ApplySaved(), 16)
	if len(history(t, dir)) != 1 {
		t.Error("a revision was written")
	}

	fresh := providertest.NewWorkspace(t, later(filepath.Join(t.TempDir(), "new")))
	passed(t, fresh.Apply())
}
