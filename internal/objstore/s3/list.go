package s3

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// List pages through the bucket.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[objstore.Info, error] {
	return s.ListAfter(ctx, prefix, "")
}

// ListAfter lists the keys behind after, for objstore.Retry to go on with.
func (s *Store) ListAfter(ctx context.Context, prefix, after string) iter.Seq2[objstore.Info, error] {
	return func(yield func(objstore.Info, error) bool) {
		in := &awss3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: s.full(prefix)}
		if after != "" {
			in.StartAfter = s.full(after)
		}
		last := ""
		for {
			if err := ctx.Err(); err != nil {
				yield(objstore.Info{}, fmt.Errorf("list %s: %w", prefix, err))
				return
			}
			out, err := s.client.ListObjectsV2(ctx, in)
			if err != nil {
				yield(objstore.Info{}, s.fail(ctx, "list", prefix, err))
				return
			}
			s.bucketSeen.Store(true)
			for _, o := range out.Contents {
				key, ours := strings.CutPrefix(aws.ToString(o.Key), s.prefix)
				if !ours || objstore.ValidKey(key) != nil {
					continue // folder markers of consoles, and other people's names
				}
				if key <= last {
					err := fmt.Errorf("%w: the server lists %q after %q, which is not byte order", objstore.ErrUnsupported, key, last)
					yield(objstore.Info{}, s.fail(ctx, "list", prefix, err))
					return
				}
				last = key
				info := objstore.Info{Key: key, Size: aws.ToInt64(o.Size), ETag: plainETag(o.ETag), Modified: aws.ToTime(o.LastModified)}
				if !yield(info, nil) {
					return
				}
			}
			if !aws.ToBool(out.IsTruncated) {
				return
			}
			if aws.ToString(out.NextContinuationToken) == "" {
				err := fmt.Errorf("%w: the server cut the listing short without saying how to go on", objstore.ErrUnsupported)
				yield(objstore.Info{}, s.fail(ctx, "list", prefix, err))
				return
			}
			in.ContinuationToken, in.StartAfter = out.NextContinuationToken, nil
		}
	}
}
