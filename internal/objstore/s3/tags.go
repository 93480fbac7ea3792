package s3

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// maxTags is how many tags an object may have.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
const maxTags = 10

// SetTags merges tags into those of the object: S3 only knows to replace all of
// them, and cost reports and scanners put theirs on the same objects. What is as
// wanted is not written.
func (s *Store) SetTags(ctx context.Context, key string, tags map[string]string) error {
	if err := s.TagsRefused(); err != nil {
		return s.fail(ctx, "tag", key, err)
	}
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
		if refusesTags(err, true) {
			s.foundUntagged(err, nil)
		}
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
		if refusesTags(err, true) {
			s.foundUntagged(err, nil)
		}
		return nil, s.fail(ctx, "read tags of", key, err)
	}
	tags := make(map[string]string, len(out.TagSet))
	for _, t := range out.TagSet {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// TagsRefused says why the server takes no tags, as far as was found out.
func (s *Store) TagsRefused() error {
	if why := s.untagged.Load(); why != nil {
		return *why
	}
	return nil
}

// tagsToSend are the tags to write an object with: none where they are refused,
// for an object without tags is worth more than none.
func (s *Store) tagsToSend(tags map[string]string) map[string]string {
	if len(tags) == 0 || s.TagsRefused() != nil {
		return nil
	}
	return tags
}

// refusesTags tells whether a request with tags failed because of them: the server
// names tagging, or it does not do something of which the tags are all that is
// left (alone). Not every service says so alike: Cloudflare R2 has "NotImplemented:
// Header 'x-amz-tagging' … not implemented", Backblaze B2 "InvalidArgument:
// Unsupported header 'x-amz-tagging'", and AWS names s3:PutObjectTagging to who may
// write but not tag.
func refusesTags(err error, alone bool) bool {
	said := ""
	if api := smithy.APIError(nil); errors.As(err, &api) {
		said = strings.ToLower(api.ErrorCode() + " " + api.ErrorMessage())
	}
	switch status(err) {
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return alone || strings.Contains(said, "tagging")
	case http.StatusBadRequest, http.StatusForbidden:
		return strings.Contains(said, "tagging")
	}
	return false
}

// foundUntagged keeps why tags were refused. again is what came of the request
// without them: when it failed too, the tags were not to blame.
func (s *Store) foundUntagged(refused, again error) {
	if again != nil {
		return
	}
	why := s.classify(refused)
	if errors.Is(why, objstore.ErrDenied) || errors.Is(why, objstore.ErrUnsupported) {
		s.untagged.CompareAndSwap(nil, &why)
		return
	}
	why = fmt.Errorf("%w: %w", objstore.ErrUnsupported, why)
	s.untagged.CompareAndSwap(nil, &why)
}
