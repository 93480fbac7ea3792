package job_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

func TestAReceiverRunsAllTheTimeAndAPushIsLookedAt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		job              job.Job
		words            []string
		receives, pushes bool
	}{
		"receive":  {job.Job{Kind: job.KindWAL, WAL: &job.WAL{Mode: job.WALReceive}}, []string{"wal", "receive"}, true, false},
		"push":     {job.Job{Kind: job.KindWAL, WAL: &job.WAL{Mode: job.WALPush}}, []string{"wal", "status"}, false, true},
		"physical": {job.Job{Kind: job.KindPhysical, Physical: &job.Physical{}}, []string{"backup"}, false, false},
	} {
		if got := c.job.Words(); !slices.Equal(got, c.words) || c.job.Receives() != c.receives || c.job.Pushes() != c.pushes {
			t.Errorf("%s: %v, receives %v, pushes %v", name, got, c.job.Receives(), c.job.Pushes())
		}
	}
}

func TestTheCommandsOfJobsAreThoseThatEndByThemselves(t *testing.T) {
	t.Parallel()
	if got := fmt.Sprint(job.Verbs()); got != "[[wal status] [backup] [rotate] [verify] [status] [drill]]" {
		t.Error(got)
	}
	if got := (job.Job{Kind: job.KindVerify}).Verb(); !slices.Equal(got, []string{"verify"}) {
		t.Errorf("%q", got)
	}
}
