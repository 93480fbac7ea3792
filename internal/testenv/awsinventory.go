package testenv

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Inventory lists what deployed jobs leave in an account and region, sorted: roles,
// log groups, queues, schedules and their groups, functions, and task definitions
// whatever their state.
func Inventory(ctx context.Context, cfg aws.Config) ([]string, error) {
	var all []string
	add := func(kind string, names ...string) {
		for _, n := range names {
			all = append(all, kind+" "+n)
		}
	}
	for _, list := range []func(context.Context, aws.Config, func(string, ...string)) error{listRoles, listLogGroups, listQueues, listSchedules, listFunctions, listTaskDefinitions} {
		if err := list(ctx, cfg, add); err != nil {
			return nil, err
		}
	}
	slices.Sort(all)
	return all, nil
}

func listRoles(ctx context.Context, cfg aws.Config, add func(string, ...string)) error {
	for pages := iam.NewListRolesPaginator(iam.NewFromConfig(cfg), &iam.ListRolesInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, r := range page.Roles {
			add("role", aws.ToString(r.RoleName))
		}
	}
	return nil
}

func listLogGroups(ctx context.Context, cfg aws.Config, add func(string, ...string)) error {
	for pages := cloudwatchlogs.NewDescribeLogGroupsPaginator(cloudwatchlogs.NewFromConfig(cfg), &cloudwatchlogs.DescribeLogGroupsInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, g := range page.LogGroups {
			add("log group", aws.ToString(g.LogGroupName))
		}
	}
	return nil
}

func listQueues(ctx context.Context, cfg aws.Config, add func(string, ...string)) error {
	for pages := sqs.NewListQueuesPaginator(sqs.NewFromConfig(cfg), &sqs.ListQueuesInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		add("queue", page.QueueUrls...)
	}
	return nil
}

func listSchedules(ctx context.Context, cfg aws.Config, add func(string, ...string)) error {
	client := scheduler.NewFromConfig(cfg)
	for pages := scheduler.NewListScheduleGroupsPaginator(client, &scheduler.ListScheduleGroupsInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, g := range page.ScheduleGroups {
			add("schedule group", aws.ToString(g.Name))
		}
	}
	for pages := scheduler.NewListSchedulesPaginator(client, &scheduler.ListSchedulesInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, s := range page.Schedules {
			add("schedule", aws.ToString(s.GroupName)+"/"+aws.ToString(s.Name))
		}
	}
	return nil
}

func listFunctions(ctx context.Context, cfg aws.Config, add func(string, ...string)) error {
	for pages := lambda.NewListFunctionsPaginator(lambda.NewFromConfig(cfg), &lambda.ListFunctionsInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, f := range page.Functions {
			add("function", aws.ToString(f.FunctionName))
		}
	}
	return nil
}

func listTaskDefinitions(ctx context.Context, cfg aws.Config, add func(string, ...string)) error {
	for _, status := range []ecstypes.TaskDefinitionStatus{ecstypes.TaskDefinitionStatusActive, ecstypes.TaskDefinitionStatusInactive} {
		for pages := ecs.NewListTaskDefinitionsPaginator(ecs.NewFromConfig(cfg), &ecs.ListTaskDefinitionsInput{Status: status}); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			add("task definition, "+string(status), page.TaskDefinitionArns...)
		}
	}
	return nil
}
