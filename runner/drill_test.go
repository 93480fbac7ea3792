package main

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssdk "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func TestASnapshotOfRDSIsDrilledInAnInstanceThatIsDeletedAgain(t *testing.T) {
	t.Parallel()
	server := testenv.AWS(t)
	raw := awssdk.New(awssdk.Options{Region: "us-east-1", BaseEndpoint: &server.Endpoint, Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")})
	if _, err := raw.CreateDBInstance(t.Context(), &awssdk.CreateDBInstanceInput{
		DBInstanceIdentifier: aws.String("shop"), DBInstanceClass: aws.String("db.t3.micro"), Engine: aws.String("postgres"), EngineVersion: aws.String("15.4"), AllocatedStorage: aws.Int32(20),
		MasterUsername: aws.String("boss"), MasterUserPassword: aws.String("correct-horse"),
	}); err != nil {
		t.Fatal(err)
	}
	instances := func() (names []string) {
		t.Helper()
		all, err := raw.DescribeDBInstances(t.Context(), &awssdk.DescribeDBInstancesInput{})
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range all.DBInstances {
			names = append(names, aws.ToString(i.DBInstanceIdentifier))
		}
		return names
	}
	p := directory(t)
	p.env = append(server.Env(), "AWS_REGION=us-east-1")
	run := func(code int, args ...string) ended {
		t.Helper()
		e := p.run(nil, append(args, "--repository", p.url)...)
		if e.code != code {
			t.Fatalf("%v: %s", args, e)
		}
		if left := instances(); len(left) != 1 || left[0] != "shop" {
			t.Errorf("%v: instances are %v", args, left)
		}
		return e
	}
	point := run(0, "rds", "snapshot", "--instance", "shop", "--json").document(t)["points"].([]any)[0].(map[string]any)
	if e := run(0, "drill", "--kind", "rds_snapshot", "--dry-run"); !strings.Contains(e.out, "into a temporary RDS instance in us-east-1") {
		t.Error(e)
	}
	report := run(0, "drill", "--kind", "rds_snapshot", "--json").document(t)["reports"].([]any)[0].(map[string]any)
	into := report["into"].(map[string]any)
	if report["outcome"] != "proven" || into["kind"] != "rds_instance" || !strings.HasPrefix(into["where"].(string), "pgbackup-drill-") || report["rto"].(map[string]any)["seconds"].(float64) <= 0 {
		t.Errorf("%v", report)
	}
	// Nobody answers behind the instances of the emulator.
	if e := run(1, "drill", "--kind", "rds_snapshot", "--check", "it=select true"); !strings.Contains(e.stderr, "says nothing about the backup") {
		t.Error(e)
	}
	// What somebody deleted in AWS is no backup any more.
	if _, err := raw.DeleteDBSnapshot(t.Context(), &awssdk.DeleteDBSnapshotInput{DBSnapshotIdentifier: aws.String(point["rds"].(map[string]any)["snapshot"].(string))}); err != nil {
		t.Fatal(err)
	}
	if e := run(6, "drill", "--kind", "rds_snapshot"); !strings.Contains(e.stderr, "somebody deleted it in AWS") {
		t.Error(e)
	}
	if e := run(1, "drill", "--kind", "rds_snapshot", "--source", "shop@us-east-1"); !strings.Contains(e.stderr, "no good recovery point") {
		t.Error(e)
	}
}

func TestWhatCameOfADrillIsTold(t *testing.T) {
	t.Parallel()
	p, l := directory(t), listen(t, nil)
	j := told(t, p.job(job.KindDrill))
	j.Drill = &job.Drill{Of: []string{"app@db1"}, Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{}}}
	j.Metrics = job.MetricsEMF
	got := p.run(l.env(), "drill", "--job", p.file(j))
	if got.code != 1 {
		t.Fatal(got)
	}
	report := l.report(t)
	if len(report.Drills) != 1 || report.Drills[0].Outcome != "could_not_run" || report.Drills[0].Source != "app@db1" || report.Drills[0].Report == "" || report.Command != "drill" {
		t.Errorf("%+v", report)
	}
	if slack := string(l.bodies["/slack/SECRETTOKEN"]); !strings.Contains(slack, "app@db1: could not run") {
		t.Error(slack)
	}
	if n := got.numbers(); n["DrillCouldNotRun"] != 1 || n["Failed"] != 1 || n["Succeeded"] != 0 {
		t.Errorf("%v", n)
	}
}

// drillReported stores a report as if it had been so long ago.
func (p *place) drillReported(drill, source, policy string, outcome drillreport.Outcome, ago time.Duration) drillreport.Report {
	p.t.Helper()
	at := time.Now().Add(-ago)
	r := drillreport.Report{
		Format: drillreport.Format, ID: repo.NewID(at), Drill: drill, Policy: policy, Start: at, End: at.Add(time.Minute), Outcome: outcome,
		Point: drillreport.Point{Source: source, Chosen: "latest", From: "primary"}, RTO: drillreport.RTO{Seconds: 40, Objective: 3600},
	}
	if err := p.repo.PutDrillReport(p.t.Context(), r); err != nil {
		p.t.Fatal(err)
	}
	return r
}

func TestTheAgeOfTheDrillThatIsFurthestBehindIsPublished(t *testing.T) {
	t.Parallel()
	p := directory(t)
	document, err := policy.Parse([]byte(`{"format":1,"name":"old","objectives":{"rpo":"25h"},"retention":{"keep_last":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	envelope := policy.Envelope{At: time.Now().Add(-100 * day), By: "a test", Loss: &policy.Loss{To: document.Digest()}}
	if _, err := p.repo.PutPolicyRevision(t.Context(), 0, document, envelope); err != nil {
		t.Fatal(err)
	}
	j := p.job(job.KindFreshness)
	j.Policy, j.Metrics = "old", job.MetricsEMF
	file := p.file(j)
	want := func(what string, days float64) {
		t.Helper()
		age, told := p.run(nil, "status", "--job", file).numbers()["DrillAge"]
		if days < 0 && told || days >= 0 && (age < days*86400-5 || age > days*86400+120) {
			t.Errorf("%s: %v (told: %v), want %v days", what, age, told, days)
		}
	}
	want("no drill at all", -1)
	p.drillReported("manual", "app@db1", "old", drillreport.Proven, day)
	p.drillReported("others", "app@db1", "test", drillreport.Proven, 50*day)
	want("none of the policy's jobs", -1)
	p.drillReported("weekly", "app@db1", "old", drillreport.Proven, 9*day)
	want("one", 9)
	p.drillReported("weekly", "app@db1", "old", drillreport.BadBackup, 2*day)
	want("a bad backup proves nothing", 9)
	p.drillReported("weekly", "app@db1", "old", drillreport.CouldNotRun, day)
	want("nor does one that could not run", 9)
	p.drillReported("weekly", "crm@db1", "old", drillreport.CouldNotRun, day)
	want("a source that was never proven is as old as the policy", 100)
	p.drillReported("weekly", "crm@db1", "old", drillreport.Proven, time.Hour)
	p.drillReported("weekly", "app@db1", "old", drillreport.Proven, 2*time.Hour)
	want("all proven", 2.0/24)
	p.drillReported("weekly", "gone@db1", "old", drillreport.Proven, 40*day)
	want("a source that the drill left out since", 2.0/24)
	p.drillReported("monthly", "app@db1", "old", drillreport.Proven, 12*day)
	want("the drill that is furthest behind", 12)
}

func TestDrillsAreListedWithTheNextRunOfTheirDeployedJob(t *testing.T) {
	t.Parallel()
	p := bucket(t)
	p.drillReported("weekly", "app@db1", "prod", drillreport.Proven, 9*24*time.Hour)
	for range 12 {
		p.drillReported("weekly", "app@db1", "prod", drillreport.CouldNotRun, time.Hour)
	}
	p.drillReported("yearly", "app@db1", "prod", drillreport.Proven, 30*24*time.Hour)
	j := p.job(job.KindDrill)
	j.Name, j.Schedule = "weekly", &job.Schedule{Cron: "0 4 * * 0"}
	j.Drill = &job.Drill{Into: job.DrillInto{ScratchCluster: &job.ScratchCluster{}}}
	data := p.encode(j)
	p.put(job.Key("weekly", data), data)
	j.Name, j.Schedule = "yearly", &job.Schedule{Cron: "* * * * *"}
	data = p.encode(j)
	p.put(job.Key("yearly", data), data)
	got := p.run(nil, "drills", "--repository", p.url, "--json")
	list := got.document(t)["drills"].([]any)
	if got.code != 0 || len(list) != 2 {
		t.Fatal(got)
	}
	weekly, yearly := list[0].(map[string]any), list[1].(map[string]any)
	next, err := time.Parse(time.RFC3339, weekly["next"].(string))
	if err != nil || next.Weekday() != time.Sunday || next.Hour() != 4 || weekly["overdue"] != false || len(weekly["trend"].([]any)) != drillreport.Trend {
		t.Errorf("%v: %v", err, weekly)
	}
	// However long ago it was.
	if proven, ok := weekly["last_proven"].(map[string]any); !ok || proven["outcome"] != "proven" {
		t.Errorf("%v", weekly["last_proven"])
	}
	if yearly["overdue"] != true {
		t.Errorf("%v", yearly)
	}
	if e := p.run(nil, "drills", "--repository", p.url); !strings.Contains(e.out, "OVERDUE") || !strings.Contains(e.out, "could_not_run") {
		t.Error(e)
	}
	one := p.drillReported("weekly", "app@db1", "prod", drillreport.BadBackup, 0)
	if e := p.run(nil, "drills", one.ID, "--repository", p.url, "--json"); e.code != 0 || e.document(t)["outcome"] != "bad_backup" {
		t.Error(e)
	}
	if e := p.run(nil, "drills", "20200101T000000Z-abcdefgh", "--repository", p.url); e.code != 4 {
		t.Error(e)
	}
}
