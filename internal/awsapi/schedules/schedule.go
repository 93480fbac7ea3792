package schedules

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/shape"
)

// ARN of a schedule.
func ARN(partition, region, account, group, name string) string {
	return fmt.Sprintf("arn:%s:scheduler:%s:%s:schedule/%s/%s", partition, region, account, group, name)
}

var arnPattern = regexp.MustCompile(`^arn:[a-z-]+:scheduler:([a-z0-9-]+):\d{12}:schedule/([^/]+)/([^/]+)$`)

// ParseARN gives the parts of a schedule's ARN.
func ParseARN(arn string) (region, group, name string, err error) {
	m := arnPattern.FindStringSubmatch(arn)
	if m == nil {
		return "", "", "", fmt.Errorf("%.200q is no ARN of an EventBridge schedule", arn)
	}
	return m[1], m[2], m[3], nil
}

// Ensure makes the schedule, or puts right the one of that name. Its group has to
// be ours already, see EnsureGroup. A role that AWS does not know everywhere yet is
// waited for. made says that it was not there.
func (s *Schedules) Ensure(ctx context.Context, want *scheduler.CreateScheduleInput) (made bool, err error) {
	group, name := aws.ToString(want.GroupName), aws.ToString(want.Name)
	have, _, err := s.Read(ctx, group, name)
	role := aws.ToString(want.Target.RoleArn)
	switch {
	case errors.Is(err, awsapi.ErrGone):
		err := awsapi.UntilKnown(ctx, "schedule group "+group, func(ctx context.Context) error {
			return awsapi.UntilAssumable(ctx, role, func(ctx context.Context) error {
				_, err := s.client.CreateSchedule(ctx, want)
				return err
			})
		})
		return err == nil, awsapi.Explain(ctx, "creating "+named(name), "scheduler:CreateSchedule, and iam:PassRole on "+role, err)
	case err != nil:
		return false, err
	case reflect.DeepEqual(Plain(have), Plain(want)):
		return false, nil
	}
	change := &scheduler.UpdateScheduleInput{}
	shape.Copy(change, want)
	err = awsapi.UntilAssumable(ctx, role, func(ctx context.Context) error {
		_, err := s.client.UpdateSchedule(ctx, change)
		return err
	})
	return false, awsapi.Explain(ctx, "changing "+named(name), "scheduler:UpdateSchedule, and iam:PassRole on "+role, err)
}

// Plain is a schedule as a document.
func Plain(in *scheduler.CreateScheduleInput) map[string]any {
	c := *in
	c.ClientToken = nil // of a call, not of a schedule
	if c.Target != nil && c.Target.EcsParameters != nil && c.Target.EcsParameters.NetworkConfiguration != nil {
		if vpc := c.Target.EcsParameters.NetworkConfiguration.AwsvpcConfiguration; vpc != nil {
			vpc.Subnets, vpc.SecurityGroups = slices.Sorted(slices.Values(vpc.Subnets)), slices.Sorted(slices.Values(vpc.SecurityGroups))
		}
	}
	return shape.Plain(&c)
}

// Read gives a schedule as it is, in the form that would make it, and its ARN;
// awsapi.ErrGone when there is none.
func (s *Schedules) Read(ctx context.Context, group, name string) (*scheduler.CreateScheduleInput, string, error) {
	out, err := s.client.GetSchedule(ctx, &scheduler.GetScheduleInput{GroupName: &group, Name: &name})
	if err != nil {
		return nil, "", awsapi.Explain(ctx, "reading "+named(name), "scheduler:GetSchedule", err)
	}
	found := &scheduler.CreateScheduleInput{}
	shape.Copy(found, out)
	return found, aws.ToString(out.Arn), nil
}

// Remove removes a schedule of a group of ours; one that is gone is no error.
func (s *Schedules) Remove(ctx context.Context, group, name string) error {
	_, err := s.client.DeleteSchedule(ctx, &scheduler.DeleteScheduleInput{GroupName: &group, Name: &name})
	if awsapi.Is(err, notFound) {
		return nil
	}
	return awsapi.Explain(ctx, "removing "+named(name), "scheduler:DeleteSchedule", err)
}

func named(name string) string { return "EventBridge schedule (" + name + ")" }
