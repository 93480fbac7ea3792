package s3

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// missing tells an object that is not there from one that may not be read. To who
// may list only a prefix, as the roles of jobs may, S3 answers 403 for both: such a
// permission is bound to the prefix of a listing, and a read has none. So the
// listing is asked, which needs no more rights than a job has.
//
// Source: Amazon S3 API Reference, GetObject, "Permissions".
func (s *Store) missing(ctx context.Context, err error, key, versionID string) error {
	if status(err) != http.StatusForbidden || versionID != "" {
		return err
	}
	full := s.full(key)
	out, listErr := s.client.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: full, MaxKeys: aws.Int32(1)})
	if listErr != nil || len(out.Contents) > 0 && aws.ToString(out.Contents[0].Key) == *full {
		return err
	}
	s.bucketSeen.Store(true)
	return objstore.ErrNotFound
}
