package rdsretention_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssdk "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/rdstest"
)

const address = "pgbackup_rds_retention.prod"

func retention(lines string) string {
	return "resource \"pgbackup_rds_retention\" \"prod\" {\n  instance = \"" + rdstest.Instance + "\"\n  " + lines + "\n}\n"
}

func emptyPlan() resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
}

func updates(more ...plancheck.PlanCheck) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: append([]plancheck.PlanCheck{plancheck.ExpectResourceAction(address, plancheck.ResourceActionUpdate)}, more...)}
}

func impact(text string) plancheck.PlanCheck {
	return plancheck.ExpectKnownValue(address, tfjsonpath.New("impact"), knownvalue.ListExact([]knownvalue.Check{knownvalue.StringExact(text)}))
}

func value(attribute string, want knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), want)
}

func TestAccRDSRetention_createUpdateDriftImportAndRestore(t *testing.T) {
	w := rdstest.New(t)
	w.Maintenance()
	config := func(lines string) string { return w.Provider() + retention(lines) }
	is := func(days int, window string) func() {
		return func() {
			t.Helper()
			if db := w.Database(); db.RetentionDays != days || db.Window != window {
				t.Errorf("RDS has %d days at %s, wanted %d at %s", db.RetentionDays, db.Window, days, window)
			}
		}
	}
	thirty := "retention_days = 30\n  window = \"01:00-02:00\"\n  on_destroy = \"restore\""
	copied := thirty + "\n  replicate_to = {\n    region = \"eu-west-1\"\n    retention_days = 14\n  }"
	providertest.RunWith(t, func() error {
		if db := w.Database(); db.RetentionDays != 14 || db.Window != "03:00-04:00" || w.Replica("eu-west-1") != "" {
			return fmt.Errorf("not restored: %+v, copies %q", db.Settings, w.Replica("eu-west-1"))
		}
		return nil
	},
		resource.TestStep{
			Config: config(thirty),
			ConfigStateChecks: []statecheck.StateCheck{
				value("id", knownvalue.StringExact(rdstest.ARN)), value("engine", knownvalue.StringExact("postgres")),
				value("maintenance_window", knownvalue.StringExact("sun:05:00-sun:06:00")),
				value("pending_maintenance", knownvalue.ListExact([]knownvalue.Check{knownvalue.StringExact("system-update: New Operating System update is available, due 2027-01-31T00:00:00Z, forced by AWS")})),
				value("previous", knownvalue.ObjectPartial(map[string]knownvalue.Check{"retention_days": knownvalue.Int64Exact(14), "window": knownvalue.StringExact("03:00-04:00")})),
			},
		},
		resource.TestStep{PreConfig: is(30, "01:00-02:00"), Config: config(thirty), ConfigPlanChecks: emptyPlan()},
		// Drift: somebody lowered it.
		resource.TestStep{
			PreConfig: func() { w.Set(3) }, Config: config(thirty),
			ConfigPlanChecks: updates(impact("point-in-time recovery of acme-prod reaches back 30 days instead of 3 days, once 27 days more have passed: nothing that is gone comes back")),
		},
		resource.TestStep{PreConfig: is(30, "01:00-02:00"), Config: config(copied), ConfigPlanChecks: updates(impact("automated backups of acme-prod are copied to eu-west-1 from now on: what is older is not copied"))},
		resource.TestStep{
			PreConfig: func() {
				if got := w.Replica("eu-west-1"); got != "14" {
					t.Errorf("copies are kept for %q days", got)
				}
			},
			Config: config(copied), ConfigPlanChecks: emptyPlan(),
		},
		// Somebody ended the copying.
		resource.TestStep{PreConfig: func() { w.EndReplica("eu-west-1") }, Config: config(copied), ConfigPlanChecks: updates()},
		resource.TestStep{
			ResourceName: address, ImportState: true, ImportStateId: rdstest.ARN, ImportStateVerify: true,
			ImportStateVerifyIgnore: []string{"impact", "previous", "on_destroy", "replicate_to.retention_days"},
		},
		resource.TestStep{
			Config:           config("retention_days = 7\n  window = \"01:00-02:00\"\n  on_destroy = \"restore\""),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectKnownValue(address, tfjsonpath.New("impact"), knownvalue.ListSizeExact(2))}},
		},
		resource.TestStep{PreConfig: is(7, "01:00-02:00"), Config: config("retention_days = 7\n  window = \"01:00-02:00\"\n  on_destroy = \"restore\""), ConfigPlanChecks: emptyPlan()},
		// Unreadable for a while: the state is kept.
		resource.TestStep{PreConfig: func() { w.Refuse("DescribeDBInstances", "Throttling") }, RefreshState: true},
		resource.TestStep{PreConfig: func() { w.Refuse("DescribeDBInstances", "") }, Config: config("retention_days = 7\n  window = \"01:00-02:00\"\n  on_destroy = \"restore\""), ConfigPlanChecks: emptyPlan()},
	)
}

func TestAccRDSRetention_refusals(t *testing.T) {
	w := rdstest.New(t)
	config := func(lines string) string { return w.Provider() + retention(lines) }
	refused := func(lines, words string) resource.TestStep {
		return resource.TestStep{Config: config(lines), ExpectError: providertest.Message(words)}
	}
	providertest.Run(t,
		refused("retention_days = 36", "between 0 and 35"),
		refused("retention_days = 0", "ends point-in-time recovery. If that is meant, set acknowledge_no_backups = true"),
		refused("retention_days = 7\n window = \"01:00-01:20\"", "RDS wants 30 minutes or more"),
		refused("retention_days = 7\n window = \"04:30-05:30\"", "overlaps the maintenance window sun:05:00-sun:06:00"),
		refused("retention_days = 7\n kms_key_id = \"arn:aws:kms:us-east-1:123456789012:key/a\"", "acme-prod is not encrypted"),
		resource.TestStep{Config: w.Provider() + "resource \"pgbackup_rds_retention\" \"prod\" {\n  cluster = \"c\"\n  retention_days = 0\n}\n", ExpectError: providertest.Message("cannot be switched off")},
		resource.TestStep{PreConfig: func() { w.Refuse("ModifyDBInstance", "AccessDenied") }, Config: config("retention_days = 7"), ExpectError: providertest.Message("changing the automated backups of RDS instance (acme-prod): access denied: allow this identity rds:ModifyDBInstance")},
		resource.TestStep{
			PreConfig: func() {
				w.Refuse("ModifyDBInstance", "")
				w.AWSBackup("arn:aws:backup:us-east-1:123456789012:recovery-point:x")
			},
			Config: config("retention_days = 7"), ExpectError: providertest.Message("AWS Backup owns the automated backups of acme-prod"),
		},
		// Left as it is, it may be adopted all the same.
		resource.TestStep{Config: config("retention_days = 14")},
		resource.TestStep{PreConfig: func() { w.AWSBackup("") }, Config: config("retention_days = 0\n acknowledge_no_backups = true")},
		// Deleted by hand.
		resource.TestStep{
			PreConfig: func() {
				if _, err := w.Raw.DeleteDBInstance(t.Context(), &awssdk.DeleteDBInstanceInput{DBInstanceIdentifier: aws.String(rdstest.Instance), SkipFinalSnapshot: aws.Bool(true)}); err != nil {
					t.Fatal(err)
				}
			},
			RefreshState: true, ExpectNonEmptyPlan: true,
		},
	)
}

func TestAccRDSRetention_warnsAtPlanOfWhatIsLost(t *testing.T) {
	w := rdstest.New(t)
	ws := providertest.NewWorkspace(t, w.Provider()+retention("retention_days = 5"))
	want := func(result providertest.Result, summaries ...string) {
		t.Helper()
		got := map[string]bool{}
		for _, s := range result.Warnings() {
			got[s] = true
		}
		for _, s := range summaries {
			if !got["pgbackup_rds_retention (acme-prod): "+s] {
				t.Errorf("no warning %q in %v", s, result.Warnings())
			}
		}
	}
	lost := "point-in-time recovery of acme-prod reaches back 5 days instead of 14 days: RDS deletes the automated backups before that at once, and raising it again does not bring them back"
	want(ws.Plan(), lost, "the database is not encrypted, nor is any backup of it", "point-in-time recovery reaches back 5 days only")
	ws.MustApply()
	ws.Configure(w.Provider() + retention("retention_days = 0\n acknowledge_no_backups = true"))
	want(ws.Plan(), "all automated backups of acme-prod are deleted at once and point-in-time recovery, which reached back 5 days, ends; the instance is interrupted while RDS switches them (AWS's documentation disagrees for how long: seconds to minutes); manual snapshots stay")
	if w.Database().RetentionDays != 5 {
		t.Error("a plan changed something")
	}
}
