package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssdk "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/approval"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// rdsPlace is a repository beside an account with an instance.
type rdsPlace struct {
	*place
	raw *awssdk.Client
}

func newRDSPlace(t *testing.T) *rdsPlace {
	t.Helper()
	server := testenv.AWS(t)
	raw := awssdk.New(awssdk.Options{Region: "us-east-1", BaseEndpoint: &server.Endpoint, Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")})
	if _, err := raw.CreateDBInstance(t.Context(), &awssdk.CreateDBInstanceInput{
		DBInstanceIdentifier: aws.String("shop"), DBInstanceClass: aws.String("db.t3.micro"), Engine: aws.String("postgres"), AllocatedStorage: aws.Int32(20),
		BackupRetentionPeriod: aws.Int32(7), MasterUsername: aws.String("app"), MasterUserPassword: aws.String("not-a-secret"),
	}); err != nil {
		t.Fatal(err)
	}
	p := directory(t)
	p.env = server.Env()
	return &rdsPlace{p, raw}
}

// does runs the program, which must end with a code and say something.
func (p *rdsPlace) does(code int, text string, args ...string) ended {
	p.t.Helper()
	e := p.run(nil, args...)
	if e.code != code || !strings.Contains(e.out+e.stderr, text) {
		p.t.Errorf("%v: %s\nwant %d and %q", args, e, code, text)
	}
	return e
}

// instances there are, by name.
func (p *rdsPlace) instances() string {
	p.t.Helper()
	all, err := p.raw.DescribeDBInstances(p.t.Context(), &awssdk.DescribeDBInstancesInput{})
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for _, d := range all.DBInstances {
		names = append(names, aws.ToString(d.DBInstanceIdentifier))
	}
	return strings.Join(names, " ")
}

const inUSEast = "--rds-region=us-east-1"

func TestASnapshotIsRestoredByTheProgramWithItsEndpointAndTheNextCommands(t *testing.T) {
	t.Parallel()
	p := newRDSPlace(t)
	// The emulator says of no version of postgres that it can be had: that is a warning.
	verified := p.does(3, "can be restored: postgres", "rds", "restore", "--instance", "shop", inUSEast, "--verify-only")
	if !strings.Contains(verified.stderr, "lists postgres") || !strings.Contains(verified.out, "Nothing was made") {
		t.Errorf("%s", verified)
	}
	p.does(3, " 1. restore RDS instance (shop-copy) from RDS snapshot", "rds", "restore", "--instance", "shop", inUSEast, "--to", "shop-copy", "--dry-run")
	if got := p.instances(); got != "shop" {
		t.Errorf("there are %s", got)
	}
	made := p.does(3, "Endpoint: shop-copy.", "rds", "restore", "--instance", "shop", inUSEast, "--to", "shop-copy")
	for _, want := range []string{"user=app dbname=postgres sslmode=require", "delete-db-instance --db-instance-identifier shop-copy", "max_logical_replication_workers"} {
		if !strings.Contains(made.out, want) {
			t.Errorf("%q is not in %s", want, made)
		}
	}
	again := p.run(nil, "rds", "restore", "--instance", "shop", inUSEast, "--to", "shop-copy", "--json").document(t)
	if got := again["restored"].(map[string]any); got["identifier"] != "shop-copy" || got["endpoint"] == "" || p.instances() != "shop shop-copy" {
		t.Errorf("%v; there are %s", again, p.instances())
	}
	p.does(2, "shop-2 is free", "rds", "restore", "--instance", "shop", inUSEast, "--to", "shop")
	p.does(4, "nor a snapshot of it", "rds", "restore", "--instance", "nobody", inUSEast, "--to", "x")
	p.does(4, "rds list", "rds", "restore", "--snapshot", "nothing", inUSEast, "--to", "x")
	p.does(2, "can be restored to any moment from", "rds", "restore", "--instance", "shop", inUSEast, "--target-time", "2099-01-01", "--to", "x")
	p.does(2, "give --to", "rds", "restore", "--instance", "shop", inUSEast)
	p.does(2, "one of a recovery point", "rds", "restore", "--instance", "shop", "--snapshot", "a", "--target-time", "latest", "--to", "x")
	list := p.run(nil, "rds", "list", "--instance", "shop", inUSEast)
	if list.code != 0 || !strings.Contains(list.out, "RESTORABLE FROM") || !strings.Contains(list.out, "automated") {
		t.Errorf("%s", list)
	}
}

func TestARecoveryPointOfProductionIsRestoredWithTodaysCodeAndRecorded(t *testing.T) {
	t.Parallel()
	p := newRDSPlace(t)
	j := p.job(job.KindRDSSnapshot)
	j.RDSSnapshot = &job.RDSSnapshot{Instance: "shop", Region: "us-east-1"}
	file := p.file(j)
	taken := p.run(nil, "backup", "--job", file, "--json").document(t)["points"].([]any)[0].(map[string]any)
	id := taken["id"].(string)
	rules := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(rules, []byte(`{"format":1,"name":"prod","environment":"Production","retention":{"keep_last":3}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	restore := []string{"rds", "restore", id, "--repository", p.url, "--policy", rules, "--to", "shop-check"}
	p.does(2, "--approval "+approval.Code(time.Now()), restore...)
	p.does(2, "today (UTC) it is", append(restore, "--approval", approval.Code(time.Now().Add(-48*time.Hour)))...)
	p.does(3, "take the approval", append(restore, "--dry-run")...)
	if got := p.instances(); got != "shop" {
		t.Errorf("there are %s", got)
	}
	p.does(3, "Restored RDS instance (shop-check) from RDS snapshot ("+taken["rds"].(map[string]any)["snapshot"].(string), append(restore, "--approval", approval.Code(time.Now()))...)
	log, err := p.repo.AuditLog(t.Context(), time.Time{})
	if err != nil || len(log) != 2 {
		t.Fatalf("%+v, %v", log, err)
	}
	if e := log[0]; e.What != "rds_restore" || e.Outcome != "done" && log[1].Outcome != "done" || e.Approval != approval.Code(time.Now()) || !strings.Contains(e.To, "shop-check") || !strings.HasSuffix(e.Detail["point"], id) {
		t.Errorf("%+v", e)
	}
	// Somebody deletes the snapshot: the point is bad, and nothing is made.
	if _, err := p.raw.DeleteDBSnapshot(t.Context(), &awssdk.DeleteDBSnapshotInput{DBSnapshotIdentifier: aws.String(taken["rds"].(map[string]any)["snapshot"].(string))}); err != nil {
		t.Fatal(err)
	}
	p.does(6, "somebody deleted it in AWS", "rds", "restore", id, "--repository", p.url, "--verify-only")
}

func TestWithoutItsRepositoryARestoreCountsAsProduction(t *testing.T) {
	t.Parallel()
	p := newRDSPlace(t)
	gone := "file://" + filepath.Join(t.TempDir(), "gone")
	restore := []string{"rds", "restore", "--instance", "shop", inUSEast, "--repository", gone, "--to", "shop-night"}
	p.does(2, "production needs an approval", restore...)
	p.does(3, "nothing will be in its audit log", append(restore, "--approval", approval.Code(time.Now()))...)
	if got := p.instances(); got != "shop shop-night" {
		t.Errorf("there are %s", got)
	}
}

func TestAReplicaIsPromotedByTheProgram(t *testing.T) {
	t.Parallel()
	p := newRDSPlace(t)
	if _, err := p.raw.CreateDBInstanceReadReplica(t.Context(), &awssdk.CreateDBInstanceReadReplicaInput{DBInstanceIdentifier: aws.String("replica"), SourceDBInstanceIdentifier: aws.String("shop")}); err != nil {
		t.Fatal(err)
	}
	p.does(2, "is not a read replica; its own are replica", "rds", "promote", "shop", inUSEast)
	p.does(2, "give 0 to 35 days", "rds", "promote", "replica", inUSEast, "--backup-retention", "99")
	p.does(3, "1. promote RDS instance (replica), a read replica of shop", "rds", "promote", "replica", inUSEast, "--backup-retention", "14", "--dry-run")
	// The emulator never says that it is done: RDS goes on with it.
	p.does(1, "timed out", "rds", "promote", "replica", inUSEast, "--wait", "1s")
}
