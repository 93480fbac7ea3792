package fargate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/schedules"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/tasks"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/scheduled"
)

// Target is the Fargate of one account and region.
type Target struct {
	account *scheduled.Account
	tasks   *tasks.Tasks
	log     *slog.Logger
}

// New gives the target that cfg leads to.
func New(cfg aws.Config, o Options) *Target {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Target{account: scheduled.Open(cfg, o.Generation), tasks: tasks.New(cfg), log: o.Log}
}

// Apply makes everything, or puts right what is there. Repeating it after it broke
// off anywhere finishes the work and makes nothing twice. Something of a needed
// name that is not ours is awsapi.ErrForeign and left alone.
//
// The schedule is turned to the new revision of the task definition before the old
// one goes: a run that falls between finds one of them.
func (t *Target) Apply(ctx context.Context, r Rendered) (Deployed, error) {
	d := r.Planned()
	if err := t.account.EnsureBelow(ctx, r.parts); err != nil {
		return Deployed{}, err
	}
	revision, err := t.tasks.Register(ctx, r.task)
	if err != nil {
		return Deployed{}, err
	}
	if revision.Made {
		t.account.Made(func(ctx context.Context) error { return t.tasks.RemoveRevision(ctx, revision.ARN) })
	}
	d.TaskDefinitionARN = revision.ARN
	if err := t.account.EnsureSchedule(ctx, withTask(r.parts.Schedule, revision.ARN)); err != nil {
		return Deployed{}, err
	}
	if err := t.tasks.Deregister(ctx, revision); err != nil {
		return Deployed{}, err
	}
	t.log.InfoContext(ctx, "job is on Fargate", "schedule", d.ScheduleARN, "task_definition", revision.ARN)
	return d, t.account.RemoveUnused(ctx, r.parts)
}

// CheckFree holds that Apply would take nothing over from a working deployment of
// the same name: scheduled.ErrTaken. The same one, or half of one, is no obstacle.
func (t *Target) CheckFree(ctx context.Context, r Rendered) error {
	return t.account.CheckFree(ctx, r.parts, r.Document(), func(ctx context.Context, document string) (string, error) {
		now, _, err := t.Read(ctx, document)
		return now, err
	})
}

// Undo removes what Apply made here, and nothing that was there before.
func (t *Target) Undo(ctx context.Context) error { return t.account.Undo(ctx) }

// withTask is a schedule that starts another task definition.
func withTask(in *scheduler.CreateScheduleInput, arn string) *scheduler.CreateScheduleInput {
	c, target := *in, *in.Target
	if target.EcsParameters != nil {
		parameters := *target.EcsParameters
		parameters.TaskDefinitionArn = &arn
		target.EcsParameters = &parameters
	}
	c.Target = &target
	return &c
}

// Read gives the document of what is there: text that Rendered.Document or Read
// gave names what to look for, and is given back where nothing was changed. Parts
// that are gone are absent; awsapi.ErrGone says that all are.
func (t *Target) Read(ctx context.Context, document string) (now string, d Deployed, err error) {
	was, err := scheduled.Parse(document)
	if err != nil {
		return "", Deployed{}, err
	}
	is, found, err := t.account.Read(ctx, was)
	if err != nil {
		return "", Deployed{}, err
	}
	when := found.When
	task, arn, err := t.readTask(ctx, was.Name, when)
	switch {
	case err == nil:
		is.TaskDefinition = tasks.Plain(task)
		d.TaskDefinitionARN, d.TaskRoleARN, d.LogGroup = arn, aws.ToString(task.TaskRoleArn), logGroup(task)
	case !errors.Is(err, awsapi.ErrGone):
		return "", Deployed{}, err
	}
	if when != nil {
		is.Schedule = schedules.Plain(withoutRevision(when, was.Name))
		d.ScheduleARN = found.ARN
		if dead := when.Target.DeadLetterConfig; dead != nil {
			d.DeadLetterQueueARN = aws.ToString(dead.Arn)
		}
	}
	if is.Empty() {
		return "", Deployed{}, fmt.Errorf("reading what runs %s on Fargate: %w", was.Name, awsapi.ErrGone)
	}
	return is.String(), d, nil
}

// readTask gives the revision that the schedule starts, or else the newest.
func (t *Target) readTask(ctx context.Context, family string, when *scheduler.CreateScheduleInput) (*ecs.RegisterTaskDefinitionInput, string, error) {
	if arn := started(when); tasks.Family(arn) == family {
		task, err := t.tasks.Read(ctx, arn)
		return task, arn, err
	}
	return t.tasks.Newest(ctx, family)
}

// started is the task definition that a schedule starts.
func started(when *scheduler.CreateScheduleInput) string {
	if when == nil || when.Target == nil || when.Target.EcsParameters == nil {
		return ""
	}
	return aws.ToString(when.Target.EcsParameters.TaskDefinitionArn)
}

// withoutRevision is the schedule as a document has it, when it starts a revision
// of ours.
func withoutRevision(when *scheduler.CreateScheduleInput, family string) *scheduler.CreateScheduleInput {
	if arn := started(when); tasks.Family(arn) == family {
		return withTask(when, tasks.WithoutRevision(arn))
	}
	return when
}

func logGroup(task *ecs.RegisterTaskDefinitionInput) string {
	for _, c := range task.ContainerDefinitions {
		if aws.ToString(c.Name) == RunnerContainer && c.LogConfiguration != nil {
			return c.LogConfiguration.Options["awslogs-group"]
		}
	}
	return ""
}

// Remove removes everything of ours that belongs to a document, the schedule
// first. What is gone already is no error; what somebody else made stays. Nothing
// goes, with awsapi.ErrSuperseded, when it is of another generation.
func (t *Target) Remove(ctx context.Context, document string) error {
	d, err := scheduled.Parse(document)
	if err != nil {
		return err
	}
	if err := t.account.RemoveSchedule(ctx, d.Name); err != nil {
		return err
	}
	if err := t.tasks.Remove(ctx, d.Name); err != nil {
		return err
	}
	return t.account.RemoveRest(ctx, d)
}

// StartNow starts what a schedule starts, now, and gives the ARN of the task.
func (t *Target) StartNow(ctx context.Context, scheduleARN string) (taskARN string, err error) {
	_, group, name, err := schedules.ParseARN(scheduleARN)
	if err != nil {
		return "", err
	}
	when, _, err := t.account.Schedules.Read(ctx, group, name)
	if err != nil {
		return "", err
	}
	p := when.Target.EcsParameters
	if p == nil {
		return "", fmt.Errorf("starting the job of EventBridge schedule (%s) now: it starts no ECS task", name)
	}
	in := &ecs.RunTaskInput{
		Cluster: when.Target.Arn, TaskDefinition: p.TaskDefinitionArn, LaunchType: ecstypes.LaunchType(p.LaunchType), Count: p.TaskCount,
		PlatformVersion: p.PlatformVersion, StartedBy: aws.String("pgbackup"),
	}
	if p.NetworkConfiguration != nil && p.NetworkConfiguration.AwsvpcConfiguration != nil {
		vpc := p.NetworkConfiguration.AwsvpcConfiguration
		in.NetworkConfiguration = &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{
			Subnets: vpc.Subnets, SecurityGroups: vpc.SecurityGroups, AssignPublicIp: ecstypes.AssignPublicIp(vpc.AssignPublicIp),
		}}
	}
	return t.tasks.Start(ctx, in)
}

// longest is how long a task is waited for where ctx sets no limit.
const longest = 7 * 24 * time.Hour

// Wait waits until a task has ended, as long as ctx lasts. exitCode is the
// runner's, -1 when it never started; reason is in the words of ECS.
func (t *Target) Wait(ctx context.Context, taskARN string) (exitCode int, reason string, err error) {
	end, err := t.tasks.Wait(ctx, taskARN, RunnerContainer, longest)
	return end.ExitCode, end.Reason, err
}
