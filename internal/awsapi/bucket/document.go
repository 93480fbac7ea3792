package bucket

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/lifecycle"
)

// maxDocument bounds what is read of an answer in bytes; lifecycle.Parse refuses
// a document of that size.
const maxDocument = 16 << 20

// Lifecycle reads and parses the bucket's lifecycle document.
func (b *Bucket) Lifecycle(ctx context.Context) (lifecycle.Configuration, error) {
	raw, _, err := b.GetLifecycle(ctx)
	if err != nil {
		return lifecycle.Configuration{}, err
	}
	return b.parse(raw)
}

func (b *Bucket) parse(raw []byte) (lifecycle.Configuration, error) {
	c, err := lifecycle.Parse(raw)
	if err != nil {
		return c, fmt.Errorf("lifecycle rules of bucket %s: %w; nothing was changed", b.name, err)
	}
	return c, nil
}

// GetLifecycle reads the bucket's lifecycle document as it is, nil when it has
// none, and the bucket's default for the smallest object that transitions apply
// to ("" where the server has no such setting). ErrNoLifecycle where the server
// has no lifecycle rules at all.
func (b *Bucket) GetLifecycle(ctx context.Context) (raw []byte, minimumSize string, err error) {
	out, err := b.client.GetBucketLifecycleConfiguration(ctx, &awss3.GetBucketLifecycleConfigurationInput{Bucket: &b.name}, captureBody(&raw))
	if code(err) == "NoSuchLifecycleConfiguration" {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", b.fail(ctx, "read", "s3:GetLifecycleConfiguration", err)
	}
	return raw, string(out.TransitionDefaultMinimumObjectSize), nil
}

// PutLifecycle replaces the bucket's lifecycle document. minimumSize is what
// GetLifecycle gave: without it, S3 goes back to its default.
func (b *Bucket) PutLifecycle(ctx context.Context, raw []byte, minimumSize string) error {
	_, err := b.client.PutBucketLifecycleConfiguration(ctx, &awss3.PutBucketLifecycleConfigurationInput{
		Bucket: &b.name, TransitionDefaultMinimumObjectSize: types.TransitionDefaultMinimumObjectSize(minimumSize),
	}, replaceBody(raw))
	if err != nil {
		return b.fail(ctx, "write", "s3:PutLifecycleConfiguration", err)
	}
	return nil
}

// DeleteLifecycle removes the bucket's lifecycle document.
func (b *Bucket) DeleteLifecycle(ctx context.Context) error {
	_, err := b.client.DeleteBucketLifecycle(ctx, &awss3.DeleteBucketLifecycleInput{Bucket: &b.name})
	if err != nil && code(err) != "NoSuchLifecycleConfiguration" {
		return b.fail(ctx, "remove", "s3:PutLifecycleConfiguration", err)
	}
	return nil
}

// captureBody keeps the bytes of a good answer and gives the SDK none to decode,
// except for an error that a server sent with status 200, which it knows to try
// again.
func captureBody(into *[]byte) func(*awss3.Options) {
	return onStack(func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("pgbackup:captureBody", func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			res, ok := out.RawResponse.(*smithyhttp.Response)
			if err != nil || !ok || res.StatusCode/100 != 2 {
				return out, metadata, err
			}
			raw, err := io.ReadAll(io.LimitReader(res.Body, maxDocument))
			_ = res.Body.Close()
			if err != nil {
				return out, metadata, &smithyhttp.ResponseError{Response: res, Err: fmt.Errorf("the answer broke off: %w", err)}
			}
			*into = raw
			res.Body = io.NopCloser(bytes.NewReader(nil))
			if bytes.Contains(raw, []byte("<Error>")) {
				res.Body = io.NopCloser(bytes.NewReader(raw))
			}
			return out, metadata, nil
		}), middleware.After)
	})
}

// replaceBody sends raw as it is, with Content-MD5 for servers that insist on it;
// the SDK adds its checksum and signs all of it.
func replaceBody(raw []byte) func(*awss3.Options) {
	return onStack(func(stack *middleware.Stack) error {
		return stack.Serialize.Add(middleware.SerializeMiddlewareFunc("pgbackup:replaceBody", func(ctx context.Context, in middleware.SerializeInput, next middleware.SerializeHandler) (middleware.SerializeOutput, middleware.Metadata, error) {
			req, ok := in.Request.(*smithyhttp.Request)
			if !ok {
				return middleware.SerializeOutput{}, middleware.Metadata{}, fmt.Errorf("unknown kind of request %T", in.Request)
			}
			req, err := req.SetStream(bytes.NewReader(raw))
			if err != nil {
				return middleware.SerializeOutput{}, middleware.Metadata{}, err
			}
			sum := md5.Sum(raw)
			req.Header.Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
			req.Header.Set("Content-Type", "application/xml")
			in.Request = req
			return next.HandleSerialize(ctx, in)
		}), middleware.After)
	})
}

func onStack(change func(*middleware.Stack) error) func(*awss3.Options) {
	return func(o *awss3.Options) { o.APIOptions = append(o.APIOptions, change) }
}
