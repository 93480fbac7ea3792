package recoverypoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/schedules"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/tasks"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// errUnread: what a schedule does could not be found out, which says nothing about
// whether it can be started.
var errUnread = errors.New("the job of the schedule cannot be read")

func unread(err error) error { return fmt.Errorf("%w: %w", errUnread, err) }

// maxJobFile is how many bytes of a job's file are read.
const maxJobFile = 1 << 20

// examine says before anything is started why a schedule cannot give this resource
// its one recovery point. An error that wraps errUnread says that this is not known.
func (r *Resource) examine(ctx context.Context, id string, hasSource bool, in *repo.Repository) error {
	region, group, name, err := schedules.ParseARN(id)
	if err != nil {
		return err
	}
	cfg, err := r.conn.AWS(region)
	if err != nil {
		return unread(err)
	}
	when, _, err := schedules.New(cfg).Read(ctx, group, name)
	if err != nil {
		return unread(err)
	}
	if when.Target == nil || when.Target.EcsParameters == nil {
		return errors.New(notOnFargate(when.Target != nil && strings.Contains(aws.ToString(when.Target.Arn), ":lambda:")))
	}
	if in == nil {
		return unread(errors.New("its repository is not there yet"))
	}
	task, err := tasks.New(cfg).Read(ctx, aws.ToString(when.Target.EcsParameters.TaskDefinitionArn))
	if err != nil {
		return unread(err)
	}
	j, err := readJob(ctx, in.Store(), task.ContainerDefinitions)
	if err != nil {
		return unread(err)
	}
	return suits(j, hasSource)
}

func notOnFargate(lambda bool) string {
	if lambda {
		return "this schedule runs on Lambda, from where Terraform takes no recovery point: give rds_instance or rds_cluster instead, which Terraform takes a snapshot of itself, or a schedule on Fargate"
	}
	return "this schedule starts no task of ECS: give the id of a pgbackup_schedule on Fargate"
}

// suits says why a job does not make the one point that this resource is about.
func suits(j job.Job, hasSource bool) error {
	switch l := j.Logical; {
	case !j.Kind.MakesPoints():
		return fmt.Errorf("job %q is of kind %s, which makes no recovery point: give a schedule of backups", j.Name, j.Kind)
	case hasSource || l == nil || !l.DatabaseURLRef.IsZero() || len(l.Databases) == 1:
		return nil
	case len(l.Databases) == 0:
		return fmt.Errorf("job %q backs up every database of its server: say with source which one this resource is about, such as app@db.example.org", j.Name)
	default:
		return fmt.Errorf("job %q backs up several databases (%s): say with source which one this resource is about, such as %s@db.example.org", j.Name, strings.Join(l.Databases, ", "), l.Databases[0])
	}
}

// readJob reads the file that the container of the runner is told to do, as it lies
// in the repository.
func readJob(ctx context.Context, store objstore.Store, containers []types.ContainerDefinition) (j job.Job, err error) {
	i := slices.IndexFunc(containers, func(c types.ContainerDefinition) bool { return aws.ToString(c.Name) == fargate.RunnerContainer })
	if i < 0 {
		return j, fmt.Errorf("its task has no container %q", fargate.RunnerContainer)
	}
	key := ""
	if words := containers[i].Command; len(words) > 1 && words[len(words)-2] == "--job" {
		url, _, _ := strings.Cut(words[len(words)-1], "?") // region and endpoint are the repository's
		if at := strings.LastIndex(url, "/jobs/"); at >= 0 {
			key = url[at+1:]
		}
	}
	if key == "" {
		return j, errors.New("its task names no job file of a repository")
	}
	body, _, err := store.Get(ctx, key, objstore.GetOptions{})
	if err != nil {
		return j, fmt.Errorf("job file %s: %w; is this the repository that the schedule writes to?", key, err)
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	data, err := io.ReadAll(io.LimitReader(body, maxJobFile))
	if err != nil {
		return j, fmt.Errorf("job file %s: %w", key, err)
	}
	if err := job.CheckFile(key, data); err != nil {
		return j, err
	}
	return job.Parse(data)
}
