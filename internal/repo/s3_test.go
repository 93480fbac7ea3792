package repo

import (
	"bytes"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// bucket is a store in a real S3 server, as the runner opens one.
func bucket(t *testing.T, opts ...testenv.S3Option) objstore.Store {
	t.Helper()
	return objstore.Retry(openBucket(t, testenv.S3(t, opts...)), objstore.RetryOptions{})
}

func openBucket(t *testing.T, srv *testenv.S3Server) *s3.Store {
	t.Helper()
	store, err := s3.Open(t.Context(), s3.Config{
		Bucket: srv.Bucket, Prefix: "prod", Region: srv.Region, Endpoint: srv.Endpoint,
		AWSConfig: &aws.Config{Region: srv.Region, Credentials: credentials.NewStaticCredentialsProvider(srv.AccessKey, srv.SecretKey, "")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestInABucketAPointLivesAsInADirectory(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]testenv.S3Option{"plain": nil, "versioned": {testenv.S3Versioned()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			r := newRepo(t, bucket(t, opts...), true)
			lease, work, err := takeLease(r, Self(), LeaseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := takeLease(r, Self(), LeaseOptions{}); !errors.Is(err, ErrLocked) {
				t.Errorf("a second run: %v", err)
			}
			data := pseudorandom(20, 2*objstore.PartSize+77)
			ref := put(t, r, "app@größe/1", pieces(data, 5), WriterOptions{chunksPerObject: 3, VerifyStored: true})
			again, err := Open(ctx, r.Store(), withKey(outerKey))
			if err != nil {
				t.Fatal(err)
			}
			wantReads(t, again, ref, data)
			if got, err := readRange(ctx, again, ref); err != nil || !bytes.Equal(got, data) {
				t.Errorf("by range: %d bytes, %v", len(got), err)
			}

			sleeper, err := begin(ctx, r, "app", pieces(data, 3), WriterOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if swept, err := r.Sweep(ctx, "app"); err != nil || swept.Points != 1 {
				t.Errorf("swept %+v: %v", swept, err)
			}
			if err := sleeper.Commit(ctx, &Manifest{}); !errors.Is(err, ErrFenced) {
				t.Errorf("a fenced commit: %v", err)
			}
			wantListed(t, r, 1)

			if err := r.Hold(ctx, ref, Mark{}); err != nil {
				t.Fatal(err)
			}
			if err := r.Delete(ctx, ref, Tombstone{}); !errors.Is(err, ErrHeld) {
				t.Errorf("delete what is held: %v", err)
			}
			if err := errors.Join(r.Release(ctx, ref, Mark{}), r.Delete(ctx, ref, Tombstone{})); err != nil {
				t.Fatal(err)
			}
			wantListed(t, r, 0)
			if keys := keysOf(t, r.Store(), pointsPrefix); len(keys) != 0 {
				t.Errorf("left: %q", keys)
			}
			if work.Err() != nil {
				t.Errorf("the lease was lost meanwhile")
			}
			if err := lease.Release(); err != nil {
				t.Fatal(err)
			}
			next, _, err := takeLease(r, elsewhere(), LeaseOptions{NoWait: true})
			if err != nil {
				t.Fatal(err)
			}
			_ = next.Release()
		})
	}
}
