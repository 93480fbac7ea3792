package rds

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// StatusAvailable is the status in which something of RDS may be worked with.
const StatusAvailable = "available"

// Database is an instance or a cluster as far as backups care.
type Database struct {
	Target
	ARN           string
	Status        string
	Engine        string
	EngineVersion string
	AllocatedGiB  int64 // 0 where the storage grows by itself (Aurora)

	Settings
	MaintenanceWindow string // ddd:hh24:mi-ddd:hh24:mi, UTC
	Encrypted         bool
	KMSKey            string // ARN, "" when not encrypted
	Public            bool   // it has a public address
	// AWSBackup is the ARN of the recovery point by which AWS Backup owns the
	// automated backups; "" when it does not.
	AWSBackup string
	// Cluster that an instance is a member of: its backups are the cluster's.
	MemberOf string
	// PendingRetention says that a change of the retention period is under way.
	PendingRetention bool
	// Replicas are the ARNs of automated backups in other regions.
	Replicas []string
	// LatestRestorable is the newest moment it can be restored to; zero for none.
	LatestRestorable time.Time
	// EarliestRestorable is known of clusters only.
	EarliestRestorable time.Time
	// ParameterGroups by name.
	ParameterGroups []string
	Tags            map[string]string

	Shape    Shape
	Created  time.Time
	Endpoint string // host name; "" while it is being made
	User     string // the master user
	// ReplicaOf is what it is a read replica of: the identifier of an instance or
	// cluster, or the ARN of one in another region; "" for what is no replica.
	ReplicaOf string
	// Replication is what RDS says of it: replicating, error, stopped, …
	Replication string
	Members     []Member // of a cluster
	// PendingPassword says that a change of the master password is under way.
	PendingPassword bool
}

// Settings are those of automated backups that may be changed.
type Settings struct {
	RetentionDays      int    // 0 is switched off
	Window             string // hh24:mi-hh24:mi, UTC
	CopyTags           bool   // tags of the database are copied to its snapshots
	DeletionProtection bool
}

// Database describes a target. The error wraps awsapi.ErrGone when it is not there.
func (c *Client) Database(ctx context.Context, t Target) (Database, error) {
	doing := "reading " + t.String()
	permission := t.action("DescribeDBInstances", "DescribeDBClusters")
	if t.Cluster {
		out, err := c.api.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &t.ID})
		if err != nil {
			return Database{}, awsapi.Explain(ctx, doing, permission, err)
		}
		if len(out.DBClusters) != 1 {
			return Database{}, fmt.Errorf("%s: %w", doing, awsapi.ErrGone)
		}
		return cluster(t, out.DBClusters[0]), nil
	}
	out, err := c.api.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &t.ID})
	if err != nil {
		return Database{}, awsapi.Explain(ctx, doing, permission, err)
	}
	if len(out.DBInstances) != 1 {
		return Database{}, fmt.Errorf("%s: %w", doing, awsapi.ErrGone)
	}
	return instance(t, out.DBInstances[0]), nil
}

// Databases lists all instances of the region, or all clusters.
func (c *Client) Databases(ctx context.Context, clusters bool) ([]Database, error) {
	var all []Database
	if clusters {
		pages := rds.NewDescribeDBClustersPaginator(c.api, &rds.DescribeDBClustersInput{})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, awsapi.Explain(ctx, "listing the RDS clusters in "+c.region, "rds:DescribeDBClusters", err)
			}
			for _, d := range page.DBClusters {
				all = append(all, cluster(Target{ID: aws.ToString(d.DBClusterIdentifier), Cluster: true}, d))
			}
		}
		return all, nil
	}
	pages := rds.NewDescribeDBInstancesPaginator(c.api, &rds.DescribeDBInstancesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awsapi.Explain(ctx, "listing the RDS instances in "+c.region, "rds:DescribeDBInstances", err)
		}
		for _, d := range page.DBInstances {
			all = append(all, instance(Target{ID: aws.ToString(d.DBInstanceIdentifier)}, d))
		}
	}
	return all, nil
}

func instance(t Target, d types.DBInstance) Database {
	db := Database{
		Target: t, ARN: aws.ToString(d.DBInstanceArn), Status: aws.ToString(d.DBInstanceStatus),
		Engine: aws.ToString(d.Engine), EngineVersion: aws.ToString(d.EngineVersion), AllocatedGiB: int64(aws.ToInt32(d.AllocatedStorage)),
		Settings: Settings{
			RetentionDays: int(aws.ToInt32(d.BackupRetentionPeriod)), Window: aws.ToString(d.PreferredBackupWindow),
			CopyTags: aws.ToBool(d.CopyTagsToSnapshot), DeletionProtection: aws.ToBool(d.DeletionProtection),
		},
		MaintenanceWindow: aws.ToString(d.PreferredMaintenanceWindow), Encrypted: aws.ToBool(d.StorageEncrypted), KMSKey: aws.ToString(d.KmsKeyId),
		Public: aws.ToBool(d.PubliclyAccessible), AWSBackup: aws.ToString(d.AwsBackupRecoveryPointArn), MemberOf: aws.ToString(d.DBClusterIdentifier),
		PendingRetention: d.PendingModifiedValues != nil && d.PendingModifiedValues.BackupRetentionPeriod != nil,
		LatestRestorable: aws.ToTime(d.LatestRestorableTime), Tags: tagMap(d.TagList),
		Shape: shapeOfInstance(d), Created: aws.ToTime(d.InstanceCreateTime), User: aws.ToString(d.MasterUsername),
		ReplicaOf:       cmp.Or(aws.ToString(d.ReadReplicaSourceDBInstanceIdentifier), aws.ToString(d.ReadReplicaSourceDBClusterIdentifier)),
		PendingPassword: d.PendingModifiedValues != nil && d.PendingModifiedValues.MasterUserPassword != nil,
	}
	if d.Endpoint != nil {
		db.Endpoint = aws.ToString(d.Endpoint.Address)
	}
	for _, i := range d.StatusInfos {
		if aws.ToString(i.StatusType) == "read replication" {
			db.Replication = aws.ToString(i.Status)
		}
	}
	for _, r := range d.DBInstanceAutomatedBackupsReplications {
		db.Replicas = append(db.Replicas, aws.ToString(r.DBInstanceAutomatedBackupsArn))
	}
	for _, g := range d.DBParameterGroups {
		db.ParameterGroups = append(db.ParameterGroups, aws.ToString(g.DBParameterGroupName))
	}
	return db
}

func cluster(t Target, d types.DBCluster) Database {
	db := Database{
		Target: t, ARN: aws.ToString(d.DBClusterArn), Status: aws.ToString(d.Status),
		Engine: aws.ToString(d.Engine), EngineVersion: aws.ToString(d.EngineVersion), AllocatedGiB: int64(aws.ToInt32(d.AllocatedStorage)),
		Settings: Settings{
			RetentionDays: int(aws.ToInt32(d.BackupRetentionPeriod)), Window: aws.ToString(d.PreferredBackupWindow),
			CopyTags: aws.ToBool(d.CopyTagsToSnapshot), DeletionProtection: aws.ToBool(d.DeletionProtection),
		},
		MaintenanceWindow: aws.ToString(d.PreferredMaintenanceWindow), Encrypted: aws.ToBool(d.StorageEncrypted), KMSKey: aws.ToString(d.KmsKeyId),
		Public: aws.ToBool(d.PubliclyAccessible), AWSBackup: aws.ToString(d.AwsBackupRecoveryPointArn),
		PendingRetention: d.PendingModifiedValues != nil && d.PendingModifiedValues.BackupRetentionPeriod != nil,
		LatestRestorable: aws.ToTime(d.LatestRestorableTime), EarliestRestorable: aws.ToTime(d.EarliestRestorableTime), Tags: tagMap(d.TagList),
		Shape: shapeOfCluster(d), Created: aws.ToTime(d.ClusterCreateTime), Endpoint: aws.ToString(d.Endpoint), User: aws.ToString(d.MasterUsername),
		ReplicaOf:       aws.ToString(d.ReplicationSourceIdentifier),
		PendingPassword: d.PendingModifiedValues != nil && d.PendingModifiedValues.MasterUserPassword != nil,
	}
	for _, m := range d.DBClusterMembers {
		db.Members = append(db.Members, Member{ID: aws.ToString(m.DBInstanceIdentifier), Writer: aws.ToBool(m.IsClusterWriter)})
	}
	if g := aws.ToString(d.DBClusterParameterGroup); g != "" {
		db.ParameterGroups = []string{g}
	}
	return db
}

// Change sets what is not nil of the settings, at once.
type Change struct {
	RetentionDays      *int
	Window             *string
	CopyTags           *bool
	DeletionProtection *bool
}

// Empty reports whether nothing is to be changed.
func (ch Change) Empty() bool { return ch == Change{} }

// Change changes settings of automated backups. RDS takes its time; Settled waits.
func (c *Client) Change(ctx context.Context, t Target, ch Change) error {
	if ch.Empty() {
		return nil
	}
	var days *int32
	if ch.RetentionDays != nil {
		days = aws.Int32(int32(*ch.RetentionDays)) //nolint:gosec // 0 to 35
	}
	var err error
	if t.Cluster {
		_, err = c.api.ModifyDBCluster(ctx, &rds.ModifyDBClusterInput{
			DBClusterIdentifier: &t.ID, ApplyImmediately: aws.Bool(true), BackupRetentionPeriod: days,
			PreferredBackupWindow: ch.Window, CopyTagsToSnapshot: ch.CopyTags, DeletionProtection: ch.DeletionProtection,
		})
	} else {
		_, err = c.api.ModifyDBInstance(ctx, &rds.ModifyDBInstanceInput{
			DBInstanceIdentifier: &t.ID, ApplyImmediately: aws.Bool(true), BackupRetentionPeriod: days,
			PreferredBackupWindow: ch.Window, CopyTagsToSnapshot: ch.CopyTags, DeletionProtection: ch.DeletionProtection,
		})
	}
	return awsapi.Explain(ctx, "changing the automated backups of "+t.String(), t.action("ModifyDBInstance", "ModifyDBCluster"), err)
}

// Settled waits until a target is available and its settings are as wanted.
func (c *Client) Settled(ctx context.Context, t Target, limit time.Duration, want func(Settings) bool) (Database, error) {
	var db Database
	err := awsapi.Until(ctx, awsapi.Waiting{What: t.String() + " to take on its settings", Limit: limit},
		func(ctx context.Context) (done bool, state string, err error) {
			if db, err = c.Database(ctx, t); err != nil {
				return false, "", err
			}
			state = db.Status
			if db.PendingRetention {
				state += ", with a change of its retention period pending"
			}
			return db.Status == StatusAvailable && !db.PendingRetention && want(db.Settings), state, nil
		})
	return db, err
}

// Maintenance is something RDS will do, or has to offer.
type Maintenance struct {
	Action      string // such as "system-update"
	Description string
	Applies     time.Time // zero while it waits for somebody to ask for it
	Forced      bool      // it will be done whatever anybody says
}

// PendingMaintenance lists what RDS will do to a target.
func (c *Client) PendingMaintenance(ctx context.Context, t Target, arn string) ([]Maintenance, error) {
	// It is for people to know, and no reason to wait: servers other than AWS answer
	// with an error that looks as if it would pass.
	out, err := c.api.DescribePendingMaintenanceActions(ctx, &rds.DescribePendingMaintenanceActionsInput{ResourceIdentifier: &arn}, func(o *rds.Options) {
		o.Retryer = retry.AddWithMaxAttempts(o.Retryer, 3)
	})
	if err != nil {
		return nil, awsapi.Explain(ctx, "reading the pending maintenance of "+t.String(), "rds:DescribePendingMaintenanceActions", err)
	}
	var all []Maintenance
	for _, r := range out.PendingMaintenanceActions {
		for _, a := range r.PendingMaintenanceActionDetails {
			m := Maintenance{Action: aws.ToString(a.Action), Description: aws.ToString(a.Description), Forced: a.ForcedApplyDate != nil}
			for _, at := range []*time.Time{a.CurrentApplyDate, a.AutoAppliedAfterDate, a.ForcedApplyDate} {
				if m.Applies.IsZero() {
					m.Applies = aws.ToTime(at)
				}
			}
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b Maintenance) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), a.Applies.Compare(b.Applies))
	})
	return all, nil
}

// String tells of it in a line.
func (m Maintenance) String() string {
	text := m.Action
	if m.Description != "" {
		text += ": " + m.Description
	}
	if !m.Applies.IsZero() {
		text += ", due " + m.Applies.UTC().Format(time.RFC3339)
	}
	if m.Forced {
		text += ", forced by AWS"
	}
	return text
}
