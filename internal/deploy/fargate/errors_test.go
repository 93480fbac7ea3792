package fargate_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestARoleThatAWSDoesNotKnowEverywhereYetIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := server(t)
	refused := 0
	watch := &testenv.AWSCalls{Answer: func(_ int, name string) error {
		if name == "Scheduler.CreateSchedule" && refused < 2 {
			refused++
			return testenv.AWSRefusal("ValidationException", "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.")
		}
		return nil
	}}
	r := render(t, spec())
	apply(t, fargate.New(watch.Watched(s.Config()), fargate.Options{}), r)
	if now, _ := read(t, fargate.New(s.Config(), fargate.Options{}), r.Document()); now != r.Document() || refused != 2 {
		t.Errorf("refused %d times, then %s", refused, now)
	}
}

func TestAnotherRefusalOfTheScheduleIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := server(t)
	watch := &testenv.AWSCalls{Answer: func(_ int, name string) error {
		if name == "Scheduler.CreateSchedule" {
			return testenv.AWSRefusal("ValidationException", "Invalid Schedule Expression cron(x).")
		}
		return nil
	}}
	_, err := fargate.New(watch.Watched(s.Config()), fargate.Options{}).Apply(t.Context(), render(t, spec()))
	if err == nil || !strings.Contains(err.Error(), "creating EventBridge schedule (pgbackup-nightly-") || !strings.Contains(err.Error(), "Invalid Schedule Expression") {
		t.Errorf("%v", err)
	}
}

func TestErrorsOfAWSSayWhatFailedAndWhatToDo(t *testing.T) {
	t.Parallel()
	s := server(t)
	r := render(t, spec())
	plain := fargate.New(s.Config(), fargate.Options{})
	for call, want := range map[string]string{
		"CloudWatch Logs.CreateLogGroup": "logs:CreateLogGroup", "IAM.CreateRole": "iam:CreateRole", "IAM.PutRolePolicy": "iam:PutRolePolicy", "SQS.CreateQueue": "sqs:CreateQueue",
		"Scheduler.CreateScheduleGroup": "scheduler:CreateScheduleGroup", "ECS.RegisterTaskDefinition": "ecs:RegisterTaskDefinition", "Scheduler.CreateSchedule": "scheduler:CreateSchedule",
	} {
		for code, is := range map[string]error{"AccessDeniedException": awsapi.ErrDenied, "ThrottlingException": awsapi.ErrThrottled} {
			if err := plain.Remove(t.Context(), r.Document()); err != nil {
				t.Fatal(err)
			}
			watch := &testenv.AWSCalls{Answer: func(_ int, name string) error {
				if name == call {
					return testenv.AWSRefusal(code, "no")
				}
				return nil
			}}
			_, err := fargate.New(watch.Watched(s.Config()), fargate.Options{}).Apply(t.Context(), r)
			if !errors.Is(err, is) || (errors.Is(is, awsapi.ErrDenied) && !strings.Contains(err.Error(), want)) || !strings.Contains(err.Error(), "nightly-") {
				t.Errorf("%s, %s: %v", call, code, err)
			}
		}
	}
	apply(t, plain, r) // what broke off is finished
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	s := server(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	watch := &testenv.AWSCalls{Answer: func(_ int, name string) error {
		if name == "Scheduler.CreateSchedule" {
			cancel(testenv.ErrDead)
			return testenv.AWSRefusal("ValidationException", "must allow AWS EventBridge Scheduler to assume the role")
		}
		return nil
	}}
	if _, err := fargate.New(watch.Watched(s.Config()), fargate.Options{}).Apply(ctx, render(t, spec())); !errors.Is(err, testenv.ErrDead) {
		t.Errorf("%v", err)
	}
}

func TestARunOnDemandIsWhatTheScheduleWouldStart(t *testing.T) {
	t.Parallel()
	s := server(t)
	target := fargate.New(s.Config(), fargate.Options{})
	there := spec()
	there.Config.Subnets = []string{s.EC2(t, "DescribeSubnets", `<subnetId>(subnet-[0-9a-f]+)<`)}
	there.Config.SecurityGroups = []string{s.EC2(t, "DescribeSecurityGroups", `<groupId>(sg-[0-9a-f]+)<`)}
	d := apply(t, target, render(t, there))
	arn, err := target.StartNow(t.Context(), d.ScheduleARN)
	if err != nil {
		t.Fatal(err)
	}
	client := ecs.NewFromConfig(s.Config())
	out, err := client.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String("main"), Tasks: []string{arn}})
	if err != nil || len(out.Tasks) != 1 || aws.ToString(out.Tasks[0].TaskDefinitionArn) != d.TaskDefinitionARN || out.Tasks[0].LaunchType != "FARGATE" {
		t.Fatalf("%+v, %v", out, err)
	}
	if _, err := client.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: aws.String("main"), Task: &arn, Reason: aws.String("by hand")}); err != nil {
		t.Fatal(err)
	}
	code, reason, err := target.Wait(t.Context(), arn)
	if err != nil || code != -1 || !strings.Contains(reason, "by hand") {
		t.Errorf("%d, %q, %v", code, reason, err)
	}
	if _, err := target.StartNow(t.Context(), "arn:aws:scheduler:us-east-1:"+account+":schedule/none/none"); !errors.Is(err, awsapi.ErrGone) {
		t.Errorf("%v", err)
	}
}
