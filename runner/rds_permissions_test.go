package main

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/smithy-go/middleware"

	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// temporaryPermissions says what the calls ask for that make and delete a temporary
// database. What is changed or deleted carries the tags it was made with.
func (r *recorder) temporaryPermissions(operation string, in any, arn func(service, what string) string) ([]permission, bool) {
	action := "rds:" + operation
	on := func(kind, field string) permission {
		return permission{action, arn("rds", kind+":"+fieldOf(in, field)), nil}
	}
	tagged := func(tags map[string][]string, kind, field string) permission {
		return permission{"rds:AddTagsToResource", arn("rds", kind+":"+fieldOf(in, field)), tags}
	}
	owned := func(kind, field string) []permission {
		p := on(kind, field)
		p.context = map[string][]string{"aws:ResourceTag/pgbackup:repository": {r.repository}}
		return []permission{p}
	}
	switch i := in.(type) {
	case *awsrds.RestoreDBInstanceFromDBSnapshotInput:
		asked := []permission{on("db", "DBInstanceIdentifier"), on("pg", "DBParameterGroupName"), on("subgrp", "DBSubnetGroupName"), {action, arn("rds", "og:default:postgres-16"), nil}}
		if i.DBSnapshotIdentifier != nil {
			asked = append(asked, on("snapshot", "DBSnapshotIdentifier"))
		} else {
			asked = append(asked, on("cluster-snapshot", "DBClusterSnapshotIdentifier"))
		}
		return append(asked, tagged(requestTags(i.Tags), "db", "DBInstanceIdentifier")), true
	case *awsrds.RestoreDBClusterFromSnapshotInput:
		return []permission{on("cluster", "DBClusterIdentifier"), on("cluster-snapshot", "SnapshotIdentifier"), on("cluster-pg", "DBClusterParameterGroupName"), on("subgrp", "DBSubnetGroupName"),
			tagged(requestTags(i.Tags), "cluster", "DBClusterIdentifier")}, true
	case *awsrds.CreateDBInstanceInput:
		return []permission{on("db", "DBInstanceIdentifier"), on("cluster", "DBClusterIdentifier"), {action, arn("rds", "pg:default.aurora-postgresql16"), nil}, {action, arn("rds", "og:default:aurora-postgresql-16"), nil},
			tagged(requestTags(i.Tags), "db", "DBInstanceIdentifier")}, true
	case *awsrds.CreateDBParameterGroupInput:
		return []permission{on("pg", "DBParameterGroupName"), tagged(requestTags(i.Tags), "pg", "DBParameterGroupName")}, true
	case *awsrds.CreateDBClusterParameterGroupInput:
		return []permission{on("cluster-pg", "DBClusterParameterGroupName"), tagged(requestTags(i.Tags), "cluster-pg", "DBClusterParameterGroupName")}, true
	case *awsrds.ModifyDBParameterGroupInput, *awsrds.DescribeDBParameterGroupsInput:
		return []permission{on("pg", "DBParameterGroupName")}, true
	case *awsrds.ModifyDBClusterParameterGroupInput, *awsrds.DescribeDBClusterParameterGroupsInput:
		return []permission{on("cluster-pg", "DBClusterParameterGroupName")}, true
	case *awsrds.ListTagsForResourceInput:
		return []permission{{action, aws.ToString(i.ResourceName), nil}}, true
	case *awsrds.ModifyDBInstanceInput, *awsrds.DeleteDBInstanceInput:
		return owned("db", "DBInstanceIdentifier"), true
	case *awsrds.ModifyDBClusterInput, *awsrds.DeleteDBClusterInput:
		return owned("cluster", "DBClusterIdentifier"), true
	}
	return nil, false
}

func TestTemporaryDatabasesNeedExactlyWhatThePolicyOfADrillAllows(t *testing.T) {
	t.Parallel()
	server := testenv.AWS(t)
	p := directory(t)
	at, err := location.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	rec := &recorder{account: account, region: "us-east-1", repository: metric.Repository(at)}
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &server.Endpoint, Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")}
	raw, own := awsrds.NewFromConfig(cfg), api.New(cfg)
	cfg.APIOptions = []func(*middleware.Stack) error{rec.record}
	watched := api.New(cfg)
	ctx := t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	subnet := server.EC2(t, "DescribeSubnets", `<subnetId>(.*?)<`)
	_, err = raw.CreateDBSubnetGroup(ctx, &awsrds.CreateDBSubnetGroupInput{DBSubnetGroupName: aws.String("private"), DBSubnetGroupDescription: aws.String("d"), SubnetIds: []string{subnet}})
	check(err)
	_, err = raw.CreateDBInstance(ctx, &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: aws.String("shop"), DBInstanceClass: aws.String("db.t3.micro"), Engine: aws.String("postgres"), AllocatedStorage: aws.Int32(20), MasterUsername: aws.String("app"), MasterUserPassword: aws.String("not-a-secret")})
	check(err)
	_, err = raw.CreateDBCluster(ctx, &awsrds.CreateDBClusterInput{DBClusterIdentifier: aws.String("aurora"), Engine: aws.String("aurora-postgresql"), MasterUsername: aws.String("app"), MasterUserPassword: aws.String("not-a-secret")})
	check(err)
	into := job.DrillInstance{Class: "db.r6g.large", SubnetGroup: "private"}
	for _, of := range []api.Target{{ID: "shop"}, {ID: "aurora", Cluster: true}} {
		taken, err := rds.Take(ctx, rds.Options{Repo: p.repo, RDS: own, Target: of, Self: repo.Self(), First: 10 * time.Millisecond})
		check(err)
		for range 2 { // the second finds the group of parameters
			made, err := rds.StartTemporary(ctx, rds.TemporaryOptions{Client: watched, Snapshot: taken.Manifest.RDS, Drill: into, Name: "weekly", Repo: p.repo, NewPassword: true, First: 10 * time.Millisecond})
			check(err)
			check(made.Delete(ctx))
		}
		_, err = rds.SweepTemporary(ctx, watched, time.Now().Add(24*time.Hour), nil)
		check(err)
	}
	j := p.job(job.KindDrill)
	j.Drill = &job.Drill{Kind: string(job.KindRDSSnapshot), Into: job.DrillInto{RDSInstance: &into}, Checks: []job.DrillCheck{{Name: "there", SQL: "select true"}}}
	d, err := iampolicy.ForJob(j, "fargate", iampolicy.Facts{Account: account, Region: "us-east-1"})
	check(err)
	for _, call := range rec.strange {
		t.Errorf("this test does not know the call %s", call)
	}
	used := map[string]bool{}
	for _, asked := range rec.asked {
		grant, ok := allowing(d, asked)
		if !ok {
			t.Errorf("the policy does not allow what the drill did: %s", asked)
		}
		used[grant] = true
	}
	for _, grant := range grants(d) {
		_, action, _ := strings.Cut(grant, ": ")
		// The keys are used by RDS, with the rights of whoever asks it.
		if strings.HasPrefix(action, "rds:") && !used[grant] {
			t.Errorf("the policy allows what no drill did: %s", grant)
		}
	}
}
