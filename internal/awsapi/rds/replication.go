package rds

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// Replication is the copy of an instance's automated backups in this client's
// region. It belongs to that region: all calls go there.
type Replication struct {
	ARN           string
	Status        string // pending, replicating, retained, …
	RetentionDays int
	KMSKey        string
	Earliest      time.Time // what can be restored from it; zero while nothing can
	Latest        time.Time
}

// Replicating reports whether it takes in new backups, now or soon.
func (r Replication) Replicating() bool {
	switch strings.ToLower(r.Status) {
	case "replicating", "pending", "active", "available", "creating":
		return true
	}
	return false
}

// Replication reads the copy that has an ARN. awsapi.ErrGone when there is none.
func (c *Client) Replication(ctx context.Context, arn string) (Replication, error) {
	doing := "reading the replicated automated backups " + arn
	out, err := c.api.DescribeDBInstanceAutomatedBackups(ctx, &rds.DescribeDBInstanceAutomatedBackupsInput{DBInstanceAutomatedBackupsArn: &arn})
	if awsapi.Is(err, "DBInstanceAutomatedBackupNotFound", "DBInstanceAutomatedBackupNotFoundFault") {
		return Replication{}, fmt.Errorf("%s: %w", doing, awsapi.ErrGone)
	}
	if err != nil {
		return Replication{}, awsapi.Explain(ctx, doing, "rds:DescribeDBInstanceAutomatedBackups in "+c.region, err)
	}
	for _, b := range out.DBInstanceAutomatedBackups {
		if aws.ToString(b.DBInstanceAutomatedBackupsArn) != arn {
			continue
		}
		r := Replication{ARN: arn, Status: aws.ToString(b.Status), RetentionDays: int(aws.ToInt32(b.BackupRetentionPeriod)), KMSKey: aws.ToString(b.KmsKeyId)}
		if w := b.RestoreWindow; w != nil {
			r.Earliest, r.Latest = aws.ToTime(w.EarliestTime), aws.ToTime(w.LatestTime)
		}
		return r, nil
	}
	return Replication{}, fmt.Errorf("%s: %w", doing, awsapi.ErrGone)
}

// StartReplication begins to copy the automated backups of an instance of another
// region into this client's. retentionDays 0 is RDS's default, 7. kmsKey is a key
// of this region, which an encrypted instance needs. It returns the copy's ARN.
func (c *Client) StartReplication(ctx context.Context, instanceARN string, retentionDays int, kmsKey string, tags map[string]string) (string, error) {
	in := &rds.StartDBInstanceAutomatedBackupsReplicationInput{SourceDBInstanceArn: &instanceARN, Tags: tagList(tags)}
	if retentionDays > 0 {
		in.BackupRetentionPeriod = aws.Int32(int32(retentionDays)) //nolint:gosec // 1 to 35
	}
	if kmsKey != "" {
		in.KmsKeyId = &kmsKey
	}
	out, err := c.api.StartDBInstanceAutomatedBackupsReplication(ctx, in)
	if err != nil {
		return "", awsapi.Explain(ctx, fmt.Sprintf("replicating the automated backups of %s to %s", instanceARN, c.region), "rds:StartDBInstanceAutomatedBackupsReplication in "+c.region, err)
	}
	if out.DBInstanceAutomatedBackup == nil || aws.ToString(out.DBInstanceAutomatedBackup.DBInstanceAutomatedBackupsArn) == "" {
		return "", errors.New("replicating the automated backups of " + instanceARN + ": RDS did not say what it made")
	}
	return aws.ToString(out.DBInstanceAutomatedBackup.DBInstanceAutomatedBackupsArn), nil
}

// StopReplication ends the copying. What is not being copied is fine already.
func (c *Client) StopReplication(ctx context.Context, instanceARN string) error {
	_, err := c.api.StopDBInstanceAutomatedBackupsReplication(ctx, &rds.StopDBInstanceAutomatedBackupsReplicationInput{SourceDBInstanceArn: &instanceARN})
	if awsapi.Is(err, "DBInstanceNotFound", "DBInstanceNotFoundFault", "DBInstanceAutomatedBackupNotFound", "DBInstanceAutomatedBackupNotFoundFault") {
		return nil
	}
	return awsapi.Explain(ctx, fmt.Sprintf("ending the replication of the automated backups of %s to %s", instanceARN, c.region), "rds:StopDBInstanceAutomatedBackupsReplication in "+c.region, err)
}
