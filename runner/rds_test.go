package main

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssdk "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// A whole life of snapshots by the program itself: a job takes and rotates them, a
// command takes another, lists tell whose they are, verification looks at RDS.
func TestSnapshotsOfRDSAreTakenListedVerifiedAndRotatedByTheProgram(t *testing.T) {
	t.Parallel()
	server := testenv.AWS(t)
	raw := awssdk.New(awssdk.Options{Region: "us-east-1", BaseEndpoint: &server.Endpoint, Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")})
	if _, err := raw.CreateDBInstance(t.Context(), &awssdk.CreateDBInstanceInput{DBInstanceIdentifier: aws.String("shop"), DBInstanceClass: aws.String("db.t3.micro"), Engine: aws.String("postgres"), AllocatedStorage: aws.Int32(20)}); err != nil {
		t.Fatal(err)
	}
	p := directory(t)
	p.env = server.Env()
	j := p.job(job.KindRDSSnapshot)
	j.RDSSnapshot = &job.RDSSnapshot{Instance: "shop", Region: "us-east-1"}
	file := p.file(j)
	run := func(code int, args ...string) ended {
		t.Helper()
		e := p.run(nil, args...)
		if e.code != code {
			t.Fatalf("%v: %s", args, e)
		}
		return e
	}
	// manual lists the names of the manual snapshots there are.
	manual := func() (names []string) {
		t.Helper()
		all, err := raw.DescribeDBSnapshots(t.Context(), &awssdk.DescribeDBSnapshotsInput{SnapshotType: aws.String("manual")})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all.DBSnapshots {
			names = append(names, aws.ToString(s.DBSnapshotIdentifier))
		}
		return names
	}
	later := func() { time.Sleep(1100 * time.Millisecond) } // points order by the second

	if e := run(0, "backup", "--job", file, "--dry-run"); !strings.Contains(e.out, "Would take a snapshot of RDS instance (shop)") || len(manual()) != 0 {
		t.Errorf("%s", e)
	}
	first := run(0, "backup", "--job", file, "--json").document(t)["points"].([]any)[0].(map[string]any)
	name := first["rds"].(map[string]any)["snapshot"].(string)
	if first["source"] != "shop@us-east-1" || first["kind"] != "rds_snapshot" || !strings.HasPrefix(name, "pgbackup-shop-") {
		t.Errorf("%v", first)
	}
	later()
	second := run(0, "backup", "--job", file, "--json").document(t)
	if deleted := second["deleted"].([]any); len(deleted) != 1 || len(manual()) != 1 || manual()[0] == name {
		t.Errorf("%v; there are %v", second, manual())
	}
	later()
	held := run(0, "rds", "snapshot", "--instance", "shop", "--repository", p.url, "--hold", "--json").document(t)["points"].([]any)[0].(map[string]any)
	if held["held"] != true || len(manual()) != 2 {
		t.Errorf("%v; there are %v", held, manual())
	}
	if e := run(0, "verify", "--all", "--repository", p.url); !strings.Contains(e.out, "2 recovery points are good") {
		t.Errorf("%s", e)
	}
	list := run(0, "rds", "list", "--instance", "shop", "--json").document(t)["snapshots"].([]any)
	points := 0
	for _, s := range list {
		if s.(map[string]any)["point"] != nil {
			points++
		}
	}
	if len(list) != 3 || points != 2 { // with the automated one
		t.Errorf("%v", list)
	}
	if e := run(0, "list", "--repository", p.url, "--kind", "rds_snapshot"); !strings.Contains(e.out, held["id"].(string)) {
		t.Errorf("%s", e)
	}
	// Somebody deletes one in RDS.
	if _, err := raw.DeleteDBSnapshot(t.Context(), &awssdk.DeleteDBSnapshotInput{DBSnapshotIdentifier: aws.String(held["rds"].(map[string]any)["snapshot"].(string))}); err != nil {
		t.Fatal(err)
	}
	if e := run(6, "verify", held["id"].(string), "--repository", p.url); !strings.Contains(e.out+e.stderr, "is gone: somebody deleted it in AWS") {
		t.Errorf("%s", e)
	}
	// What cannot be.
	run(2, "rds", "snapshot", "--repository", p.url)
	run(2, "rds", "snapshot", "--instance", "a", "--cluster", "b", "--repository", p.url)
	if e := run(1, "rds", "snapshot", "--instance", "nobody", "--repository", p.url); !strings.Contains(e.stderr, "RDS instance (nobody)") {
		t.Errorf("%s", e)
	}
}
