package policy_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

func daily(n int) string { return fmt.Sprintf("retention = { keep_daily = %d }", n) }

func approved(n int, code string) string {
	return fmt.Sprintf("%s\n  approve_expiry = %q", daily(n), code)
}

// applied is a workspace whose policy keeps 30 daily points of a repository.
func applied(t *testing.T) (w *providertest.Workspace, dir string, r *repo.Repository) {
	t.Helper()
	dir = t.TempDir()
	w = providertest.NewWorkspace(t, prod(dir, daily(30)))
	w.MustApply()
	return w, dir, providertest.Open(t, "file://"+dir)
}

var codePattern = regexp.MustCompile(`EXPIRE-\d+-[0-9a-f]{6}`)

// refused is the code that a plan asks for, which must fail for that alone.
func refused(t *testing.T, r providertest.Result, points int) string {
	t.Helper()
	want := fmt.Sprintf("pgbackup_policy (prod): %d recovery points (", points)
	if errors := r.Errors(); !r.Failed || len(errors) != 1 || !strings.HasPrefix(errors[0], want) || !strings.Contains(errors[0], "nobody has approved") {
		t.Fatalf("want one error %q, got:\n%s", want, r)
	}
	_, after, _ := strings.Cut(r.String(), "approve_expiry = ")
	code := codePattern.FindString(after)
	if !strings.HasPrefix(code, fmt.Sprintf("EXPIRE-%d-", points)) {
		t.Fatalf("no code in:\n%s", r)
	}
	return code
}

// passed fails the test unless a command succeeded with exactly the warnings
// that begin like this.
func passed(t *testing.T, r providertest.Result, warnings ...string) {
	t.Helper()
	if r.Failed {
		t.Fatalf("failed:\n%s", r)
	}
	got := slices.Compact(slices.Sorted(slices.Values(r.Warnings()))) // at plan and again at apply
	slices.Sort(warnings)
	if !slices.EqualFunc(got, warnings, strings.HasPrefix) {
		t.Errorf("warnings %q, want %q:\n%s", got, warnings, r)
	}
}

const (
	willBeDeleted = "pgbackup_policy (prod): 16 recovery points (1008 B) will be deleted by the next rotation, approved by EXPIRE-16-"
	leftover      = "pgbackup_policy (prod): approve_expiry is no longer needed: remove it"
)

func TestAccApproval_fromTheRefusalToTheSettledPlan(t *testing.T) {
	t.Parallel()
	w, dir, r := applied(t)
	providertest.AddDays(t, r, "db.example.org/shop", 0, 29)

	w.Configure(prod(dir, daily(14)))
	refusal := w.Plan()
	code := refused(t, refusal, 16)
	for _, words := range []string{"db.example.org/shop", "30 -> 14", "Nothing was changed yet", "7 days", code} {
		if !strings.Contains(refusal.String(), words) {
			t.Errorf("the refusal lacks %q:\n%s", words, refusal)
		}
	}
	if len(history(t, dir)) != 1 {
		t.Error("the refusal wrote a revision")
	}

	w.Configure(prod(dir, approved(14, code)))
	passed(t, w.Plan(), willBeDeleted+code[len("EXPIRE-16-"):])
	planned := w.Show(address)
	impact, _ := planned.After["impact"].(map[string]any)
	if impact["points"] != 16.0 || impact["gained"] != 0.0 || planned.After["estimated_monthly_cost_usd"] != nil || len(planned.After["summary"].([]any)) == 0 {
		t.Errorf("the plan shows %v", planned.After)
	}
	groups, _ := impact["groups"].([]any)
	if group := groups[0].(map[string]any); group["kept_before"] != 30.0 || group["kept_after"] != 14.0 || group["lost"] != 16.0 || group["gap_after_seconds"] != 86400.0 {
		t.Errorf("the plan shows %v", group)
	}

	// Between plan and apply a point arrives and a lost one is rotated away.
	providertest.AddPoint(t, r, "db.example.org/shop")
	rules := retention.Rules{Keep: retention.Keep{KeepDaily: 29}}
	if out, err := rotate.Run(t.Context(), rotate.Options{Repo: r, Rules: rules, Now: time.Now(), By: "the test", Self: repo.Self()}); err != nil || len(out.Delete) != 2 {
		t.Fatalf("rotated %+v, %v", out, err)
	}
	if out := w.ApplySaved(); out.Failed {
		t.Fatalf("apply:\n%s", out)
	}
	state := w.State(address)
	for _, name := range []string{"summary", "impact"} {
		if fmt.Sprint(state[name]) != fmt.Sprint(planned.After[name]) {
			t.Errorf("%s was planned as %v and became %v", name, planned.After[name], state[name])
		}
	}
	revisions := history(t, dir)
	last := revisions[len(revisions)-1]
	if len(revisions) != 2 || last.Envelope.Approval != code || last.Envelope.Loss == nil || last.Envelope.Loss.Points == 0 || last.Envelope.By == "" {
		t.Errorf("the revision says %+v", last.Envelope)
	}

	passed(t, w.Plan(), leftover)
	if again := w.Show(address); again.Actions[0] != "no-op" {
		t.Errorf("a second plan does %v", again.Actions)
	}
	w.Configure(prod(dir, daily(14)))
	w.MustApply()
	if now := w.State(address); fmt.Sprint(now["summary"]) != fmt.Sprint(state["summary"]) || now["approve_expiry"] != nil {
		t.Errorf("without the approval: %v", now)
	}
	if len(history(t, dir)) != 2 {
		t.Error("removing the approval wrote a revision")
	}
}

func TestAccApproval_isGoodForTheLossOfAnyMomentOfTheLastSevenDays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		nights int // backups that came since the review
		good   bool
	}{"three nights": {3, true}, "ten nights": {10, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, dir, r := applied(t)
			providertest.AddDays(t, r, "shop", c.nights, c.nights+29)
			w.Configure(prod(dir, daily(14)))
			code := refused(t, w.Plan(), 16)
			providertest.AddDays(t, r, "shop", 0, c.nights-1)
			w.Configure(prod(dir, approved(14, code)))
			out := w.Apply()
			if !c.good {
				refused(t, out, 16)
				if !strings.Contains(out.String(), code+", names another loss") {
					t.Errorf("the error does not say what is wrong with the code:\n%s", out)
				}
				return
			}
			passed(t, out, "pgbackup_policy (prod): 16 recovery points (")
			if revisions := history(t, dir); len(revisions) != 2 || revisions[1].Envelope.Approval != code {
				t.Errorf("revisions %+v", revisions)
			}
		})
	}
}

func TestAccApproval_namesOneLossOnly(t *testing.T) {
	t.Parallel()
	w, dir, r := applied(t)
	providertest.AddDays(t, r, "shop", 0, 29)
	w.Configure(prod(dir, daily(14)))
	code := refused(t, w.Plan(), 16)
	w.Configure(prod(dir, approved(7, code)))
	refused(t, w.Plan(), 23)
	w.Configure(prod(dir, approved(14, "EXPIRE-16-000000")))
	refused(t, w.Apply(), 16)
	if len(history(t, dir)) != 1 {
		t.Error("a wrong code wrote a revision")
	}
	// Where nothing is lost a code is harmless.
	w.Configure(prod(dir, approved(60, code)))
	passed(t, w.Apply(), "pgbackup_policy (prod): this change loses no recovery point, so approve_expiry approves nothing: remove it")
}

func TestAccApproval_isNoWayRoundByReplacingOrDestroying(t *testing.T) {
	t.Parallel()
	w, dir, r := applied(t)
	providertest.AddDays(t, r, "shop", 0, 29)

	passed(t, w.Apply("-replace="+address)) // revisions 2, retired, and 3
	w.Configure(prod(dir, daily(14)))
	refused(t, w.Plan("-replace="+address), 16)

	w.Command("taint", address)
	refused(t, w.Plan(), 16)
	w.Configure(prod(dir, daily(30)))
	passed(t, w.Apply(), "pgbackup_policy (prod): the repository has a policy of this name in force (revision 3)") // 4, retired, and 5
	if revisions := history(t, dir); len(revisions) != 5 || revisions[4].Envelope.Loss == nil || revisions[4].Envelope.Loss.Points != 0 {
		t.Errorf("revisions %+v", revisions)
	}

	w.Configure(providertest.Repository(dir))
	passed(t, w.Apply(), "pgbackup_policy (prod) will be retired") // 6, retired
	w.Configure(prod(dir, daily(14)))
	code := refused(t, w.Apply(), 16)
	w.Configure(prod(dir, approved(14, code)))
	passed(t, w.Apply(), willBeDeleted)
	if revisions := history(t, dir); len(revisions) != 7 || revisions[6].Envelope.Approval != code {
		t.Errorf("revisions %+v", revisions)
	}
}

func TestAccApproval_isAskedByAnImportBlockWithShorterRules(t *testing.T) {
	t.Parallel()
	w, dir, r := applied(t)
	providertest.AddDays(t, r, "shop", 0, 29)
	w.Command("state", "rm", address)
	block := fmt.Sprintf("import {\n  to = %s\n  id = %q\n}\n", address, "file://"+dir+"#prod")

	w.Configure(block + prod(dir, daily(14)))
	code := refused(t, w.Plan(), 16)
	w.Configure(block + prod(dir, approved(14, code)))
	passed(t, w.Apply(), willBeDeleted)
	if points := w.State(address)["impact"].(map[string]any)["points"]; points != 16.0 {
		t.Errorf("the state shows %v lost points", points)
	}
	if revisions := history(t, dir); len(revisions) != 2 || revisions[1].Envelope.Approval != code {
		t.Errorf("revisions %+v", revisions)
	}
}

func TestAccApproval_isAskedByAPolicyForPointsThatNoneWasFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := providertest.NewWorkspace(t, providertest.Repository(dir))
	w.MustApply()
	providertest.AddDays(t, providertest.Open(t, "file://"+dir), "shop", 0, 29)
	w.Configure(prod(dir, daily(14)))
	code := refused(t, w.Plan(), 16)
	w.Configure(prod(dir, approved(14, code)))
	passed(t, w.Apply(), willBeDeleted)
}

// Rules that somebody wrote into the repository by hand, past the approval, are
// obeyed by no rotation; a change of something else must not make them good.
func TestAccApproval_isNotGivenToWhatNobodyApprovedByAChangeOfSomethingElse(t *testing.T) {
	t.Parallel()
	w, dir, r := applied(t)
	providertest.AddDays(t, r, "shop", 0, 29)
	short := policy.Document{Format: policy.Format, Name: "prod", Retention: retention.Keep{KeepDaily: 14}}
	if _, err := r.PutPolicyRevision(t.Context(), 1, short, policy.Envelope{At: time.Now(), By: "mallory"}); err != nil {
		t.Fatal(err)
	}
	w.Configure(prod(dir, daily(14)+"\n  environment = \"production\""))
	code := refused(t, w.Plan(), 16)
	w.Configure(prod(dir, approved(14, code)+"\n  environment = \"production\""))
	passed(t, w.Apply(), willBeDeleted)
	if revisions := history(t, dir); len(revisions) != 3 || revisions[2].Envelope.Approval != code {
		t.Errorf("revisions %+v", revisions)
	}
}

func TestAccApproval_isAskedWhereTheNameOrThePlaceChanges(t *testing.T) {
	t.Parallel()
	w, dir, r := applied(t)
	providertest.AddDays(t, r, "shop", 0, 29)
	renamed := func(lines string) string {
		return strings.Replace(prod(dir, lines), `name = "prod"`, `name = "production"`, 1)
	}
	const retired = "pgbackup_policy (prod) will be retired: nothing is rotated under it any more"
	w.Configure(renamed(daily(30)))
	passed(t, w.Plan(), retired)
	w.Configure(renamed(daily(14)))
	out := w.Plan()
	if !out.Failed || !strings.HasPrefix(out.Errors()[0], "pgbackup_policy (production): 16 recovery points") {
		t.Errorf("the plan: %s", out)
	}
}

// Each of the two protects what it made from the other, and one is applied before
// the other is planned for the second time.
func TestAccApproval_ofTwoPoliciesOfOneRepositoryInOneApply(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	two := func(shop, crm string) string {
		second := strings.ReplaceAll(prod(dir, crm), `"prod"`, `"crm"`)
		return prod(dir, shop) + second[len(providertest.Repository(dir)):]
	}
	w := providertest.NewWorkspace(t, two(daily(30), daily(30)))
	w.MustApply()
	r := providertest.Open(t, "file://"+dir)
	providertest.AddDaysOf(t, r, "shop", "prod", 0, 29)
	providertest.AddDaysOf(t, r, "crm", "crm", 0, 29)

	w.Configure(two(daily(14), daily(14)))
	out := w.Plan()
	if len(out.Errors()) != 2 {
		t.Fatalf("the plan: %s", out)
	}
	codes := map[string]string{}
	for _, d := range out.Diagnostics {
		name := "prod"
		if strings.Contains(d.Summary, "(crm)") {
			name = "crm"
		}
		codes[name] = codePattern.FindString(d.Detail)
	}
	w.Configure(two(approved(14, codes["prod"]), approved(14, codes["crm"])))
	passed(t, w.Plan(), "pgbackup_policy (crm): 16 recovery points (", "pgbackup_policy (prod): 16 recovery points (")
	rules := retention.Rules{Keep: retention.Keep{KeepDaily: 29}}
	rotated, err := rotate.Run(t.Context(), rotate.Options{Repo: r, Rules: rules, Filter: repo.Filter{Source: "crm"}, Policy: "crm", PolicyRevision: 1, Now: time.Now(), Self: repo.Self()})
	if err != nil || len(rotated.Delete) != 1 {
		t.Fatalf("rotated %+v, %v", rotated, err)
	}
	if out := w.ApplySaved("-parallelism=1"); out.Failed {
		t.Errorf("the apply: %s", out)
	}
	for _, name := range []string{"prod", "crm"} {
		if current, err := r.CurrentPolicy(t.Context(), name); err != nil || current.Envelope.Approval != codes[name] {
			t.Errorf("%s: %+v, %v", name, current.Envelope, err)
		}
	}
}
