package fargate_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/deploytest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/fargate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy/scheduled"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares a document with a file, without the policy of the job's role,
// which package iampolicy tests.
func golden(t *testing.T, name, got string) {
	t.Helper()
	d, err := scheduled.Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	if task, made := d.Roles[scheduled.TaskRole]; made {
		task.Policy = json.RawMessage(`"what iampolicy.ForJob says"`)
		d.Roles[scheduled.TaskRole] = task
	}
	got = d.String()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: want - got +:\n%s", file, diff)
	}
}

func TestJobsRenderAsTheGoldenFilesSay(t *testing.T) {
	t.Parallel()
	golden(t, "plain", render(t, spec()).Document())

	full := spec()
	at, err := job.ParseRepository("s3://acme-pg-backups/prod?endpoint=https%3A%2F%2Fs3.example.org&path_style=true&region=eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	attempts := 0
	full.Runner.Repository, full.Job.Repository = at, at.String()
	full.Facts.Partition, full.Facts.Region = "aws-cn", "cn-north-1"
	full.Config = fargate.Config{
		Cluster: "arn:aws-cn:ecs:cn-north-1:" + account + ":cluster/main", Subnets: []string{"subnet-0aaa0000"}, AssignPublicIP: true,
		Image: account + ".dkr.ecr.cn-north-1.amazonaws.com.cn/acme/postgres:17", FetchImage: "registry.example.org/aws:1",
		CPU: 4096, MemoryMiB: 8192, StorageGiB: 200, Architecture: "arm64", Environment: map[string]string{"PGAPPNAME": "backup", "HOME": "/home"},
		TaskRoleARN: "arn:aws-cn:iam::" + account + ":role/given-task",
		Config: scheduled.Config{
			PermissionsBoundary: "arn:aws-cn:iam::" + account + ":policy/boundary", LogRetentionDays: 30, LogKMSKeyARN: "arn:aws-cn:kms:cn-north-1:" + account + ":key/0aaa",
			FlexibleWindow: 15 * time.Minute, RetryAttempts: &attempts, RetryMaxAge: 2 * time.Hour, Disabled: true,
			DeadLetterQueueARN: "arn:aws-cn:sqs:cn-north-1:" + account + ":letters",
		},
	}
	golden(t, "full", render(t, full).Document())

	given := spec()
	given.Job.Kind, given.Job.Logical, given.Job.Source, given.Job.Metrics = job.KindRotate, nil, "", job.MetricsCloudWatch
	given.Config.TaskRoleARN, given.Config.ExecutionRoleARN = "arn:aws:iam::"+account+":role/task", "arn:aws:iam::"+account+":role/ecs/execution"
	given.Config.SchedulerRoleARN, given.Config.LogGroup = "arn:aws:iam::"+account+":role/start", "/acme/backups"
	golden(t, "given", render(t, given).Document())
}

func TestNamesFitAndKeepJobsApart(t *testing.T) {
	t.Parallel()
	names := map[string]string{}
	for _, change := range []func(*fargate.Spec){
		func(*fargate.Spec) {},
		func(s *fargate.Spec) { s.Job.Name = strings.Repeat("long-", 12) + "one" },
		func(s *fargate.Spec) { s.Job.Name = strings.Repeat("long-", 12) + "two" },
		func(s *fargate.Spec) { s.Job.Repository = "s3://acme-pg-backups/other" },
		func(s *fargate.Spec) {
			s.Job.Repository = "s3://acme-pg-backups/prod?endpoint=https%3A%2F%2Fs3.example.org"
		},
		func(s *fargate.Spec) {
			s.Facts.Region, s.Config.Cluster = "eu-west-1", strings.ReplaceAll(s.Config.Cluster, "us-east-1", "eu-west-1")
		},
	} {
		s := spec()
		change(&s)
		d := render(t, s).Planned()
		name := nameOf(d)
		if len(name)+len("-execution") > 64 || strings.Contains(name, "--") {
			t.Errorf("%s is no good base of names", name)
		}
		if other, twice := names[name]; twice {
			t.Errorf("%s is the name of %s and of %s in %s", name, other, s.Job.Name, s.Job.Repository)
		}
		names[name] = s.Job.Name
	}
	// The region of a bucket may be written or not: it is the same repository.
	s := spec()
	s.Job.Repository = "s3://acme-pg-backups/prod"
	if name := nameOf(render(t, s).Planned()); names[name] == "" {
		t.Errorf("another name, %s, for the same repository", name)
	}
}

func TestWhatFargateWouldRefuseIsRefusedAtPlan(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*fargate.Spec){
		"memory of 512 MiB does not go with cpu = 1024":   func(s *fargate.Spec) { s.Config.CPU, s.Config.MemoryMiB = 1024, 512 },
		"memory of 5000 MiB does not go with cpu = 2048":  func(s *fargate.Spec) { s.Config.CPU, s.Config.MemoryMiB = 2048, 5000 },
		"memory of 18432 MiB does not go with cpu = 8192": func(s *fargate.Spec) { s.Config.CPU, s.Config.MemoryMiB = 8192, 18432 },
		"cpu = 300 is no size of Fargate":                 func(s *fargate.Spec) { s.Config.CPU = 300 },
		"storage of 20 GiB":                               func(s *fargate.Spec) { s.Config.StorageGiB = 20 },
		"postgres_version 9":                              func(s *fargate.Spec) { s.Config.PostgresVersion = 9 },
		"cluster \"main\"":                                func(s *fargate.Spec) { s.Config.Cluster = "main" },
		"cluster is in eu-west-1 and the provider works in us": func(s *fargate.Spec) {
			s.Config.Cluster = strings.ReplaceAll(s.Config.Cluster, "us-east-1", "eu-west-1")
		},
		"subnets: give 1 to 16":             func(s *fargate.Spec) { s.Config.Subnets = nil },
		"\"vpc-1\" is no subnet-":           func(s *fargate.Spec) { s.Config.Subnets = []string{"vpc-1"} },
		"\"default\" is no sg-":             func(s *fargate.Spec) { s.Config.SecurityGroups = []string{"default"} },
		"architecture \"riscv\"":            func(s *fargate.Spec) { s.Config.Architecture = "riscv" },
		"task_role_arn \"role\"":            func(s *fargate.Spec) { s.Config.TaskRoleARN = "role" },
		"log_retention_days is 2":           func(s *fargate.Spec) { s.Config.LogRetentionDays = 2 },
		"the flexible window is 25h":        func(s *fargate.Spec) { s.Config.FlexibleWindow = 25 * time.Hour },
		"retry attempts is 186":             func(s *fargate.Spec) { n := 186; s.Config.RetryAttempts = &n },
		"the maximum age of a retry is 59s": func(s *fargate.Spec) { s.Config.RetryMaxAge = 59 * time.Second },
		"PGPASSWORD would hold a secret":    func(s *fargate.Spec) { s.Config.Environment = map[string]string{"PGPASSWORD": "x"} },
		"logical.server.password_ref = \"env:PGPASSWORD\" cannot be read on fargate": func(s *fargate.Spec) { s.Job.Logical.Server.PasswordRef = deploytest.Ref("env:PGPASSWORD") },
		"key_ref = \"file:/etc/key\" cannot be read on fargate":                      func(s *fargate.Spec) { s.Job.KeyRef = deploytest.Ref("file:/etc/key") },
		"\"/etc/rds.pem\" is of a machine": func(s *fargate.Spec) {
			s.Job.Logical.Server.SSLRootCert, s.Job.Logical.Server.SSLRootCertRef = "/etc/rds.pem", job.Server{}.SSLRootCertRef
		},
		"\"/run/postgresql\" is a socket": func(s *fargate.Spec) { s.Job.Logical.Server.Host = "/run/postgresql" },
		"the server's host is missing":    func(s *fargate.Spec) { s.Job.Logical.Server.Host = "" },
		"the runner was not brought for arm64": func(s *fargate.Spec) {
			s.Runner.SHA256 = map[string]string{"x86_64": sum("a")}
			s.Config.Architecture = "arm64"
		},
		"drill.into.scratch_cluster.directory = \"/srv\" is not there": func(s *fargate.Spec) {
			s.Job.Kind, s.Job.Source, s.Job.Logical, s.Job.Drill = job.KindDrill, "", nil, &job.Drill{Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{Directory: "/srv"}}}
		},
		"runs all the time, and EventBridge Scheduler starts tasks that end": func(s *fargate.Spec) {
			s.Job.Kind, s.Job.Logical, s.Job.Schedule, s.Job.WAL = job.KindWAL, nil, nil, &job.WAL{Mode: job.WALReceive, Server: job.Server{Host: "db"}}
		},
		`mode = "push" has no place there`: func(s *fargate.Spec) {
			s.Job.Kind, s.Job.Logical, s.Job.WAL = job.KindWAL, nil, &job.WAL{Mode: job.WALPush, Server: job.Server{Host: "db"}}
		},
		"is a directory of one machine": func(s *fargate.Spec) { s.Job.Repository = "file:///backups" },
		"the job has no schedule":       func(s *fargate.Spec) { s.Job.Schedule = nil },
	} {
		s := spec()
		change(&s)
		_, err := fargate.Render(s)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `"nightly" for Fargate`) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

func TestTheJobThatRunsWritesItsNumbersIntoTheLogUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	r := render(t, spec())
	if r.Job.Metrics != job.MetricsEMF {
		t.Errorf("metrics %q", r.Job.Metrics)
	}
	url, err := deploy.JobURL(r.Job)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(r.Document(), url) {
		t.Errorf("%s is not what the task is told:\n%s", url, r.Document())
	}
}
