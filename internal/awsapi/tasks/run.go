package tasks

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// Start runs one task and gives its ARN. A request that ECS accepts without
// placing the task is an error.
func (t *Tasks) Start(ctx context.Context, in *ecs.RunTaskInput) (arn string, err error) {
	starting := fmt.Sprintf("starting a task of %s in ECS cluster (%s)", named(Family(aws.ToString(in.TaskDefinition))), aws.ToString(in.Cluster))
	out, err := t.client.RunTask(ctx, in)
	if err != nil {
		return "", awsapi.Explain(ctx, starting, "ecs:RunTask, and iam:PassRole on the roles of the task", err)
	}
	for _, f := range out.Failures {
		return "", fmt.Errorf("%s: %s %s", starting, aws.ToString(f.Reason), aws.ToString(f.Detail))
	}
	if len(out.Tasks) != 1 {
		return "", fmt.Errorf("%s: ECS started %d tasks and not one", starting, len(out.Tasks))
	}
	return aws.ToString(out.Tasks[0].TaskArn), nil
}

var taskPattern = regexp.MustCompile(`^arn:[a-z-]+:ecs:[a-z0-9-]+:\d{12}:task/([^/]+)/([^/]+)$`)

// End is how a task ended.
type End struct {
	// ExitCode of the essential container; -1 when it never started.
	ExitCode int
	Reason   string // in the words of ECS, and of each container that did not end well
}

// Wait waits until a task has stopped. limit bounds the wait; awsapi.ErrGone says
// that ECS has forgotten the task, which it does within an hour of its end.
func (t *Tasks) Wait(ctx context.Context, arn, essential string, limit time.Duration) (End, error) {
	m := taskPattern.FindStringSubmatch(arn)
	if m == nil {
		return End{}, fmt.Errorf("%.200q is no ARN of an ECS task", arn)
	}
	var end End
	err := awsapi.Until(ctx, awsapi.Waiting{What: "ECS task (" + m[2] + ") to end", Limit: limit, First: time.Second},
		func(ctx context.Context) (bool, string, error) {
			out, err := t.client.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &m[1], Tasks: []string{arn}})
			if err != nil {
				return false, "", awsapi.Explain(ctx, "reading ECS task ("+m[2]+")", "ecs:DescribeTasks", err)
			}
			if len(out.Tasks) == 0 {
				return false, "", fmt.Errorf("reading ECS task (%s): %w", m[2], awsapi.ErrGone)
			}
			state := aws.ToString(out.Tasks[0].LastStatus)
			if state != "STOPPED" {
				return false, state, nil
			}
			end = ended(out.Tasks[0], essential)
			return true, state, nil
		})
	return end, err
}

func ended(task types.Task, essential string) End {
	end := End{ExitCode: -1}
	reasons := []string{aws.ToString(task.StoppedReason)}
	for _, c := range task.Containers {
		name := aws.ToString(c.Name)
		switch {
		case c.ExitCode == nil:
			reasons = append(reasons, fmt.Sprintf("container %s did not run: %s", name, aws.ToString(c.Reason)))
		case *c.ExitCode != 0:
			reasons = append(reasons, strings.TrimSpace(fmt.Sprintf("container %s ended with %d %s", name, *c.ExitCode, aws.ToString(c.Reason))))
		}
		if name == essential && c.ExitCode != nil {
			end.ExitCode = int(*c.ExitCode)
		}
	}
	end.Reason = strings.TrimPrefix(strings.Join(reasons, "; "), "; ")
	return end
}
