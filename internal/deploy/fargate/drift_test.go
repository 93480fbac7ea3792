package fargate_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	schedulertypes "github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/schedules"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/shape"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
)

// hand is somebody at the console.
type hand struct {
	ctx  context.Context
	cfg  aws.Config
	name string // of the deployment
	d    fargate.Deployed
}

func (h hand) schedule(change func(*scheduler.UpdateScheduleInput)) error {
	found, _, err := schedules.New(h.cfg).Read(h.ctx, h.name, h.name)
	if err != nil {
		return err
	}
	in := &scheduler.UpdateScheduleInput{}
	shape.Copy(in, found)
	change(in)
	_, err = scheduler.NewFromConfig(h.cfg).UpdateSchedule(h.ctx, in)
	return err
}

func (h hand) groupARN() *string {
	return aws.String(schedules.GroupARN("aws", "us-east-1", account, h.name))
}

func (h hand) queueURL() *string {
	out, err := sqs.NewFromConfig(h.cfg).GetQueueUrl(h.ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(h.name + "-dead-letter")})
	if err != nil {
		return nil
	}
	return out.QueueUrl
}

// drifts are what somebody may do to each object; the words are what shows of it
// in the document that is read, after - or + as in a diff.
var drifts = map[string]struct {
	do    func(h hand) error
	shows string
}{
	"schedule disabled": {func(h hand) error {
		return h.schedule(func(in *scheduler.UpdateScheduleInput) { in.State = schedulertypes.ScheduleStateDisabled })
	}, `"state": "DISABLED"`},
	"schedule at another time": {func(h hand) error {
		return h.schedule(func(in *scheduler.UpdateScheduleInput) { in.ScheduleExpression = aws.String("cron(0 5 * * ? *)") })
	}, `cron(0 5 * * ? *)`},
	"schedule with other security groups": {func(h hand) error {
		return h.schedule(func(in *scheduler.UpdateScheduleInput) {
			in.Target.EcsParameters.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups = []string{"sg-0fff0000"}
		})
	}, `sg-0fff0000`},
	"schedule that starts something else": {func(h hand) error {
		return h.schedule(func(in *scheduler.UpdateScheduleInput) {
			in.Target.EcsParameters.TaskDefinitionArn = aws.String("arn:aws:ecs:us-east-1:" + account + ":task-definition/other:1")
		})
	}, `task-definition/other:1`},
	"schedule removed": {func(h hand) error {
		_, err := scheduler.NewFromConfig(h.cfg).DeleteSchedule(h.ctx, &scheduler.DeleteScheduleInput{Name: &h.name, GroupName: &h.name})
		return err
	}, ""},
	"group removed with the schedule": {func(h hand) error {
		_, err := scheduler.NewFromConfig(h.cfg).DeleteScheduleGroup(h.ctx, &scheduler.DeleteScheduleGroupInput{Name: &h.name})
		return err
	}, ""},
	"group tagged": {func(h hand) error {
		_, err := scheduler.NewFromConfig(h.cfg).TagResource(h.ctx, &scheduler.TagResourceInput{ResourceArn: h.groupARN(), Tags: []schedulertypes.Tag{{Key: aws.String("team"), Value: aws.String("x")}, {Key: aws.String("more"), Value: aws.String("y")}}})
		return err
	}, `"more": "y"`},
	"revision deregistered": {func(h hand) error {
		_, err := ecs.NewFromConfig(h.cfg).DeregisterTaskDefinition(h.ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &h.d.TaskDefinitionARN})
		return err
	}, ""},
	"schedule turned to a revision registered by hand": {func(h hand) error {
		client := ecs.NewFromConfig(h.cfg)
		was, err := client.DescribeTaskDefinition(h.ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &h.d.TaskDefinitionARN, Include: []ecstypes.TaskDefinitionField{ecstypes.TaskDefinitionFieldTags}})
		if err != nil {
			return err
		}
		in := &ecs.RegisterTaskDefinitionInput{}
		shape.Copy(in, was.TaskDefinition)
		in.Tags = was.Tags
		in.ContainerDefinitions[1].Image = aws.String("evil.example.org/postgres:17")
		out, err := client.RegisterTaskDefinition(h.ctx, in)
		if err != nil {
			return err
		}
		return h.schedule(func(s *scheduler.UpdateScheduleInput) {
			s.Target.EcsParameters.TaskDefinitionArn = out.TaskDefinition.TaskDefinitionArn
		})
	}, `evil.example.org`},
	"task definition tagged": {func(h hand) error {
		_, err := ecs.NewFromConfig(h.cfg).TagResource(h.ctx, &ecs.TagResourceInput{ResourceArn: &h.d.TaskDefinitionARN, Tags: []ecstypes.Tag{{Key: aws.String("more"), Value: aws.String("y")}}})
		return err
	}, `"more"`},
	"role may do more": {func(h hand) error {
		_, err := iam.NewFromConfig(h.cfg).PutRolePolicy(h.ctx, &iam.PutRolePolicyInput{
			RoleName: aws.String(h.name + "-task"), PolicyName: aws.String("pgbackup"),
			PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`),
		})
		return err
	}, `"s3:*"`},
	"role may do nothing": {func(h hand) error {
		_, err := iam.NewFromConfig(h.cfg).DeleteRolePolicy(h.ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String(h.name + "-execution"), PolicyName: aws.String("pgbackup")})
		return err
	}, `"Statement": []`},
	"role trusts somebody else": {func(h hand) error {
		_, err := iam.NewFromConfig(h.cfg).UpdateAssumeRolePolicy(h.ctx, &iam.UpdateAssumeRolePolicyInput{
			RoleName:       aws.String(h.name + "-scheduler"),
			PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:root"},"Action":"sts:AssumeRole"}]}`),
		})
		return err
	}, `999999999999`},
	"role bounded and tagged": {func(h hand) error {
		client := iam.NewFromConfig(h.cfg)
		_, err1 := client.PutRolePermissionsBoundary(h.ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: aws.String(h.name + "-task"), PermissionsBoundary: aws.String("arn:aws:iam::aws:policy/ReadOnlyAccess")})
		_, err2 := client.TagRole(h.ctx, &iam.TagRoleInput{RoleName: aws.String(h.name + "-task"), Tags: []iamtypes.Tag{{Key: aws.String("more"), Value: aws.String("y")}}})
		return errors.Join(err1, err2)
	}, `ReadOnlyAccess`},
	"role removed": {func(h hand) error {
		client := iam.NewFromConfig(h.cfg)
		_, err1 := client.DeleteRolePolicy(h.ctx, &iam.DeleteRolePolicyInput{RoleName: aws.String(h.name + "-scheduler"), PolicyName: aws.String("pgbackup")})
		_, err2 := client.DeleteRole(h.ctx, &iam.DeleteRoleInput{RoleName: aws.String(h.name + "-scheduler")})
		return errors.Join(err1, err2)
	}, ""},
	"queue changed": {func(h hand) error {
		_, err := sqs.NewFromConfig(h.cfg).SetQueueAttributes(h.ctx, &sqs.SetQueueAttributesInput{QueueUrl: h.queueURL(), Attributes: map[string]string{"MessageRetentionPeriod": "60", "SqsManagedSseEnabled": "false"}})
		return err
	}, `"retention_seconds": 60`},
	"queue removed": {func(h hand) error {
		_, err := sqs.NewFromConfig(h.cfg).DeleteQueue(h.ctx, &sqs.DeleteQueueInput{QueueUrl: h.queueURL()})
		return err
	}, ""},
	"log kept for another time": {func(h hand) error {
		_, err := cloudwatchlogs.NewFromConfig(h.cfg).PutRetentionPolicy(h.ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: &h.d.LogGroup, RetentionInDays: aws.Int32(1)})
		return err
	}, `"retention_days": 1,`},
	"log group removed": {func(h hand) error {
		_, err := cloudwatchlogs.NewFromConfig(h.cfg).DeleteLogGroup(h.ctx, &cloudwatchlogs.DeleteLogGroupInput{LogGroupName: &h.d.LogGroup})
		return err
	}, ""},
}

func TestDriftOfEveryObjectShowsAndIsRepairedByTheNextApply(t *testing.T) {
	t.Parallel()
	s := server(t)
	target := fargate.New(s.Config(), fargate.Options{})
	r := render(t, spec())
	d := apply(t, target, r)
	there := inventoryOf(inventory(t, s))
	for what, drift := range drifts {
		h := hand{t.Context(), s.Config(), nameOf(d), d}
		if err := drift.do(h); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		now, _ := read(t, target, r.Document())
		if now == r.Document() || !strings.Contains(now, drift.shows) {
			t.Errorf("%s: %q does not show in\n%s", what, drift.shows, now)
		}
		d = apply(t, target, r)
		if now, is := read(t, target, r.Document()); now != r.Document() || is != d {
			t.Errorf("%s was not repaired:\n%s", what, now)
		}
		got := inventoryOf(inventory(t, s))
		got = slicesWithout(got, "task definition, INACTIVE")
		if strings.Join(got, "\n") != strings.Join(slicesWithout(there, "task definition, INACTIVE"), "\n") {
			t.Errorf("%s: repaired, there is\n%s", what, strings.Join(got, "\n"))
		}
	}
}

func slicesWithout(list []string, prefix string) (out []string) {
	for _, line := range list {
		if !strings.HasPrefix(line, prefix) {
			out = append(out, line)
		}
	}
	return out
}

// nameOf a deployment, from the ARN of its schedule.
func nameOf(d fargate.Deployed) string {
	return d.ScheduleARN[strings.LastIndex(d.ScheduleARN, "/")+1:]
}

// foreigners take a name that we need, for somebody who knows nothing of us.
var foreigners = map[string]func(h hand) error{
	"role": func(h hand) error {
		_, err := iam.NewFromConfig(h.cfg).CreateRole(h.ctx, &iam.CreateRoleInput{RoleName: aws.String(h.name + "-task"), Path: aws.String("/pgbackup/"), AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[]}`)})
		return err
	},
	"log group": func(h hand) error {
		_, err := cloudwatchlogs.NewFromConfig(h.cfg).CreateLogGroup(h.ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &h.d.LogGroup})
		return err
	},
	"queue": func(h hand) error {
		_, err := sqs.NewFromConfig(h.cfg).CreateQueue(h.ctx, &sqs.CreateQueueInput{QueueName: aws.String(h.name + "-dead-letter")})
		return err
	},
	"schedule group": func(h hand) error {
		_, err := scheduler.NewFromConfig(h.cfg).CreateScheduleGroup(h.ctx, &scheduler.CreateScheduleGroupInput{Name: &h.name})
		return err
	},
	"task definition": func(h hand) error {
		_, err := ecs.NewFromConfig(h.cfg).RegisterTaskDefinition(h.ctx, &ecs.RegisterTaskDefinitionInput{Family: &h.name, ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("x"), Image: aws.String("x"), Memory: aws.Int32(128)}}})
		return err
	},
}

func TestWhatSomebodyElseMadeIsNeitherChangedNorRemoved(t *testing.T) {
	t.Parallel()
	s := server(t)
	target := fargate.New(s.Config(), fargate.Options{})
	for what, make := range foreigners {
		changed := spec()
		changed.Job.Name = strings.ReplaceAll(what, " ", "-")
		r := render(t, changed)
		d := r.Planned()
		if err := make(hand{t.Context(), s.Config(), nameOf(d), d}); err != nil {
			t.Fatal(err)
		}
		before := inventory(t, s)
		_, err := target.Apply(t.Context(), r)
		if !errors.Is(err, awsapi.ErrForeign) || !strings.Contains(err.Error(), nameOf(d)[len("pgbackup-"):]) {
			t.Errorf("%s: %v", what, err)
		}
		if err := target.Remove(t.Context(), r.Document()); err != nil && !errors.Is(err, awsapi.ErrForeign) {
			t.Errorf("%s: %v", what, err)
		}
		after := strings.Join(inventory(t, s), "\n")
		for _, line := range before {
			if !strings.Contains(after, line) {
				t.Errorf("%s: %s was removed", what, line)
			}
		}
	}
}
