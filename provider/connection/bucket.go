package connection

import (
	"context"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/bucket"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
)

// Bucket gives access to the bucket that a repository lies in, to administer it,
// and the prefix of the repository there, "" for the whole bucket. A directory
// has none, which is an error. Nothing is asked of the server yet.
func (c *Connection) Bucket(_ context.Context, at location.Location) (b *bucket.Bucket, keyPrefix string, err error) {
	if at.IsDirectory() {
		return nil, "", fmt.Errorf("repository %s is a directory, not a bucket", at)
	}
	if c.Unknown {
		return nil, "", ErrUnknown
	}
	cfg, err := c.storage()
	if err != nil {
		return nil, "", fmt.Errorf("access to %s: %w", at, err)
	}
	return bucket.Open(cfg, at.Bucket, bucket.Options{Endpoint: at.Endpoint, PathStyle: at.PathStyle, Region: at.Region}), at.Prefix, nil
}

// OnAWS reports whether a bucket is one of Amazon S3's, as far as the place, the
// provider and the environment say.
func (c *Connection) OnAWS(at location.Location) bool {
	if at.IsDirectory() || at.Endpoint != "" {
		return false
	}
	cfg, err := c.storage()
	return err != nil || s3.OtherServer(cfg) == ""
}
