// Package versions is one object in a versioned S3 bucket and all that it once
// was: listing its versions, reading one, writing one back as the newest.
//
// What must not live here: what the bytes mean (package statefile), buckets
// themselves (package awsapi/bucket), and repositories, whose objects are written
// once (package objstore).
package versions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/s3"
)

// callTimeout bounds one request, its retries included. State files are small.
const callTimeout = 2 * time.Minute

// maxVersions is how many versions are listed at most: ten applies a day for
// thirty years.
const maxVersions = 100_000

// Options say which object, and how to reach it.
type Options struct {
	Bucket, Key string
	Region      string      // "" = from the AWS configuration
	Endpoint    string      // URL of another server than AWS
	PathStyle   bool        // the bucket goes into the path; always so with an Endpoint
	AWS         *aws.Config // nil = the usual chain: environment, profile, SSO, container, instance
}

// Object is one key of a bucket. It is safe for concurrent use.
type Object struct {
	client      *awss3.Client
	bucket, key string
	region      string
}

// Version is one state of the object.
type Version struct {
	ID       string // "null" for what was written without versioning
	ETag     string // good for Write
	Modified time.Time
	Size     int64 // bytes
	Latest   bool
	Deleted  bool // a delete marker: the object was deleted then
}

// Open prepares the client. It makes no request to the bucket.
func Open(ctx context.Context, opts Options) (*Object, error) {
	o := &Object{bucket: opts.Bucket, key: opts.Key}
	if o.bucket == "" || o.key == "" {
		return nil, fmt.Errorf("open %s: a bucket and a key are needed", o.URL())
	}
	var cfg aws.Config
	if opts.AWS != nil {
		cfg = opts.AWS.Copy()
	} else {
		var err error
		if cfg, err = config.LoadDefaultConfig(ctx); err != nil {
			return nil, fmt.Errorf("open %s: read the AWS configuration: %w", o.URL(), err)
		}
	}
	if opts.Region != "" {
		cfg.Region = opts.Region
	}
	if cfg.Region == "" {
		if opts.Endpoint == "" && cfg.BaseEndpoint == nil {
			return nil, fmt.Errorf("open %s: no AWS region is set: give the region, or set AWS_REGION", o.URL())
		}
		cfg.Region = "us-east-1" // what servers other than AWS expect
	}
	o.region = cfg.Region
	if cfg.Credentials != nil {
		cfg.Credentials = s3.Credentials(cfg.Credentials)
	}
	o.client = awss3.NewFromConfig(cfg, func(c *awss3.Options) {
		// What other servers stumble over otherwise; see package objstore/s3.
		c.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		c.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		c.DisableLogOutputChecksumValidationSkipped = true
		c.UsePathStyle = opts.PathStyle || opts.Endpoint != ""
		if opts.Endpoint != "" {
			c.BaseEndpoint = aws.String(opts.Endpoint)
		}
	})
	return o, nil
}

// URL is s3://bucket/key.
func (o *Object) URL() string {
	return (&url.URL{Scheme: "s3", Host: o.bucket, Path: "/" + o.key}).String()
}

// Beside is the object whose key is this one's with something behind it.
func (o *Object) Beside(suffix string) *Object {
	return &Object{client: o.client, bucket: o.bucket, key: o.key + suffix, region: o.region}
}

// List gives all versions and delete markers, newest first. The error is
// objstore.ErrNotFound when there never was such an object.
func (o *Object) List(ctx context.Context) ([]Version, error) {
	var versions []Version
	in := &awss3.ListObjectVersionsInput{Bucket: &o.bucket, Prefix: &o.key}
	for {
		page, err := o.page(ctx, in)
		if err != nil {
			return nil, o.fail(ctx, "list the versions of", err)
		}
		var more bool
		versions, more = o.collect(versions, page)
		switch {
		case len(versions) > maxVersions:
			return nil, fmt.Errorf("list the versions of %s: there are more than %d", o.URL(), maxVersions)
		case more && aws.ToBool(page.IsTruncated):
			if aws.ToString(page.NextKeyMarker) == "" {
				return nil, fmt.Errorf("list the versions of %s: %w: the server cut the listing short without saying how to go on", o.URL(), objstore.ErrUnsupported)
			}
			in.KeyMarker, in.VersionIdMarker = page.NextKeyMarker, page.NextVersionIdMarker
			continue
		case len(versions) == 0:
			return nil, fmt.Errorf("list the versions of %s: %w", o.URL(), objstore.ErrNotFound)
		}
		sortNewestFirst(versions)
		return versions, nil
	}
}

func (o *Object) page(ctx context.Context, in *awss3.ListObjectVersionsInput) (*awss3.ListObjectVersionsOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return o.client.ListObjectVersions(ctx, in)
}

// collect takes what is ours from a page. Keys come in order, and our key is the
// first that begins with itself, so a page that ends with another is the last.
func (o *Object) collect(versions []Version, page *awss3.ListObjectVersionsOutput) (all []Version, more bool) {
	more = true
	for _, v := range page.Versions {
		if aws.ToString(v.Key) != o.key {
			more = false
			continue
		}
		versions = append(versions, Version{
			ID: aws.ToString(v.VersionId), ETag: plain(v.ETag), Modified: aws.ToTime(v.LastModified).UTC(),
			Size: aws.ToInt64(v.Size), Latest: aws.ToBool(v.IsLatest),
		})
	}
	for _, m := range page.DeleteMarkers {
		if aws.ToString(m.Key) != o.key {
			more = false
			continue
		}
		versions = append(versions, Version{ID: aws.ToString(m.VersionId), Modified: aws.ToTime(m.LastModified).UTC(), Latest: aws.ToBool(m.IsLatest), Deleted: true})
	}
	return versions, more
}

// ErrTooLarge is wrapped by the error for more bytes than were asked for.
var ErrTooLarge = errors.New("too large")

// Read reads a version, "" for the newest, of at most limit bytes. A version that
// is a delete marker, or is not there, is objstore.ErrNotFound.
func (o *Object) Read(ctx context.Context, id string, limit int64) ([]byte, Version, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	in := &awss3.GetObjectInput{Bucket: &o.bucket, Key: &o.key}
	what := "read"
	if id != "" {
		in.VersionId = &id
		what = fmt.Sprintf("read version %.100q of", id)
	}
	out, err := o.client.GetObject(ctx, in)
	if err != nil {
		return nil, Version{}, o.fail(ctx, what, err)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(io.LimitReader(out.Body, limit+1))
	switch {
	case err != nil:
		return nil, Version{}, o.fail(ctx, what, err)
	case int64(len(data)) > limit:
		return nil, Version{}, fmt.Errorf("%s %s: %w: it has more than %d bytes", what, o.URL(), ErrTooLarge, limit)
	}
	return data, Version{
		ID: aws.ToString(out.VersionId), ETag: plain(out.ETag), Modified: aws.ToTime(out.LastModified).UTC(), Size: int64(len(data)), Latest: id == "",
	}, nil
}
