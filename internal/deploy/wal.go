package deploy

import (
	"errors"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// CheckPush holds that a job that a server hands its WAL to is where the server is.
func CheckPush(j job.Job) error {
	if !j.Pushes() {
		return nil
	}
	return errors.New(`mode = "push" has no place there: archive_command is called by the server on its own machine; use run_on.host there, or mode = "receive"`)
}

// CheckEnds holds that a job ends by itself, as it has to where ends says so.
func CheckEnds(j job.Job, ends string) error {
	if !j.Receives() {
		return nil
	}
	return fmt.Errorf("a receiver of WAL runs all the time, and %s: run it on a host or in Kubernetes", ends)
}
