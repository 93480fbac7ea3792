package rds

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
)

// Origin is what a database is restored from: a snapshot, or a moment of the
// automated backups of a database.
type Origin struct {
	Snapshot Snapshot // has a name when it is a snapshot
	Of       Target   // whose automated backups
	Backups  string   // ARN of the automated backups of an instance that is gone
	Moment   time.Time
}

// IsSnapshot reports whether it is a snapshot.
func (o Origin) IsSnapshot() bool { return o.Snapshot.Name != "" }

// String is "RDS snapshot (name)" or "RDS instance (acme-prod) as of …", for messages.
func (o Origin) String() string {
	if o.IsSnapshot() {
		return o.Snapshot.String()
	}
	return o.Of.String() + " as of " + o.Moment.UTC().Format(time.RFC3339)
}

// Wanted is a database that is to be made. It never gets a public address.
type Wanted struct {
	Target
	Engine             string
	Shape              Shape
	AllocatedGiB       int64 // of the origin
	DeletionProtection bool
	CopyTags           bool
	RetentionDays      *int // of its automated backups; nil is as it was
	Tags               map[string]string
}

// asInstanceOfCluster reports whether one instance is made of the snapshot of a
// Multi-AZ cluster.
func (o Origin) asInstanceOfCluster(n Wanted) bool {
	return o.IsSnapshot() && o.Snapshot.Cluster && !n.Cluster
}

// Restore begins to make a database. An instance of Aurora is made afterwards, with
// AddMember; the instances of a Multi-AZ cluster come by themselves.
func (c *Client) Restore(ctx context.Context, from Origin, n Wanted) error {
	doing := fmt.Sprintf("restoring %s from %s", n.Target, from)
	var err error
	var action string
	switch {
	case n.Cluster && from.IsSnapshot():
		action = "RestoreDBClusterFromSnapshot"
		_, err = c.api.RestoreDBClusterFromSnapshot(ctx, clusterFromSnapshot(from, n))
	case n.Cluster:
		action = "RestoreDBClusterToPointInTime"
		_, err = c.api.RestoreDBClusterToPointInTime(ctx, clusterToMoment(from, n))
	case from.IsSnapshot():
		action = "RestoreDBInstanceFromDBSnapshot"
		_, err = c.api.RestoreDBInstanceFromDBSnapshot(ctx, instanceFromSnapshot(from, n))
	default:
		action = "RestoreDBInstanceToPointInTime"
		_, err = c.api.RestoreDBInstanceToPointInTime(ctx, instanceToMoment(from, n))
	}
	return explainRestore(ctx, doing, "rds:"+action+" and rds:AddTagsToResource", err)
}

// AddMember begins to make an instance in an Aurora cluster.
func (c *Client) AddMember(ctx context.Context, id string, n Wanted) error {
	s := n.Shape
	_, err := c.api.CreateDBInstance(ctx, &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: &id, DBClusterIdentifier: &n.ID, Engine: &n.Engine, DBInstanceClass: &s.Class, PubliclyAccessible: aws.Bool(false),
		DBParameterGroupName: custom(s.MemberParameterGroup), CACertificateIdentifier: none(s.CA), AutoMinorVersionUpgrade: &s.AutoUpgrade, Tags: tagList(n.Tags),
	})
	return explainRestore(ctx, fmt.Sprintf("making instance %s of %s", id, n.Target), "rds:CreateDBInstance and rds:AddTagsToResource", err)
}

// explainRestore says what to do about the refusals that a restore meets most.
func explainRestore(ctx context.Context, doing, permission string, err error) error {
	explained := awsapi.Explain(ctx, doing, permission, err)
	switch awsapi.Code(err) {
	case "InstanceQuotaExceeded", "InstanceQuotaExceededFault", "DBClusterQuotaExceededFault", "StorageQuotaExceeded", "StorageQuotaExceededFault":
		return fmt.Errorf("%w; the account has as many as it may: delete what is not needed, or ask AWS for a higher quota", explained)
	case "InsufficientDBInstanceCapacity", "InsufficientDBInstanceCapacityFault", "InsufficientDBClusterCapacityFault", "InsufficientStorageClusterCapacity":
		return fmt.Errorf("%w; AWS has no more of this class there now: give another --class", explained)
	case "KMSKeyNotAccessibleFault", "KMSKeyNotAccessible":
		return fmt.Errorf("%w; enable the key, and allow this identity kms:DescribeKey and kms:CreateGrant on it", explained)
	}
	return explained
}

func instanceFromSnapshot(from Origin, n Wanted) *rds.RestoreDBInstanceFromDBSnapshotInput {
	s := n.Shape
	iops, throughput := s.provisioned(n.AllocatedGiB)
	in := &rds.RestoreDBInstanceFromDBSnapshotInput{
		DBInstanceIdentifier: &n.ID, DBSnapshotIdentifier: name(from.Snapshot), DBInstanceClass: none(s.Class), DBSubnetGroupName: none(s.SubnetGroup),
		VpcSecurityGroupIds: s.SecurityGroups, DBParameterGroupName: custom(s.ParameterGroup), OptionGroupName: custom(s.OptionGroup),
		StorageType: none(s.StorageType), Iops: iops, StorageThroughput: throughput, Port: number(s.Port), NetworkType: none(s.NetworkType),
		MultiAZ: &s.MultiAZ, EnableIAMDatabaseAuthentication: &s.IAMAuth, EnableCloudwatchLogsExports: s.Logs, AutoMinorVersionUpgrade: &s.AutoUpgrade,
		CACertificateIdentifier: none(s.CA), DedicatedLogVolume: truth(s.LogVolume), PubliclyAccessible: aws.Bool(false),
		DeletionProtection: &n.DeletionProtection, CopyTagsToSnapshot: &n.CopyTags, BackupRetentionPeriod: days(n.RetentionDays), Tags: tagList(n.Tags),
	}
	if from.asInstanceOfCluster(n) {
		in.DBClusterSnapshotIdentifier, in.DBSnapshotIdentifier = in.DBSnapshotIdentifier, nil
	}
	return in
}

func instanceToMoment(from Origin, n Wanted) *rds.RestoreDBInstanceToPointInTimeInput {
	s := n.Shape
	iops, throughput := s.provisioned(n.AllocatedGiB)
	in := &rds.RestoreDBInstanceToPointInTimeInput{
		TargetDBInstanceIdentifier: &n.ID, SourceDBInstanceIdentifier: &from.Of.ID, RestoreTime: &from.Moment, DBInstanceClass: none(s.Class), DBSubnetGroupName: none(s.SubnetGroup),
		VpcSecurityGroupIds: s.SecurityGroups, DBParameterGroupName: custom(s.ParameterGroup), OptionGroupName: custom(s.OptionGroup),
		StorageType: none(s.StorageType), Iops: iops, StorageThroughput: throughput, MaxAllocatedStorage: number(s.MaxGiB), Port: number(s.Port), NetworkType: none(s.NetworkType),
		MultiAZ: &s.MultiAZ, EnableIAMDatabaseAuthentication: &s.IAMAuth, EnableCloudwatchLogsExports: s.Logs, AutoMinorVersionUpgrade: &s.AutoUpgrade,
		CACertificateIdentifier: none(s.CA), DedicatedLogVolume: truth(s.LogVolume), PubliclyAccessible: aws.Bool(false),
		DeletionProtection: &n.DeletionProtection, CopyTagsToSnapshot: &n.CopyTags, BackupRetentionPeriod: days(n.RetentionDays), Tags: tagList(n.Tags),
	}
	if from.Backups != "" {
		in.SourceDBInstanceIdentifier, in.SourceDBInstanceAutomatedBackupsArn = nil, &from.Backups
	}
	return in
}

func clusterFromSnapshot(from Origin, n Wanted) *rds.RestoreDBClusterFromSnapshotInput {
	s := n.Shape
	in := &rds.RestoreDBClusterFromSnapshotInput{
		DBClusterIdentifier: &n.ID, SnapshotIdentifier: name(from.Snapshot), Engine: &n.Engine, EngineVersion: none(from.Snapshot.EngineVersion),
		DBSubnetGroupName: none(s.SubnetGroup), VpcSecurityGroupIds: s.SecurityGroups, DBClusterParameterGroupName: custom(s.ParameterGroup),
		StorageType: s.clusterStorage(), Port: number(s.Port), NetworkType: none(s.NetworkType), EnableIAMDatabaseAuthentication: &s.IAMAuth,
		EnableCloudwatchLogsExports: s.Logs, ServerlessV2ScalingConfiguration: s.serverless(), DeletionProtection: &n.DeletionProtection,
		CopyTagsToSnapshot: &n.CopyTags, BackupRetentionPeriod: days(n.RetentionDays), Tags: tagList(n.Tags),
	}
	if !IsAurora(n.Engine) {
		in.DBClusterInstanceClass, in.Iops, in.PubliclyAccessible = none(s.Class), number(s.IOPS), aws.Bool(false)
	}
	return in
}

func clusterToMoment(from Origin, n Wanted) *rds.RestoreDBClusterToPointInTimeInput {
	s := n.Shape
	in := &rds.RestoreDBClusterToPointInTimeInput{
		DBClusterIdentifier: &n.ID, SourceDBClusterIdentifier: &from.Of.ID, RestoreToTime: &from.Moment,
		DBSubnetGroupName: none(s.SubnetGroup), VpcSecurityGroupIds: s.SecurityGroups, DBClusterParameterGroupName: custom(s.ParameterGroup),
		StorageType: s.clusterStorage(), Port: number(s.Port), NetworkType: none(s.NetworkType), EnableIAMDatabaseAuthentication: &s.IAMAuth,
		EnableCloudwatchLogsExports: s.Logs, ServerlessV2ScalingConfiguration: s.serverless(), DeletionProtection: &n.DeletionProtection,
		CopyTagsToSnapshot: &n.CopyTags, BackupRetentionPeriod: days(n.RetentionDays), Tags: tagList(n.Tags),
	}
	if !IsAurora(n.Engine) {
		in.DBClusterInstanceClass, in.Iops, in.PubliclyAccessible = none(s.Class), number(s.IOPS), aws.Bool(false)
	}
	return in
}

// name is how a snapshot is named in a call: one that was shared, by its ARN.
func name(s Snapshot) *string {
	if s.Type == "shared" || s.Type == "public" {
		return &s.ARN
	}
	return &s.Name
}

// gp3Threshold is from how many GiB on the speed of gp3 storage can be chosen;
// below it a request that names even the defaults is refused.
//
// Source: Amazon RDS User Guide, "gp3 storage".
const gp3Threshold = 400

func (s Shape) provisioned(allocated int64) (iops, throughput *int32) {
	switch {
	case s.StorageType == "io1", s.StorageType == "io2":
		return number(s.IOPS), nil
	case s.StorageType == "gp3" && allocated >= gp3Threshold:
		return number(s.IOPS), number(s.Throughput)
	}
	return nil, nil
}

// clusterStorage leaves the default of Aurora unsaid: some versions know no other.
func (s Shape) clusterStorage() *string {
	if s.StorageType == "aurora" {
		return nil
	}
	return none(s.StorageType)
}

func (s Shape) serverless() *types.ServerlessV2ScalingConfiguration {
	if s.MaxACU == 0 {
		return nil
	}
	return &types.ServerlessV2ScalingConfiguration{MinCapacity: &s.MinACU, MaxCapacity: &s.MaxACU}
}

// custom leaves out the groups of RDS itself: it takes them anyway, and refuses
// them by name for another version of the engine.
func custom(group string) *string {
	if strings.HasPrefix(group, "default.") || strings.HasPrefix(group, "default:") {
		return nil
	}
	return none(group)
}

func number(n int) *int32 {
	if n == 0 {
		return nil
	}
	return aws.Int32(int32(n)) //nolint:gosec // ports, sizes and speeds
}

func days(n *int) *int32 {
	if n == nil {
		return nil
	}
	return aws.Int32(int32(*n)) //nolint:gosec // 0 to 35
}

func truth(b bool) *bool {
	if !b {
		return nil
	}
	return &b
}
