package fargate_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/deploytest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

const account = deploytest.Account

func spec() fargate.Spec {
	at, err := job.ParseRepository("s3://acme-pg-backups/prod?region=us-east-1")
	if err != nil {
		panic(err)
	}
	return fargate.Spec{
		Spec: deploy.Spec{
			Job: job.Job{
				Format: job.Format, Name: "nightly", Kind: job.KindLogical, Repository: at.String(), Policy: "prod", Source: "app",
				KeyRef: deploytest.Ref("secretsmanager:acme/backup-key"),
				Logical: &job.Logical{Databases: []string{"app"}, Server: job.Server{
					Host: "db.example.org", User: "backup", PasswordRef: deploytest.Ref("secretsmanager:acme/db#password"), SSLMode: "verify-full", SSLRootCertRef: deploytest.Ref("ssm:/acme/rds-ca"),
				}},
				Schedule: &job.Schedule{Cron: "0 2 * * *", Timezone: "Europe/Berlin"},
			},
			Runner: deploy.Runner{Repository: at, SHA256: map[string]string{"x86_64": sum("a"), "arm64": sum("b")}},
			Tags:   map[string]string{"team": "db"},
		},
		Config: fargate.Config{
			Cluster: "arn:aws:ecs:us-east-1:" + account + ":cluster/main", Subnets: []string{"subnet-0bbb0000", "subnet-0aaa0000"}, SecurityGroups: []string{"sg-0aaa0000"},
		},
		Facts: iampolicy.Facts{Account: account, Region: "us-east-1"},
	}
}

func sum(digit string) (s string) {
	for range 64 {
		s += digit
	}
	return s
}

func render(t testing.TB, s fargate.Spec) fargate.Rendered {
	t.Helper()
	r, err := fargate.Render(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// server is moto with the cluster of spec.
func server(t testing.TB) *testenv.AWSServer {
	t.Helper()
	s := testenv.AWS(t)
	makeCluster(t, s)
	return s
}

func makeCluster(t testing.TB, s *testenv.AWSServer) {
	t.Helper()
	if _, err := ecs.NewFromConfig(s.Config()).CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("main")}); err != nil {
		t.Fatal(err)
	}
}

func apply(t testing.TB, target *fargate.Target, r fargate.Rendered) fargate.Deployed {
	t.Helper()
	d, err := target.Apply(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func read(t testing.TB, target *fargate.Target, document string) (string, fargate.Deployed) {
	t.Helper()
	now, d, err := target.Read(t.Context(), document)
	if err != nil {
		t.Fatal(err)
	}
	return now, d
}

func inventory(t testing.TB, s *testenv.AWSServer) []string {
	t.Helper()
	list, err := testenv.Inventory(t.Context(), s.Config())
	if err != nil {
		t.Fatal(err)
	}
	return list
}
