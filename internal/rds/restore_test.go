package rds_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	awssdk "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

func (w *world) plan(change ...func(*rds.RestoreOptions)) (*rds.RestorePlan, error) {
	o := rds.RestoreOptions{Client: w.api, Of: shop, To: "shop-restored", First: 10 * time.Millisecond, Limit: 10 * time.Second}
	for _, c := range change {
		c(&o)
	}
	return rds.PlanRestore(w.t.Context(), o)
}

// restore plans and runs.
func (w *world) restore(change ...func(*rds.RestoreOptions)) rds.Restored {
	w.t.Helper()
	p, err := w.plan(change...)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := p.Run(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func TestARestoredInstanceHasWhatTheOriginalHasAndNoPublicAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	subnet := w.server.EC2(t, "DescribeSubnets", `<subnetId>(.*?)<`)
	group := w.server.EC2(t, "DescribeSecurityGroups", `<groupId>(.*?)<`)
	for _, err := range []error{
		second(w.raw.CreateDBSubnetGroup(ctx, &awssdk.CreateDBSubnetGroupInput{DBSubnetGroupName: aws.String("private"), DBSubnetGroupDescription: aws.String("d"), SubnetIds: []string{subnet}})),
		second(w.raw.CreateDBParameterGroup(ctx, &awssdk.CreateDBParameterGroupInput{DBParameterGroupName: aws.String("tuned"), DBParameterGroupFamily: aws.String("postgres13"), Description: aws.String("d")})),
		second(w.raw.CreateOptionGroup(ctx, &awssdk.CreateOptionGroupInput{OptionGroupName: aws.String("options"), EngineName: aws.String("postgres"), MajorEngineVersion: aws.String("13"), OptionGroupDescription: aws.String("d")})),
		second(w.raw.CreateDBInstance(ctx, &awssdk.CreateDBInstanceInput{
			DBInstanceIdentifier: aws.String("acme"), DBInstanceClass: aws.String("db.r6g.large"), Engine: aws.String("postgres"), EngineVersion: aws.String("13.4"), AllocatedStorage: aws.Int32(500),
			MasterUsername: aws.String("app"), MasterUserPassword: aws.String("not-a-secret"), BackupRetentionPeriod: aws.Int32(7), DBSubnetGroupName: aws.String("private"),
			VpcSecurityGroupIds: []string{group}, DBParameterGroupName: aws.String("tuned"), OptionGroupName: aws.String("options"), StorageType: aws.String("gp3"), Iops: aws.Int32(14000), StorageThroughput: aws.Int32(600),
			MaxAllocatedStorage: aws.Int32(2000), Port: aws.Int32(5433), MultiAZ: aws.Bool(true), EnableIAMDatabaseAuthentication: aws.Bool(true), EnableCloudwatchLogsExports: []string{"postgresql"},
			DeletionProtection: aws.Bool(true), CopyTagsToSnapshot: aws.Bool(true), PubliclyAccessible: aws.Bool(false), StorageEncrypted: aws.Bool(true), PreferredMaintenanceWindow: aws.String("sun:04:00-sun:05:00"),
			Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}, {Key: aws.String(awsapi.TagManagedBy), Value: aws.String(awsapi.Terraform)}, {Key: aws.String(api.TagTemporary), Value: aws.String("acme")}},
		})),
		second(w.raw.CreateDBSnapshot(ctx, &awssdk.CreateDBSnapshotInput{DBInstanceIdentifier: aws.String("acme"), DBSnapshotIdentifier: aws.String("before-release")})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	acme := api.Target{ID: "acme"}
	p, err := w.plan(func(o *rds.RestoreOptions) {
		o.Of, o.To, o.Given.Tags = acme, "acme-copy", map[string]string{"why": "a test"}
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.From.Snapshot.Name != "before-release" || p.Version != "13.4" {
		t.Errorf("%+v", p.From)
	}
	for _, want := range []string{"--max-allocated-storage 2000", "--preferred-maintenance-window sun:04:00-sun:05:00"} {
		if !strings.Contains(strings.Join(p.NotCarried, "\n"), want) {
			t.Errorf("%q is not among %q", want, p.NotCarried)
		}
	}
	w.only("acme", "shop") // a plan makes nothing
	r, err := p.Run(ctx)
	if err != nil || r.Endpoint == "" || r.Port != 5433 || r.User != "app" || r.Instance != "acme-copy" {
		t.Errorf("%+v, %v", r, err)
	}
	asked := w.front.asked("RestoreDBInstanceFromDBSnapshot")
	carried := map[string]string{
		"DBInstanceClass": "db.r6g.large", "DBSubnetGroupName": "private", "VpcSecurityGroupIds.VpcSecurityGroupId.1": group, "DBParameterGroupName": "tuned", "OptionGroupName": "options",
		"StorageType": "gp3", "Iops": "14000", "StorageThroughput": "600", "Port": "5433", "MultiAZ": "true", "EnableIAMDatabaseAuthentication": "true",
		"EnableCloudwatchLogsExports.member.1": "postgresql", "DeletionProtection": "true", "CopyTagsToSnapshot": "true", "PubliclyAccessible": "false",
	}
	for field, want := range carried {
		if got := asked.Get(field); got != want {
			t.Errorf("%s is %q and not %q", field, got, want)
		}
	}
	db, err := w.api.Database(ctx, api.Target{ID: "acme-copy"})
	if err != nil || db.Tags["team"] != "shop" || db.Tags["why"] != "a test" || !db.Encrypted || db.Public {
		t.Errorf("%+v, %v", db, err)
	}
	if awsapi.Ours(db.Tags) || db.Tags[api.TagTemporary] != "" {
		t.Errorf("the copy looks as if pgbackup could delete it: %v", db.Tags)
	}
	// A moment brings the same, and the limit of the storage too.
	w.restore(func(o *rds.RestoreOptions) {
		o.Of, o.To, o.Latest = acme, "acme-moment", true
		no := false
		o.Given = rds.Given{Class: "db.r6g.xlarge", MultiAZ: &no, DeletionProtection: &no, StorageType: "gp2", Port: 5544}
	})
	asked = w.front.asked("RestoreDBInstanceToPointInTime")
	carried["DBInstanceClass"], carried["MultiAZ"], carried["DeletionProtection"], carried["StorageType"], carried["Iops"], carried["StorageThroughput"], carried["Port"] = "db.r6g.xlarge", "false", "false", "gp2", "", "", "5544"
	carried["MaxAllocatedStorage"], carried["SourceDBInstanceIdentifier"] = "2000", "acme"
	for field, want := range carried {
		if got := asked.Get(field); got != want {
			t.Errorf("to a moment: %s is %q and not %q", field, got, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestTheSameCommandAgainGoesOnWaitingAndAnotherIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.front.change("DescribeDBInstances", func(body string) string {
		if strings.Contains(body, "shop-restored") {
			return strings.ReplaceAll(body, "<DBInstanceStatus>available", "<DBInstanceStatus>creating")
		}
		return body
	})
	p, err := w.plan(func(o *rds.RestoreOptions) { o.Limit = 50 * time.Millisecond })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(t.Context()); !errors.Is(err, awsapi.ErrTimeout) || !strings.Contains(err.Error(), "run the same command again") {
		t.Errorf("%v", err)
	}
	w.front.change("DescribeDBInstances", nil)
	if p, err = w.plan(); err != nil || !p.Resumes {
		t.Fatalf("%+v, %v", p, err)
	}
	if r, err := p.Run(t.Context()); err != nil || r.Endpoint == "" || !strings.Contains(r.From, ":snapshot:rds:shop-") {
		t.Errorf("%+v, %v", r, err)
	}
	if n := w.front.count("RestoreDBInstanceFromDBSnapshot"); n != 1 {
		t.Errorf("restored %d times", n)
	}
	for name, change := range map[string]func(*rds.RestoreOptions){
		"another origin":    func(o *rds.RestoreOptions) { o.Latest = true },
		"a day later":       func(o *rds.RestoreOptions) { o.Now = func() time.Time { return time.Now().Add(25 * time.Hour) } },
		"over the original": func(o *rds.RestoreOptions) { o.To = "SHOP" },
	} {
		if _, err := w.plan(change); !errors.Is(err, rds.ErrExists) || !strings.Contains(err.Error(), "-2 is free") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAuroraClusterIsRestoredWithAnInstanceOfItsWritersClass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	aurora := w.aurora()
	m := w.take(func(o *rds.Options) { o.Target, o.Source = aurora, "" }).Manifest
	r := w.restore(func(o *rds.RestoreOptions) { o.Of, o.Point, o.To = api.Target{}, m, "copy" })
	if r.Instance != "copy-1" || r.Class != "db.r6g.large" || r.Endpoint == "" || !strings.Contains(r.From, m.RDS.Snapshot) {
		t.Errorf("%+v", r)
	}
	w.only("aurora", "aurora-writer", "copy", "copy-1", "shop")
	if asked := w.front.asked("CreateDBInstance"); asked.Get("PubliclyAccessible") != "false" || asked.Get("DBClusterIdentifier") != "copy" {
		t.Errorf("%v", asked)
	}
	// Killed between the cluster and its instance.
	w.front.refuseFirst("CreateDBInstance", "InsufficientDBInstanceCapacity", 1)
	again := func(o *rds.RestoreOptions) { o.Of, o.Point, o.To = api.Target{}, m, "late" }
	p, err := w.plan(again)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another --class") {
		t.Errorf("%v", err)
	}
	if r := w.restore(again); r.Instance != "late-1" || r.Endpoint == "" {
		t.Errorf("%+v", r)
	}
}

func TestAMomentMustLieWithinTheWindowAndTheErrorNamesIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	day := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	w.front.change("DescribeDBInstances", func(b string) string {
		return strings.ReplaceAll(b, "</DBInstance>", "<LatestRestorableTime>2026-11-21T12:00:00Z</LatestRestorableTime></DBInstance>")
	})
	backups := func(status string) func(string) string {
		return func(string) string {
			return "<DescribeDBInstanceAutomatedBackupsResponse><DescribeDBInstanceAutomatedBackupsResult><DBInstanceAutomatedBackups><DBInstanceAutomatedBackup>" +
				"<DBInstanceIdentifier>shop</DBInstanceIdentifier><Engine>postgres</Engine><EngineVersion>16.4</EngineVersion><AllocatedStorage>20</AllocatedStorage><Status>" + status + "</Status>" +
				"<DBInstanceAutomatedBackupsArn>arn:aws:rds:us-east-1:123456789012:auto-backup:ab-1</DBInstanceAutomatedBackupsArn><Port>5433</Port>" +
				"<RestoreWindow><EarliestTime>2026-11-14T12:00:00Z</EarliestTime><LatestTime>2026-11-21T12:00:00Z</LatestTime></RestoreWindow>" +
				"</DBInstanceAutomatedBackup></DBInstanceAutomatedBackups></DescribeDBInstanceAutomatedBackupsResult></DescribeDBInstanceAutomatedBackupsResponse>"
		}
	}
	w.front.change("DescribeDBInstanceAutomatedBackups", backups("active"))
	for _, at := range []time.Time{day.Add(time.Second), day.Add(-8 * 24 * time.Hour)} {
		_, err := w.plan(func(o *rds.RestoreOptions) { o.Moment = at })
		if !errors.Is(err, rds.ErrOutside) || !strings.Contains(err.Error(), "from 2026-11-14T12:00:00Z to 2026-11-21T12:00:00Z") {
			t.Errorf("%s: %v", at, err)
		}
	}
	p, err := w.plan(func(o *rds.RestoreOptions) { o.Moment = day.Add(-time.Hour) })
	if err != nil || p.From.String() != "RDS instance (shop) as of 2026-11-21T11:00:00Z" {
		t.Errorf("%+v, %v", p, err)
	}
	// Of an instance that is gone, its retained backups are restored from.
	w.front.change("DescribeDBInstances", nil)
	if _, err := w.raw.DeleteDBInstance(t.Context(), &awssdk.DeleteDBInstanceInput{DBInstanceIdentifier: aws.String("shop"), SkipFinalSnapshot: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	w.front.change("DescribeDBInstanceAutomatedBackups", backups("retained"))
	p, err = w.plan(func(o *rds.RestoreOptions) { o.Moment = day.Add(-time.Hour); o.Given.SubnetGroup = "private" })
	if err != nil || p.From.Backups == "" || p.Source != nil || p.Wanted.Shape.Port != 5433 || p.Version != "16.4" {
		t.Fatalf("%+v, %v", p, err)
	}
	lost := strings.Join(p.NotCarried, "\n")
	if strings.Contains(lost, "--subnet-group") || !strings.Contains(lost, "--security-group gives it") || !strings.Contains(lost, "--parameter-group") {
		t.Errorf("%s", lost)
	}
	if _, err := p.Run(t.Context()); err == nil { // the emulator does not know retained backups
		t.Error("restored of what the emulator does not have")
	}
	if asked := w.front.asked("RestoreDBInstanceToPointInTime"); asked.Get("SourceDBInstanceAutomatedBackupsArn") == "" || asked.Get("SourceDBInstanceIdentifier") != "" || asked.Get("RestoreTime") != "2026-11-21T11:00:00Z" {
		t.Errorf("%v", asked)
	}
}

func TestWhatCannotBeRestoredIsSaidBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.take().Manifest
	keys := kms.NewFromConfig(w.cfg)
	key, err := keys.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: key.KeyMetadata.KeyId}); err != nil {
		t.Fatal(err)
	}
	snapshots := func(old, new string) func(string) string {
		return func(b string) string { return strings.ReplaceAll(b, old, new) }
	}
	named := func(name string) func(*rds.RestoreOptions) {
		return func(o *rds.RestoreOptions) { o.Snapshot = name }
	}
	for name, c := range map[string]struct {
		change func(*rds.RestoreOptions)
		answer func(string) string
		is     error
		want   string
	}{
		"another engine":      {answer: snapshots("<Engine>postgres", "<Engine>mysql"), is: rds.ErrUnfit, want: "mysql"},
		"nothing ready":       {answer: snapshots("<Status>available", "<Status>creating"), is: rds.ErrNothing, want: "creating"},
		"a named one goes":    {change: named(m.RDS.Snapshot), answer: snapshots("<Status>available", "<Status>deleting"), is: rds.ErrNothing, want: "deleting"},
		"a slip in its name":  {change: named(m.RDS.Snapshot + "x"), is: awsapi.ErrGone, want: `did you mean "` + m.RDS.Snapshot},
		"of another database": {change: func(o *rds.RestoreOptions) { o.Snapshot, o.Of.ID = m.RDS.Snapshot, "other" }, is: rds.ErrNothing, want: "is of RDS instance (shop)"},
		"of another region":   {change: named("arn:aws:rds:eu-west-1:123456789012:snapshot:x"), want: "--rds-region eu-west-1"},
		"a point whose is gone": {change: func(o *rds.RestoreOptions) {
			gone := *m
			of := *m.RDS
			of.Snapshot = "nothing"
			gone.RDS = &of
			o.Point = &gone
		}, is: repo.ErrDamaged},
		"a database unknown":      {change: func(o *rds.RestoreOptions) { o.Of.ID = "shoq" }, is: rds.ErrNothing, want: `did you mean "shop"?`},
		"a moment of an unknown":  {change: func(o *rds.RestoreOptions) { o.Of.ID, o.Latest = "nobody", true }, is: rds.ErrNothing},
		"no name":                 {change: func(o *rds.RestoreOptions) { o.To = "not_a_name" }, is: rds.ErrName},
		"a key that is disabled":  {answer: snapshots("<Encrypted>false</Encrypted>", "<Encrypted>true</Encrypted><KmsKeyId>"+*key.KeyMetadata.Arn+"</KmsKeyId>"), is: api.ErrKeyUnusable, want: "Disabled"},
		"a key that is not there": {answer: snapshots("<Encrypted>false</Encrypted>", "<Encrypted>true</Encrypted><KmsKeyId>arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000</KmsKeyId>"), is: api.ErrKeyUnusable, want: "is gone"},
	} {
		if c.change == nil {
			c.change = func(*rds.RestoreOptions) {}
		}
		w.front.change("DescribeDBSnapshots", c.answer)
		_, err := w.plan(c.change)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.front.change("DescribeDBSnapshots", nil)
	if w.front.count("RestoreDBInstanceFromDBSnapshot")+w.front.count("RestoreDBInstanceToPointInTime") != 0 {
		t.Error("something was made")
	}
	// What is only not known is a warning.
	w.front.set("DescribeOrderableDBInstanceOptions", "AccessDenied")
	p, err := w.plan()
	if err != nil || !slices.ContainsFunc(p.Warnings, func(s string) bool { return strings.Contains(s, "rds:DescribeOrderableDBInstanceOptions") }) {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestAReplicaIsPromotedWithItsLagAndItsMissingBackupsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	if _, err := w.raw.CreateDBInstanceReadReplica(ctx, &awssdk.CreateDBInstanceReadReplicaInput{DBInstanceIdentifier: aws.String("replica"), SourceDBInstanceIdentifier: aws.String("shop")}); err != nil {
		t.Fatal(err)
	}
	options := rds.PromoteOptions{Client: w.api, Replica: api.Target{ID: "replica"}, First: 10 * time.Millisecond, Limit: 5 * time.Second}
	w.front.change("DescribeDBInstances", func(b string) string {
		return strings.ReplaceAll(b, "<BackupRetentionPeriod>7<", "<BackupRetentionPeriod>0<")
	})
	_, err := rds.PlanPromotion(ctx, rds.PromoteOptions{Client: w.api, Replica: shop})
	if !errors.Is(err, rds.ErrNotReplica) || !strings.Contains(err.Error(), "its own are replica") {
		t.Errorf("%v", err)
	}
	p, err := rds.PlanPromotion(ctx, options)
	if err != nil {
		t.Fatal(err)
	}
	told := strings.Join(p.Warnings, "\n")
	for _, want := range []string{"no ReplicaLag", "--backup-retention", "no standby"} {
		if !strings.Contains(told, want) {
			t.Errorf("%q is not in %s", want, told)
		}
	}
	week := 7
	options.RetentionDays = &week
	if p, err = rds.PlanPromotion(ctx, options); err != nil || strings.Contains(strings.Join(p.Warnings, "\n"), "--backup-retention") {
		t.Errorf("%+v, %v", p, err)
	}
	// The emulator goes on to name the source of what it promoted.
	source := regexp.MustCompile("<ReadReplicaSourceDBInstanceIdentifier>[^<]*</ReadReplicaSourceDBInstanceIdentifier>")
	w.front.change("PromoteReadReplica", func(b string) string {
		looks := 0
		w.front.change("DescribeDBInstances", func(b string) string {
			if looks++; looks < 3 {
				return b
			}
			return source.ReplaceAllString(b, "")
		})
		return b
	})
	r, err := p.Run(ctx)
	if err != nil || r.Endpoint == "" || r.Instance != "replica" {
		t.Errorf("%+v, %v", r, err)
	}
	if w.front.asked("PromoteReadReplica").Get("BackupRetentionPeriod") != "7" {
		t.Errorf("%v", w.front.asked("PromoteReadReplica"))
	}
	if _, err := rds.PlanPromotion(ctx, options); !errors.Is(err, rds.ErrNotReplica) {
		t.Errorf("promoted twice: %v", err)
	}
}

func TestAMultiAZClusterIsRestoredAsOneAndDrilledAsAnInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	of := api.Target{ID: "trio", Cluster: true}
	if _, err := w.raw.CreateDBCluster(ctx, &awssdk.CreateDBClusterInput{
		DBClusterIdentifier: &of.ID, Engine: aws.String("postgres"), DBClusterInstanceClass: aws.String("db.r6gd.large"), StorageType: aws.String("io1"), AllocatedStorage: aws.Int32(100), Iops: aws.Int32(1000),
		MasterUsername: aws.String("app"), MasterUserPassword: aws.String("not-a-secret"), Port: aws.Int32(5433), Tags: []types.Tag{{Key: aws.String("team"), Value: aws.String("shop")}},
	}); err != nil {
		t.Fatal(err)
	}
	m := w.take(func(o *rds.Options) { o.Target, o.Source = of, "" }).Manifest
	r := w.restore(func(o *rds.RestoreOptions) { o.Of, o.To = of, "trio-copy" })
	if r.Instance != "" || r.Endpoint == "" || w.front.count("CreateDBInstance") != 1 { // the world's own
		t.Errorf("%+v", r)
	}
	asked := w.front.asked("RestoreDBClusterFromSnapshot")
	for field, want := range map[string]string{"DBClusterInstanceClass": "db.r6gd.large", "PubliclyAccessible": "false", "Engine": "postgres", "StorageType": "io1", "Iops": "1000", "Port": "5433", "SnapshotIdentifier": m.RDS.Snapshot} {
		if got := asked.Get(field); got != want {
			t.Errorf("%s is %q and not %q", field, got, want)
		}
	}
	// The emulator makes no instances of snapshots of clusters, so this is about what
	// is asked for.
	if _, err := rds.StartTemporary(ctx, w.temporary(m)); err == nil {
		t.Error("the emulator has learned it: look at what it makes")
	}
	asked = w.front.asked("RestoreDBInstanceFromDBSnapshot")
	if asked.Get("DBClusterSnapshotIdentifier") != m.RDS.Snapshot || asked.Has("DBSnapshotIdentifier") || asked.Get("DBInstanceClass") != "db.r6gd.large" || asked.Get("MultiAZ") != "false" {
		t.Errorf("%v", asked)
	}
}

func TestAnAuroraClusterIsRestoredToAMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	aurora := w.aurora()
	w.front.change("DescribeDBClusters", func(b string) string {
		return strings.ReplaceAll(b, "</DBCluster>", "<EarliestRestorableTime>2026-11-20T00:00:00Z</EarliestRestorableTime><LatestRestorableTime>2026-11-21T12:00:00Z</LatestRestorableTime></DBCluster>")
	})
	moment := time.Date(2026, 11, 21, 11, 30, 0, 0, time.UTC)
	if _, err := w.plan(func(o *rds.RestoreOptions) { o.Of, o.To, o.Moment = aurora, "copy", moment.Add(time.Hour) }); !errors.Is(err, rds.ErrOutside) || !strings.Contains(err.Error(), "from 2026-11-20T00:00:00Z to 2026-11-21T12:00:00Z") {
		t.Errorf("%v", err)
	}
	r := w.restore(func(o *rds.RestoreOptions) { o.Of, o.To, o.Moment = aurora, "copy", moment })
	asked := w.front.asked("RestoreDBClusterToPointInTime")
	if r.Instance != "copy-1" || asked.Get("RestoreToTime") != "2026-11-21T11:30:00Z" || asked.Get("SourceDBClusterIdentifier") != "aurora" {
		t.Errorf("%+v, %v", r, asked)
	}
	if _, err := w.plan(func(o *rds.RestoreOptions) { o.Of, o.Moment = api.Target{ID: "aurora-writer"}, moment }); !errors.Is(err, rds.ErrNothing) || !strings.Contains(err.Error(), "give --cluster aurora") {
		t.Errorf("%v", err)
	}
}
