package main

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssdk "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// The emulator knows no engine-default parameters: those that are set are the group.
func TestAParameterGroupIsBackedUpAndComparedWithTodays(t *testing.T) {
	t.Parallel()
	server := testenv.AWS(t)
	raw := awssdk.New(awssdk.Options{Region: "us-east-1", BaseEndpoint: &server.Endpoint, Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")})
	set := func(value string) {
		t.Helper()
		if _, err := raw.ModifyDBParameterGroup(t.Context(), &awssdk.ModifyDBParameterGroupInput{DBParameterGroupName: aws.String("shop-pg"), Parameters: []types.Parameter{
			{ParameterName: aws.String("work_mem"), ParameterValue: &value, ApplyMethod: types.ApplyMethodImmediate},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := raw.CreateDBParameterGroup(t.Context(), &awssdk.CreateDBParameterGroupInput{DBParameterGroupName: aws.String("shop-pg"), DBParameterGroupFamily: aws.String("postgres16"), Description: aws.String("of the shop")}); err != nil {
		t.Fatal(err)
	}
	set("4096")
	if _, err := raw.CreateDBInstance(t.Context(), &awssdk.CreateDBInstanceInput{DBInstanceIdentifier: aws.String("shop"), DBInstanceClass: aws.String("db.t3.micro"), Engine: aws.String("postgres"), AllocatedStorage: aws.Int32(20), DBParameterGroupName: aws.String("shop-pg")}); err != nil {
		t.Fatal(err)
	}
	p := directory(t)
	p.env = server.Env()
	j := p.job(job.KindConfig)
	j.Config = &job.Config{RDSInstance: "shop", Region: "us-east-1"}
	file := p.file(j)
	run := func(code int, want string, args ...string) {
		t.Helper()
		if e := p.run(nil, args...); e.code != code || !strings.Contains(e.String(), want) {
			t.Errorf("%v: %s", args, e)
		}
	}
	run(0, "Backed up shop as", "backup", "--job", file)
	run(0, "group shop-pg of shop", "show", "latest", "--job", file)
	run(0, "is what it was", "restore", "latest", "--job", file, "--diff")
	set("8192")
	run(0, `-{"name":"work_mem","value":"8192"`, "restore", "latest", "--job", file, "--diff")
	j.Config.RDSInstance = "nosuch"
	run(1, "nosuch", "backup", "--job", p.file(j))
}
