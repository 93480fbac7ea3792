package recoverypoint

import (
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/scheduled"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

func TestTheJobOfAScheduleIsKnownByTheNamesThatSchedulesGet(t *testing.T) {
	t.Parallel()
	name := func(j string) string {
		return scheduled.Name(deploy.Fargate, iampolicy.Facts{Account: "111122223333", Region: "us-east-1"}, job.Job{Name: j, Repository: "s3://b/p"})
	}
	for _, j := range []string{"nightly", "night", "a-b-c", strings.Repeat("x", 60), strings.Repeat("x", 35) + "-y"} {
		if !isOf(name(j), j) {
			t.Errorf("%s is not that of %s", name(j), j)
		}
	}
	for schedule, j := range map[string]string{name("night"): "nightly", name("nightly"): "night", name("a"): "", "nightly": "nightly", "pgbackup-nightly": "nightly"} {
		if isOf(schedule, j) {
			t.Errorf("%s is taken for that of %q", schedule, j)
		}
	}
}

func TestASchedulesIDSaysHowItIsStarted(t *testing.T) {
	t.Parallel()
	if err := checkSchedule("arn:aws:scheduler:us-east-1:111122223333:schedule/pgbackup/pgbackup-nightly-1f0c3a9e"); err != nil {
		t.Error(err)
	}
	for id, want := range map[string]string{
		"/etc/pgbackup/nightly.job.json": "pgbackup-runner backup --job /etc/pgbackup/nightly.job.json",
		"s3://b/p#job/nightly":           "kubectl create job",
		"arn:aws:s3:::bucket":            "is no id of a pgbackup_schedule",
	} {
		if err := checkSchedule(id); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", id, err)
		}
	}
}
