package iampolicy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// drillOfSnapshots is a drill that restores into temporary databases.
func drillOfSnapshots() job.Job {
	j := jobOf(job.KindRotate)
	j.Kind = job.KindDrill
	j.Drill = &job.Drill{Kind: string(job.KindRDSSnapshot), Into: job.DrillInto{RDSInstance: &job.DrillInstance{Region: "eu-west-1", SubnetGroup: "private"}},
		Checks: []job.DrillCheck{{Name: "orders", SQL: "select count(*) > 0 from orders"}}}
	return j
}

// A drill restores and deletes databases for a living: whatever it is made to do, no
// database of anybody else may be changed or deleted by it.
func TestADrillOfSnapshotsCanChangeAndDeleteOnlyWhatDrillsMake(t *testing.T) {
	t.Parallel()
	deletes := 0
	for _, s := range forJob(t, drillOfSnapshots(), deploy.Fargate, facts()).Statements {
		for _, action := range s.Actions {
			name, ofRDS := strings.CutPrefix(action, "rds:")
			if !ofRDS || strings.HasPrefix(name, "Describe") {
				continue
			}
			for _, resource := range s.Resources {
				parts := strings.SplitN(resource, ":", 7)
				if slices.Contains([]string{"db", "cluster"}, parts[5]) && !strings.HasPrefix(parts[6], "pgbackup-drill-") {
					t.Errorf("%s: %s on %s", s.Sid, action, resource)
				}
			}
			if strings.HasPrefix(name, "Delete") || strings.HasPrefix(name, "ModifyDBInstance") || name == "ModifyDBCluster" {
				deletes++
				if !slices.Equal(s.Conditions["StringEquals"]["aws:ResourceTag/pgbackup:repository"], []string{"s3://acme-pg-backups/prod"}) {
					t.Errorf("%s: %s with the conditions %v", s.Sid, action, s.Conditions)
				}
			}
		}
	}
	if deletes != 4 {
		t.Errorf("%d actions change or delete databases", deletes)
	}
}

func TestADrillThatKnowsThePasswordOrNeedsNoneMayNotSetOne(t *testing.T) {
	t.Parallel()
	known, unneeded := drillOfSnapshots(), drillOfSnapshots()
	known.Drill.Into.RDSInstance.PasswordRef = ref("secretsmanager:acme/db")
	unneeded.Drill.Checks = nil
	for _, j := range []job.Job{known, unneeded} {
		if slices.ContainsFunc(forJob(t, j, deploy.Fargate, facts()).Statements, func(s iampolicy.Statement) bool { return slices.Contains(s.Actions, "rds:ModifyDBInstance") }) {
			t.Errorf("it may set passwords: %+v", j.Drill)
		}
	}
}
