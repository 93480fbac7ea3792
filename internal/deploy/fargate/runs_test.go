package fargate_test

import (
	"bytes"
	"context"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/deploytest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func specIn(w *deploytest.World) fargate.Spec {
	s := spec()
	s.Job.Repository, s.Job.Policy, s.Job.Source = w.At.String(), "", "db"
	s.Job.Logical = &job.Logical{Databases: []string{"shop"}, Server: job.Server{
		Host: w.PG.Host, Port: w.PG.Port, User: w.PG.User, PasswordRef: deploytest.Ref("secretsmanager:acme/db#password"),
	}}
	s.Runner = w.Release()
	s.Config.Architecture = w.Arch
	return s
}

// deploy brings the job's file to the repository and applies, as the provider does.
func deployIn(t *testing.T, w *deploytest.World, s fargate.Spec) fargate.Deployed {
	t.Helper()
	r := render(t, s)
	w.PutJob(t, r.Job)
	return apply(t, fargate.New(w.AWS.Config(), fargate.Options{}), r)
}

// registered is the task definition that the schedule starts, read back from AWS.
func registered(t *testing.T, w *deploytest.World, scheduleARN string) *ecstypes.TaskDefinition {
	t.Helper()
	part := strings.Split(scheduleARN, "/")
	when, err := scheduler.NewFromConfig(w.AWS.Config()).GetSchedule(t.Context(), &scheduler.GetScheduleInput{GroupName: &part[1], Name: &part[2]})
	if err != nil {
		t.Fatal(err)
	}
	out, err := ecs.NewFromConfig(w.AWS.Config()).DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: when.Target.EcsParameters.TaskDefinitionArn})
	if err != nil {
		t.Fatal(err)
	}
	return out.TaskDefinition
}

// start runs what the schedule starts, and keeps its log where it is told to.
func start(t *testing.T, w *deploytest.World, d fargate.Deployed) testenv.TaskEnd {
	t.Helper()
	definition := registered(t, w, d.ScheduleARN)
	end, err := testenv.RunTask(t.Context(), testenv.Task{
		Definition: definition, Env: w.Env,
		Programs: func(image string) []string {
			if strings.Contains(image, "aws-cli") {
				return []string{filepath.Dir(testenv.PythonTool(t, "aws")), "/usr/bin", "/bin"}
			}
			return []string{w.PG.Bin, "/usr/bin", "/bin"}
		},
	})
	if err != nil {
		t.Fatalf("%v\n%v", err, end)
	}
	for _, c := range definition.ContainerDefinitions {
		keepLog(t.Context(), t, w, c, end.Output[aws.ToString(c.Name)])
	}
	return end
}

// keepLog is the log driver awslogs.
func keepLog(ctx context.Context, t *testing.T, w *deploytest.World, c ecstypes.ContainerDefinition, text string) {
	t.Helper()
	client, options := cloudwatchlogs.NewFromConfig(w.AWS.Config()), c.LogConfiguration.Options
	group, stream := options["awslogs-group"], options["awslogs-stream-prefix"]+"/"+aws.ToString(c.Name)+"/"+time.Now().Format("150405.000000000")
	if _, err := client.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &stream}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		_, err := client.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: &group, LogStreamName: &stream,
			LogEvents: []logstypes.InputLogEvent{{Timestamp: aws.Int64(time.Now().UnixMilli()), Message: aws.String(strings.TrimSuffix(line, "\n"))}}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// logged is what a log group holds.
func logged(t *testing.T, w *deploytest.World, group string) string {
	t.Helper()
	out, err := cloudwatchlogs.NewFromConfig(w.AWS.Config()).FilterLogEvents(t.Context(), &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, e := range out.Events {
		text.WriteString(aws.ToString(e.Message) + "\n")
	}
	return text.String()
}

func TestWhatIsDeployedIsWhatRuns(t *testing.T) {
	t.Parallel()
	w := deploytest.New(t)
	makeCluster(t, w.AWS)
	d := deployIn(t, w, specIn(w))

	end := start(t, w, d)
	if end.ExitCode[fargate.FetchContainer] != 0 || end.ExitCode[fargate.RunnerContainer] != 0 {
		t.Fatalf("%v, %s\n%s\n%s", end.ExitCode, end.Reason, end.Output[fargate.FetchContainer], end.Output[fargate.RunnerContainer])
	}
	databases := 0
	for _, p := range w.Points(t) {
		if !p.Verified {
			t.Errorf("%+v is not verified", p)
		}
		if p.Kind == "logical" {
			databases++
		}
	}
	if databases != 1 {
		t.Errorf("%d recovery points of the database: %+v", databases, w.Points(t))
	}
	succeeded := false
	for _, m := range deploytest.Metrics(logged(t, w, d.LogGroup)) {
		succeeded = succeeded || m["Succeeded"] == 1.0 && m["Job"] == "nightly" && m["Repository"] == "s3://"+w.S3.Bucket+"/prod"
	}
	if !succeeded {
		t.Errorf("no metric Succeeded reached the log:\n%s", end.Output[fargate.RunnerContainer])
	}
	for _, secret := range []string{w.PG.Password, w.S3.SecretKey} {
		if strings.Contains(end.Output[fargate.RunnerContainer]+end.Output[fargate.FetchContainer], secret) {
			t.Error("a secret is in the log")
		}
	}

	// Whatever is changed in the repository behind Terraform's back does not run.
	before := len(w.Points(t))
	job, err := specIn(w).Job.Encode()
	if err != nil {
		t.Fatal(err)
	}
	url := registered(t, w, d.ScheduleARN).ContainerDefinitions[1].Command[2]
	key := strings.TrimPrefix(strings.Split(url, "?")[0], "s3://"+w.S3.Bucket+"/prod/")
	w.Put(t, key, bytes.ReplaceAll(job, []byte("shop"), []byte("postgres")))
	if end := start(t, w, d); end.ExitCode[fargate.RunnerContainer] == 0 || !strings.Contains(end.Output[fargate.RunnerContainer], "not the one that was deployed") {
		t.Errorf("with another job file: %v\n%s", end.ExitCode, end.Output[fargate.RunnerContainer])
	}
	w.Put(t, runnerdist.Key(w.SHA256, runtime.GOARCH), []byte("#!/bin/sh\necho taken over\n"))
	end = start(t, w, d)
	if _, ran := end.ExitCode[fargate.RunnerContainer]; ran || end.ExitCode[fargate.FetchContainer] != 2 || !strings.Contains(end.Output[fargate.FetchContainer], "is not the runner that was deployed") {
		t.Errorf("with another program: %v\n%s", end.ExitCode, end.Output[fargate.FetchContainer])
	}
	if after := len(w.Points(t)); after != before {
		t.Errorf("%d points became %d", before, after)
	}
}
