package rds_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssdk "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// temporary are the options of a drill of a point.
func (w *world) temporary(m *repo.Manifest, change ...func(*rds.TemporaryOptions)) rds.TemporaryOptions {
	o := rds.TemporaryOptions{Client: w.api, Snapshot: m.RDS, Repo: w.repo, Name: "Quarterly (full)", First: 10 * time.Millisecond, Expires: time.Now().Add(time.Hour)}
	for _, c := range change {
		c(&o)
	}
	return o
}

func (w *world) start(m *repo.Manifest, change ...func(*rds.TemporaryOptions)) *rds.Temporary {
	w.t.Helper()
	t, err := rds.StartTemporary(w.t.Context(), w.temporary(m, change...))
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *world) databases() (ids []string) {
	w.t.Helper()
	for _, clusters := range []bool{false, true} {
		all, err := w.api.Databases(w.t.Context(), clusters)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, d := range all {
			if !slices.Contains(ids, d.ID) {
				ids = append(ids, d.ID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

func (w *world) only(want ...string) {
	w.t.Helper()
	if got := w.databases(); !slices.Equal(got, want) {
		w.t.Errorf("there are %v and not %v", got, want)
	}
}

func (w *world) sweep(at time.Time) []string {
	w.t.Helper()
	swept, err := rds.SweepTemporary(w.t.Context(), w.api, at, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return swept
}

// creating makes the next looks at instances say that they are being made.
func creating(times int) func(string) string {
	return func(body string) string {
		if times--; times < 0 {
			return body
		}
		return strings.ReplaceAll(body, "<DBInstanceStatus>available", "<DBInstanceStatus>creating")
	}
}

func TestATemporaryInstanceIsPrivateUnprotectedTaggedAndGoneAfterwards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.take().Manifest
	w.front.change("DescribeDBInstances", creating(4))
	var states []string
	d := w.start(m, func(o *rds.TemporaryOptions) {
		o.Drill = job.DrillInstance{Class: "db.t4g.small", SecurityGroups: []string{"sg-1", "sg-2"}}
		o.NewPassword, o.Tags = true, map[string]string{"team": "shop"}
		o.Progress = func(_, state string) { states = append(states, state) }
	})
	if !strings.HasPrefix(d.Identifier, "pgbackup-drill-quarterly-full-") || d.Endpoint == "" || d.Port != 5432 || d.Engine != "postgres" || d.User != "app" || len(d.Password) < 40 {
		t.Errorf("%+v", d)
	}
	if !slices.Contains(states, "creating") {
		t.Errorf("told of %v", states)
	}
	asked := w.front.asked("RestoreDBInstanceFromDBSnapshot")
	for field, want := range map[string]string{
		"PubliclyAccessible": "false", "DeletionProtection": "false", "BackupRetentionPeriod": "0", "MultiAZ": "false", "CopyTagsToSnapshot": "false",
		"DBInstanceClass": "db.t4g.small", "VpcSecurityGroupIds.VpcSecurityGroupId.1": "sg-1", "DBSnapshotIdentifier": m.RDS.Snapshot,
	} {
		if asked.Get(field) != want {
			t.Errorf("%s is %q and not %q", field, asked.Get(field), want)
		}
	}
	db, err := w.api.Database(t.Context(), api.Target{ID: d.Identifier})
	if err != nil || db.Tags["team"] != "shop" || db.Tags[awsapi.TagName] == "" || db.Tags[rds.TagRepositoryID] != w.repo.ID() || db.Tags[api.TagTemporary] != d.Identifier {
		t.Errorf("%v, %v", db.Tags, err)
	}
	// Subscriptions of the original must not wake up in it.
	group := asked.Get("DBParameterGroupName")
	parameters, err := w.raw.DescribeDBParameters(t.Context(), &awssdk.DescribeDBParametersInput{DBParameterGroupName: &group})
	if err != nil || !slices.ContainsFunc(parameters.Parameters, func(p types.Parameter) bool {
		return aws.ToString(p.ParameterName) == "max_logical_replication_workers" && aws.ToString(p.ParameterValue) == "0"
	}) {
		t.Errorf("group %q: %+v, %v", group, parameters, err)
	}
	if got := w.sweep(time.Now()); len(got) != 0 {
		t.Errorf("a drill under way was swept: %v", got)
	}
	for range 2 {
		if err := d.Delete(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if w.front.asked("DeleteDBInstance").Get("SkipFinalSnapshot") != "true" {
		t.Errorf("%v", w.front.asked("DeleteDBInstance"))
	}
	w.only("shop")
	w.start(m) // the group of parameters is there by now
}

func TestAnAuroraSnapshotBecomesAClusterOfOneInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	aurora := w.aurora()
	m := w.take(func(o *rds.Options) { o.Target, o.Source = aurora, "" }).Manifest
	unknown := *m.RDS
	unknown.Database = "nobody"
	if _, err := rds.StartTemporary(t.Context(), w.temporary(m, func(o *rds.TemporaryOptions) { o.Snapshot = &unknown })); err == nil || !strings.Contains(err.Error(), "into.rds_instance.class") {
		t.Errorf("%v", err)
	}
	d := w.start(m)
	if d.Cluster == "" || d.Identifier != d.Cluster+"-1" || d.Engine != "aurora-postgresql" || d.Endpoint == "" || d.Class != "db.r6g.large" {
		t.Errorf("%+v", d)
	}
	w.only("aurora", "aurora-writer", d.Cluster, d.Identifier, "shop")
	if err := d.Delete(t.Context()); err != nil {
		t.Error(err)
	}
	w.only("aurora", "aurora-writer", "shop")
}

// aurora makes a cluster with a writer.
func (w *world) aurora() api.Target {
	w.t.Helper()
	_, err := w.raw.CreateDBCluster(w.t.Context(), &awssdk.CreateDBClusterInput{
		DBClusterIdentifier: aws.String("aurora"), Engine: aws.String("aurora-postgresql"), MasterUsername: aws.String("app"), MasterUserPassword: aws.String("not-a-secret"),
	})
	if err == nil {
		_, err = w.raw.CreateDBInstance(w.t.Context(), &awssdk.CreateDBInstanceInput{
			DBInstanceIdentifier: aws.String("aurora-writer"), DBClusterIdentifier: aws.String("aurora"), DBInstanceClass: aws.String("db.r6g.large"), Engine: aws.String("aurora-postgresql"),
		})
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return api.Target{ID: "aurora", Cluster: true}
}

func TestDeletionGoesOnWhileRDSIsBusyOrThrottledAndAfterAnInterrupt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.take().Manifest
	for _, code := range []string{"InvalidDBInstanceState", "Throttling"} {
		d := w.start(m)
		w.front.refuseFirst("DeleteDBInstance", code, 3)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := d.Delete(ctx); err != nil {
			t.Errorf("%s: %v", code, err)
		}
		w.only("shop")
	}
}

func TestWhatAFailedStartMadeIsDeletedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.take().Manifest
	ctx, cancel := context.WithCancelCause(t.Context())
	w.front.change("DescribeDBInstances", func(body string) string {
		if strings.Contains(body, rds.TemporaryPrefix) {
			cancel(errors.New("interrupted"))
			return strings.ReplaceAll(body, "<DBInstanceStatus>available", "<DBInstanceStatus>creating")
		}
		return body
	})
	if _, err := rds.StartTemporary(ctx, w.temporary(m)); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("%v", err)
	}
	w.only("shop")
	w.front.change("DescribeDBInstances", func(body string) string {
		if strings.Contains(body, rds.TemporaryPrefix) {
			return strings.ReplaceAll(body, "<DBInstanceStatus>available", "<DBInstanceStatus>incompatible-parameters")
		}
		return body
	})
	if _, err := rds.StartTemporary(t.Context(), w.temporary(m)); err == nil || !strings.Contains(err.Error(), "incompatible-parameters") {
		t.Errorf("%v", err)
	}
	w.only("shop")
	// It cannot be deleted either: the error says what is left.
	w.front.set("DeleteDBInstance", "AccessDenied")
	if _, err := rds.StartTemporary(t.Context(), w.temporary(m)); err == nil || !strings.Contains(err.Error(), "rds:DeleteDBInstance") || !strings.Contains(err.Error(), "tagged to expire") {
		t.Errorf("%v", err)
	}
}

func TestSweepingDeletesWhatIsExpiredAndCarriesItsOwnNameOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	aurora := w.aurora()
	m := w.take().Manifest
	of := w.take(func(o *rds.Options) { o.Target, o.Source = aurora, "" }).Manifest
	d, c := w.start(m), w.start(of)
	later := time.Now().Add(2 * time.Hour)
	tagged, err := w.api.Database(t.Context(), api.Target{ID: d.Identifier})
	if err != nil {
		t.Fatal(err)
	}
	// What somebody restored of a drill's database has its tags, and is theirs; so is
	// what somebody tagged by hand.
	var list []types.Tag
	for k, v := range tagged.Tags {
		list = append(list, types.Tag{Key: &k, Value: &v})
	}
	for _, id := range []string{"keepsake", "pgbackup-drill-of-mine"} {
		if _, err := w.raw.CreateDBInstance(t.Context(), &awssdk.CreateDBInstanceInput{DBInstanceIdentifier: &id, DBInstanceClass: aws.String("db.t3.micro"), Engine: aws.String("postgres"), AllocatedStorage: aws.Int32(20), Tags: list}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.api.DeleteTemporary(t.Context(), api.Target{ID: "keepsake"}); !errors.Is(err, api.ErrNotTemporary) {
		t.Errorf("%v", err)
	}
	if got := w.sweep(time.Now()); len(got) != 0 {
		t.Errorf("swept %v before they expired", got)
	}
	// What is busy is left to the next run, and a protected one is told.
	w.front.set("DeleteDBInstance", "InvalidDBInstanceState")
	w.front.set("DeleteDBCluster", "InvalidDBClusterStateFault")
	if got := w.sweep(later); len(got) != 0 {
		t.Errorf("%v", got)
	}
	w.front.set("DeleteDBInstance", "")
	w.front.set("DeleteDBCluster", "")
	got := w.sweep(later)
	slices.Sort(got)
	want := []string{d.Identifier, c.Identifier, c.Cluster}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("swept %v, want %v", got, want)
	}
	w.only("aurora", "aurora-writer", "keepsake", "pgbackup-drill-of-mine", "shop")
}

func TestTheDatabaseOfAProcessThatDiedIsSweptBeforeItExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.start(w.take().Manifest)
	target := api.Target{ID: d.Identifier}
	db, err := w.api.Database(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(db.Tags[rds.TagRun], ":")
	if len(parts) != 3 || parts[1] != fmt.Sprint(os.Getpid()) {
		t.Fatalf("%v", db.Tags)
	}
	for _, c := range []struct {
		run  string
		gone bool
	}{
		{"elsewhere:1:1", false},
		{"", false},
		{parts[0] + ":" + parts[1] + ":" + parts[2], false},
		{fmt.Sprintf("%s:%d:%s", parts[0], dead.Process.Pid, "12345"), true},
	} {
		if err := w.api.Tag(t.Context(), db.ARN, map[string]string{rds.TagRun: c.run}); err != nil {
			t.Fatal(err)
		}
		if got := w.sweep(time.Now()); (len(got) == 1) != c.gone {
			t.Errorf("%q: swept %v", c.run, got)
		}
	}
	w.only("shop")
}

func TestASnapshotThatCannotBeRestoredStartsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.take().Manifest
	for name, c := range map[string]struct {
		change func(*rds.TemporaryOptions)
		answer func(string) string
		want   string
		is     error
	}{
		"of another engine":  {answer: func(b string) string { return strings.ReplaceAll(b, "<Engine>postgres", "<Engine>mysql") }, want: "only postgres"},
		"being deleted":      {answer: func(b string) string { return strings.ReplaceAll(b, "<Status>available", "<Status>deleting") }, want: "it is deleting", is: repo.ErrDamaged},
		"being copied":       {answer: func(b string) string { return strings.ReplaceAll(b, "<Status>available", "<Status>creating") }, want: "try again later"},
		"of another account": {answer: func(b string) string { return strings.ReplaceAll(b, "123456789012", "999999999999") }, is: rds.ErrOtherAccount},
		"in another region":  {change: func(o *rds.TemporaryOptions) { s := *o.Snapshot; s.Region = "eu-west-1"; o.Snapshot = &s }, want: "eu-west-1"},
		"gone":               {change: func(o *rds.TemporaryOptions) { s := *o.Snapshot; s.Snapshot = "nothing"; o.Snapshot = &s }, is: repo.ErrDamaged},
		"perhaps elsewhere": {change: func(o *rds.TemporaryOptions) {
			s := *o.Snapshot
			s.Snapshot, s.Account = "nothing", "999999999999"
			o.Snapshot = &s
		}, is: rds.ErrOtherAccount},
		"not named in the point": {change: func(o *rds.TemporaryOptions) { o.Snapshot = nil }, want: "names no snapshot"},
	} {
		if c.change == nil {
			c.change = func(*rds.TemporaryOptions) {}
		}
		w.front.change("DescribeDBSnapshots", c.answer)
		_, err := rds.StartTemporary(t.Context(), w.temporary(m, c.change))
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w.front.count("RestoreDBInstanceFromDBSnapshot") != 0 {
		t.Error("something was made")
	}
	w.only("shop")
}
