package schedule_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

func TestAccSchedule_onFargateDriftIsPutRight(t *testing.T) {
	c := newCloud(t)
	w := providertest.NewWorkspace(t, c.config(c.One, "rotate = {}", onFargate))
	w.Plan()
	first := w.Show(address)
	planned := first.After
	if planned["id"] == nil || planned["role_arn"] == nil || first.Unknown["deployment"] != true {
		t.Errorf("without a repository yet, all but what the role may read is known: %v, not %v", planned, first.Unknown)
	}
	w.Configure(c.config(c.One, "rotate = {}", onFargate, `key_ref = "ssm:/key"`))
	w.Plan()
	if text, _ := w.Show(address).After["deployment"].(string); !strings.Contains(text, `"task_definition"`) || !strings.Contains(text, `"PGCONNECT_TIMEOUT"`) || !strings.Contains(text, "ssm:GetParameter") {
		t.Errorf("the plan does not show what will be in AWS: %v", w.Show(address).After)
	}
	w.Configure(c.config(c.One, "rotate = {}", onFargate))
	w.Plan()
	if r := w.ApplySaved(); r.Failed {
		t.Fatal(r)
	}
	plansNothing(t, w, "after the first apply")
	made := c.Made()
	if len(made) != 8 {
		t.Errorf("made: %s", strings.Join(made, "\n"))
	}
	state := w.State(address)
	if state["id"] != planned["id"] || !strings.Contains(fmt.Sprint(state["deployment"]), `"cost": "backup"`) || !strings.Contains(fmt.Sprint(state["deployment"]), `"team": "data"`) {
		t.Errorf("state: %v", state)
	}
	name := strings.Split(fmt.Sprint(state["id"]), "/")[1]
	jobKey := c.Keys("jobs/nightly/")[0]
	ctx, cfg := t.Context(), c.Config()
	for what, damage := range map[string]func() error{
		"schedule deleted": func() error {
			_, err := scheduler.NewFromConfig(cfg).DeleteSchedule(ctx, &scheduler.DeleteScheduleInput{GroupName: &name, Name: &name})
			return err
		},
		"schedule disabled": func() error {
			client := scheduler.NewFromConfig(cfg)
			is, err := client.GetSchedule(ctx, &scheduler.GetScheduleInput{GroupName: &name, Name: &name})
			if err != nil {
				return err
			}
			_, err = client.UpdateSchedule(ctx, &scheduler.UpdateScheduleInput{
				GroupName: &name, Name: &name, ScheduleExpression: is.ScheduleExpression, ScheduleExpressionTimezone: is.ScheduleExpressionTimezone,
				FlexibleTimeWindow: is.FlexibleTimeWindow, Target: is.Target, State: types.ScheduleStateDisabled,
			})
			return err
		},
		"policy of a role widened": func() error {
			_, err := iam.NewFromConfig(cfg).PutRolePolicy(ctx, &iam.PutRolePolicyInput{
				RoleName: aws.String(name + "-task"), PolicyName: aws.String("pgbackup"),
				PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`),
			})
			return err
		},
		"retention of the log changed": func() error {
			_, err := cloudwatchlogs.NewFromConfig(cfg).PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: aws.String(fmt.Sprint(state["log_group"])), RetentionInDays: aws.Int32(1)})
			return err
		},
		"queue deleted": func() error {
			client := sqs.NewFromConfig(cfg)
			at, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(name + "-dead-letter")})
			if err == nil {
				_, err = client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: at.QueueUrl})
			}
			return err
		},
		"task definition deregistered": func() error {
			client := ecs.NewFromConfig(cfg)
			list, err := client.ListTaskDefinitions(ctx, &ecs.ListTaskDefinitionsInput{FamilyPrefix: &name})
			if err == nil {
				_, err = client.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &list.TaskDefinitionArns[0]})
			}
			return err
		},
		"job file changed": func() error {
			_, err := c.Client().PutObject(ctx, &awss3.PutObjectInput{Bucket: &c.Bucket, Key: &jobKey, Body: strings.NewReader("{}")})
			return err
		},
		"job file deleted": func() error {
			_, err := c.Client().DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &c.Bucket, Key: &jobKey})
			return err
		},
	} {
		if err := damage(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		w.Plan()
		if got := w.Show(address).Actions; !slices.Equal(got, []string{"update"}) {
			t.Errorf("%s: the plan does %v", what, got)
		}
		if r := w.ApplySaved(); r.Failed {
			t.Fatalf("%s: %s", what, r)
		}
		plansNothing(t, w, what)
	}
	var families []string
	for _, m := range c.Made() {
		families = append(families, m[:strings.LastIndexAny(m, ":")+1]) // without the number of a revision
	}
	if len(families) != len(made) {
		t.Errorf("made in the end: %s", strings.Join(c.Made(), "\n"))
	}
	w.Command("destroy", "-auto-approve", "-target="+address)
	if made := c.Made(); len(made) > 0 || len(c.Keys("jobs/")) > 0 || slices.ContainsFunc(c.Keys("runner/"), func(k string) bool { return strings.Contains(k, "used-by") }) {
		t.Errorf("left after the destroy: %v %v %v", made, c.Keys("jobs/"), c.Keys("runner/"))
	}
}

func TestAccSchedule_aPlanWithoutSTSOrWithAnUnknownPolicyShowsLessAndTheApplyAll(t *testing.T) {
	c := newCloud(t)
	unknown := strings.Replace(c.config(c.One, "rotate = {}", onFargate), "pgbackup_policy.prod.id\n  runner", "terraform_data.policy.output\n  runner", 1) +
		"resource \"terraform_data\" \"policy\" {\n  input = pgbackup_policy.prod.id\n}\n"
	w := providertest.NewWorkspace(t, unknown)
	if r := w.Plan(); r.Failed || w.Show(address).Unknown["deployment"] != true {
		t.Fatalf("a plan with an unknown policy: %v %s", w.Show(address).Unknown, r)
	}
	// What is wrong with the job is found all the same.
	w.Configure(strings.Replace(unknown, "rotate = {}", "logical = { server = { port = 5432, host = \"postgres://x\" } }", 1))
	if r := w.Plan(); !r.Failed || !strings.Contains(r.String(), "job.logical.server.host") {
		t.Errorf("a wrong job: %s", r)
	}
	w.Configure(c.config(c.One, "rotate = {}", onFargate))
	c.Refusing(func(service string, _ *http.Request) bool { return service == "sts" })
	r := w.Plan()
	if warned := strings.Join(r.Warnings(), "\n"); r.Failed || !strings.Contains(warned, "only known after apply") || w.Show(address).Unknown["id"] != true {
		t.Fatalf("a plan without STS: %s", r)
	}
	c.Refusing(nil)
	if r := w.ApplySaved(); r.Failed {
		t.Fatal(r)
	}
	plansNothing(t, w, "made from a plan without STS")
	c.Refusing(func(service string, _ *http.Request) bool { return service == "sts" })
	plansNothing(t, w, "without STS, and nothing changed")
}
