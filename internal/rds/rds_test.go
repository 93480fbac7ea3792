package rds_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssdk "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/verify"
)

func TestASnapshotIsAPointThatVerifiesAndRotationTakesBothAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Somebody else's, and an automated one: never touched.
	for _, name := range []string{"by-hand", "pgbackup-shop-by-hand"} {
		if _, err := w.raw.CreateDBSnapshot(t.Context(), &awssdk.CreateDBSnapshotInput{DBInstanceIdentifier: aws.String("shop"), DBSnapshotIdentifier: &name}); err != nil {
			t.Fatal(err)
		}
	}
	first, second, third := w.take(), w.take(), w.take(func(o *rds.Options) { o.Policy, o.Job = "prod", "weekly" })
	m := third.Manifest
	if m.RDS.Snapshot != rds.SnapshotName(shop, m.ID) || m.RDS.Account != "123456789012" || m.RDS.AllocatedGiB != 20 || m.Source != "shop@us-east-1" || m.Job != "weekly" {
		t.Errorf("%+v", m.RDS)
	}
	if s, err := w.api.Snapshot(t.Context(), m.RDS.Snapshot, false); err != nil || s.Tags[rds.TagPoint] != m.ID || s.Tags[rds.TagRepositoryID] != w.repo.ID() || !awsapi.Ours(s.Tags) {
		t.Errorf("%+v, %v", s, err)
	}
	if report := w.verify(); report.Err() != nil || report.Checked != 3 {
		t.Errorf("%+v", report)
	}
	if err := w.repo.Hold(t.Context(), first.Manifest.Ref(), repo.Mark{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	out, err := w.rotate(1, w.repo)
	if err != nil || len(out.Delete) != 1 || out.Delete[0].ID != second.Manifest.ID {
		t.Fatalf("%+v, %v", out.Delete, err)
	}
	names := w.snapshots()
	if len(names) != 4 || slices.Contains(names, second.Manifest.RDS.Snapshot) {
		t.Errorf("left are %v", names)
	}
}

func TestASnapshotOfAClusterIsAPointToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.raw.CreateDBCluster(t.Context(), &awssdk.CreateDBClusterInput{DBClusterIdentifier: aws.String("aurora"), Engine: aws.String("aurora-postgresql"), MasterUsername: aws.String("app"), MasterUserPassword: aws.String("not-a-secret")}); err != nil {
		t.Fatal(err)
	}
	aurora := func(o *rds.Options) { o.Target = api.Target{ID: "aurora", Cluster: true} }
	gone, stays := w.take(aurora), w.take(aurora)
	if !stays.Manifest.RDS.Cluster || !strings.Contains(stays.Manifest.RDS.ARN, ":cluster-snapshot:pgbackup-aurora-") {
		t.Errorf("%+v", stays.Manifest.RDS)
	}
	if report := w.verify(); report.Err() != nil {
		t.Error(report.Err())
	}
	if _, err := w.rotate(1, w.repo); err != nil {
		t.Fatal(err)
	}
	if names := w.snapshots(); slices.Contains(names, gone.Manifest.RDS.Snapshot) || !slices.Contains(names, stays.Manifest.RDS.Snapshot) {
		t.Errorf("left are %v", names)
	}
}

func TestASnapshotThatACrashLeftBecomesAPointOfItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left := w.leave()
	if n := len(w.points()); n != 0 {
		t.Fatalf("%d points", n)
	}
	result := w.take()
	if len(result.Adopted) != 1 || result.Adopted[0].RDS.Snapshot != left || !result.Adopted[0].Start.Before(result.Manifest.Start) {
		t.Fatalf("%+v", result)
	}
	if again := w.take(); len(again.Adopted) != 0 || len(w.points()) != 3 || len(w.snapshots()) != 3 {
		t.Errorf("%d points, %d snapshots", len(w.points()), len(w.snapshots()))
	}
	if report := w.verify(); report.Err() != nil {
		t.Error(report.Err())
	}
}

func TestWhoAsksAgainAfterACrashGetsTheSnapshotItAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asks := func(what string) func(*rds.Options) { return func(o *rds.Options) { o.Request = what } }
	left := w.leave(asks("release v2"))
	if got := w.take(asks("release v2")); got.Manifest.RDS.Snapshot != left || len(w.snapshots()) != 1 {
		t.Errorf("%+v, snapshots %v", got.Manifest.RDS, w.snapshots())
	}
	// It is a point now: asking once more takes a new one.
	if got := w.take(asks("release v2")); got.Manifest.RDS.Snapshot == left {
		t.Error("a finished one was given again")
	}
	// One of another request, or an old one, is a point of its own.
	other := w.leave(asks("release v2"))
	if got := w.take(asks("release v3")); got.Manifest.RDS.Snapshot == other || len(got.Adopted) != 1 {
		t.Errorf("%+v", got)
	}
	old := w.leave(asks("release v4"))
	w.now = w.now.Add(25 * time.Hour)
	if got := w.take(asks("release v4"), func(o *rds.Options) { o.Limit = 48 * time.Hour }); got.Manifest.RDS.Snapshot == old || len(got.Adopted) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestAnotherRepositoryAndAnotherSourceAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left := w.leave()
	other := w.newRepository()
	theirs := w.take(func(o *rds.Options) { o.Repo = other })
	if len(theirs.Adopted) != 0 {
		t.Errorf("the other repository took %s", left)
	}
	if got := w.take(func(o *rds.Options) { o.Source = "same database, another job" }); len(got.Adopted) != 0 {
		t.Errorf("the other source took %s", left)
	}
	// A manifest of this repository that names a snapshot of the other one.
	if err := rds.Release(w.clients, w.repo, nil)(t.Context(), theirs.Manifest); !errors.Is(err, awsapi.ErrForeign) {
		t.Errorf("released: %v", err)
	}
	if names := w.snapshots(); !slices.Contains(names, left) || !slices.Contains(names, theirs.Manifest.RDS.Snapshot) {
		t.Errorf("left are %v", names)
	}
}

func TestTwoDatabasesDoNotShareASource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.take(func(o *rds.Options) { o.Source = "app" })
	_, err := w.raw.CreateDBInstance(t.Context(), &awssdk.CreateDBInstanceInput{DBInstanceIdentifier: aws.String("blog"), DBInstanceClass: aws.String("db.t3.micro"), Engine: aws.String("postgres"), AllocatedStorage: aws.Int32(20)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = rds.Take(t.Context(), w.options(func(o *rds.Options) { o.Source, o.Target = "app", api.Target{ID: "blog"} }))
	if !errors.Is(err, rds.ErrOtherDatabase) || len(w.snapshots()) != 1 {
		t.Errorf("%v", err)
	}
}

func TestADeniedDeleteKeepsThePointAndSaysWhichRightIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.take()
	w.take()
	w.front.set("DeleteDBSnapshot", "AccessDenied")
	out, err := w.rotate(1, w.repo)
	if !errors.Is(err, awsapi.ErrDenied) || !strings.Contains(err.Error(), "rds:DeleteDBSnapshot") || len(out.Delete) != 0 {
		t.Errorf("%+v, %v", out.Delete, err)
	}
	if _, err := w.repo.Tombstone(t.Context(), first.Manifest.Ref()); !errors.Is(err, repo.ErrNotFound) || len(w.points()) != 2 || len(w.snapshots()) != 2 {
		t.Errorf("tombstone: %v, %d points, %d snapshots", err, len(w.points()), len(w.snapshots()))
	}
	w.front.set("DeleteDBSnapshot", "")
	if out, err := w.rotate(1, w.repo); err != nil || len(out.Delete) != 1 || len(w.snapshots()) != 1 {
		t.Errorf("%+v, %v", out.Delete, err)
	}
}

func TestWithoutAWayToAWSRotationForgetsNoSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.take()
	w.take()
	rules := retention.Rules{}
	rules.KeepLast = 1
	_, err := rotate.Run(t.Context(), rotate.Options{Repo: w.repo, Rules: rules, Now: time.Now(), Self: repo.Self()})
	if !errors.Is(err, rotate.ErrElsewhere) || len(w.points()) != 2 || len(w.snapshots()) != 2 {
		t.Errorf("%v, %d points", err, len(w.points()))
	}
}

func TestADeletionThatDiedAfterItsTombstoneIsFinished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.take()
	w.take()
	// Tombstone written, snapshot gone, manifest still there: as killed in between.
	ctx, cancel := context.WithCancel(t.Context())
	err := w.repo.DeleteAfter(ctx, first.Manifest.Ref(), repo.Tombstone{Deleted: time.Now()}, func(ctx context.Context) error {
		defer cancel()
		return rds.Release(w.clients, w.repo, nil)(ctx, first.Manifest)
	})
	if err == nil {
		t.Fatal("it was not killed")
	}
	if report := w.verify(); report.Err() == nil || len(report.Bad) != 0 || len(report.Unchecked) != 1 {
		t.Errorf("%+v", report)
	}
	if out, err := w.rotate(1, w.repo); err != nil || len(out.Delete) != 1 || len(w.points()) != 1 || len(w.snapshots()) != 1 {
		t.Errorf("%+v, %v; %d points", out.Delete, err, len(w.points()))
	}
}

func TestASnapshotThatSomebodyDeletedIsABadPointAndTheLastGoodStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := w.take(), w.take()
	s, err := w.api.Snapshot(t.Context(), second.Manifest.RDS.Snapshot, false)
	if err != nil {
		t.Fatal(err)
	}
	// With another account's credentials nothing is found, which says nothing.
	w.front.change("GetCallerIdentity", func(body string) string { return strings.ReplaceAll(body, "123456789012", "999999999999") })
	if err := w.api.DeleteSnapshot(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if report := w.verify(); len(report.Bad) != 0 || len(report.Unchecked) != 1 || !errors.Is(report.Unchecked[0].Err, rds.ErrOtherAccount) {
		t.Errorf("%+v", report)
	}
	if err := rds.Release(w.clients, w.repo, nil)(t.Context(), second.Manifest); !errors.Is(err, rds.ErrOtherAccount) {
		t.Errorf("released: %v", err)
	}
	w.front.change("GetCallerIdentity", nil)
	if report := w.verify(); !errors.Is(report.Err(), verify.ErrBad) || len(report.Bad) != 1 || report.Bad[0].ID != second.Manifest.ID || !report.Bad[0].Condemned {
		t.Fatalf("%+v", report)
	}
	if out, err := w.rotate(1, w.repo); err != nil || len(out.Delete) != 0 {
		t.Errorf("%+v, %v: %s is the last good", out.Delete, err, first.Manifest.ID)
	}
}

func TestASnapshotStillCreatingIsWaitedForAndAFailedOneLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	looks := 0
	w.front.change("DescribeDBSnapshots", func(body string) string {
		if looks++; looks <= 3 {
			return strings.ReplaceAll(body, "<Status>available</Status>", "<Status>creating</Status>")
		}
		return body
	})
	w.take()
	if looks < 4 {
		t.Errorf("looked %d times", looks)
	}
	w.front.change("DescribeDBSnapshots", func(body string) string {
		return strings.ReplaceAll(body, "<Status>available</Status>", "<Status>creating</Status>")
	})
	_, err := rds.Take(t.Context(), w.options(func(o *rds.Options) { o.Limit = 50 * time.Millisecond; o.Source = "slow" }))
	if !errors.Is(err, awsapi.ErrTimeout) || !strings.Contains(err.Error(), "the next run for this source finishes it") || len(w.snapshots()) != 2 {
		t.Errorf("%v", err)
	}
	w.front.change("DescribeDBSnapshots", func(body string) string {
		return strings.ReplaceAll(body, "<Status>available</Status>", "<Status>failed</Status>")
	})
	if _, err := rds.Take(t.Context(), w.options(func(o *rds.Options) { o.Source = "failing" })); !errors.Is(err, rds.ErrFailed) {
		t.Errorf("%v", err)
	}
	w.front.change("DescribeDBSnapshots", nil)
	if len(w.snapshots()) != 2 || len(w.points()) != 1 {
		t.Errorf("%v", w.snapshots())
	}
}

func TestADatabaseThatIsBusyIsAskedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.front.refuseFirst("CreateDBSnapshot", "InvalidDBInstanceState", 2)
	w.take()
	if n := w.front.count("CreateDBSnapshot"); n != 3 {
		t.Errorf("asked %d times", n)
	}
}

func TestARunThatWasTakenForDeadDoesNotCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Between its snapshot and its manifest another run tags the snapshot as its own.
	w.front.change("CreateDBSnapshot", func(body string) string {
		all, err := w.api.Snapshots(t.Context(), api.Query{Target: shop, Type: api.Manual})
		if err != nil || len(all) != 1 {
			t.Errorf("%v, %v", all, err)
			return body
		}
		_, err = w.raw.AddTagsToResource(t.Context(), &awssdk.AddTagsToResourceInput{ResourceName: &all[0].ARN, Tags: []types.Tag{{Key: aws.String(rds.TagPoint), Value: aws.String("20260101T000000Z-aaaaaaaa")}}})
		if err != nil {
			t.Error(err)
		}
		return body
	})
	if _, err := rds.Take(t.Context(), w.options()); !errors.Is(err, repo.ErrFenced) || len(w.points()) != 0 {
		t.Errorf("%v", err)
	}
}
