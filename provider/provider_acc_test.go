package provider_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// The provider's own configuration may depend on what is only made at apply.
func TestAccProvider_configurationThatIsNotKnownAtPlan(t *testing.T) {
	s3 := testenv.S3(t)
	for _, pair := range s3.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	config := fmt.Sprintf(`
resource "terraform_data" "server" {
  input = %q
}

provider "pgbackup" {
  region = %q
  endpoints = {
    s3 = terraform_data.server.output
  }
}

resource "pgbackup_repository" "main" {
  s3 = {
    create_bucket = false
    bucket        = %q
  }
}

resource "pgbackup_policy" "prod" {
  name       = "prod"
  repository = pgbackup_repository.main.id
  retention  = { keep_daily = 30 }
}
`, s3.Endpoint, s3.Region, s3.Bucket)
	providertest.Run(t,
		resource.TestStep{
			Config: config,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectUnknownValue("pgbackup_repository.main", tfjsonpath.New("id")),
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue("pgbackup_repository.main", tfjsonpath.New("id"), knownvalue.StringRegexp(providertest.Message("s3://"+s3.Bucket))),
				statecheck.ExpectKnownValue("pgbackup_policy.prod", tfjsonpath.New("revision"), knownvalue.Int64Exact(1)),
			},
		},
		resource.TestStep{Config: config, ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}},
	)
}

func TestAccProvider_mistakesInItsConfigurationAreFoundAtPlan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ config, want string }{
		"endpoint": {"endpoints = {\n s3 = \"minio.example.org\"\n }", "must be a URL that begins with http"},
		"duration": {"assume_role = {\n role_arn = \"arn:aws:iam::111122223333:role/x\"\n duration = \"1mo\"\n }", "goes by the calendar"},
		"prices":   {"storage_prices_usd = { GLACIR = 0.1 }", `did you mean "GLACIER"?`},
		"cents":    {"storage_prices_usd = { STANDARD = 23 }", "give USD per GB and month"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, resource.TestStep{
				Config: "provider \"pgbackup\" {\n" + c.config + "\n}\n" + providertest.Repository("/nonexistent"), PlanOnly: true, ExpectError: providertest.Message(c.want),
			})
		})
	}
}

func TestAccProvider_refusedCredentialsAreToldWithoutThem(t *testing.T) {
	s3 := testenv.S3(t)
	for _, pair := range s3.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	config := fmt.Sprintf("provider \"pgbackup\" {\n endpoints = {\n s3 = %q\n }\n}\nresource \"pgbackup_repository\" \"main\" {\n s3 = {\n create_bucket = false\n bucket = %q\n }\n}\n", s3.Endpoint, s3.Bucket)
	providertest.Run(t, resource.TestStep{Config: config, ExpectError: providertest.Message("access denied")})
}
