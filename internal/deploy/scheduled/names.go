package scheduled

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/role"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
)

// RolePath of the roles that are made: who applies the configuration can be
// allowed to make and pass roles below it, and no others.
const RolePath = "/pgbackup/"

// maxJob is how much of a job's name is in the names of AWS: a role may have 64
// characters, with what is around it.
const maxJob = 36

// Name is what everything of one job is called on one target, role or queue with
// an ending behind it, such as pgbackup-nightly-1f0c3a9e. The last part keeps
// apart jobs of the same name in other repositories, regions and targets: roles
// belong to a whole account, and a job that moves is for a moment on both.
func Name(target string, f iampolicy.Facts, j job.Job) string {
	repository := j.Repository
	if at, err := job.ParseRepository(j.Repository); err == nil {
		repository = metric.Repository(at) + " " + at.Endpoint
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{target, f.Account, f.Region, repository, j.Name}, "\n")))
	short := j.Name
	if len(short) > maxJob {
		short = strings.TrimRight(short[:maxJob], "-")
	}
	return "pgbackup-" + short + "-" + hex.EncodeToString(sum[:4])
}

// The ends of names of roles.
const (
	TaskRole      = "task"
	ExecutionRole = "execution"
	FunctionRole  = "function"
	SchedulerRole = "scheduler"
)

// RoleName of a role of a deployment.
func RoleName(name, which string) string { return name + "-" + which }

// RoleARN of a role of a deployment.
func RoleARN(f iampolicy.Facts, name, which string) string {
	return role.ARN(partition(f), f.Account, RolePath, RoleName(name, which))
}

// QueueName of the dead-letter queue of a deployment.
func QueueName(name string) string { return name + "-dead-letter" }

func partition(f iampolicy.Facts) string {
	if f.Partition == "" {
		return "aws"
	}
	return f.Partition
}
