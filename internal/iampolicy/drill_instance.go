package iampolicy

import (
	"cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

// drillPrefix begins the names of what drills make in RDS: temporary databases, and
// the parameters they run with (see package rds).
const drillPrefix = "pgbackup-drill-"

// forDrillInstance is what a drill needs that restores snapshots into temporary
// databases. Whatever it makes, changes or deletes is called as only drills call
// things, and what it changes and deletes carries the tag of this repository besides.
//
// Source: Service Authorization Reference, "Actions, resources, and condition keys
// for Amazon RDS"; for the key, Amazon RDS User Guide, "Encrypting Amazon RDS
// resources".
func forDrillInstance(drill job.Drill, tag string, f Facts) Document {
	into := *drill.Into.RDSInstance
	region := cmp.Or(into.Region, f.Region)
	arn := func(what string) string { return f.arn("rds", region, what) }
	db, cluster := arn("db:"+drillPrefix+"*"), arn("cluster:"+drillPrefix+"*")
	groups := []string{arn("pg:" + drillPrefix + "*"), arn("cluster-pg:" + drillPrefix + "*")}
	subnets, options := arn("subgrp:"+cmp.Or(into.SubnetGroup, "*")), arn("og:*")
	owned := tagged("aws:ResourceTag/pgbackup:repository", tag)
	viaRDS := map[string]map[string][]string{"StringEquals": {"kms:ViaService": {"rds." + region + ".amazonaws.com"}}}
	grants := map[string]map[string][]string{"StringEquals": viaRDS["StringEquals"], "Bool": {"kms:GrantIsForAWSResource": {"true"}}}
	keys := []string{f.arn("kms", region, "key/*")}
	d := Document{Statements: []Statement{
		describeSnapshots(region, f, instances), describeSnapshots(region, f, clusters),
		{Sid: "DescribeDatabases", Actions: []string{"rds:DescribeDBInstances", "rds:DescribeDBClusters"}, Resources: []string{arn("db:*"), arn("cluster:*")}},
		{
			Sid: "RestoreInstances", Actions: []string{"rds:RestoreDBInstanceFromDBSnapshot"},
			Resources: []string{db, arn("snapshot:" + snapshotsOf("*")), arn("cluster-snapshot:" + snapshotsOf("*")), groups[0], subnets, options},
		},
		{
			Sid: "RestoreClusters", Actions: []string{"rds:RestoreDBClusterFromSnapshot"},
			Resources: []string{cluster, arn("cluster-snapshot:" + snapshotsOf("*")), groups[1], subnets, options},
		},
		{Sid: "AddInstances", Actions: []string{"rds:CreateDBInstance"}, Resources: []string{db, cluster, arn("pg:default.*"), subnets, options}},
		{
			Sid: "TagTemporary", Actions: []string{"rds:AddTagsToResource"}, Resources: []string{db, cluster},
			Conditions: tagged("aws:RequestTag/pgbackup:repository", tag),
		},
		{Sid: "DeleteTemporary", Actions: []string{"rds:DeleteDBInstance", "rds:DeleteDBCluster"}, Resources: []string{db, cluster}, Conditions: owned},
		{
			Sid: "IsolateTemporary", Resources: groups,
			Actions: []string{
				"rds:CreateDBParameterGroup", "rds:ModifyDBParameterGroup", "rds:DescribeDBParameterGroups", "rds:ListTagsForResource", "rds:AddTagsToResource",
				"rds:CreateDBClusterParameterGroup", "rds:ModifyDBClusterParameterGroup", "rds:DescribeDBClusterParameterGroups",
			},
		},
		{Sid: "SeeKeys", Actions: []string{"kms:DescribeKey"}, Resources: keys, Conditions: viaRDS},
		{Sid: "LendKeys", Actions: []string{"kms:CreateGrant"}, Resources: keys, Conditions: grants},
	}}
	if into.PasswordRef.IsZero() && len(drill.Checks) > 0 { // to log in to it
		d.Statements = append(d.Statements, Statement{Sid: "SetPassword", Actions: []string{"rds:ModifyDBInstance", "rds:ModifyDBCluster"}, Resources: []string{db, cluster}, Conditions: owned})
	}
	return d
}
