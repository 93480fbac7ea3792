package policy_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// inBucket is the configuration of a policy for a repository in a bucket.
func inBucket(s3 *testenv.S3Server, provider, lines string) string {
	return fmt.Sprintf("provider \"pgbackup\" {\n  endpoints = { s3 = %q }\n  %s\n}\n", s3.Endpoint, provider) +
		fmt.Sprintf("resource \"pgbackup_repository\" \"main\" {\n  s3 = {\n    create_bucket = false\n    bucket = %q\n    prefix = \"pg\"\n  }\n}\n", s3.Bucket) +
		"resource \"pgbackup_policy\" \"prod\" {\n  name = \"prod\"\n  repository = pgbackup_repository.main.id\n  " + lines + "\n}\n"
}

// as gives this process the rights to use a server.
func as(t *testing.T, s3 *testenv.S3Server) {
	t.Helper()
	for _, pair := range s3.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
}

func put(t *testing.T, s3 *testenv.S3Server, rules ...types.LifecycleRule) {
	t.Helper()
	_, err := s3.Client().PutBucketLifecycleConfiguration(t.Context(), &awss3.PutBucketLifecycleConfigurationInput{
		Bucket: &s3.Bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: rules},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func rulesOf(t *testing.T, s3 *testenv.S3Server) []types.LifecycleRule {
	t.Helper()
	out, err := s3.Client().GetBucketLifecycleConfiguration(t.Context(), &awss3.GetBucketLifecycleConfigurationInput{Bucket: &s3.Bucket})
	if err != nil {
		if strings.Contains(err.Error(), "NoSuchLifecycleConfiguration") {
			return nil
		}
		t.Fatal(err)
	}
	return out.Rules
}

func ids(rules []types.LifecycleRule) (all []string) {
	for _, r := range rules {
		id, _, _ := strings.Cut(aws.ToString(r.ID), "@")
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}

func foreign() types.LifecycleRule {
	return types.LifecycleRule{
		ID: aws.String("theirs"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("logs/")},
		Expiration: &types.LifecycleExpiration{Days: aws.Int32(30)},
	}
}

func moving(after string) string {
	return daily(30) + "\n  storage = {\n    transitions = [{ after = \"" + after + "\", class = \"GLACIER\" }]\n  }"
}

func TestAccPolicy_transitionsAreRulesOfTheBucketFromCreateToDestroy(t *testing.T) {
	s3 := testenv.S3WithLifecycle(t)
	as(t, s3)
	put(t, s3, foreign())
	w := providertest.NewWorkspace(t, inBucket(s3, "", moving("90d")))
	w.MustApply()
	if got := ids(rulesOf(t, s3)); !slices.Equal(got, []string{"pgbackup/prod/all", "theirs"}) {
		t.Fatalf("the bucket has %q", got)
	}
	texts := w.State(address)["lifecycle_rules"].([]any)
	var rule struct {
		ID          string
		Status      string
		Filter      struct{ And struct{ Prefix string } }
		Transitions []struct {
			Days         int
			StorageClass string
		}
	}
	if err := json.Unmarshal([]byte(texts[0].(string)), &rule); err != nil || len(texts) != 1 || rule.Filter.And.Prefix != "pg/points/" || rule.Transitions[0].Days != 90 {
		t.Errorf("the state shows %q, %v", texts, err)
	}
	passed(t, w.Plan())
	if again := w.Show(address); again.Actions[0] != "no-op" {
		t.Errorf("a second plan does %v: %v -> %v", again.Actions, again.Before, again.After)
	}

	// Somebody changes a rule: drift, repaired without a revision.
	changed := rulesOf(t, s3)
	for i := range changed {
		if strings.HasPrefix(aws.ToString(changed[i].ID), "pgbackup/") {
			changed[i].Transitions[0].Days = aws.Int32(7)
		}
	}
	put(t, s3, changed...)
	passed(t, w.Plan())
	drift := w.Show(address)
	if before := fmt.Sprint(drift.Before["lifecycle_rules"]); drift.Actions[0] != "update" || !strings.Contains(before, `"Days":7,`) {
		t.Errorf("the drift plans %v from %s", drift.Actions, before)
	}
	passed(t, w.ApplySaved())
	if revision := w.State(address)["revision"]; revision != 1.0 {
		t.Errorf("the repair made revision %v", revision)
	}

	// Somebody replaces all of them: repaired as well, with their name.
	put(t, s3, foreign())
	passed(t, w.Apply(), "pgbackup_policy (prod): somebody else replaces the lifecycle rules of the bucket")
	w.Configure(inBucket(s3, "", moving("120d")))
	passed(t, w.Apply())
	for _, r := range rulesOf(t, s3) {
		if len(r.Transitions) > 0 && aws.ToInt32(r.Transitions[0].Days) != 120 {
			t.Errorf("the changed rule moves after %d days", aws.ToInt32(r.Transitions[0].Days))
		}
	}

	w.Configure(inBucket(s3, "", daily(30)))
	passed(t, w.Apply())
	if got := ids(rulesOf(t, s3)); !slices.Equal(got, []string{"theirs"}) {
		t.Errorf("without transitions the bucket has %q", got)
	}
	w.Configure(inBucket(s3, "", moving("90d")))
	w.MustApply()
	w.Configure(strings.Split(inBucket(s3, "", ""), "resource \"pgbackup_policy\"")[0])
	passed(t, w.Apply(), "pgbackup_policy (prod) will be retired")
	if got := ids(rulesOf(t, s3)); !slices.Equal(got, []string{"theirs"}) {
		t.Errorf("after its end the bucket has %q", got)
	}
}

func TestAccPolicy_aServerWithoutLifecycleRulesIsToldBeforeAnythingIsWritten(t *testing.T) {
	s3 := testenv.S3(t)
	as(t, s3)
	w := providertest.NewWorkspace(t, inBucket(s3, "", moving("90d")))
	if out := w.Apply(); !out.Failed || !strings.Contains(out.String(), "manage_lifecycle = false") {
		t.Errorf("the apply: %s", out)
	}
	if w.State(address) != nil {
		t.Error("a policy was created")
	}
	w.Configure(inBucket(s3, "", moving("90d")+"\n  manage_lifecycle = false"))
	passed(t, w.Apply())
	state := w.State(address)
	if rules, _ := state["lifecycle_rules"].([]any); len(rules) != 1 || state["revision"] != 1.0 {
		t.Errorf("the state is %v", state)
	}
	passed(t, w.Plan())

	// Another service has prices of its own: AWS's are for comparison, unless some
	// are given, and the plan says which.
	providertest.AddDays(t, providertest.Open(t, fmt.Sprintf("s3://%s/pg?endpoint=%s&path_style=true", s3.Bucket, strings.NewReplacer(":", "%3A", "/", "%2F").Replace(s3.Endpoint))), "shop", 0, 3)
	lines := "retention = { keep_daily = 60 }\n  storage = { class = \"STANDARD_IA\" }"
	w.Configure(inBucket(s3, "", lines))
	passed(t, w.Plan())
	if cost, _ := w.Show(address).After["estimated_monthly_cost_usd"].(map[string]any); cost["before"] == nil || cost["after"] == nil || !strings.Contains(fmt.Sprint(cost["prices"]), "for comparison: the bucket is not AWS's") {
		t.Errorf("the cost is planned as %v", cost)
	}
	w.Configure(inBucket(s3, "storage_prices_usd = { STANDARD = 0.01 }", lines))
	passed(t, w.Plan())
	if cost, _ := w.Show(address).After["estimated_monthly_cost_usd"].(map[string]any); !strings.Contains(fmt.Sprint(cost["prices"]), "as configured: STANDARD") {
		t.Errorf("the cost is planned as %v", cost)
	}
}
