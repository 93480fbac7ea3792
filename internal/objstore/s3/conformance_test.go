package s3_test

import (
	"crypto/rand"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/storetest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// config reaches srv with its owner's credentials, below a prefix of its own.
func config(t *testing.T, srv *testenv.S3Server) s3.Config {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return s3.Config{
		Bucket: srv.Bucket, Prefix: "test/" + rand.Text(), Region: srv.Region, Endpoint: srv.Endpoint,
		HTTPClient: &http.Client{Transport: transport},
		AWSConfig:  &aws.Config{Credentials: credentials.NewStaticCredentialsProvider(srv.AccessKey, srv.SecretKey, "")},
	}
}

func open(t *testing.T, cfg s3.Config) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestABucketIsAStore(t *testing.T) {
	t.Parallel()
	srv := testenv.S3(t)
	storetest.Run(t, func(t *testing.T) objstore.Store { return open(t, config(t, srv)) })
}

func TestABucketBehindTheDecoratorsIsAStore(t *testing.T) {
	t.Parallel()
	srv := testenv.S3(t)
	storetest.Run(t, func(t *testing.T) objstore.Store {
		limited := objstore.RateLimit(open(t, config(t, srv)), 1<<30)
		return objstore.Retry(limited, objstore.RetryOptions{Base: time.Millisecond})
	})
}

func TestABucketWithoutChecksumsIsAStore(t *testing.T) {
	t.Parallel()
	srv := testenv.S3(t)
	storetest.Run(t, func(t *testing.T) objstore.Store {
		cfg := config(t, srv)
		cfg.WithoutCRC64 = true
		return open(t, cfg)
	})
}
