package rotate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// lockedFixture is a repository in a bucket with Object Lock.
func lockedFixture(t *testing.T) *fixture {
	t.Helper()
	srv := testenv.S3(t, testenv.S3Locked())
	store, err := s3.Open(t.Context(), s3.Config{
		Bucket: srv.Bucket, Region: srv.Region, Endpoint: srv.Endpoint,
		AWSConfig: &aws.Config{Region: srv.Region, Credentials: credentials.NewStaticCredentialsProvider(srv.AccessKey, srv.SecretKey, "")},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := repo.Create(t.Context(), objstore.Retry(store, objstore.RetryOptions{}), repo.CreateOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{Repository: r, t: t}
}

// until is when a point may go, by the store; zero for now.
func (f *fixture) until(ref repo.Ref) time.Time {
	f.t.Helper()
	_, until, err := f.Retained(f.t.Context(), ref)
	if err != nil {
		f.t.Fatal(err)
	}
	return until
}

// S6
func TestWhatTheStoreLocksStaysTakesNoSlotAndIsNotLockedForLonger(t *testing.T) {
	t.Parallel()
	f := lockedFixture(t)
	free := f.points("a", 9, 8) // from before anything was locked
	protect := func(days int) {
		t.Helper()
		if err := f.SetProtection(t.Context(), repo.Protection{Mode: objstore.Governance, Days: days}, time.Now(), "me"); err != nil {
			t.Fatal(err)
		}
	}
	protect(2)
	locked := f.points("a", 7, 6)
	kept := f.points("a", 5, 0)
	protect(30)
	before := f.until(locked[0])

	opts := f.options(retention.Keep{KeepLast: 2})
	planned, err := Plan(t.Context(), opts)
	if err != nil || !slices.Equal(idsOf(planned.Delete), want(free...)) {
		t.Errorf("would delete %v, %v; want %v", idsOf(planned.Delete), err, want(free...))
	}
	if !f.until(kept[0]).Before(time.Now().AddDate(0, 0, 3)) {
		t.Error("a plan locked something")
	}
	out, err := Run(t.Context(), opts)
	if err != nil || len(out.Warnings) != 0 {
		t.Fatalf("%v, warnings %q", err, out.Warnings)
	}
	if got := idsOf(out.Delete); !slices.Equal(got, want(free...)) {
		t.Errorf("deleted %v, want %v", got, want(free...))
	}
	for _, d := range out.Keep {
		reasons := strings.Join(d.Reasons, "; ")
		isLocked := slices.ContainsFunc(locked, func(r repo.Ref) bool { return r.ID == d.ID })
		if isLocked != strings.Contains(reasons, "locked until "+before.Format("2006-01-02")) {
			t.Errorf("%s stays for %q", d.ID, reasons)
		}
	}
	for _, ref := range kept {
		if until := f.until(ref); until.Before(time.Now().AddDate(0, 0, 29)) {
			t.Errorf("%s, which stays, is locked until %s only", ref, until)
		}
	}
	for _, ref := range locked {
		if until := f.until(ref); until.After(before.Add(time.Minute)) {
			t.Errorf("%s, which the rules let go, was locked for longer, until %s", ref, until)
		}
	}
	// And once more there is nothing to do.
	again, err := Run(t.Context(), opts)
	if err != nil || len(again.Delete) != 0 || len(again.Keep) != 4 || len(again.Warnings) != 0 {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestAPointThatCanNotBeLockedIsToldAndKeepsNoOtherFromIt(t *testing.T) {
	t.Parallel()
	f := lockedFixture(t)
	p := f.points("a", 1, 0)
	if err := f.SetProtection(t.Context(), repo.Protection{Mode: objstore.Governance, Days: 7}, time.Now(), "me"); err != nil {
		t.Fatal(err)
	}
	if err := f.Store().Delete(t.Context(), p[0].DataPrefix()+"archive.0000"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Store().Put(t.Context(), p[0].ManifestKey(), []byte("{"), objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	out, err := Run(t.Context(), f.options(retention.Keep{KeepLast: 5}))
	if err != nil || len(out.Warnings) != 1 || !strings.Contains(out.Warnings[0], p[0].ID) {
		t.Errorf("%v, warnings %q", err, out.Warnings)
	}
	if until := f.until(p[1]); until.Before(time.Now().AddDate(0, 0, 6)) {
		t.Errorf("the good one is locked until %s", until)
	}
}
