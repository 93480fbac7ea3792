package alarm_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// account is an emulator of AWS, and clients of it.
type account struct {
	*testenv.AWSServer
	cloudwatch *cloudwatch.Client
	sns        *sns.Client
}

func emulator(t *testing.T) account {
	t.Helper()
	a := account{AWSServer: testenv.AWS(t)}
	for _, pair := range a.Env() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
	cfg := aws.Config{Region: a.Region, BaseEndpoint: aws.String(a.Endpoint), Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")}
	a.cloudwatch, a.sns = cloudwatch.NewFromConfig(cfg), sns.NewFromConfig(cfg)
	return a
}

func (a account) alarms(t *testing.T) map[string]bool {
	t.Helper()
	out, err := a.cloudwatch.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, alarm := range out.MetricAlarms {
		names[aws.ToString(alarm.AlarmName)] = true
	}
	return names
}

func (a account) topics(t *testing.T) int {
	t.Helper()
	out, err := a.sns.ListTopics(t.Context(), &sns.ListTopicsInput{})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Topics)
}

func config(dir, alarm string) string {
	return providertest.Repository(dir) + `
resource "pgbackup_policy" "prod" {
  name       = "prod"
  repository = pgbackup_repository.main.id
  retention  = { keep_daily = 30 }
}
resource "pgbackup_alarm" "prod" {
  policy = pgbackup_policy.prod.id
` + alarm + "\n}\n"
}

func empty() resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
}

const full = `
  jobs          = ["nightly", "orders"]
  overdue_after = "25h"
  size          = { below_percent = 50, above_percent = 200 }
  storage       = { above_bytes = 500000000000, growth_bytes_per_day = 20000000000 }
  wal_lag       = "15m"
  drill         = { jobs = ["weekly"], overdue_after = "8d" }
  email         = ["ops@example.org", "dba@example.org"]
  tags          = { team = "platform" }
`

func TestAccAlarm_fromNothingToNothing(t *testing.T) {
	a := emulator(t)
	dir := t.TempDir()
	text := config(dir, full)
	var id string
	names := func() (list []string) {
		for name := range a.alarms(t) {
			list = append(list, name)
		}
		return list
	}
	providertest.RunWith(t, func() error {
		if left := a.alarms(t); len(left) != 1 || !left["somebody-elses"] || a.topics(t) != 0 {
			return fmt.Errorf("left: %v, %d topics", left, a.topics(t))
		}
		return nil
	},
		resource.TestStep{
			Config: text,
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue("pgbackup_alarm.prod", tfjsonpath.New("definition"), knownvalue.StringRegexp(regexp.MustCompile(`FILL\(succeeded, 0\) \+ FILL\(armed, 0\)`))),
				statecheck.ExpectKnownValue("pgbackup_alarm.prod", tfjsonpath.New("topic"), knownvalue.StringRegexp(regexp.MustCompile(`^arn:aws:sns:us-east-1:123456789012:pgbackup-prod-`))),
			},
			Check: func(s *terraform.State) error {
				id = s.RootModule().Resources["pgbackup_alarm.prod"].Primary.ID
				// Per job overdue, failed, two sizes; storage, growth, lag, gap; the drill's two.
				if n := len(a.alarms(t)); n != 14 {
					return fmt.Errorf("%d alarms: %v", n, names())
				}
				return nil
			},
		},
		resource.TestStep{Config: text, ConfigPlanChecks: empty()},
		resource.TestStep{ // somebody silences one, deletes another and unsubscribes a third
			PreConfig: func() {
				for name := range a.alarms(t) {
					switch {
					case strings.Contains(name, "nightly-overdue"):
						if _, err := a.cloudwatch.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{
							AlarmName: aws.String(name), ActionsEnabled: aws.Bool(false), ComparisonOperator: "LessThanThreshold", EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(0), Namespace: aws.String("x"), MetricName: aws.String("y"), Period: aws.Int32(60), Statistic: "Sum",
						}); err != nil {
							t.Fatal(err)
						}
					case strings.Contains(name, "orders-failed"):
						if _, err := a.cloudwatch.DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{name}}); err != nil {
							t.Fatal(err)
						}
					}
				}
				subscriptions, err := a.sns.ListSubscriptions(t.Context(), &sns.ListSubscriptionsInput{})
				if err != nil || len(subscriptions.Subscriptions) != 2 {
					t.Fatalf("%v, %v", subscriptions, err)
				}
				if _, err := a.sns.Unsubscribe(t.Context(), &sns.UnsubscribeInput{SubscriptionArn: subscriptions.Subscriptions[0].SubscriptionArn}); err != nil {
					t.Fatal(err)
				}
			},
			Config:           text,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction("pgbackup_alarm.prod", plancheck.ResourceActionUpdate)}},
			Check: func(*terraform.State) error {
				subscriptions, err := a.sns.ListSubscriptions(t.Context(), &sns.ListSubscriptionsInput{})
				if err != nil {
					return err
				}
				if n := len(a.alarms(t)); n != 14 || len(subscriptions.Subscriptions) != 2 {
					return fmt.Errorf("%d alarms, %d subscriptions", n, len(subscriptions.Subscriptions))
				}
				out, err := a.cloudwatch.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{})
				if err != nil {
					return err
				}
				for _, alarm := range out.MetricAlarms {
					if !aws.ToBool(alarm.ActionsEnabled) {
						return fmt.Errorf("%s is silent still", aws.ToString(alarm.AlarmName))
					}
				}
				return nil
			},
		},
		resource.TestStep{Config: text, ConfigPlanChecks: empty()},
		resource.TestStep{
			ResourceName: "pgbackup_alarm.prod", ImportState: true, ImportStateIdFunc: func(*terraform.State) (string, error) { return id, nil }, ImportStateVerify: true,
			ImportStateVerifyIgnore: []string{"tags"},
		},
		resource.TestStep{ // fewer alarms, one address, and what is somebody else's stays
			PreConfig: func() {
				if _, err := a.cloudwatch.PutMetricAlarm(t.Context(), &cloudwatch.PutMetricAlarmInput{
					AlarmName: aws.String("somebody-elses"), ComparisonOperator: "LessThanThreshold", EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1), Namespace: aws.String("x"), MetricName: aws.String("y"), Period: aws.Int32(60), Statistic: "Sum",
				}); err != nil {
					t.Fatal(err)
				}
			},
			Config: config(dir, "  overdue_after = \"49h\"\n  email = [\"ops@example.org\"]") + `
data "pgbackup_alarm_states" "prod" {
  alarm = pgbackup_alarm.prod.id
  topic = pgbackup_alarm.prod.topic
}`,
			ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue("data.pgbackup_alarm_states.prod", tfjsonpath.New("states"), knownvalue.ListSizeExact(2)),
				statecheck.ExpectKnownValue("data.pgbackup_alarm_states.prod", tfjsonpath.New("ringing"), knownvalue.Bool(false)),
			},
			Check: func(*terraform.State) error {
				if n := len(a.alarms(t)); n != 3 {
					return fmt.Errorf("%d alarms: %v", n, names())
				}
				return nil
			},
		},
		resource.TestStep{ // all gone by hand
			PreConfig: func() {
				for name := range a.alarms(t) {
					if name == "somebody-elses" {
						continue
					}
					if _, err := a.cloudwatch.DeleteAlarms(t.Context(), &cloudwatch.DeleteAlarmsInput{AlarmNames: []string{name}}); err != nil {
						t.Fatal(err)
					}
				}
				topics, err := a.sns.ListTopics(t.Context(), &sns.ListTopicsInput{})
				if err != nil {
					t.Fatal(err)
				}
				for _, topic := range topics.Topics {
					if _, err := a.sns.DeleteTopic(t.Context(), &sns.DeleteTopicInput{TopicArn: topic.TopicArn}); err != nil {
						t.Fatal(err)
					}
				}
			},
			Config:           config(dir, "  overdue_after = \"49h\"\n  email = [\"ops@example.org\"]"),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction("pgbackup_alarm.prod", plancheck.ResourceActionCreate)}},
		},
	)
}

func TestAccAlarm_neverWritesOverSomebodyElses(t *testing.T) {
	a := emulator(t)
	dir := t.TempDir()
	providertest.Run(t,
		resource.TestStep{Config: config(dir, "  overdue_after = \"25h\"")},
		resource.TestStep{
			PreConfig: func() { // what pgbackup would make, made by somebody
				for name := range a.alarms(t) {
					if _, err := a.cloudwatch.UntagResource(t.Context(), &cloudwatch.UntagResourceInput{ResourceARN: aws.String("arn:aws:cloudwatch:us-east-1:123456789012:alarm:" + name), TagKeys: []string{"pgbackup:managed-by"}}); err != nil {
						t.Fatal(err)
					}
				}
			},
			Config:      strings.ReplaceAll(config(dir, "  overdue_after = \"25h\""), `"pgbackup_alarm" "prod"`, `"pgbackup_alarm" "again"`) + "\nremoved {\n  from = pgbackup_alarm.prod\n  lifecycle {\n    destroy = false\n  }\n}\n",
			ExpectError: providertest.Message("is there already, and not made by pgbackup"),
		},
	)
}

// Two resources of one name: the second does not take the first one's alarms, and
// what it did not make it does not delete.
func TestAccAlarm_twoOfOneNameAreRefused(t *testing.T) {
	a := emulator(t)
	text := config(t.TempDir(), `overdue_after = "25h"`)
	second := `
resource "pgbackup_alarm" "second" {
  policy        = pgbackup_policy.prod.id
  overdue_after = "49h"
}
`
	w := providertest.NewWorkspace(t, text)
	w.MustApply()
	before := a.alarms(t)
	w.Configure(text + second)
	if r := w.Apply(); !strings.Contains(strings.Join(r.Errors(), "\n")+r.String(), "another pgbackup_alarm of this name made it") {
		t.Fatalf("applied: %s", r)
	}
	w.Configure(text)
	w.MustApply()
	if after := a.alarms(t); len(after) != len(before) {
		t.Errorf("%v became %v", before, after)
	}
	w.Configure(text + strings.Replace(second, "{\n", "{\n  name = \"second\"\n", 1))
	w.MustApply()
	if n := len(a.alarms(t)); n != 2*len(before) {
		t.Errorf("%d alarms with two names", n)
	}
}

func TestAccAlarm_thereAreAlarmsAtEveryMomentOfAReplacement(t *testing.T) {
	a := emulator(t)
	text := config(t.TempDir(), "overdue_after = \"25h\"\n  lifecycle {\n    create_before_destroy = true\n  }")
	w := providertest.NewWorkspace(t, text)
	w.MustApply()
	n := len(a.alarms(t))
	w.MustApply("-replace=pgbackup_alarm.prod")
	if left := a.alarms(t); len(left) != n || a.topics(t) != 1 {
		t.Errorf("left of %d alarms: %v, %d topics", n, left, a.topics(t))
	}
	w.Command("destroy", "-auto-approve")
	if left := a.alarms(t); len(left) != 0 || a.topics(t) != 0 {
		t.Errorf("left after the destroy: %v", left)
	}
}

func TestAccAlarm_badInputIsRefusedAtPlan(t *testing.T) {
	emulator(t)
	dir := t.TempDir()
	for text, want := range map[string]string{
		`overdue_after = "1m"`:  "overdue_after = 1m0s: give at least 15m",
		`overdue_after = "1mo"`: "goes by the calendar",
		`failed = false`:        "nothing is watched",
		`email = ["ops"]`:       "must be an address such as ops@example.org",
		`size = {}`:             "give below_percent, above_percent or both",
		`topic_arn = "backups"`: "must be the ARN of an SNS topic",
		`jobs = ["Nightly"]`:    "only lower-case letters",
	} {
		providertest.Run(t, resource.TestStep{Config: config(dir, text), ExpectError: providertest.Message(want), PlanOnly: true})
	}
}
