package iampolicy

import (
	"cmp"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
)

// snapshotsOf is how the snapshots of an instance or cluster are named, "*" for
// those of all; what carries the tag for this repository is a recovery point of it.
func snapshotsOf(id string) string {
	if id == "*" {
		return "pgbackup-*"
	}
	return "pgbackup-" + strings.ToLower(id) + "-*"
}

// maxTag is how much of a repository's name is held against a tag: a longer one is
// cut there, and a digest put behind it (see package rds).
const maxTag = 180

// tagged is the condition that a tag names the repository. A letter that tags do
// not have was replaced by another, and a digest put behind.
func tagged(key, repository string) map[string]map[string][]string {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(" _.:/=+-@", r)
	}
	if len(repository) <= maxTag && !strings.ContainsFunc(repository, odd) {
		return map[string]map[string][]string{"StringEquals": {key: {repository}}}
	}
	pattern := strings.Map(func(r rune) rune {
		if odd(r) {
			return '?'
		}
		return r
	}, repository)
	return map[string]map[string][]string{"StringLike": {key: {pattern[:min(len(pattern), maxTag)] + "+*"}}}
}

// forRDS is what jobs about RDS need. Rotation and verification meet snapshots in
// any repository that has a job for them: what they may delete is bound to the tag
// that says which repository a snapshot belongs to.
func forRDS(j job.Job, at job.RepositoryURL, f Facts) Document {
	tag := metric.Repository(at)
	switch {
	case j.Kind == job.KindRDSSnapshot && j.RDSSnapshot != nil:
		return forSnapshots(*j.RDSSnapshot, tag, f)
	case j.Kind == job.KindConfig && j.Config != nil && j.Config.RDSInstance != "":
		region := cmp.Or(j.Config.Region, f.Region)
		return forParameters("rds:DescribeDBInstances", f.arn("rds", region, "db:"+j.Config.RDSInstance), "rds:DescribeDBParameters", f.arn("rds", region, "pg:*"))
	case j.Kind == job.KindConfig && j.Config != nil && j.Config.RDSCluster != "":
		region := cmp.Or(j.Config.Region, f.Region)
		return forParameters("rds:DescribeDBClusters", f.arn("rds", region, "cluster:"+j.Config.RDSCluster), "rds:DescribeDBClusterParameters", f.arn("rds", region, "cluster-pg:*"))
	case j.Kind == job.KindRotate:
		return Document{Statements: []Statement{
			describeSnapshots("*", f, instances), describeSnapshots("*", f, clusters),
			deleteSnapshots("*", "*", tag, f, instances), deleteSnapshots("*", "*", tag, f, clusters),
		}}
	case j.Kind == job.KindDrill && j.Drill != nil && j.Drill.Into.RDSInstance != nil:
		return forDrillInstance(*j.Drill, tag, f)
	case j.Kind == job.KindVerify:
		return Document{Statements: []Statement{describeSnapshots("*", f, instances), describeSnapshots("*", f, clusters)}}
	}
	return Document{}
}

// kindOfRDS is how IAM calls things of an instance, or of a cluster.
type kindOfRDS struct{ sid, describe, source, create, describeSnapshots, snapshot, delete string }

var (
	instances = kindOfRDS{"", "rds:DescribeDBInstances", "db", "rds:CreateDBSnapshot", "rds:DescribeDBSnapshots", "snapshot", "rds:DeleteDBSnapshot"}
	clusters  = kindOfRDS{"OfClusters", "rds:DescribeDBClusters", "cluster", "rds:CreateDBClusterSnapshot", "rds:DescribeDBClusterSnapshots", "cluster-snapshot", "rds:DeleteDBClusterSnapshot"}
)

func forSnapshots(of job.RDSSnapshot, tag string, f Facts) Document {
	k, name := instances, of.Instance
	if name == "" {
		k, name = clusters, of.Cluster
	}
	region := cmp.Or(of.Region, f.Region)
	source, snapshots := f.arn("rds", region, k.source+":"+name), f.arn("rds", region, k.snapshot+":"+snapshotsOf(name))
	return Document{Statements: []Statement{
		{Sid: "DescribeSource", Actions: []string{k.describe}, Resources: []string{source}},
		describeSnapshots(region, f, k),
		{Sid: "CreateSnapshots", Actions: []string{k.create}, Resources: []string{source, snapshots}},
		{
			Sid: "TagSnapshots", Actions: []string{"rds:AddTagsToResource"}, Resources: []string{snapshots},
			Conditions: tagged("aws:RequestTag/pgbackup:repository", tag),
		},
		// What RDS could not finish is removed, also where nothing is rotated.
		deleteSnapshots(region, name, tag, f, k),
	}}
}

// describeSnapshots: a search names no snapshot, and is held against all of them.
func describeSnapshots(region string, f Facts, k kindOfRDS) Statement {
	return Statement{
		Sid: "DescribeSnapshots" + k.sid, Actions: []string{k.describeSnapshots},
		Resources: []string{f.arn("rds", region, k.source+":*"), f.arn("rds", region, k.snapshot+":*")},
	}
}

func deleteSnapshots(region, id, tag string, f Facts, k kindOfRDS) Statement {
	return Statement{
		Sid: "DeleteSnapshots" + k.sid, Actions: []string{k.delete}, Resources: []string{f.arn("rds", region, k.snapshot+":"+snapshotsOf(id))},
		Conditions: tagged("aws:ResourceTag/pgbackup:repository", tag),
	}
}

func forParameters(describe, source, parameters, group string) Document {
	return Document{Statements: []Statement{
		{Sid: "DescribeSource", Actions: []string{describe}, Resources: []string{source}},
		{Sid: "ReadParameters", Actions: []string{parameters}, Resources: []string{group}},
	}}
}
