package policy_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

const address = "pgbackup_policy.prod"

// prod is the configuration of a policy in the repository main.
func prod(dir, lines string) string {
	return providertest.Repository(dir) + "resource \"pgbackup_policy\" \"prod\" {\n  name = \"prod\"\n  repository = pgbackup_repository.main.id\n  " + lines + "\n}\n"
}

func emptyPlan() resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
}

func action(a plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, a)}}
}

func revision(n int64) []statecheck.StateCheck {
	return []statecheck.StateCheck{statecheck.ExpectKnownValue(address, tfjsonpath.New("revision"), knownvalue.Int64Exact(n))}
}

// history of policy prod as a runner reads it.
func history(t *testing.T, dir string) []policy.Revision {
	t.Helper()
	past, err := providertest.Open(t, "file://"+dir).PolicyHistory(t.Context(), "prod")
	if err != nil {
		t.Fatal(err)
	}
	revisions := make([]policy.Revision, len(past))
	for i, p := range past {
		if p.Problem != nil {
			t.Fatal(p.Problem)
		}
		revisions[i] = p.Revision
	}
	return revisions
}

// ofTheChange are attributes that tell of the last change; who imports a policy
// did not see it.
var ofTheChange = []string{"summary", "impact", "estimated_monthly_cost_usd"}

const full = `environment = "production"
  timezone    = "Europe/Berlin"
  objectives  = { rpo = "24h", rto = "4h" }
  retention   = { keep_last = 3, keep_daily = 30, keep_yearly = 7, keep_within_weekly = "8w", wal = "7d" }
  storage = {
    class        = "STANDARD_IA"
    classes      = { yearly = "GLACIER" }
    transitions  = [{ after = "90d", class = "GLACIER_IR", tiers = ["daily"] }, { after = "48h", class = "GLACIER", tiers = ["weekly"] }]
    expire_after = "2555d"
  }`

func TestAccPolicy_everyChangeIsOneRevisionAndNoChangeIsNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	id := "file://" + dir + "#prod"
	respelled := `environment = "production"
  timezone    = "Europe/Berlin"
  objectives  = { rpo = "1d", rto = "240m" }
  retention   = { keep_last = 3, keep_daily = 30, keep_yearly = 7, keep_within_weekly = "56d", wal = "1w" }
  storage = {
    class        = "STANDARD_IA"
    classes      = { yearly = "GLACIER" }
    transitions  = [{ after = "90d", class = "GLACIER_IR", tiers = ["daily"] }, { after = "2d", class = "GLACIER", tiers = ["weekly"] }]
    expire_after = "365w"
  }`
	providertest.Run(t,
		resource.TestStep{
			Config: prod(dir, full),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectKnownValue(address, tfjsonpath.New("id"), knownvalue.StringExact(id)),
				plancheck.ExpectKnownValue(address, tfjsonpath.New("digest"), knownvalue.NotNull()),
			}},
			ConfigStateChecks: append(revision(1), statecheck.ExpectKnownValue(address, tfjsonpath.New("objectives").AtMapKey("rpo"), knownvalue.StringExact("24h"))),
		},
		resource.TestStep{Config: prod(dir, full), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{Config: prod(dir, respelled), ConfigPlanChecks: emptyPlan(), ConfigStateChecks: revision(1)},
		resource.TestStep{Config: prod(dir, `retention = { keep_daily = 14 }`), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), ConfigStateChecks: revision(2)},
		resource.TestStep{
			PreConfig: func() {
				for i, rev := range history(t, dir) {
					if want := []int{30, 14}[i]; rev.Document.Retention.KeepDaily != want || rev.Envelope.By == "" || rev.Envelope.ProviderVersion != "test" {
						t.Errorf("revision %d: %+v", rev.Number, rev)
					}
				}
			},
			ResourceName: address, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: ofTheChange,
		},
		resource.TestStep{Config: prod(dir, full), ConfigStateChecks: revision(3)},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: ofTheChange},
		// Off and not given are the same, and stay as they were written.
		resource.TestStep{Config: prod(dir, "objectives = {}\n retention = { keep_daily = 14, keep_last = 0 }"), ConfigStateChecks: revision(4)},
		resource.TestStep{Config: prod(dir, "objectives = {}\n retention = { keep_daily = 14, keep_last = 0 }"), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{Config: prod(dir, "retention = tomap({ keep_daily = \"14\", keep_weekly = null })"), ConfigStateChecks: revision(4)},
	)
}

func TestAccPolicy_aRevisionOfSomebodyElseIsDriftAndIsRepairedByANewOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := prod(dir, `retention = { keep_daily = 30 }`)
	providertest.Run(t,
		resource.TestStep{Config: config},
		resource.TestStep{
			PreConfig: func() {
				changed := policy.Document{Format: policy.Format, Name: "prod", Retention: retention.Keep{KeepLast: 1}}
				if _, err := providertest.Open(t, "file://"+dir).PutPolicyRevision(t.Context(), 1, changed, policy.Envelope{At: time.Now(), By: "mallory"}); err != nil {
					t.Fatal(err)
				}
			},
			Config: config, ConfigPlanChecks: action(plancheck.ResourceActionUpdate), ConfigStateChecks: revision(3),
		},
		resource.TestStep{Config: config, ConfigPlanChecks: emptyPlan()},
	)
}

func TestAccPolicy_aDamagedRevisionIsSupersededByAnApplyAndByADestroy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	edit := func(n int) func() {
		return func() {
			files, err := filepath.Glob(fmt.Sprintf("%s/policies/prod/%06d-*.json", dir, n))
			if err != nil || len(files) != 1 {
				t.Fatalf("revision %d: %q, %v", n, files, err)
			}
			data, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(files[0], bytes.Replace(data, []byte(`"keep_daily": `), []byte(`"keep_daily": 9`), 1), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	providertest.Run(t,
		resource.TestStep{Config: prod(dir, `retention = { keep_daily = 30 }`)},
		// Drift cannot be read, so there is no change but a warning.
		resource.TestStep{PreConfig: edit(1), Config: prod(dir, `retention = { keep_daily = 30 }`), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{Config: prod(dir, `retention = { keep_daily = 14 }`), ConfigPlanChecks: action(plancheck.ResourceActionUpdate), ConfigStateChecks: revision(2)},
		// Unchanged, it is declared again: retired by one revision, written by the next.
		resource.TestStep{PreConfig: edit(2), Taint: []string{address}, Config: prod(dir, `retention = { keep_daily = 14 }`), ConfigStateChecks: revision(4)},
		resource.TestStep{PreConfig: edit(4), Config: providertest.Repository(dir)},
		resource.TestStep{PreConfig: func() {
			current, err := providertest.Open(t, "file://"+dir).CurrentPolicy(t.Context(), "prod")
			if err != nil || !current.Envelope.Retired || current.Number != 5 {
				t.Errorf("%+v, %v", current, err)
			}
		}, Config: providertest.Repository(dir)},
	)
}

func TestAccPolicy_whatWasRetiredElsewhereIsDeclaredAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := prod(dir, `retention = { keep_daily = 30 }`)
	providertest.Run(t,
		resource.TestStep{Config: config},
		resource.TestStep{
			PreConfig: func() {
				if err := providertest.Open(t, "file://"+dir).RetirePolicy(t.Context(), "prod", policy.Envelope{At: time.Now()}); err != nil {
					t.Fatal(err)
				}
			},
			Config: config, ConfigPlanChecks: action(plancheck.ResourceActionCreate), ConfigStateChecks: revision(3),
		},
	)
}

func TestAccPolicy_destroyRetiresAndDeletesNoPoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	repository := providertest.Repository(dir, "force_destroy = true")
	providertest.Run(t,
		resource.TestStep{Config: repository + prod(dir, `retention = { keep_daily = 30 }`)[len(providertest.Repository(dir)):]},
		resource.TestStep{PreConfig: func() { providertest.AddPoint(t, providertest.Open(t, "file://"+dir), "shop") }, Config: repository},
		resource.TestStep{
			PreConfig: func() {
				revisions := history(t, dir)
				if last := revisions[len(revisions)-1]; !last.Envelope.Retired || last.Number != 2 {
					t.Errorf("the last revision is %+v", last)
				}
				points, err := providertest.Open(t, "file://"+dir).List(t.Context(), all)
				if err != nil || len(points) != 1 {
					t.Errorf("%d points, %v", len(points), err)
				}
			},
			Config: repository,
		},
	)
}

func TestAccPolicy_ofANameThatIsThereIsImportedNotOverwritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := prod(dir, `retention = { keep_daily = 30 }`)
	second := "resource \"pgbackup_policy\" \"second\" {\n name = \"prod\"\n repository = pgbackup_repository.main.id\n retention = { keep_last = 1 }\n}\n"
	providertest.Run(t,
		resource.TestStep{Config: config},
		resource.TestStep{Config: config + second, ExpectError: providertest.Message("The repository has a policy of this name already. If it is to be managed here, import it")},
		resource.TestStep{Config: config, ResourceName: address, ImportState: true, ImportStateId: "file://" + dir + "#none", ExpectError: providertest.Message("There is no such policy")},
	)
}

func TestAccPolicy_mistakesAreFoundAtPlanAtTheirAttribute(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ lines, want string }{
		"keeps nothing":    {`retention = {}`, "retention keeps nothing"},
		"all rules off":    {`retention = { keep_daily = 0 }`, "retention keeps nothing"},
		"less than all":    {"retention = {\n keep_last = -2\n }", "keep_last is -2"},
		"short ceiling":    {"retention = { keep_yearly = 7 }\n storage = {\n expire_after = \"30d\"\n }", "is shorter than keep_yearly"},
		"for ever and not": {"retention = { keep_yearly = -1 }\n storage = { expire_after = \"30d\" }", "keeps for ever what expire_after"},
		"no duration":      {"objectives = {\n rpo = \"1 dya\"\n }\n retention = { keep_last = 1 }", "objectives.rpo"},
		"time zone":        {"timezone = \"Berlin\"\n retention = { keep_last = 1 }", `did you mean "Europe/Berlin"?`},
		"mistyped rule":    {`retention = { keep_last = 3, keep_dialy = 30 }`, `"keep_dialy" is not a rule; did you mean "keep_daily"?`},
		"span as a number": {`retention = { keep_within = 14 }`, "give a length of time in quotes"},
		"half a day":       {`retention = { keep_daily = 1.5 }`, "give a whole number"},
		"class":            {"retention = { keep_last = 1 }\n storage = {\n class = \"GLACIR\"\n }", `did you mean "GLACIER"?`},
		"tier":             {"retention = { keep_daily = 1 }\n storage = { transitions = [{ after = \"30d\", class = \"GLACIER\", tiers = [\"montly\"] }] }", `did you mean "monthly"?`},
		"waterfall":        {"retention = { keep_daily = 1 }\n storage = {\n class = \"GLACIER\"\n transitions = [{ after = \"30d\", class = \"STANDARD_IA\" }]\n }", "S3 moves no object from there to STANDARD_IA"},
		"no whole days":    {"retention = { keep_daily = 1 }\n storage = { transitions = [{ after = \"36h\", class = \"GLACIER\" }] }", "36h is not a whole number of days"},
		"no tier":          {"retention = { keep_daily = 1 }\n storage = { transitions = [{ after = \"30d\", class = \"GLACIER\", tiers = [] }] }", "names no tier"},
		"approval":         {"retention = { keep_last = 1 }\n approve_expiry = \"expire-16-9c41d2\"", "is not an approval code: they look like EXPIRE-16-9c41d2"},
		"not an object":    {`retention = "30d"`, "give an object of rules"},
		"repository":       {"retention = { keep_last = 1 }\n }\n resource \"pgbackup_policy\" \"x\" {\n name = \"x\"\n retention = { keep_last = 1 }\n repository = \"/var/backups\"", "write it as file:///var/backups"},
		"name":             {"retention = { keep_last = 1 }\n }\n resource \"pgbackup_policy\" \"x\" {\n name = \"No Name\"\n retention = { keep_last = 1 }\n repository = \"file:///x\"", "only lower-case letters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, resource.TestStep{Config: prod("/nonexistent", c.lines), PlanOnly: true, ExpectError: providertest.Message(c.want)})
		})
	}
}

func TestAccPolicy_rulesThatAreOnlyKnownAtApplyAreStillChecked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := fmt.Sprintf("resource \"terraform_data\" \"days\" {\n input = -5\n}\n%s", prod(dir, `retention = { keep_daily = terraform_data.days.output }`))
	providertest.Run(t, resource.TestStep{Config: config, ExpectError: providertest.Message("keep_daily is -5")})
}

// What means the same as the revision in force is applied without another one,
// and settles.
func TestAccPolicy_otherWordsForTheSameSettle(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	same := daily(30) + "\n  timezone = \"UTC\"\n  storage = {\n    class = \"STANDARD\"\n    classes = {}\n    transitions = []\n  }"
	providertest.Run(t,
		resource.TestStep{Config: prod(dir, daily(30))},
		resource.TestStep{Config: prod(dir, same), ConfigStateChecks: revision(1)},
		resource.TestStep{Config: prod(dir, same), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{Config: prod(dir, daily(30)), ConfigStateChecks: revision(1)},
		resource.TestStep{Config: prod(dir, daily(30)), ConfigPlanChecks: emptyPlan()},
	)
}

// A state of the provider before storage classes and impacts is read as it is.
func TestAccPolicy_theStateOfAnOlderProviderPlansNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := providertest.NewWorkspace(t, prod(dir, daily(30)+"\n  storage = { expire_after = \"2555d\" }"))
	w.MustApply()
	w.EditState(address, func(attributes map[string]any) {
		for _, name := range []string{"summary", "impact", "estimated_monthly_cost_usd", "lifecycle_rules", "approve_expiry", "manage_lifecycle"} {
			delete(attributes, name)
		}
		attributes["storage"] = map[string]any{"expire_after": "2555d"}
	})
	passed(t, w.Plan())
	if planned := w.Show(address); planned.Actions[0] != "no-op" {
		t.Errorf("the plan does %v: %v -> %v", planned.Actions, planned.Before, planned.After)
	}
}
