package fargate_test

import (
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/deploytest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// drillIn is a drill of what the job of specIn backs up.
func drillIn(w *deploytest.World) fargate.Spec {
	s := specIn(w)
	s.Job.Name, s.Job.Kind, s.Job.Source, s.Job.Logical = "weekly", job.KindDrill, "", nil
	s.Job.Drill = &job.Drill{
		Of: []string{"shop@db"}, Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{}},
		Checks: []job.DrillCheck{{Name: "it is the database shop", SQL: "select count(*) from pg_class", Expect: "> 0"}},
	}
	return s
}

func TestADrillThatIsDeployedProvesTheBackupOfOneThatIs(t *testing.T) {
	t.Parallel()
	w := deploytest.New(t)
	makeCluster(t, w.AWS)
	backup := deployIn(t, w, specIn(w))
	if end := start(t, w, backup); end.ExitCode[fargate.RunnerContainer] != 0 {
		t.Fatalf("the backup: %v\n%s", end.ExitCode, end.Output[fargate.RunnerContainer])
	}
	d := deployIn(t, w, drillIn(w))
	end := start(t, w, d)
	if end.ExitCode[fargate.FetchContainer] != 0 || end.ExitCode[fargate.RunnerContainer] != 0 {
		t.Fatalf("%v, %s\n%s\n%s", end.ExitCode, end.Reason, end.Output[fargate.FetchContainer], end.Output[fargate.RunnerContainer])
	}
	reports := w.DrillReports(t)
	if len(reports) != 1 {
		t.Fatalf("%d reports: %+v\n%s", len(reports), reports, end.Output[fargate.RunnerContainer])
	}
	r := reports[0]
	if r.Outcome != drillreport.Proven || r.Drill != "weekly" || r.Point.Source != "shop@db" || r.Contents.Tables == 0 || len(r.Checks) != 1 || !r.Checks[0].Passed {
		t.Errorf("%+v", r)
	}
	if points := w.Points(t); len(points) == 0 || !points[0].Verified {
		t.Errorf("%+v", points)
	}
	if strings.Contains(end.Output[fargate.RunnerContainer], w.S3.SecretKey) {
		t.Error("a secret is in the log")
	}
}
