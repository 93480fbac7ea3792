package location

import (
	"context"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/dir"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
)

// OpenOptions of Open. The zero value is right for most.
type OpenOptions struct {
	// Create makes a directory that is not there. Buckets are never made here.
	Create bool
	// BytesPerSecond limits what is sent and read together; 0 is no limit.
	BytesPerSecond int64
	// AWS is the configuration to use; nil is the usual chain of environment,
	// profile and machine role.
	AWS *aws.Config
	Log *slog.Logger // told of what is tried again; nil is silent
}

// Open opens the object store at a place, with retries around it. A bucket is
// not asked for yet: its first use shows whether it is there.
func Open(ctx context.Context, at Location, opts OpenOptions) (objstore.Store, error) {
	store, err := adapter(ctx, at, opts)
	if err != nil {
		return nil, err
	}
	// The limit is inside: what is sent again counts again.
	return objstore.Retry(objstore.RateLimit(store, opts.BytesPerSecond), objstore.RetryOptions{Log: opts.Log}), nil
}

func adapter(ctx context.Context, at Location, opts OpenOptions) (objstore.Store, error) {
	if at.IsDirectory() {
		if opts.Create {
			return dir.Create(at.Directory)
		}
		return dir.Open(at.Directory)
	}
	cfg := s3.Config{Bucket: at.Bucket, Prefix: at.Prefix, Region: at.Region, Endpoint: at.Endpoint, AWSConfig: opts.AWS}
	if at.PathStyle {
		cfg.PathStyle = aws.Bool(true)
	}
	return s3.Open(ctx, cfg)
}
