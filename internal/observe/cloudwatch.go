package observe

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/cloudwatchmetrics"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
)

// PutMetrics sends numbers to CloudWatch, for places whose logs do not reach it.
func PutMetrics(ctx context.Context, cfg aws.Config, n Numbers) error {
	var data []cloudwatchmetrics.Datum
	for _, s := range n.series() {
		for _, set := range s.sets {
			var dimensions [][2]string
			for _, d := range set {
				dimensions = append(dimensions, [2]string{d.Name, d.Value})
			}
			for _, name := range sortedKeys(s.values) {
				data = append(data, cloudwatchmetrics.Datum{Name: string(name), Unit: name.Unit(), Values: s.values[name], Dimensions: dimensions})
			}
		}
	}
	return cloudwatchmetrics.Put(ctx, cfg, metric.Namespace, n.At, data)
}
