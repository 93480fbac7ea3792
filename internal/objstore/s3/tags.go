package s3

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// maxTags is how many tags an object may have.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
const maxTags = 10

// SetTags merges tags into those of the object: S3 only knows to replace all of
// them, and cost reports and scanners put theirs on the same objects. What is as
// wanted is not written.
func (s *Store) SetTags(ctx context.Context, key string, tags map[string]string) error {
	now, err := s.Tags(ctx, key)
	if err != nil {
		return err
	}
	merged := maps.Clone(now)
	maps.Copy(merged, tags)
	if maps.Equal(merged, now) {
		return nil
	}
	if len(merged) > maxTags {
		err := fmt.Errorf("%w: the object would have %d tags, S3 allows %d; remove some that are not pgbackup's", objstore.ErrUnsupported, len(merged), maxTags)
		return s.fail(ctx, "tag", key, err)
	}
	set := make([]types.Tag, 0, len(merged))
	for _, name := range slices.Sorted(maps.Keys(merged)) {
		set = append(set, types.Tag{Key: aws.String(name), Value: aws.String(merged[name])})
	}
	_, err = s.client.PutObjectTagging(ctx, &awss3.PutObjectTaggingInput{
		Bucket: &s.bucket, Key: s.full(key), Tagging: &types.Tagging{TagSet: set},
	})
	if err != nil {
		return s.fail(ctx, "tag", key, err)
	}
	return nil
}

// Tags reads the tags of an object.
func (s *Store) Tags(ctx context.Context, key string) (map[string]string, error) {
	if err := check(ctx, "read tags of", key); err != nil {
		return nil, err
	}
	out, err := s.client.GetObjectTagging(ctx, &awss3.GetObjectTaggingInput{Bucket: &s.bucket, Key: s.full(key)})
	if code(err) == "NoSuchTagSet" { // what some servers say of an object without tags
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, s.fail(ctx, "read tags of", key, err)
	}
	tags := make(map[string]string, len(out.TagSet))
	for _, t := range out.TagSet {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}
