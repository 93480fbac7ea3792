package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// runTask does what EventBridge Scheduler and Fargate would: it asks the schedule
// which task definition it starts, reads that, and runs its containers.
func runTask(ctx context.Context, scheduleARN string) error {
	endpoint, bin := os.Getenv("DEMO_ENDPOINT"), os.Getenv("DEMO_PG_BIN")
	cfg, err := config.LoadDefaultConfig(ctx, config.WithBaseEndpoint(endpoint))
	if err != nil {
		return err
	}
	// arn:aws:scheduler:us-east-1:123456789012:schedule/GROUP/NAME
	parts := strings.Split(scheduleARN, "/")
	if len(parts) != 3 {
		return fmt.Errorf("%q is not the ARN of a schedule", scheduleARN)
	}
	schedule, err := scheduler.NewFromConfig(cfg).GetSchedule(ctx, &scheduler.GetScheduleInput{GroupName: aws.String(parts[1]), Name: aws.String(parts[2])})
	if err != nil {
		return err
	}
	definition, err := ecs.NewFromConfig(cfg).DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: schedule.Target.EcsParameters.TaskDefinitionArn})
	if err != nil {
		return err
	}
	end, err := testenv.RunTask(ctx, testenv.Task{
		Definition: definition.TaskDefinition,
		// The stock image has the programs of PostgreSQL, the other one the AWS CLI.
		Programs: func(image string) []string {
			if strings.Contains(image, "postgres") {
				return []string{bin, "/usr/bin", "/bin"}
			}
			return []string{os.Getenv("DEMO_AWS_BIN"), "/usr/bin", "/bin"}
		},
		Env: []string{"AWS_ACCESS_KEY_ID=testing", "AWS_SECRET_ACCESS_KEY=testing", "AWS_REGION=" + cfg.Region, "AWS_DEFAULT_REGION=" + cfg.Region, "AWS_EC2_METADATA_DISABLED=true"},
	})
	if err != nil {
		return err
	}
	for _, c := range definition.TaskDefinition.ContainerDefinitions {
		name := aws.ToString(c.Name)
		code, ran := end.ExitCode[name]
		for line := range strings.Lines(end.Output[name]) {
			fmt.Printf("%s | %s", name, line)
		}
		if !ran {
			return fmt.Errorf("container %s never ran: %s", name, end.Reason)
		}
		if code != 0 && code != 3 {
			return fmt.Errorf("container %s ended with exit code %d", name, code)
		}
	}
	return nil
}
