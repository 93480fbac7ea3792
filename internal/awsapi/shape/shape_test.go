package shape_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/shape"
)

func TestAnAnswerBecomesTheRequestThatWouldLeadToIt(t *testing.T) {
	t.Parallel()
	answer := &scheduler.GetScheduleOutput{
		Arn: aws.String("arn"), Name: aws.String("n"), State: types.ScheduleStateEnabled,
		Target: &types.Target{Arn: aws.String("a"), Input: aws.String(""), RetryPolicy: &types.RetryPolicy{MaximumRetryAttempts: aws.Int32(0), MaximumEventAgeInSeconds: aws.Int32(60)},
			EcsParameters: &types.EcsParameters{PlacementConstraints: []types.PlacementConstraint{}, Tags: []map[string]string{{"K": ""}}}},
	}
	request := &scheduler.CreateScheduleInput{ClientToken: aws.String("kept")}
	shape.Copy(request, answer)
	want := map[string]any{
		"clientToken": "kept", "name": "n", "state": "ENABLED",
		"target": map[string]any{"arn": "a", "retryPolicy": map[string]any{"maximumEventAgeInSeconds": 60.0}, "ecsParameters": map[string]any{"tags": []any{map[string]any{"K": ""}}}},
	}
	if diff := cmp.Diff(want, shape.Plain(request)); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
}
