package scheduled

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/logs"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/queues"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/role"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/schedules"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
)

// Account makes, reads and removes parts in one account and region, for one
// deployment.
type Account struct {
	Logs      *logs.Groups
	Roles     *role.Roles
	Queues    *queues.Queues
	Schedules *schedules.Schedules

	generation string // "" is any
	made       made
}

// Open gives the account and region that cfg leads to. What is made there is marked
// with the generation, and what another one made is not removed; "" is any.
func Open(cfg aws.Config, generation string) *Account {
	return &Account{Logs: logs.New(cfg), Roles: role.New(cfg), Queues: queues.New(cfg), Schedules: schedules.New(cfg), generation: generation}
}

// rolesOf are all roles that a deployment on a target can have made.
func rolesOf(target string) []string {
	if target == deploy.Lambda {
		return []string{FunctionRole, SchedulerRole}
	}
	return []string{TaskRole, ExecutionRole, SchedulerRole}
}

// EnsureBelow makes or puts right what has to be there before the task or
// function and the schedule.
func (a *Account) EnsureBelow(ctx context.Context, p Parts) error {
	if p.LogGroup != nil {
		is, err := a.Logs.Ensure(ctx, *p.LogGroup)
		if err := a.note(is, err, func(ctx context.Context) error { return a.Logs.Remove(ctx, p.LogGroup.Name) }); err != nil {
			return err
		}
	}
	for _, which := range rolesOf(p.Target) {
		if r, ok := p.Roles[which]; ok {
			_, is, err := a.Roles.Ensure(ctx, r)
			if err := a.note(is, err, func(ctx context.Context) error { return a.Roles.Remove(ctx, r.Name) }); err != nil {
				return err
			}
		}
	}
	if p.Queue != nil {
		is, err := a.Queues.Ensure(ctx, *p.Queue)
		if err := a.note(is, err, func(ctx context.Context) error { return a.Queues.Remove(ctx, p.Queue.Name) }); err != nil {
			return err
		}
	}
	group := p.Group
	group.Generation = a.generation
	is, err := a.Schedules.EnsureGroup(ctx, group)
	return a.note(is, err, func(ctx context.Context) error { return a.Schedules.RemoveGroup(ctx, group.Name) })
}

// EnsureSchedule makes or puts right what starts the job, which comes last.
func (a *Account) EnsureSchedule(ctx context.Context, when *scheduler.CreateScheduleInput) error {
	is, err := a.Schedules.Ensure(ctx, when)
	return a.note(is, err, func(ctx context.Context) error {
		return a.Schedules.Remove(ctx, aws.ToString(when.GroupName), aws.ToString(when.Name))
	})
}

// RemoveUnused removes what an earlier deployment made and this one was given
// instead.
func (a *Account) RemoveUnused(ctx context.Context, p Parts) error {
	// Who gives the very thing that was made here takes it over.
	if name := LogGroupName(p.Target, p.Name); p.LogGroup == nil && p.LogGroupName != name {
		if err := foreignIsFine(a.Logs.Remove(ctx, name)); err != nil {
			return err
		}
	}
	if name := QueueName(p.Name); p.Queue == nil && !strings.HasSuffix(p.QueueARN, ":"+name) {
		if err := foreignIsFine(a.Queues.Remove(ctx, name)); err != nil {
			return err
		}
	}
	for _, which := range rolesOf(p.Target) {
		if _, made := p.Roles[which]; !made {
			if err := foreignIsFine(a.Roles.Remove(ctx, RoleName(p.Name, which))); err != nil {
				return err
			}
		}
	}
	return nil
}

// foreignIsFine passes over what somebody else made: a user may give a thing that
// has the very name we would have chosen.
func foreignIsFine(err error) error {
	if errors.Is(err, awsapi.ErrForeign) {
		return nil
	}
	return err
}

// Found is the schedule of a deployment as it is.
type Found struct {
	ARN  string
	When *scheduler.CreateScheduleInput // in the form that would make it; nil when it is gone
}

// Read gives the parts of d as they are. Parts that are gone are not in the result.
func (a *Account) Read(ctx context.Context, d Document) (now Document, found Found, err error) {
	now = Document{Target: d.Target, Region: d.Region, Name: d.Name, Roles: map[string]Role{}}
	// there passes over what is gone, and stops at any other error.
	there := func(e error) bool {
		if e != nil && !errors.Is(e, awsapi.ErrGone) && err == nil {
			err = e
		}
		return e == nil && err == nil
	}
	if when, arn, e := a.Schedules.Read(ctx, d.Name, d.Name); there(e) {
		found = Found{arn, when}
		now.Schedule = schedules.Plain(when)
	}
	if group, e := a.Schedules.ReadGroup(ctx, d.Name); there(e) {
		now.ScheduleGroup = &group
	}
	for which, r := range d.Roles {
		if is, _, e := a.Roles.Read(ctx, r.Name); there(e) {
			now.Roles[which] = describeRole(is)
		}
	}
	if d.DeadLetterQueue != nil {
		if is, e := a.Queues.Read(ctx, d.DeadLetterQueue.Name); there(e) {
			now.DeadLetterQueue = &is
		}
	}
	if d.LogGroup != nil {
		if is, e := a.Logs.Read(ctx, d.LogGroup.Name); there(e) {
			now.LogGroup = &is
		}
	}
	return now, found, err
}

// Empty reports whether nothing of a deployment is there.
func (d Document) Empty() bool {
	return d.TaskDefinition == nil && d.Function == nil && d.Schedule == nil && d.ScheduleGroup == nil && len(d.Roles) == 0 && d.DeadLetterQueue == nil && d.LogGroup == nil
}

// RemoveSchedule removes what starts the job, which has to go first.
func (a *Account) RemoveSchedule(ctx context.Context, name string) error {
	// The group says whose it is: asked before anything goes.
	err := a.Schedules.CheckGroup(ctx, name, a.generation)
	if errors.Is(err, awsapi.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := a.Schedules.Remove(ctx, name, name); err != nil {
		return err
	}
	return a.Schedules.RemoveGroup(ctx, name)
}

// RemoveRest removes roles, queue and log group of a deployment, whichever of them
// are ours.
func (a *Account) RemoveRest(ctx context.Context, d Document) error {
	return a.RemoveUnused(ctx, Parts{Target: d.Target, Name: d.Name})
}
