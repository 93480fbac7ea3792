package bucket

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
)

// TagMadeBy is on a bucket that pgbackup made, and not on one that it found and
// was told to look after: only the first is ever removed.
const TagMadeBy = "pgbackup:made-by"

// answering is how long a bucket that was just made may be unknown to parts of S3.
const answering = 2 * time.Minute

// Exists reports whether the bucket is there and is ours to ask. One that belongs
// to another account, or that we may not see, is awsapi.ErrDenied.
func (b *Bucket) Exists(ctx context.Context) (bool, error) {
	_, err := b.client.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: &b.name})
	if err == nil {
		return true, nil
	}
	looking := "looking at " + b.String()
	switch _, status := s3.Answer(err); status {
	case http.StatusNotFound:
		return false, nil
	case http.StatusForbidden: // HEAD has no body, and so no code worth telling
		return false, fmt.Errorf("%s: %w: allow this identity s3:ListBucket on %s, or choose another name: the bucket may belong to another account", looking, awsapi.ErrDenied, b.ARN())
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusBadRequest:
		return false, fmt.Errorf("%s: %w", looking, s3.Explain(err, b.cfg.Region))
	}
	return false, b.explain(ctx, looking, "s3:ListBucket", err)
}

// Making says how a bucket is to begin.
type Making struct {
	Tags       map[string]string // with those of awsapi.OwnTags
	ObjectLock bool              // only possible from the beginning
	// Known: the bucket is known to be ours, whatever its tags say.
	Known bool
}

// Make makes the bucket and waits until it answers, or takes over one that is
// there and ours, such as one that an apply began with before it died. A bucket of
// somebody else is awsapi.ErrForeign.
func (b *Bucket) Make(ctx context.Context, m Making) (made bool, err error) {
	there, err := b.Exists(ctx)
	if err != nil {
		return false, err
	}
	if there {
		return false, b.claim(ctx, m)
	}
	if err := b.create(ctx, m); err != nil {
		return false, err
	}
	err = awsapi.Until(ctx, awsapi.Waiting{What: b.String() + " to answer", Limit: answering, First: 200 * time.Millisecond, Most: 5 * time.Second},
		func(ctx context.Context) (bool, string, error) {
			there, err := b.Exists(ctx)
			return there, "not there yet", err
		})
	if err != nil {
		return true, err
	}
	tags := maps.Clone(m.Tags)
	tags[TagMadeBy] = awsapi.Terraform
	if err := b.SetTags(ctx, tags, nil); err != nil && !errors.Is(err, ErrLacking) {
		return true, err
	}
	return true, nil
}

// claim refuses a bucket that is not ours.
func (b *Bucket) claim(ctx context.Context, m Making) error {
	if m.Known {
		return nil
	}
	tags, err := b.Tags(ctx)
	if err != nil && !errors.Is(err, ErrLacking) {
		return err
	}
	if awsapi.Ours(tags) {
		return nil
	}
	return fmt.Errorf("%s %w: it has no tag %s = %s. To use it as it is, and leave its settings alone, set create_bucket = false", b, awsapi.ErrForeign, awsapi.TagManagedBy, awsapi.Terraform)
}

// create makes the bucket with its tags at once, so that one of an apply that dies
// here is known again. Not every server and not every identity can do that.
func (b *Bucket) create(ctx context.Context, m Making) error {
	in := &awss3.CreateBucketInput{Bucket: &b.name}
	if m.ObjectLock {
		in.ObjectLockEnabledForBucket = aws.Bool(true)
	}
	where := &types.CreateBucketConfiguration{}
	if b.cfg.Region != "us-east-1" { // which must not be named
		where.LocationConstraint = types.BucketLocationConstraint(b.cfg.Region)
		in.CreateBucketConfiguration = where
	}
	if b.onAWS() {
		tags := maps.Clone(m.Tags)
		tags[TagMadeBy] = awsapi.Terraform
		where.Tags = tagSet(tags)
		in.CreateBucketConfiguration = where
	}
	_, err := b.client.CreateBucket(ctx, in)
	if code, status := s3.Answer(err); len(where.Tags) > 0 && (status == http.StatusBadRequest || code == "AccessDenied") {
		where.Tags = nil
		if where.LocationConstraint == "" {
			in.CreateBucketConfiguration = nil
		}
		_, err = b.client.CreateBucket(ctx, in)
	}
	switch code, _ := s3.Answer(err); code {
	case "BucketAlreadyOwnedByYou": // made between our look and now: by ourselves, or by the SDK's first try
		return nil
	case "BucketAlreadyExists":
		return fmt.Errorf("creating %s: %w: the name is taken by another account; bucket names are shared by all of AWS, choose another", b, awsapi.ErrForeign)
	}
	return b.explain(ctx, "creating "+b.String(), "s3:CreateBucket and s3:TagResource", err)
}

// ErrNotEmpty: a bucket that is to be removed still has objects, or versions of
// deleted ones.
var ErrNotEmpty = errors.New("is not empty")

// Remove removes the bucket, which must be empty: ErrNotEmpty otherwise. One that
// is gone is no error.
func (b *Bucket) Remove(ctx context.Context) error {
	_, err := b.client.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: &b.name})
	switch code, _ := s3.Answer(err); code {
	case "NoSuchBucket":
		return nil
	case "BucketNotEmpty":
		return fmt.Errorf("removing %s: it %w", b, ErrNotEmpty)
	}
	return b.explain(ctx, "removing "+b.String(), "s3:DeleteBucket", err)
}

// Tags of the bucket. ErrLacking where the server has no tags of buckets.
func (b *Bucket) Tags(ctx context.Context) (map[string]string, error) {
	out, err := b.client.GetBucketTagging(ctx, &awss3.GetBucketTaggingInput{Bucket: &b.name})
	if code(err) == "NoSuchTagSet" {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, b.explain(ctx, "reading the tags of "+b.String(), "s3:GetBucketTagging", err)
	}
	tags := map[string]string{}
	for _, t := range out.TagSet {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// SetTags sets tags and takes away others; all the rest stay. S3 knows only how to
// replace them all, so two callers at once must take turns.
func (b *Bucket) SetTags(ctx context.Context, set map[string]string, remove []string) error {
	have, err := b.Tags(ctx)
	if err != nil {
		return err
	}
	want := maps.Clone(have)
	for _, key := range remove {
		delete(want, key)
	}
	maps.Copy(want, set)
	if maps.Equal(have, want) {
		return nil
	}
	// S3 lets nobody set the tags of AWS itself, and keeps them.
	maps.DeleteFunc(want, func(key, _ string) bool { return strings.HasPrefix(key, "aws:") })
	if len(want) == 0 {
		_, err = b.client.DeleteBucketTagging(ctx, &awss3.DeleteBucketTaggingInput{Bucket: &b.name})
	} else {
		_, err = b.client.PutBucketTagging(ctx, &awss3.PutBucketTaggingInput{Bucket: &b.name, Tagging: &types.Tagging{TagSet: tagSet(want)}})
	}
	return b.explain(ctx, "tagging "+b.String(), "s3:PutBucketTagging", err)
}

func tagSet(tags map[string]string) (set []types.Tag) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		set = append(set, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return set
}

// Home is the region that the bucket lies in, whatever region it is asked from.
func (b *Bucket) Home(ctx context.Context) (string, error) {
	out, err := b.client.GetBucketLocation(ctx, &awss3.GetBucketLocationInput{Bucket: &b.name})
	if err != nil {
		return "", b.explain(ctx, b.reading("the region"), "s3:GetBucketLocation", err)
	}
	switch where := string(out.LocationConstraint); where {
	case "":
		return "us-east-1", nil
	case "EU": // the first name of it
		return "eu-west-1", nil
	default:
		return where, nil
	}
}
