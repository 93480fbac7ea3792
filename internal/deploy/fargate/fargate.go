// Package fargate carries a job to Amazon ECS on Fargate: EventBridge Scheduler
// starts a task; its first container fetches the runner out of the repository and
// checks it, the second, the stock image of PostgreSQL, runs it.
//
// Render is pure and makes the values; Target is the thin part that calls AWS.
// What must not live here: what a job means (package job), and what Lambda shares
// (package scheduled).
package fargate

import (
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/scheduled"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// Config is what a user says of the target.
type Config struct {
	Cluster        string   // ARN of an ECS cluster
	Subnets        []string // subnet-…, one at least
	SecurityGroups []string // sg-…; none is the default group of the VPC
	AssignPublicIP bool     // for subnets whose way out is an internet gateway

	// PostgresVersion is the major version of the stock image; 0 is
	// DefaultPostgresVersion. It must not be older than the server's.
	PostgresVersion int
	Image           string // instead of the stock image; must have pg_dump and pg_restore
	FetchImage      string // with /bin/sh, aws and sha256sum; "" is DefaultFetchImage

	CPU          int    // units, 1024 are a vCPU; 0 is DefaultCPU
	MemoryMiB    int    // 0 is DefaultMemoryMiB
	StorageGiB   int    // of ephemeral storage, 21 to 200; 0 is the 20 that every task has
	Architecture string // x86_64 or arm64; "" is x86_64
	Environment  map[string]string

	TaskRoleARN      string // a role that is there; "" makes one with exactly what the job needs
	ExecutionRoleARN string // a role that is there; "" makes one

	scheduled.Config
}

// What a zero Config means.
const (
	DefaultPostgresVersion = 17
	DefaultFetchImage      = "public.ecr.aws/aws-cli/aws-cli:2.31.9"
	DefaultCPU             = 1024
	DefaultMemoryMiB       = 2048
)

// Spec is what is needed to carry one job.
type Spec struct {
	deploy.Spec
	Config Config
	// Facts has to name partition, account and region: where the task runs.
	Facts iampolicy.Facts
}

// Rendered is everything that is to be there.
type Rendered struct {
	// Job as the task runs it: Metrics has its default for this target. Its file
	// has to be in the repository, at deploy.JobKey(Job), before Apply.
	Job job.Job

	document scheduled.Document
	task     *ecs.RegisterTaskDefinitionInput
	parts    scheduled.Parts
	family   string // ARN of the task definition without a revision
}

// Deployed is where things are.
type Deployed struct {
	ScheduleARN        string
	TaskDefinitionARN  string // with revision; "" before it is registered
	TaskRoleARN        string
	LogGroup           string // name
	DeadLetterQueueARN string
}

// Options of a Target.
type Options struct {
	Log *slog.Logger // nil is none
	// Generation marks what Apply makes or takes over, and keeps Remove from what
	// has another mark; "" is no mark, and any.
	Generation string
}
