package rds

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
)

// Shape is what a database is besides its data: what a restored one should have in
// common with the one it is restored from.
type Shape struct {
	Class          string // db.r6g.large; of an Aurora cluster that of its writer
	SubnetGroup    string
	SecurityGroups []string
	ParameterGroup string // of an instance, or of a cluster
	OptionGroup    string
	StorageType    string // gp3, io2, aurora-iopt1, …; "" for aurora
	IOPS           int
	Throughput     int // MiB/s
	MaxGiB         int // up to which the storage grows by itself; 0 does not
	Port           int
	NetworkType    string // IPV4 or DUAL
	IAMAuth        bool
	MultiAZ        bool
	Logs           []string // kinds of logs that go to CloudWatch
	AutoUpgrade    bool     // of minor versions
	CA             string   // certificate authority
	LogVolume      bool     // the log has a volume of its own
	// MinACU and MaxACU are the capacity of Aurora Serverless v2; 0 of others.
	MinACU, MaxACU float64
	// MemberParameterGroup is that of the writer of a cluster.
	MemberParameterGroup string

	// What no restore can take over; see Database.Remains.
	ManagedPassword bool // the master password is rotated by Secrets Manager
	Monitoring      int  // seconds between two looks of Enhanced Monitoring
	Insights        bool // Performance Insights
	Roles           int  // IAM roles for extensions, such as that for S3
	Domain          bool // joined to a directory
}

// Member of a cluster.
type Member struct {
	ID     string
	Writer bool
}

func shapeOfInstance(d types.DBInstance) Shape {
	s := Shape{
		Class: aws.ToString(d.DBInstanceClass), StorageType: aws.ToString(d.StorageType), IOPS: int(aws.ToInt32(d.Iops)), Throughput: int(aws.ToInt32(d.StorageThroughput)),
		MaxGiB: int(aws.ToInt32(d.MaxAllocatedStorage)), NetworkType: aws.ToString(d.NetworkType), IAMAuth: aws.ToBool(d.IAMDatabaseAuthenticationEnabled),
		MultiAZ: aws.ToBool(d.MultiAZ), Logs: slices.Clone(d.EnabledCloudwatchLogsExports), AutoUpgrade: aws.ToBool(d.AutoMinorVersionUpgrade),
		CA: aws.ToString(d.CACertificateIdentifier), LogVolume: aws.ToBool(d.DedicatedLogVolume), SecurityGroups: groups(d.VpcSecurityGroups),
		ManagedPassword: d.MasterUserSecret != nil, Monitoring: int(aws.ToInt32(d.MonitoringInterval)), Insights: aws.ToBool(d.PerformanceInsightsEnabled),
		Roles: len(d.AssociatedRoles), Domain: len(d.DomainMemberships) > 0,
	}
	if s.MaxGiB <= int(aws.ToInt32(d.AllocatedStorage)) {
		s.MaxGiB = 0
	}
	if d.Endpoint != nil {
		s.Port = int(aws.ToInt32(d.Endpoint.Port))
	}
	if d.DBSubnetGroup != nil {
		s.SubnetGroup = aws.ToString(d.DBSubnetGroup.DBSubnetGroupName)
	}
	if len(d.DBParameterGroups) > 0 {
		s.ParameterGroup = aws.ToString(d.DBParameterGroups[0].DBParameterGroupName)
	}
	if len(d.OptionGroupMemberships) > 0 {
		s.OptionGroup = aws.ToString(d.OptionGroupMemberships[0].OptionGroupName)
	}
	return s
}

func shapeOfCluster(d types.DBCluster) Shape {
	s := Shape{
		Class: aws.ToString(d.DBClusterInstanceClass), SubnetGroup: aws.ToString(d.DBSubnetGroup), SecurityGroups: groups(d.VpcSecurityGroups),
		ParameterGroup: aws.ToString(d.DBClusterParameterGroup), StorageType: aws.ToString(d.StorageType), IOPS: int(aws.ToInt32(d.Iops)),
		Port: int(aws.ToInt32(d.Port)), NetworkType: aws.ToString(d.NetworkType), IAMAuth: aws.ToBool(d.IAMDatabaseAuthenticationEnabled),
		MultiAZ: aws.ToBool(d.MultiAZ), Logs: slices.Clone(d.EnabledCloudwatchLogsExports), AutoUpgrade: aws.ToBool(d.AutoMinorVersionUpgrade),
		ManagedPassword: d.MasterUserSecret != nil, Roles: len(d.AssociatedRoles), Domain: len(d.DomainMemberships) > 0,
		Monitoring: int(aws.ToInt32(d.MonitoringInterval)), Insights: aws.ToBool(d.PerformanceInsightsEnabled),
	}
	if len(d.DBClusterOptionGroupMemberships) > 0 {
		s.OptionGroup = aws.ToString(d.DBClusterOptionGroupMemberships[0].DBClusterOptionGroupName)
	}
	if v := d.ServerlessV2ScalingConfiguration; v != nil {
		s.MinACU, s.MaxACU = aws.ToFloat64(v.MinCapacity), aws.ToFloat64(v.MaxCapacity)
	}
	return s
}

// ShapeOfCluster is that of a cluster with what only its writer says: an Aurora
// cluster has no class of its own. Without instances that stays empty.
func (c *Client) ShapeOfCluster(ctx context.Context, db Database) (Shape, error) {
	s := db.Shape
	for _, m := range db.Members {
		if !m.Writer {
			continue
		}
		writer, err := c.Database(ctx, Target{ID: m.ID})
		if err != nil {
			return s, err
		}
		s.Class = cmp.Or(s.Class, writer.Shape.Class)
		s.CA, s.AutoUpgrade, s.MemberParameterGroup = writer.Shape.CA, writer.Shape.AutoUpgrade, writer.Shape.ParameterGroup
	}
	return s, nil
}

func groups(memberships []types.VpcSecurityGroupMembership) (ids []string) {
	for _, g := range memberships {
		ids = append(ids, aws.ToString(g.VpcSecurityGroupId))
	}
	slices.Sort(ids)
	return ids
}

// IsPostgres reports whether an engine is one of those this program is for.
func IsPostgres(engine string) bool { return engine == "postgres" || IsAurora(engine) }

// IsAurora reports whether a cluster of this engine has instances that are made
// after it; those of a Multi-AZ cluster come with it.
func IsAurora(engine string) bool { return engine == "aurora-postgresql" }

// Family of parameter groups for a version: "postgres" and "16.4" is postgres16.
func Family(engine, version string) string {
	major, minor, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err == nil && n < 10 {
		minor, _, _ = strings.Cut(minor, ".")
		major += "." + minor
	}
	return engine + major
}
