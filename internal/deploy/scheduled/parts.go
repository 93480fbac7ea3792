package scheduled

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/logs"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/queues"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/role"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/schedules"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
)

// Parts is what is around the task or function. What the user gave is nil.
type Parts struct {
	Target   string // deploy.Fargate or deploy.Lambda
	Name     string
	Tags     map[string]string
	Boundary string

	LogGroup *logs.Group
	Roles    map[string]role.Role // by the end of their name
	Queue    *queues.Queue
	Group    schedules.Group
	Schedule *scheduler.CreateScheduleInput

	// Of what is made, or was given.
	LogGroupName     string
	LogGroupARN      string
	SchedulerRoleARN string
	QueueARN         string
	ScheduleARN      string
}

// Around makes the parts of a job on a target. The schedule still lacks what it
// starts (Target.Arn), and roles besides that of the scheduler are the caller's.
// own are the user's tags; start is what the scheduler may do to start it.
func Around(target string, c Config, j job.Job, own map[string]string, f iampolicy.Facts) (Parts, error) {
	p := Parts{Target: target, Name: Name(target, f, j), Boundary: c.PermissionsBoundary, Roles: map[string]role.Role{}}
	at, err := job.ParseRepository(j.Repository)
	if err != nil {
		return Parts{}, err
	}
	p.Tags = awsapi.OwnTags(own, metric.Repository(at), j.Name)
	p.Group = schedules.Group{Name: p.Name, Tags: p.Tags}
	p.ScheduleARN = schedules.ARN(partition(f), f.Region, f.Account, p.Name, p.Name)

	if p.LogGroupName = c.LogGroup; c.LogGroup == "" {
		p.LogGroupName = LogGroupName(target, p.Name)
		p.LogGroup = &logs.Group{Name: p.LogGroupName, RetentionDays: cmp.Or(c.LogRetentionDays, DefaultLogRetentionDays), KMSKeyARN: c.LogKMSKeyARN, Tags: p.Tags}
	}
	p.LogGroupARN = logs.ARN(partition(f), f.Region, f.Account, p.LogGroupName)
	if p.QueueARN = c.DeadLetterQueueARN; p.QueueARN == "" {
		name := QueueName(p.Name)
		p.QueueARN = queues.ARN(partition(f), f.Region, f.Account, name)
		p.Queue = &queues.Queue{Name: name, RetentionSeconds: queues.MaxRetentionSeconds, Encrypted: true, Tags: p.Tags}
	}
	if p.SchedulerRoleARN = c.SchedulerRoleARN; p.SchedulerRoleARN == "" {
		p.SchedulerRoleARN = RoleARN(f, p.Name, SchedulerRole)
	}
	p.Schedule, err = p.when(c, j)
	return p, err
}

// LogGroupName of the log group that is made for a deployment. A function has no
// choice: it writes there unless it is told otherwise.
func LogGroupName(target, name string) string {
	if target == deploy.Lambda {
		return "/aws/lambda/" + name
	}
	return "/pgbackup/" + strings.TrimPrefix(name, "pgbackup-")
}

// when makes the schedule without what it starts.
func (p Parts) when(c Config, j job.Job) (*scheduler.CreateScheduleInput, error) {
	if j.Schedule == nil {
		return nil, fmt.Errorf("the job has no schedule")
	}
	parsed, err := schedule.Parse(j.Schedule.Cron, j.Schedule.Timezone)
	if err != nil {
		return nil, err
	}
	expression, zone, err := parsed.EventBridge()
	if err != nil {
		return nil, err
	}
	in := &scheduler.CreateScheduleInput{
		Name: &p.Name, GroupName: &p.Name, Description: aws.String("pgbackup " + string(j.Kind) + " job " + j.Name),
		ScheduleExpression: &expression, ScheduleExpressionTimezone: &zone,
		State: types.ScheduleStateEnabled, ActionAfterCompletion: types.ActionAfterCompletionNone,
		FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff},
		Target: &types.Target{
			RoleArn: &p.SchedulerRoleARN, DeadLetterConfig: &types.DeadLetterConfig{Arn: &p.QueueARN},
			RetryPolicy: &types.RetryPolicy{
				MaximumRetryAttempts:     aws.Int32(DefaultRetryAttempts),
				MaximumEventAgeInSeconds: aws.Int32(int32(cmp.Or(c.RetryMaxAge, DefaultRetryMaxAge) / time.Second)), //nolint:gosec // at most a day
			},
		},
	}
	if c.RetryAttempts != nil {
		in.Target.RetryPolicy.MaximumRetryAttempts = aws.Int32(int32(*c.RetryAttempts)) //nolint:gosec // at most 185
	}
	if c.Disabled {
		in.State = types.ScheduleStateDisabled
	}
	if c.FlexibleWindow > 0 {
		in.FlexibleTimeWindow = &types.FlexibleTimeWindow{
			Mode: types.FlexibleTimeWindowModeFlexible, MaximumWindowInMinutes: aws.Int32(int32(c.FlexibleWindow / time.Minute)), //nolint:gosec // at most 1440
		}
	}
	return in, nil
}

// AddRole adds a role that is made, and gives its ARN.
func (p *Parts) AddRole(f iampolicy.Facts, which, description string, trust, policy iampolicy.Document) string {
	p.Roles[which] = role.Role{
		Name: RoleName(p.Name, which), Path: RolePath, Description: description,
		Trust: trust, Policy: policy, Tags: p.Tags, Boundary: p.Boundary,
	}
	return RoleARN(f, p.Name, which)
}

// AddSchedulerRole adds the role of the scheduler, unless one was given. start is
// what it may do to start the job.
func (p *Parts) AddSchedulerRole(c Config, f iampolicy.Facts, start iampolicy.Document) {
	if c.SchedulerRoleARN == "" {
		group := schedules.GroupARN(partition(f), f.Region, f.Account, p.Group.Name)
		p.AddRole(f, SchedulerRole, "Lets EventBridge Scheduler start "+p.Name, iampolicy.TrustScheduler(f.Account, group), start.And(iampolicy.ForDeadLetter(p.QueueARN)))
	}
}

// Document of the parts; task definition or function are the caller's.
func (p Parts) Document(region string) Document {
	d := Document{
		Target: p.Target, Region: region, Name: p.Name, Schedule: schedules.Plain(p.Schedule), ScheduleGroup: &p.Group,
		Roles: map[string]Role{}, DeadLetterQueue: p.Queue, LogGroup: p.LogGroup,
	}
	for which, r := range p.Roles {
		d.Roles[which] = describeRole(r)
	}
	return d
}
