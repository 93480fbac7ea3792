package policy_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// wants fails the test unless a command failed with this one error.
func wants(t *testing.T, r providertest.Result, summary string, details ...string) {
	t.Helper()
	if errors := r.Errors(); !r.Failed || len(errors) != 1 || !strings.HasPrefix(errors[0], summary) {
		t.Fatalf("want one error %q, got:\n%s", summary, r)
	}
	for _, words := range details {
		if !strings.Contains(r.String(), words) {
			t.Errorf("the error lacks %q:\n%s", words, r)
		}
	}
}

const leadsElsewhere = "pgbackup_policy (prod): the changed repository id leads to another repository"

func TestAccPolicy_theSameBucketAtAnotherEndpointIsNoWayRoundTheReview(t *testing.T) {
	a := testenv.S3(t)
	b := testenv.S3(t, testenv.S3Like(a))
	as(t, a)
	id := func(endpoint string) string {
		return fmt.Sprintf("s3://%s/pg?endpoint=%s&path_style=true&region=us-east-1", a.Bucket, url.QueryEscape(endpoint))
	}
	for _, s := range []*testenv.S3Server{a, b} {
		providertest.NewWorkspace(t, strings.Split(inBucket(s, "", ""), "resource \"pgbackup_policy\"")[0]).MustApply()
	}
	policyAt := func(endpoint, lines string) string {
		return fmt.Sprintf("provider \"pgbackup\" {}\nresource \"pgbackup_policy\" \"prod\" {\n  name = \"prod\"\n  repository = %q\n  %s\n}\n", id(endpoint), lines)
	}
	w := providertest.NewWorkspace(t, policyAt(a.Endpoint, daily(7)))
	w.MustApply()
	there := providertest.Open(t, id(b.Endpoint))
	providertest.AddDays(t, there, "shop", 0, 29)
	for name, lines := range map[string]string{"the same rules": daily(7), "other rules": daily(5)} {
		w.Configure(policyAt(b.Endpoint, lines))
		wants(t, w.Plan(), leadsElsewhere, "has no such policy", "at revision 1", "-replace=ADDRESS")
		if past, _ := there.PolicyHistory(t.Context(), "prod"); len(past) != 0 {
			t.Errorf("%s: %d revisions were written", name, len(past))
		}
	}
	// Another policy of that name, with other rules.
	other := policy.Document{Format: policy.Format, Name: "prod", Retention: retention.Keep{KeepDaily: 30}}
	if _, err := there.PutPolicyRevision(t.Context(), 0, other, policy.Envelope{At: time.Now(), By: "ann"}); err != nil {
		t.Fatal(err)
	}
	w.Configure(policyAt(b.Endpoint, daily(7)))
	wants(t, w.Plan(), leadsElsewhere, "with other rules")
	// Where a name for the same server is what changes, nothing does.
	w.Configure(policyAt(strings.Replace(a.Endpoint, "127.0.0.1", "localhost", 1), daily(7)))
	passed(t, w.Apply())
	if past, _ := providertest.Open(t, id(a.Endpoint)).PolicyHistory(t.Context(), "prod"); len(past) != 1 {
		t.Errorf("another way to the same repository made %d revisions", len(past))
	}
	passed(t, w.Plan())
	// A server that cannot be reached is asked for at apply.
	w.Configure(policyAt("http://"+testenv.FreeAddr(t), daily(7)))
	passed(t, w.Plan(), "pgbackup_policy (prod): whether the changed repository id leads to the same repository cannot be told")
	if out := w.ApplySaved(); !out.Failed {
		t.Error("the apply believed it")
	}
}

func TestAccPolicy_aChangedStateIsNoMeasureForTheLoss(t *testing.T) {
	t.Parallel()
	w, dir, r := applied(t)
	providertest.AddDays(t, r, "shop", 0, 29)
	w.EditState(address, func(a map[string]any) {
		a["retention"].(map[string]any)["value"].(map[string]any)["keep_daily"] = 7
	})
	w.Configure(prod(dir, daily(8)))
	out := w.Plan("-refresh=false")
	code := refused(t, out, 22)
	warned := "pgbackup_policy (prod): the state says otherwise than revision 1 in the repository, which is what counts"
	if warnings := out.Warnings(); len(warnings) != 1 || warnings[0] != warned || !strings.Contains(out.String(), "daily points: 7 -> 30") {
		t.Errorf("the plan: %s", out)
	}
	w.Configure(prod(dir, approved(8, code)))
	passed(t, w.Apply("-refresh=false"), warned, "pgbackup_policy (prod): 22 recovery points")
	if past := history(t, dir); len(past) != 2 || past[1].Envelope.Approval != code {
		t.Errorf("revisions %+v", past)
	}
}

func TestAccPolicy_aPlanWithoutRefreshSaysThatTheRevisionMovedOn(t *testing.T) {
	t.Parallel()
	w, dir, r := applied(t)
	longer := policy.Document{Format: policy.Format, Name: "prod", Retention: retention.Keep{KeepDaily: 60}}
	if _, err := r.PutPolicyRevision(t.Context(), 1, longer, policy.Envelope{At: time.Now(), By: "ann@laptop"}); err != nil {
		t.Fatal(err)
	}
	const movedOn = "pgbackup_policy (prod): the repository has another revision of it than the state"
	w.Configure(prod(dir, daily(31)))
	wants(t, w.Plan("-refresh=false"), movedOn, "revision 2", "ann@laptop", "the state knows revision 1", "with a refresh")
	if err := os.RemoveAll(filepath.Join(dir, "policies")); err != nil {
		t.Fatal(err)
	}
	wants(t, w.Plan("-refresh=false"), movedOn, "has no such policy")
	if _, err := os.Stat(filepath.Join(dir, "policies")); err == nil {
		t.Error("a revision was written")
	}
}

func TestAccPolicy_aReplacementThatIsCreatedFirstIsToldHowItCanNot(t *testing.T) {
	t.Parallel()
	w, dir, _ := applied(t)
	w.Configure(prod(dir, daily(30)+"\n  lifecycle { create_before_destroy = true }"))
	passed(t, w.Plan("-replace="+address)) // of a replacement's second planning the CLI shows errors only
	wants(t, w.ApplySaved(), "creating pgbackup_policy (prod)", "create_before_destroy", "terraform import")
	if past := history(t, dir); len(past) != 1 {
		t.Errorf("revisions %+v", past)
	}
}

func TestAccPolicy_aNameThatIsInForceIsToldAtPlan(t *testing.T) {
	t.Parallel()
	w, dir, _ := applied(t)
	w.Command("state", "rm", address)
	plan := w.Plan()
	passed(t, plan, "pgbackup_policy (prod): the repository has a policy of this name in force (revision 1)")
	for _, words := range []string{"create_before_destroy", "terraform import ADDRESS 'file://" + dir + "#prod'"} {
		if !strings.Contains(plan.String(), words) {
			t.Errorf("the warning lacks %q: %s", words, plan)
		}
	}
}
