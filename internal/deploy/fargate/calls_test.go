package fargate_test

import (
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// An account has limits on calls, which hundreds of schedules share.
func TestNothingIsAskedOfAWSTwice(t *testing.T) {
	t.Parallel()
	s := server(t)
	first, changed := spec(), spec()
	changed.Runner.SHA256 = map[string]string{"x86_64": sum("c")}
	of := func(do func(*fargate.Target) error) map[string]int {
		t.Helper()
		watch := &testenv.AWSCalls{}
		if err := do(fargate.New(watch.Watched(s.Config()), fargate.Options{})); err != nil {
			t.Fatal(err)
		}
		calls := map[string]int{}
		for _, name := range watch.Names {
			calls[name]++
		}
		return calls
	}
	var document string
	put := func(spec fargate.Spec) func(*fargate.Target) error {
		return func(target *fargate.Target) error {
			r := render(t, spec)
			document = r.Document()
			_, err := target.Apply(t.Context(), r)
			return err
		}
	}
	for _, step := range []struct {
		name string
		do   func(*fargate.Target) error
		want map[string]int // of the reading calls
	}{
		{"create", put(first), map[string]int{
			"IAM.GetRole": 3, "ECS.ListTaskDefinitions": 1, "CloudWatch Logs.DescribeLogGroups": 1, "SQS.GetQueueUrl": 1, "Scheduler.GetScheduleGroup": 1, "Scheduler.GetSchedule": 1,
		}},
		{"update", put(changed), map[string]int{
			"IAM.GetRole": 3, "IAM.GetRolePolicy": 3, "ECS.ListTaskDefinitions": 1, "ECS.DescribeTaskDefinition": 1,
			"CloudWatch Logs.DescribeLogGroups": 1, "CloudWatch Logs.ListTagsForResource": 1, "SQS.GetQueueUrl": 1, "SQS.GetQueueAttributes": 1, "SQS.ListQueueTags": 1,
			"Scheduler.GetScheduleGroup": 1, "Scheduler.ListTagsForResource": 1, "Scheduler.GetSchedule": 1,
		}},
		{"remove", func(target *fargate.Target) error { return target.Remove(t.Context(), document) }, map[string]int{
			"IAM.GetRole": 3, "IAM.ListRolePolicies": 3, "IAM.ListAttachedRolePolicies": 3, "ECS.ListTaskDefinitions": 2, "ECS.DescribeTaskDefinition": 1,
			"CloudWatch Logs.DescribeLogGroups": 1, "CloudWatch Logs.ListTagsForResource": 1, "SQS.GetQueueUrl": 1, "SQS.ListQueueTags": 1,
			"Scheduler.GetScheduleGroup": 1, "Scheduler.ListTagsForResource": 1,
		}},
	} {
		for name, n := range of(step.do) {
			if reads(name) && n > step.want[name] {
				t.Errorf("%s: %s was asked %d times, not %d", step.name, name, n, step.want[name])
			}
		}
	}
}

func reads(call string) bool {
	_, operation, _ := strings.Cut(call, ".")
	return strings.HasPrefix(operation, "Get") || strings.HasPrefix(operation, "List") || strings.HasPrefix(operation, "Describe")
}
