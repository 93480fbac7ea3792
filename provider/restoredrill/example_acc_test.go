package restoredrill_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment/deploymenttest"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// What the example says of itself, the Terraform version and the provider's address,
// the workspace says.
var itsTerraform = regexp.MustCompile(`(?s)^(.*?)terraform \{.*?\n\}\n`)

// V3
func TestAccExample_dailyVerifyWeeklyRestoreMonthlyFullAndQuarterlyReplica(t *testing.T) {
	c := newCloud(t)
	secrets := secretsmanager.NewFromConfig(c.Config())
	key := &secretsmanager.CreateSecretInput{Name: aws.String("pgbackup/repository-key"), SecretString: aws.String(strings.Repeat("5a", 32))}
	if _, err := secrets.CreateSecret(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	var config strings.Builder
	for _, name := range []string{"main.tf", "variables.tf", "outputs.tf"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "examples", "drills", name))
		if err != nil {
			t.Fatal(err)
		}
		config.Write(itsTerraform.ReplaceAll(text, []byte("$1")))
	}
	// The emulator knows buckets by path, and the runner is one that the test built.
	whole := strings.Replace(config.String(), "  region = var.region\n", "  region = var.region\n  s3_use_path_style = true\n  runner_path = \""+c.One+"\"\n", 1)
	w := providertest.NewWorkspace(t, whole)
	const values = `bucket          = "example-drills"
cluster         = "arn:aws:ecs:us-east-1:123456789012:cluster/backups"
subnets         = ["subnet-0a1b2c3d"]
security_groups = ["sg-0a1b2c3d"]
email           = ["ops@example.org"]
force_destroy   = true
`
	if err := os.WriteFile(filepath.Join(w.Dir(), "terraform.tfvars"), []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	w.MustApply()
	for _, drill := range []string{"weekly", "monthly", "quarterly_replica"} {
		deploymenttest.PlansNothing(t, w, "pgbackup_restore_drill."+drill, "after the apply")
	}
	if runbook := w.State("data.pgbackup_runbook.prod")["markdown"].(string); !strings.Contains(runbook, "The copy is `s3://example-drills-dr/prod?") {
		t.Error(runbook)
	}
	w.Command("destroy", "-auto-approve")
	if left := c.Made(); len(left) > 0 {
		t.Errorf("left in the account: %q", left)
	}
}
