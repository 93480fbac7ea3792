package versions

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3's own checksum of an upload, not a signature
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// Write makes data the newest version, if the newest is still the one with this
// ETag, and otherwise fails with objstore.ErrPrecondition. How the newest is
// encrypted, and its content type, are kept: the backend that wrote it may set
// them for each object.
func (o *Object) Write(ctx context.Context, data []byte, etag string) (Version, error) {
	if etag == "" {
		return Version{}, fmt.Errorf("write %s: without the ETag of the newest version it would overwrite what others write", o.URL())
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	head, err := o.client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &o.bucket, Key: &o.key})
	if err != nil {
		return Version{}, o.fail(ctx, "look at", err)
	}
	out, err := o.client.PutObject(ctx, &awss3.PutObjectInput{
		Bucket: &o.bucket, Key: &o.key, Body: bytes.NewReader(data), ContentMD5: checksum(data), IfMatch: aws.String(`"` + etag + `"`),
		ContentType: head.ContentType, ServerSideEncryption: head.ServerSideEncryption, SSEKMSKeyId: head.SSEKMSKeyId, BucketKeyEnabled: head.BucketKeyEnabled,
		Metadata: head.Metadata,
	})
	if err == nil {
		return Version{ID: aws.ToString(out.VersionId), ETag: plain(out.ETag), Size: int64(len(data)), Latest: true}, nil
	}
	err = o.fail(ctx, "write", err)
	if errors.Is(err, objstore.ErrPrecondition) {
		// A first attempt may have arrived and only its answer been lost.
		if now, v, readErr := o.Read(ctx, "", int64(len(data))); readErr == nil && bytes.Equal(now, data) {
			return v, nil
		}
	}
	return Version{}, err
}

// Create writes an object that must not be there yet; otherwise the error is
// objstore.ErrPrecondition. Where nothing is there but the server refuses all the
// same, as some do over a delete marker, it is objstore.ErrUnsupported.
func (o *Object) Create(ctx context.Context, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := o.client.PutObject(ctx, &awss3.PutObjectInput{
		Bucket: &o.bucket, Key: &o.key, Body: bytes.NewReader(data), ContentMD5: checksum(data), IfNoneMatch: aws.String("*"), ContentType: aws.String("application/json"),
	})
	if err == nil {
		return nil
	}
	err = o.fail(ctx, "create", err)
	if !errors.Is(err, objstore.ErrPrecondition) {
		return err
	}
	now, _, readErr := o.Read(ctx, "", int64(len(data)))
	switch {
	case readErr == nil && bytes.Equal(now, data):
		return nil // only the answer was lost
	case errors.Is(readErr, objstore.ErrNotFound):
		return fmt.Errorf("create %s: %w: the server refuses it although nothing is there, perhaps because something was", o.URL(), objstore.ErrUnsupported)
	}
	return err
}

// checksum is what S3 asks for of every upload to a bucket whose Object Lock has a
// default retention.
func checksum(data []byte) *string {
	sum := md5.Sum(data)
	return aws.String(base64.StdEncoding.EncodeToString(sum[:]))
}

// Remove deletes the object; on a versioned bucket its versions stay.
func (o *Object) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := o.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &o.bucket, Key: &o.key}); err != nil {
		return o.fail(ctx, "delete", err)
	}
	return nil
}
