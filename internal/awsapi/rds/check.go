package rds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// ErrKeyUnusable: without the key nothing can be restored.
var ErrKeyUnusable = errors.New("nothing that it encrypts can be restored")

// CheckKey is nil when a KMS key is enabled. ErrKeyUnusable says that it is not, or
// gone; any other error, such as awsapi.ErrDenied, says nothing about it.
func (c *Client) CheckKey(ctx context.Context, arn string) error {
	out, err := c.keys.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &arn})
	if awsapi.Is(err, "NotFoundException") {
		return fmt.Errorf("KMS key %s is gone: %w", arn, ErrKeyUnusable)
	}
	if err != nil || out.KeyMetadata == nil {
		return awsapi.Explain(ctx, "looking at KMS key "+arn, "kms:DescribeKey", err)
	}
	k := out.KeyMetadata
	switch k.KeyState {
	case kmstypes.KeyStateEnabled, "":
		return nil
	case kmstypes.KeyStatePendingDeletion:
		return fmt.Errorf("KMS key %s is deleted for good at %s: %w; run `aws kms cancel-key-deletion` and enable it", arn, aws.ToTime(k.DeletionDate).UTC().Format(time.RFC3339), ErrKeyUnusable)
	}
	return fmt.Errorf("KMS key %s is %s: %w; enable it", arn, k.KeyState, ErrKeyUnusable)
}

// Orderable reports whether RDS makes databases of a version, with a class of
// instances where that is not "".
func (c *Client) Orderable(ctx context.Context, engine, version, class string) (bool, error) {
	out, err := c.api.DescribeOrderableDBInstanceOptions(ctx, &rds.DescribeOrderableDBInstanceOptionsInput{Engine: &engine, EngineVersion: &version, DBInstanceClass: none(class), MaxRecords: aws.Int32(20)})
	if awsapi.Is(err, "InvalidParameterValue", "InvalidParameterCombination") { // which is how an unknown version is answered
		return false, nil
	}
	if err != nil {
		return false, awsapi.Explain(ctx, fmt.Sprintf("asking RDS whether it still makes %s %s", engine, version), "rds:DescribeOrderableDBInstanceOptions", err)
	}
	return len(out.OrderableDBInstanceOptions) > 0, nil
}

// ReplicaLag is how far a read replica was behind its source lately. known is false
// when CloudWatch has no number of the last quarter of an hour.
func (c *Client) ReplicaLag(ctx context.Context, instance string, now time.Time) (lag time.Duration, known bool, err error) {
	out, err := c.watch.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
		Namespace: aws.String("AWS/RDS"), MetricName: aws.String("ReplicaLag"), StartTime: aws.Time(now.Add(-15 * time.Minute)), EndTime: &now, Period: aws.Int32(60),
		Statistics: []cwtypes.Statistic{cwtypes.StatisticMaximum}, Dimensions: []cwtypes.Dimension{{Name: aws.String("DBInstanceIdentifier"), Value: &instance}},
	})
	if err != nil {
		return 0, false, awsapi.Explain(ctx, "reading the lag of RDS instance ("+instance+")", "cloudwatch:GetMetricStatistics", err)
	}
	newest := time.Time{}
	for _, p := range out.Datapoints {
		if at := aws.ToTime(p.Timestamp); at.After(newest) && aws.ToFloat64(p.Maximum) >= 0 { // -1 is not known
			newest, lag, known = at, time.Duration(aws.ToFloat64(p.Maximum)*float64(time.Second)), true
		}
	}
	return lag, known, nil
}

// Promote begins to make a read replica a database of its own. retention, in days,
// and window are those of its automated backups; nil and "" as they are.
func (c *Client) Promote(ctx context.Context, t Target, retention *int, window string) error {
	var err error
	if t.Cluster {
		_, err = c.api.PromoteReadReplicaDBCluster(ctx, &rds.PromoteReadReplicaDBClusterInput{DBClusterIdentifier: &t.ID})
	} else {
		_, err = c.api.PromoteReadReplica(ctx, &rds.PromoteReadReplicaInput{DBInstanceIdentifier: &t.ID, BackupRetentionPeriod: days(retention), PreferredBackupWindow: none(window)})
	}
	return awsapi.Explain(ctx, "promoting "+t.String(), t.action("PromoteReadReplica", "PromoteReadReplicaDBCluster"), err)
}
