package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// maxDelete is how many keys S3 deletes in one request.
const maxDelete = 1000

// Delete removes keys, a thousand a request where the server can.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	var failed []error
	good := make([]string, 0, len(keys))
	for _, key := range keys {
		if err := check(ctx, "delete", key); err != nil {
			failed = append(failed, err)
			continue
		}
		good = append(good, key)
	}
	for len(good) > 0 {
		if err := ctx.Err(); err != nil {
			failed = append(failed, fmt.Errorf("delete %s and %d more: %w", good[0], len(good)-1, err))
			break
		}
		batch := good[:min(len(good), maxDelete)]
		good = good[len(batch):]
		failed = append(failed, s.deleteBatch(ctx, batch))
	}
	return errors.Join(failed...)
}

func (s *Store) deleteBatch(ctx context.Context, keys []string) error {
	if len(keys) == 1 || s.oneByOne.Load() {
		return s.deleteEach(ctx, keys)
	}
	objects := make([]types.ObjectIdentifier, len(keys))
	for i, key := range keys {
		objects[i].Key = s.full(key)
	}
	out, err := s.client.DeleteObjects(ctx, &awss3.DeleteObjectsInput{
		Bucket: &s.bucket, Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)},
	}, withContentMD5)
	if st := status(err); st == http.StatusNotImplemented || st == http.StatusMethodNotAllowed {
		s.oneByOne.Store(true)
		return s.deleteEach(ctx, keys)
	}
	if err != nil {
		return s.fail(ctx, fmt.Sprintf("delete %d objects from", len(keys)), keys[0], err)
	}
	s.bucketSeen.Store(true)
	var failed []error
	for _, e := range out.Errors {
		code := aws.ToString(e.Code)
		if code == "NoSuchKey" || code == "NoSuchVersion" {
			continue
		}
		failed = append(failed, s.deleteFailed(aws.ToString(e.Key), code, aws.ToString(e.Message)))
	}
	return errors.Join(failed...)
}

// deleteFailed words the failure of one key in a batch.
func (s *Store) deleteFailed(fullKey, code, message string) error {
	said := code + ": " + oneLine(message)
	key := fullKey[min(len(s.prefix), len(fullKey)):]
	if k, ok := kinds[code]; ok {
		return fmt.Errorf("delete %s in %s: %w (%s)", key, s.URL(), k.kind, said)
	}
	return fmt.Errorf("delete %s in %s: the server answered %s", key, s.URL(), said)
}

func (s *Store) deleteEach(ctx context.Context, keys []string) error {
	var failed []error
	for _, key := range keys {
		_, err := s.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &s.bucket, Key: s.full(key)})
		if err == nil {
			s.bucketSeen.Store(true)
			continue
		}
		if err = s.fail(ctx, "delete", key, err); !errors.Is(err, objstore.ErrNotFound) {
			failed = append(failed, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(failed...)
}

// withContentMD5 replaces the SDK's CRC32 of a DeleteObjects body, which older
// servers do not accept as the digest they demand, by Content-MD5, which all do.
func withContentMD5(o *awss3.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		for _, step := range []struct {
			remove func(string) (any, error)
			id     string
		}{
			{func(id string) (any, error) { return stack.Initialize.Remove(id) }, "AWSChecksum:SetupInputContext"},
			{func(id string) (any, error) { return stack.Build.Remove(id) }, "AWSChecksum:RequestMetricsTracking"},
			{func(id string) (any, error) { return stack.Finalize.Remove(id) }, "AWSChecksum:ComputeInputPayloadChecksum"},
		} {
			if _, err := step.remove(step.id); err != nil {
				return err
			}
		}
		return smithyhttp.AddContentChecksumMiddleware(stack)
	})
}
