// Package alarms brings alarms to CloudWatch and their messages to people: alarms
// of metric math, the topic they write to, and who subscribes to it.
//
// What must not live here: which alarms there should be (package alarm).
package alarms

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/alarm"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
)

// Client of CloudWatch and SNS in one region.
type Client struct {
	cloudwatch *cloudwatch.Client
	sns        *sns.Client
}

// New prepares the clients. Nothing is asked yet.
func New(cfg aws.Config) *Client {
	return &Client{cloudwatch: cloudwatch.NewFromConfig(cfg), sns: sns.NewFromConfig(cfg)}
}

// Live is an alarm as it is in CloudWatch.
type Live struct {
	alarm.Alarm
	ARN     string
	State   string    // OK, ALARM or INSUFFICIENT_DATA
	Reason  string    // of the state
	Since   time.Time // of the state
	Actions []string  // ARNs told when it rings
	OK      []string  // ARNs told when it is over
	Enabled bool      // whether the actions are
}

// result is the id of the expression among the metrics of an alarm.
const result = "result"

// Read gives the alarms of these names that are there.
func (c *Client) Read(ctx context.Context, names []string) (map[string]Live, error) {
	found := map[string]Live{}
	for part := range slices.Chunk(names, 100) { // the most one call takes
		out, err := c.cloudwatch.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: part, AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm}, MaxRecords: aws.Int32(100)})
		if err != nil {
			return nil, awsapi.Explain(ctx, fmt.Sprintf("reading CloudWatch alarms (%s, …)", part[0]), "cloudwatch:DescribeAlarms", err)
		}
		for _, a := range out.MetricAlarms {
			found[aws.ToString(a.AlarmName)] = live(a)
		}
	}
	return found, nil
}

// Find gives the alarms whose names begin with prefix, by name.
func (c *Client) Find(ctx context.Context, prefix string) ([]Live, error) {
	var found []Live
	pages := cloudwatch.NewDescribeAlarmsPaginator(c.cloudwatch, &cloudwatch.DescribeAlarmsInput{AlarmNamePrefix: aws.String(prefix), AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm}})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awsapi.Explain(ctx, "reading CloudWatch alarms ("+prefix+"…)", "cloudwatch:DescribeAlarms", err)
		}
		for _, a := range out.MetricAlarms {
			found = append(found, live(a))
		}
	}
	slices.SortFunc(found, func(a, b Live) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

func live(a types.MetricAlarm) Live {
	l := Live{
		Alarm: alarm.Alarm{
			Name: aws.ToString(a.AlarmName), Description: aws.ToString(a.AlarmDescription), Metrics: map[string]alarm.Series{},
			Comparison: string(a.ComparisonOperator), Threshold: aws.ToFloat64(a.Threshold),
			Periods: int(aws.ToInt32(a.EvaluationPeriods)), ToAlarm: int(aws.ToInt32(a.DatapointsToAlarm)), Missing: alarm.Missing(aws.ToString(a.TreatMissingData)),
		},
		ARN: aws.ToString(a.AlarmArn), State: string(a.StateValue), Reason: aws.ToString(a.StateReason), Since: aws.ToTime(a.StateUpdatedTimestamp),
		Actions: a.AlarmActions, OK: a.OKActions, Enabled: aws.ToBool(a.ActionsEnabled),
	}
	for _, q := range a.Metrics {
		if q.MetricStat == nil {
			l.Expression = aws.ToString(q.Expression)
			continue
		}
		series := alarm.Series{Metric: metric.Name(aws.ToString(q.MetricStat.Metric.MetricName)), Statistic: aws.ToString(q.MetricStat.Stat), Dimensions: map[string]string{}}
		for _, d := range q.MetricStat.Metric.Dimensions {
			series.Dimensions[aws.ToString(d.Name)] = aws.ToString(d.Value)
		}
		l.Metrics[aws.ToString(q.Id)] = series
		l.Period = int(aws.ToInt32(q.MetricStat.Period))
	}
	return l
}

// tags of an alarm.
func (c *Client) tags(ctx context.Context, l Live) (map[string]string, error) {
	out, err := c.cloudwatch.ListTagsForResource(ctx, &cloudwatch.ListTagsForResourceInput{ResourceARN: aws.String(l.ARN)})
	if err != nil {
		return nil, awsapi.Explain(ctx, "reading the tags of CloudWatch alarm ("+l.Name+")", "cloudwatch:ListTagsForResource", err)
	}
	tags := map[string]string{}
	for _, t := range out.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// Refuse fails when one of the alarms is there already: with awsapi.ErrForeign for
// somebody else's, and for one of pgbackup's that watches or tells otherwise, which
// another resource has. One that is just as wanted is what a create left that died.
// PutMetricAlarm would write over all of them without a word.
func (c *Client) Refuse(ctx context.Context, wanted []Live) error {
	names := make([]string, len(wanted))
	for i, w := range wanted {
		names[i] = w.Name
	}
	there, err := c.Read(ctx, names)
	if err != nil {
		return err
	}
	for _, w := range wanted {
		l, ok := there[w.Name]
		if !ok {
			continue
		}
		tags, err := c.tags(ctx, l)
		switch {
		case err != nil:
			return err
		case !awsapi.Ours(tags):
			return fmt.Errorf("creating CloudWatch alarm (%s): it %w", w.Name, awsapi.ErrForeign)
		case !l.same(w):
			return fmt.Errorf("creating CloudWatch alarm (%s): another pgbackup_alarm of this name made it: give this one a name of its own, or import it", w.Name)
		}
	}
	return nil
}

// same compares what an alarm watches and whom it tells.
func (l Live) same(w Live) bool {
	return reflect.DeepEqual(l.Alarm, w.Alarm) && sameSet(l.Actions, w.Actions) && sameSet(l.OK, w.OK)
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// Put makes or changes an alarm. actions are told when it rings, ok when it is
// over; tags are merged into those it has.
func (c *Client) Put(ctx context.Context, a alarm.Alarm, actions, ok []string, tags map[string]string) error {
	in := &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String(a.Name), AlarmDescription: aws.String(a.Description), ActionsEnabled: aws.Bool(true), AlarmActions: actions, OKActions: ok,
		ComparisonOperator: types.ComparisonOperator(a.Comparison), Threshold: aws.Float64(a.Threshold),
		EvaluationPeriods: aws.Int32(int32(a.Periods)), DatapointsToAlarm: aws.Int32(int32(a.ToAlarm)), TreatMissingData: aws.String(string(a.Missing)), //nolint:gosec // at most 288
		Metrics: []types.MetricDataQuery{{Id: aws.String(result), Expression: aws.String(a.Expression), Label: aws.String(a.Name), ReturnData: aws.Bool(true)}},
	}
	for _, id := range slices.Sorted(maps.Keys(a.Metrics)) {
		s := a.Metrics[id]
		in.Metrics = append(in.Metrics, types.MetricDataQuery{
			Id: aws.String(id), ReturnData: aws.Bool(false),
			MetricStat: &types.MetricStat{
				Metric: &types.Metric{Namespace: aws.String(metric.Namespace), MetricName: aws.String(string(s.Metric)), Dimensions: dimensions(s)},
				Period: aws.Int32(int32(a.Period)), Stat: aws.String(s.Statistic), //nolint:gosec // at most a day
			},
		})
	}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	if _, err := c.cloudwatch.PutMetricAlarm(ctx, in); err != nil {
		return awsapi.Explain(ctx, "creating CloudWatch alarm ("+a.Name+")", "cloudwatch:PutMetricAlarm", err)
	}
	return nil
}

// Tag merges tags into those of an alarm that is there: PutMetricAlarm ignores
// them then.
func (c *Client) Tag(ctx context.Context, arn string, tags map[string]string) error {
	in := &cloudwatch.TagResourceInput{ResourceARN: aws.String(arn)}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	if len(in.Tags) == 0 {
		return nil
	}
	_, err := c.cloudwatch.TagResource(ctx, in)
	return awsapi.Explain(ctx, "tagging CloudWatch alarm ("+arn+")", "cloudwatch:TagResource", err)
}

// Remove deletes the alarms of these names that are pgbackup's, and of one
// generation where that is known. Others stay, as do those that are gone already.
func (c *Client) Remove(ctx context.Context, names []string, generation string) error {
	there, err := c.Read(ctx, names)
	if err != nil {
		return err
	}
	var ours []string
	for _, name := range slices.Sorted(maps.Keys(there)) {
		tags, err := c.tags(ctx, there[name])
		if err != nil {
			return err
		}
		if awsapi.Ours(tags) && sameGeneration(tags, generation) {
			ours = append(ours, name)
		}
	}
	for part := range slices.Chunk(ours, 100) {
		if _, err := c.cloudwatch.DeleteAlarms(ctx, &cloudwatch.DeleteAlarmsInput{AlarmNames: part}); err != nil {
			return awsapi.Explain(ctx, fmt.Sprintf("deleting CloudWatch alarms (%s, …)", part[0]), "cloudwatch:DeleteAlarms", err)
		}
	}
	return nil
}

// sameGeneration reports whether something is of the generation, as far as both
// say theirs.
func sameGeneration(tags map[string]string, generation string) bool {
	theirs := tags[awsapi.TagGeneration]
	return generation == "" || theirs == "" || theirs == generation
}

// visible is how long a published number may take to be seen by alarms.
const visible = 3 * time.Minute

// Arm publishes the first point of series, and waits until CloudWatch shows it: an
// alarm that is made before that rings at once.
func (c *Client) Arm(ctx context.Context, series []alarm.Series, now time.Time) error {
	if len(series) == 0 {
		return nil
	}
	in := &cloudwatch.PutMetricDataInput{Namespace: aws.String(metric.Namespace)}
	look := &cloudwatch.GetMetricDataInput{StartTime: aws.Time(now.Add(-10 * time.Minute)), EndTime: aws.Time(now.Add(10 * time.Minute))}
	for i, s := range series {
		in.MetricData = append(in.MetricData, types.MetricDatum{MetricName: aws.String(string(s.Metric)), Dimensions: dimensions(s), Timestamp: aws.Time(now), Value: aws.Float64(1), Unit: types.StandardUnitCount})
		look.MetricDataQueries = append(look.MetricDataQueries, types.MetricDataQuery{
			Id: aws.String(fmt.Sprintf("m%d", i)),
			MetricStat: &types.MetricStat{
				Metric: &types.Metric{Namespace: aws.String(metric.Namespace), MetricName: aws.String(string(s.Metric)), Dimensions: dimensions(s)},
				Period: aws.Int32(60), Stat: aws.String("Sum"),
			},
		})
	}
	if _, err := c.cloudwatch.PutMetricData(ctx, in); err != nil {
		return awsapi.Explain(ctx, "publishing the first point of an alarm", "cloudwatch:PutMetricData", err)
	}
	return awsapi.Until(ctx, awsapi.Waiting{What: "CloudWatch to show the first point of an alarm", Limit: visible, Most: 10 * time.Second}, func(ctx context.Context) (bool, string, error) {
		out, err := c.cloudwatch.GetMetricData(ctx, look)
		if err != nil {
			return false, "", awsapi.Explain(ctx, "reading the first point of an alarm", "cloudwatch:GetMetricData", err)
		}
		shown := 0
		for _, r := range out.MetricDataResults {
			if len(r.Values) > 0 {
				shown++
			}
		}
		return shown == len(series), "not shown yet", nil
	})
}

func dimensions(s alarm.Series) []types.Dimension {
	var list []types.Dimension
	for _, name := range slices.Sorted(maps.Keys(s.Dimensions)) {
		list = append(list, types.Dimension{Name: aws.String(name), Value: aws.String(s.Dimensions[name])})
	}
	return list
}
