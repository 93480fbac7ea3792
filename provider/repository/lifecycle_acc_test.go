package repository_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// bucketServer is an S3 server that the provider of this process reaches.
func bucketServer(t *testing.T, s *testenv.S3Server) func(prefix, lifecycle string) string {
	t.Helper()
	for _, pair := range s.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	return func(prefix, lifecycle string) string {
		return fmt.Sprintf("provider \"pgbackup\" {\n  region = %q\n  endpoints = {\n    s3 = %q\n  }\n}\nresource \"pgbackup_repository\" \"main\" {\n  s3 = {\n    create_bucket = false\n    bucket = %q\n    prefix = %q\n    %s\n  }\n}\n",
			s.Region, s.Endpoint, s.Bucket, prefix, lifecycle)
	}
}

// foreign is a rule that somebody else manages in the bucket.
var foreign = types.LifecycleRule{
	ID: aws.String("logs"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("logs/")},
	Expiration: &types.LifecycleExpiration{Days: aws.Int32(14)},
}

func putRules(t *testing.T, s *testenv.S3Server, rules ...types.LifecycleRule) {
	t.Helper()
	_, err := s.Client().PutBucketLifecycleConfiguration(t.Context(), &awss3.PutBucketLifecycleConfigurationInput{
		Bucket: &s.Bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: rules},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func rulesOf(t *testing.T, s *testenv.S3Server) []types.LifecycleRule {
	t.Helper()
	out, err := s.Client().GetBucketLifecycleConfiguration(t.Context(), &awss3.GetBucketLifecycleConfigurationInput{Bucket: &s.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	return out.Rules
}

// described is one line for each rule in a bucket.
func described(rules []types.LifecycleRule) string {
	var lines []string
	for _, r := range rules {
		id, _, _ := strings.Cut(aws.ToString(r.ID), "@")
		line := fmt.Sprintf("%s %s %s", id, r.Status, aws.ToString(r.Filter.Prefix))
		if r.Expiration != nil {
			line += fmt.Sprintf(" expire %d", *r.Expiration.Days)
		}
		if r.NoncurrentVersionExpiration != nil {
			line += fmt.Sprintf(" noncurrent %d", *r.NoncurrentVersionExpiration.NoncurrentDays)
		}
		if r.AbortIncompleteMultipartUpload != nil {
			line += fmt.Sprintf(" abort %d", *r.AbortIncompleteMultipartUpload.DaysAfterInitiation)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

const (
	foreignLine  = "logs Enabled logs/ expire 14"
	versionsLine = "pgbackup/repository/versions Enabled prod/ noncurrent 30"
	uploadsLine  = "pgbackup/repository/uploads Enabled prod/ abort 7"
)

func TestAccRepository_lifecycleRulesBesideForeignOnes(t *testing.T) {
	s := testenv.S3WithLifecycle(t)
	config := bucketServer(t, s)
	putRules(t, s, foreign)
	both := config("prod", `lifecycle = { noncurrent_after = "30d", abort_uploads_after = "1w" }`)
	holds := func(want ...string) statecheck.StateCheck {
		return checked(func() error {
			if got := described(rulesOf(t, s)); got != strings.Join(want, "\n") {
				return fmt.Errorf("the bucket has the rules\n%s\nwant\n%s", got, strings.Join(want, "\n"))
			}
			return nil
		})
	}
	lifecycle := tfjsonpath.New("s3").AtMapKey("lifecycle")
	drifted := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
		plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate),
		plancheck.ExpectKnownValue(address, lifecycle.AtMapKey("noncurrent_after"), knownvalue.StringExact("30d")),
	}}
	providertest.RunWith(t, func() error {
		if got := described(rulesOf(t, s)); got != foreignLine {
			return errors.New("after destroy the bucket has the rules\n" + got)
		}
		return nil
	},
		resource.TestStep{Config: both, ConfigStateChecks: []statecheck.StateCheck{holds(foreignLine, versionsLine, uploadsLine)}},
		resource.TestStep{Config: both, ConfigPlanChecks: emptyPlan()},
		// The same in other words.
		resource.TestStep{Config: config("prod", `lifecycle = { noncurrent_after = "720h", abort_uploads_after = "7d" }`), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{ResourceName: address, ImportState: true, ImportStateVerify: true, ImportStateVerifyIgnore: []string{"s3.lifecycle.abort_uploads_after"}},
		// One of ours is gone, then one was changed.
		resource.TestStep{
			PreConfig: func() { putRules(t, s, foreign, rulesOf(t, s)[2]) }, Config: both,
			ConfigPlanChecks: drifted, ConfigStateChecks: []statecheck.StateCheck{holds(foreignLine, uploadsLine, versionsLine)},
		},
		resource.TestStep{
			PreConfig: func() {
				rules := rulesOf(t, s)
				rules[2].Status = types.ExpirationStatusDisabled
				putRules(t, s, rules...)
			},
			Config: both, ConfigPlanChecks: drifted, ConfigStateChecks: []statecheck.StateCheck{holds(foreignLine, uploadsLine, versionsLine)},
		},
		resource.TestStep{
			Config:           config("prod", `lifecycle = { abort_uploads_after = "7d" }`),
			ConfigPlanChecks: action(plancheck.ResourceActionUpdate), ConfigStateChecks: []statecheck.StateCheck{holds(foreignLine, uploadsLine)},
		},
		resource.TestStep{
			Config: config("prod", ""), ConfigPlanChecks: action(plancheck.ResourceActionUpdate),
			ConfigStateChecks: []statecheck.StateCheck{holds(foreignLine), statecheck.ExpectKnownValue(address, lifecycle, knownvalue.Null())},
		},
		resource.TestStep{Config: config("prod", ""), ConfigPlanChecks: emptyPlan()},
		resource.TestStep{Config: both, ConfigStateChecks: []statecheck.StateCheck{holds(foreignLine, versionsLine, uploadsLine)}},
	)
}

func TestAccRepository_anotherOwnerOfTheBucketsRulesIsNamed(t *testing.T) {
	s := testenv.S3WithLifecycle(t)
	w := providertest.NewWorkspace(t, bucketServer(t, s)("prod", `lifecycle = { noncurrent_after = "30d" }`))
	w.MustApply()
	putRules(t, s, foreign)
	plan := w.Plan()
	for _, want := range []string{"its lifecycle rules were changed by somebody else", `"logs"`, "aws_s3_bucket_lifecycle_configuration", "pgbackup/repository/versions@"} {
		if plan.Failed || !strings.Contains(plan.String(), want) {
			t.Errorf("%q is not in what the plan says:\n%s", want, plan)
		}
	}
	w.MustApply("-destroy")
	if got := described(rulesOf(t, s)); got != foreignLine {
		t.Errorf("after destroy the bucket has the rules\n%s", got)
	}
}

func TestAccRepository_aServerWithoutRulesForUploadsIsToldWithWhatToRemove(t *testing.T) {
	s := testenv.S3Front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, code := http.StatusNotFound, "NoSuchLifecycleConfiguration"
		if r.Method == http.MethodPut { // as MinIO answers
			status, code = http.StatusBadRequest, "InvalidArgument"
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
	}))
	config := bucketServer(t, s)
	providertest.Run(t,
		resource.TestStep{Config: config("pg", `lifecycle = { abort_uploads_after = "7d" }`), ExpectError: providertest.Message("(drops unfinished uploads after 7 days). Not every server has rules that drop unfinished uploads: where that is what it refuses, remove abort_uploads_after")},
		resource.TestStep{Config: config("pg", "")},
	)
}

func TestAccRepository_rulesOfTheOlderFormAreNamedBeforeTheRepositoryIsMade(t *testing.T) {
	s := testenv.S3Front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("%s of the rules", r.Method)
		}
		_, _ = w.Write([]byte(`<LifecycleConfiguration><Rule><ID>their logs</ID><Prefix>logs/</Prefix><Status>Enabled</Status></Rule></LifecycleConfiguration>`))
	}))
	config := bucketServer(t, s)
	providertest.RunWith(t, func() error {
		out, err := s.Client().ListObjectsV2(context.Background(), &awss3.ListObjectsV2Input{Bucket: &s.Bucket})
		if err == nil && len(out.Contents) > 0 {
			err = fmt.Errorf("%d objects are there", len(out.Contents))
		}
		return err
	}, resource.TestStep{Config: config("pg", `lifecycle = { noncurrent_after = "7d" }`), ExpectError: providertest.Message(`the rules "their logs" have S3's older form`)})
}

func TestAccRepository_twoStatesOnOneBucketBothLand(t *testing.T) {
	s := testenv.S3WithLifecycle(t)
	config := bucketServer(t, s)
	var wg sync.WaitGroup
	for _, prefix := range []string{"prod", "staging"} {
		w := providertest.NewWorkspace(t, config(prefix, `lifecycle = { noncurrent_after = "30d", abort_uploads_after = "7d" }`))
		wg.Go(func() {
			if r := w.Apply(); r.Failed {
				t.Errorf("%s: %s", prefix, r)
			}
		})
	}
	wg.Wait()
	got := described(rulesOf(t, s))
	for _, prefix := range []string{"prod/", "staging/"} {
		for _, action := range []string{"noncurrent 30", "abort 7"} {
			if !strings.Contains(got, prefix+" "+action) {
				t.Errorf("%s %s is not among the rules\n%s", prefix, action, got)
			}
		}
	}
}

func TestAccRepository_withoutLifecycleTheRulesAreNotAskedFor(t *testing.T) {
	var requests atomic.Int32
	s := testenv.S3Front(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusNotImplemented)
	}))
	config := bucketServer(t, s)
	providertest.Run(t,
		resource.TestStep{Config: config("prod", "")},
		resource.TestStep{Config: config("prod", ""), ConfigPlanChecks: emptyPlan()},
	)
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests about lifecycle rules", n)
	}
	// With lifecycle, such a server is found out before anything is made.
	providertest.Run(t, resource.TestStep{
		Config:      config("other", `lifecycle = { noncurrent_after = "30d" }`),
		ExpectError: providertest.Message("this server has no lifecycle rules (NotImplemented, HTTP 501); remove lifecycle from the s3 block"),
	})
	if list, err := s.Client().ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: &s.Bucket, Prefix: aws.String("other")}); err != nil || len(list.Contents) != 0 {
		t.Errorf("%d objects were made, %v", len(list.Contents), err)
	}
}

func TestAccRepository_mistakesInLifecycleThatAreNotKnownBeforeAreFoundAtApply(t *testing.T) {
	s := testenv.S3WithLifecycle(t)
	config := "resource \"terraform_data\" \"days\" {\n  input = \"36h\"\n}\n" + bucketServer(t, s)("prod", `lifecycle = { noncurrent_after = terraform_data.days.output }`)
	providertest.Run(t, resource.TestStep{Config: config, ExpectError: providertest.Message("36h is not a whole number of days, and S3 counts days: write 2d")})
}

func TestAccRepository_mistakesInLifecycleAreFoundAtPlan(t *testing.T) {
	t.Parallel()
	for lifecycle, want := range map[string]string{
		`{}`:                             "At least one attribute out of",
		`{ noncurrent_after = "36h" }`:   "36h is not a whole number of days, and S3 counts days: write 2d",
		`{ noncurrent_after = "1mo" }`:   "1mo goes by the calendar, and S3 counts days: write 30d",
		`{ abort_uploads_after = "0d" }`: "is no time at all: leave the attribute out instead",
		`{ abort_uploads_after = "7" }`:  "7",
	} {
		t.Run(lifecycle, func(t *testing.T) {
			t.Parallel()
			config := "resource \"pgbackup_repository\" \"main\" {\n  s3 = {\n    bucket    = \"b-1\"\n    lifecycle = " + lifecycle + "\n  }\n}\n"
			providertest.Run(t, resource.TestStep{Config: config, PlanOnly: true, ExpectError: providertest.Message(want)})
		})
	}
}
