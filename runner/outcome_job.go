package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/backup/command"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// elsewhere are flags that make a run one of other data than the job's. How it is
// read, checked, held or waited for makes no difference.
var elsewhere = []string{
	"all-databases", "include-table", "exclude-table", "include-schema", "exclude-schema", "no-globals",
	"path", "exclude", "one-file-system", "file-name", "directory", "rds-instance", "rds-cluster",
	"into", "into-database", "scratch-directory", "check", "checks", "expect", "seed",
	"repository", "from", "database", "source", "policy", "kind",
}

// notOfJob names what makes this run another one than the job's: a flag, an
// argument, or a variable that comes before the job file. "" for a run of the job.
// A backup of something else must not pass for that of the job: its alarm would stay
// silent while nothing is backed up.
func (a *app) notOfJob(cmd *cobra.Command, args []string) string {
	said := map[string]string{"repository": a.job.Repository, "from": a.jobFrom(), "source": a.job.Source, "policy": a.job.Policy, "kind": a.jobKind()}
	for _, name := range elsewhere {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed && (said[name] == "" || f.Value.String() != said[name]) {
			return "--" + name
		}
	}
	_, ofServer := a.jobServer()
	switch {
	case len(args) > 0:
		return "arguments"
	case os.Getenv(envBucket) != "" && a.flags.repository == "":
		return envBucket
	case os.Getenv(envDatabase) != "" && ofServer:
		return envDatabase
	}
	return ""
}

// jobFrom is which copy of the repository the job reads.
func (a *app) jobFrom() string {
	if d := a.job.Drill; d != nil && d.From != "" {
		return d.From
	}
	return job.FromPrimary
}

// withoutOutput leaves out of an error what a program of the job's wrote: it may
// hold secrets, and goes no further than the log of the run.
func withoutOutput(err error) error {
	if failed := (*command.Failure)(nil); errors.As(err, &failed) && failed.Said != "" {
		return errors.New(string(job.KindCommand) + ": " + failed.Err.Error() + "; what it wrote to its error output is in the log of the run")
	}
	return err
}
