package s3

import (
	"context"
	"fmt"
	"iter"
	"slices"
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
				info := objstore.Info{Key: key, Size: aws.ToInt64(o.Size), ETag: plainETag(o.ETag), Modified: aws.ToTime(o.LastModified), StorageClass: storageClass(string(o.StorageClass))}
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

// Folders lists one level: with a delimiter the server answers for a folder of a
// million objects as for an empty one.
func (s *Store) Folders(ctx context.Context, prefix string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list folders of %s: %w", prefix, err)
	}
	if err := objstore.CheckFolder(prefix); err != nil {
		return nil, fmt.Errorf("list folders: %w", err)
	}
	in := &awss3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: s.full(prefix), Delimiter: aws.String("/")}
	var names []string
	for {
		out, err := s.client.ListObjectsV2(ctx, in)
		if err != nil {
			return nil, s.fail(ctx, "list folders of", prefix, err)
		}
		s.bucketSeen.Store(true)
		for _, o := range out.Contents {
			if key, ours := strings.CutPrefix(aws.ToString(o.Key), s.prefix); ours && objstore.ValidKey(key) == nil {
				names = append(names, key)
			}
		}
		for _, p := range out.CommonPrefixes {
			folder, ours := strings.CutPrefix(aws.ToString(p.Prefix), s.prefix)
			if ours && objstore.CheckFolder(folder) == nil {
				names = append(names, folder)
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			slices.Sort(names)
			return names, nil
		}
		if aws.ToString(out.NextContinuationToken) == "" {
			err := fmt.Errorf("%w: the server cut the listing short without saying how to go on", objstore.ErrUnsupported)
			return nil, s.fail(ctx, "list folders of", prefix, err)
		}
		in.ContinuationToken = out.NextContinuationToken
	}
}
