// Package cloudwatchmetrics sends numbers to CloudWatch.
//
// What must not live here: which numbers there are (package metric) and when they
// are sent (package observe).
package cloudwatchmetrics

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// Datum is the values of one metric under one set of dimensions.
type Datum struct {
	Name       string
	Unit       string      // as CloudWatch spells it: Seconds, Bytes, Count
	Values     []float64   // at most 150
	Dimensions [][2]string // name and value
}

// perCall is how many metrics PutMetricData takes at once.
const perCall = 1000

// Put sends values of one moment. It needs cloudwatch:PutMetricData on the
// namespace. Errors wrap those of package awsapi.
func Put(ctx context.Context, cfg aws.Config, namespace string, at time.Time, data []Datum) error {
	client := cloudwatch.NewFromConfig(cfg)
	for part := range slices.Chunk(data, perCall) {
		in := &cloudwatch.PutMetricDataInput{Namespace: &namespace}
		for _, d := range part {
			datum := types.MetricDatum{MetricName: &d.Name, Unit: types.StandardUnit(d.Unit), Timestamp: &at}
			if len(d.Values) == 1 {
				datum.Value = &d.Values[0]
			} else {
				datum.Values = d.Values
			}
			for _, dimension := range d.Dimensions {
				datum.Dimensions = append(datum.Dimensions, types.Dimension{Name: &dimension[0], Value: &dimension[1]})
			}
			in.MetricData = append(in.MetricData, datum)
		}
		if _, err := client.PutMetricData(ctx, in); err != nil {
			return awsapi.Explain(ctx, fmt.Sprintf("publishing CloudWatch metrics (%s)", namespace), "cloudwatch:PutMetricData", err)
		}
	}
	return nil
}
