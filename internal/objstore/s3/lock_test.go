package s3_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// server is one that has a bucket with Object Lock, called "locked", and one
// without.
type server struct {
	config s3.Config // of the bucket without
	client *awss3.Client
}

func (s server) locked() s3.Config {
	s.config.Bucket = "locked"
	return s.config
}

// gateway honours all of Object Lock.
func gateway(t *testing.T) server {
	t.Helper()
	srv := testenv.S3(t, testenv.S3Versioned())
	return withLockedBucket(t, server{config(t, srv), srv.Client()})
}

// moto refuses to remove what is locked, and knows neither how long it is nor the
// locks of large objects.
func moto(t *testing.T) server {
	t.Helper()
	srv := testenv.AWS(t)
	return withLockedBucket(t, server{s3.Config{Bucket: srv.Bucket, Region: srv.Region, Endpoint: srv.Endpoint,
		AWSConfig: &aws.Config{Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")}}, srv.Client()})
}

func withLockedBucket(t *testing.T, s server) server {
	t.Helper()
	if _, err := s.client.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("locked"), ObjectLockEnabledForBucket: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	return s
}

// remove deletes a version for good, as somebody who means harm would.
func (s server) remove(t *testing.T, cfg s3.Config, key, version string, bypass bool) error {
	t.Helper()
	prefix := ""
	if cfg.Prefix != "" {
		prefix = cfg.Prefix + "/"
	}
	in := &awss3.DeleteObjectInput{Bucket: &cfg.Bucket, Key: aws.String(prefix + key), VersionId: &version}
	if bypass {
		in.BypassGovernanceRetention = aws.Bool(true)
	}
	_, err := s.client.DeleteObject(t.Context(), in)
	return err
}

// S6
func TestALockedVersionStaysUntilItsTime(t *testing.T) {
	t.Parallel()
	srv := gateway(t)
	ctx := t.Context()
	cfg := srv.locked()
	s := open(t, cfg)
	locker := objstore.Retry(objstore.RateLimit(s, 1<<30), objstore.RetryOptions{}).(objstore.Locker)
	until := time.Now().Add(time.Hour)
	opts := objstore.PutOptions{LockUntil: until, LockMode: objstore.Governance, Condition: objstore.Condition{IfAbsent: true}}

	small, err := s.Put(ctx, "small", []byte("x"), opts)
	if err != nil {
		t.Fatal(err)
	}
	up, err := s.Create(ctx, "large", opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Part(ctx, 1, []byte("y")); err != nil {
		t.Fatal(err)
	}
	large, err := up.Complete(ctx)
	if err != nil {
		t.Fatal(err)
	}
	later, err := s.Put(ctx, "later", []byte("z"), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if mode, end, err := locker.LockedUntil(ctx, "later", ""); err != nil || mode != "" || !end.IsZero() {
		t.Errorf("what nobody locked: %q, %s, %v", mode, end, err)
	}
	if err := locker.Lock(ctx, "later", later.VersionID, until, objstore.Governance); err != nil {
		t.Fatal(err)
	}
	for _, info := range []objstore.Info{small, large, later} {
		mode, end, err := locker.LockedUntil(ctx, info.Key, info.VersionID)
		if err != nil || mode != objstore.Governance || end.Before(until) || end.After(until.Add(2*time.Second)) {
			t.Errorf("%s is locked %q until %s, %v; want %s", info.Key, mode, end, err, until)
		}
		if err := srv.remove(t, cfg, info.Key, info.VersionID, false); err == nil {
			t.Errorf("%s was removed for good", info.Key)
		}
		// A plain deletion hides it and no more.
		if err := s.Delete(ctx, info.Key); err != nil {
			t.Errorf("delete %s: %v", info.Key, err)
		}
		if _, err := s.Head(ctx, info.Key, info.VersionID); err != nil {
			t.Errorf("%s is gone below its deletion: %v", info.Key, err)
		}
	}
	// Longer is done, shorter is left as it is and no error.
	longer := until.Add(24 * time.Hour)
	if err := locker.Lock(ctx, "small", small.VersionID, longer, objstore.Governance); err != nil {
		t.Errorf("lock for longer: %v", err)
	}
	if _, end, err := locker.LockedUntil(ctx, "small", small.VersionID); err != nil || end.Before(longer) {
		t.Errorf("locked for longer it is until %s, %v", end, err)
	}
	if err := locker.Lock(ctx, "nothing", "", longer, objstore.Governance); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("lock what is not there: %v", err)
	}
	if _, _, err := locker.LockedUntil(ctx, "nothing", ""); !errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("the lock of what is not there: %v", err)
	}
}

// S6
func TestWhatIsLockedForComplianceNobodyRemoves(t *testing.T) {
	t.Parallel()
	srv := gateway(t)
	cfg := srv.locked()
	s := open(t, cfg)
	until := time.Now().Add(time.Hour)
	info, err := s.Put(t.Context(), "k", []byte("x"), objstore.PutOptions{LockUntil: until, LockMode: objstore.Compliance})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.remove(t, cfg, "k", info.VersionID, true); err == nil {
		t.Error("it was removed by somebody who bypasses governance")
	}
	// What is locked for longer, and more firmly, than is asked for is fine.
	if err := s.Lock(t.Context(), "k", info.VersionID, until.Add(-time.Minute), objstore.Governance); err != nil && !errors.Is(err, objstore.ErrDenied) {
		t.Errorf("a shorter lock: %v", err)
	}
	if mode, end, err := s.LockedUntil(t.Context(), "k", info.VersionID); err != nil || mode != objstore.Compliance || end.Before(until.Truncate(time.Second)) {
		t.Errorf("then it is locked %q until %s, %v", mode, end, err)
	}
}

// S6
func TestALegalHoldHasNoEndUntilItIsTakenBack(t *testing.T) {
	t.Parallel()
	srv := gateway(t)
	cfg := srv.locked()
	s := open(t, cfg)
	info, err := s.Put(t.Context(), "k", []byte("x"), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.LegalHold(t.Context(), "k", info.VersionID, true); err != nil {
		t.Fatal(err)
	}
	if err := srv.remove(t, cfg, "k", info.VersionID, false); err == nil {
		t.Error("it was removed under a legal hold")
	}
	if err := s.LegalHold(t.Context(), "k", info.VersionID, false); err != nil {
		t.Fatal(err)
	}
	if err := srv.remove(t, cfg, "k", info.VersionID, false); err != nil {
		t.Errorf("after the hold: %v", err)
	}
}

// S6
func TestAnEmulatorOfAWSKeepsWhatIsLockedToo(t *testing.T) {
	t.Parallel()
	srv := moto(t)
	cfg := srv.locked()
	s := open(t, cfg)
	for _, mode := range []string{objstore.Governance, objstore.Compliance} {
		info, err := s.Put(t.Context(), mode, []byte("x"), objstore.PutOptions{LockUntil: time.Now().Add(time.Hour), LockMode: mode})
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.remove(t, cfg, mode, info.VersionID, false); err == nil {
			t.Errorf("what is locked for %s was removed", mode)
		}
	}
}

func TestABucketWithoutObjectLockSaysSo(t *testing.T) {
	t.Parallel()
	srv := gateway(t)
	s := open(t, srv.config)
	until := time.Now().Add(time.Hour)
	if _, err := s.Put(t.Context(), "k", nil, objstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"lock":       s.Lock(t.Context(), "k", "", until, objstore.Governance),
		"legal hold": s.LegalHold(t.Context(), "k", "", true),
		"put": func() error {
			_, err := s.Put(t.Context(), "l", nil, objstore.PutOptions{LockUntil: until, LockMode: objstore.Governance})
			return err
		}(),
		"create": func() error {
			_, err := s.Create(t.Context(), "m", objstore.PutOptions{LockUntil: until, LockMode: objstore.Governance})
			return err
		}(),
		"no mode": func() error {
			_, err := s.Put(t.Context(), "n", nil, objstore.PutOptions{LockUntil: until})
			return err
		}(),
		"no end": func() error {
			_, err := s.Create(t.Context(), "n", objstore.PutOptions{LockMode: objstore.Governance})
			return err
		}(),
	} {
		if !errors.Is(err, objstore.ErrUnsupported) {
			t.Errorf("%s: %v, want %v", what, err, objstore.ErrUnsupported)
		}
	}
}

// S6
func TestALockIsSeenByWhoMayOnlyReadTheObject(t *testing.T) {
	t.Parallel()
	srv := gateway(t)
	s := open(t, srv.locked())
	until := time.Now().Add(time.Hour)
	for key, opts := range map[string]objstore.PutOptions{"locked": {LockUntil: until, LockMode: objstore.Governance}, "free": {}} {
		if _, err := s.Put(t.Context(), key, []byte("x"), opts); err != nil {
			t.Fatal(err)
		}
		info, err := s.Head(t.Context(), key, "")
		if err != nil || info.LockMode != opts.LockMode || info.LockUntil.Before(opts.LockUntil.Truncate(time.Second)) {
			t.Errorf("%s: %q until %s, %v", key, info.LockMode, info.LockUntil, err)
		}
	}
}

// S6: moto answers with an empty retention.
func TestAnAnswerThatLeavesALockOpenIsNotTakenForNone(t *testing.T) {
	t.Parallel()
	srv := moto(t)
	s := open(t, srv.locked())
	until := time.Now().Add(time.Hour)
	for key, opts := range map[string]objstore.PutOptions{"locked": {LockUntil: until, LockMode: objstore.Governance}, "free": {}} {
		if _, err := s.Put(t.Context(), key, []byte("x"), opts); err != nil {
			t.Fatal(err)
		}
	}
	if mode, end, err := s.LockedUntil(t.Context(), "locked", ""); mode != objstore.Governance || end.Before(until.Truncate(time.Second)) || err != nil {
		t.Errorf("locked: %q until %s, %v", mode, end, err)
	}
	if mode, _, err := s.LockedUntil(t.Context(), "free", ""); mode != "" || !errors.Is(err, objstore.ErrLockUnknown) {
		t.Errorf("free: %q, %v", mode, err)
	}
}
