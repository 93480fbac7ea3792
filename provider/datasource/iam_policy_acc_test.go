package datasource_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

const iamPolicy = "pgbackup_iam_policy"

// documentOf compares a document with what package iampolicy says.
func documentOf(d iampolicy.Document, err error) knownvalue.Check {
	return knownvalue.StringFunc(func(got string) error {
		if err != nil {
			return err
		}
		if !iampolicy.Same([]byte(got), d.JSON()) {
			return fmt.Errorf("got %s\nwant %s", got, d.Indented())
		}
		return nil
	})
}

func TestAccIAMPolicy_saysWhatAJobNeedsAndWhoMayRunIt(t *testing.T) {
	aws := testenv.AWS(t)
	for _, variable := range aws.Env() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	const account = "123456789012" // moto's
	provider := fmt.Sprintf("provider \"pgbackup\" {\n  region = %q\n}\n", aws.Region)
	facts := iampolicy.Facts{Account: account, Region: "eu-west-1"}
	freshness := job.Job{Format: job.Format, Name: "fresh", Kind: job.KindFreshness, Repository: "s3://acme/prod?region=eu-west-1", Policy: "prod"}
	file, err := freshness.Encode()
	if err != nil {
		t.Fatal(err)
	}
	any := freshness
	any.Name, any.Policy, any.Kind = "*", "", job.KindVerify
	other := iampolicy.Facts{Account: "999999999999", Region: "us-west-2", ObjectLock: true}
	providertest.Run(t,
		resource.TestStep{
			Config:      provider + data(iamPolicy, "kind = \"rds_snapshot\"\n repository = \"s3://acme/prod\"\n target = \"lambda\""),
			ExpectError: providertest.Message("Give rds_instance or rds_cluster"),
		},
		resource.TestStep{
			Config:      provider + data(iamPolicy, "job = \"{}\"\n kind = \"rotate\"\n target = \"lambda\""),
			ExpectError: providertest.Message("The job says kind and repository itself"),
		},
		resource.TestStep{
			Config:      provider + data(iamPolicy, "kind = \"rotate\"\n repository = \"s3://a-b-c/d\"\n target = \"lambda\"\n kubernetes = {\n namespace = \"a\"\n service_account = \"b\"\n }"),
			ExpectError: providertest.Message(`The target is "lambda": leave out kubernetes`),
		},
		resource.TestStep{
			Config:      provider + data(iamPolicy, "kind = \"rotate\"\n repository = \"s3://a-b-c/d\"\n target = \"lambda\"\n references = [\"hunter2\"]"),
			ExpectError: providertest.Message("not a reference to a secret"),
		},
		resource.TestStep{
			Config: provider + data(iamPolicy, fmt.Sprintf("job = %q\n target = \"fargate\"", file)),
			ConfigStateChecks: expect(iamPolicy, map[string]knownvalue.Check{
				"json":       documentOf(iampolicy.ForJob(freshness, "fargate", facts)),
				"trust_json": documentOf(iampolicy.TrustECSTasks(facts), nil),
			}),
		},
		resource.TestStep{
			Config: provider + data(iamPolicy, "kind = \"verify\"\n repository = \"s3://acme/prod?region=eu-west-1\"\n target = \"kubernetes\""),
			ConfigStateChecks: expect(iamPolicy, map[string]knownvalue.Check{
				"json": documentOf(iampolicy.ForJob(any, "kubernetes", facts)), "trust_json": knownvalue.Null(),
			}),
		},
		resource.TestStep{
			Config: provider + data(iamPolicy, `kind = "verify"
  repository = "s3://acme/prod?region=eu-west-1"
  target = "github_actions"
  account_id = "999999999999"
  region = "us-west-2"
  object_lock = true
  github_actions = {
    repository = "acme/infra"
    branch = "trunk"
  }`),
			ConfigStateChecks: expect(iamPolicy, map[string]knownvalue.Check{
				"json":       documentOf(iampolicy.ForJob(any, "github_actions", other)),
				"trust_json": documentOf(iampolicy.TrustGitHub("aws", "999999999999", "acme/infra", "refs/heads/trunk"), nil),
			}),
		},
	)
}

func TestAccIAMPolicy_withoutAnAccountItIsAskedFor(t *testing.T) {
	for _, variable := range (&testenv.S3Server{AccessKey: "a", SecretKey: "b", Region: "us-east-1"}).Env() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	w := providertest.NewWorkspace(t, fmt.Sprintf("provider \"pgbackup\" {\n max_retries = 1\n skip_credentials_validation = true\n endpoints = {\n  sts = \"http://%s\"\n }\n}\n", testenv.FreeAddr(t))+
		data(iamPolicy, "kind = \"rotate\"\n repository = \"s3://a-b-c/d\"\n target = \"lambda\""))
	if r := w.Plan(); !r.Failed || !strings.Contains(r.String(), "give account_id") {
		t.Errorf("%s", r)
	}
}
