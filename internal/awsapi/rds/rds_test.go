package rds_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssdk "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestAnInstanceAndAClusterInOneForm(t *testing.T) {
	t.Parallel()
	server := testenv.AWS(t)
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(server.Endpoint), Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")}
	c, raw := rds.New(cfg), awssdk.NewFromConfig(cfg)
	ctx := t.Context()
	if _, err := raw.CreateDBParameterGroup(ctx, &awssdk.CreateDBParameterGroupInput{DBParameterGroupName: aws.String("tuned"), DBParameterGroupFamily: aws.String("postgres17"), Description: aws.String("d")}); err != nil {
		t.Fatal(err)
	}
	if _, err := raw.ModifyDBParameterGroup(ctx, &awssdk.ModifyDBParameterGroupInput{DBParameterGroupName: aws.String("tuned"), Parameters: []types.Parameter{
		{ParameterName: aws.String("work_mem"), ParameterValue: aws.String("64MB"), ApplyMethod: types.ApplyMethodImmediate},
		{ParameterName: aws.String("log_statement"), ParameterValue: aws.String("ddl"), ApplyMethod: types.ApplyMethodPendingReboot},
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := raw.CreateDBInstance(ctx, &awssdk.CreateDBInstanceInput{
		DBInstanceIdentifier: aws.String("shop"), DBInstanceClass: aws.String("db.t3.micro"), Engine: aws.String("postgres"), AllocatedStorage: aws.Int32(20),
		StorageEncrypted: aws.Bool(true), BackupRetentionPeriod: aws.Int32(7), DBParameterGroupName: aws.String("tuned"), PubliclyAccessible: aws.Bool(true),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := raw.CreateDBCluster(ctx, &awssdk.CreateDBClusterInput{DBClusterIdentifier: aws.String("aurora"), Engine: aws.String("aurora-postgresql"), MasterUsername: aws.String("app"), MasterUserPassword: aws.String("not-a-secret"), BackupRetentionPeriod: aws.Int32(5)}); err != nil {
		t.Fatal(err)
	}
	shop, aurora := rds.Target{ID: "shop"}, rds.Target{ID: "aurora", Cluster: true}
	db, err := c.Database(ctx, shop)
	if err != nil || db.RetentionDays != 7 || !db.Encrypted || !db.Public || db.AllocatedGiB != 20 || db.Status != rds.StatusAvailable {
		t.Errorf("%+v, %v", db, err)
	}
	if db, err = c.Database(ctx, aurora); err != nil || db.RetentionDays != 5 || !strings.HasSuffix(db.ARN, ":cluster:aurora") {
		t.Errorf("%+v, %v", db, err)
	}
	days := 9
	for _, target := range []rds.Target{shop, aurora} {
		if err := c.Change(ctx, target, rds.Change{RetentionDays: &days, DeletionProtection: aws.Bool(true)}); err != nil {
			t.Error(err)
		}
		if db, err := c.Database(ctx, target); err != nil || db.RetentionDays != 9 || !db.DeletionProtection {
			t.Errorf("%+v, %v", db.Settings, err)
		}
	}
	list, group, err := c.Parameters(ctx, shop)
	if err != nil || group != "tuned" || len(list) != 2 || list[0] != (rds.Parameter{Name: "log_statement", Value: "ddl", Source: list[0].Source, Apply: "pending-reboot"}) {
		t.Errorf("%+v, %s, %v", list, group, err)
	}
	for _, target := range []rds.Target{{ID: "nobody"}, {ID: "nobody", Cluster: true}} {
		if _, err := c.Database(ctx, target); !errors.Is(err, awsapi.ErrGone) || !strings.Contains(err.Error(), target.String()) {
			t.Errorf("%v", err)
		}
		if _, err := c.Snapshot(ctx, "nothing", target.Cluster); !errors.Is(err, awsapi.ErrGone) {
			t.Errorf("%v", err)
		}
	}
	// The automated one that every instance begins with is not ours to delete.
	all, err := c.Snapshots(ctx, rds.Query{Target: shop})
	if err != nil || len(all) != 1 || all[0].Type != rds.Automated {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := c.DeleteSnapshot(ctx, all[0]); !errors.Is(err, rds.ErrNotManual) {
		t.Errorf("%v", err)
	}
	if account, err := c.Account(ctx); err != nil || account != "123456789012" {
		t.Errorf("%s, %v", account, err)
	}
}
