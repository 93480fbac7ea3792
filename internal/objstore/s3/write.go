package s3

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // Content-MD5 is part of the S3 protocol
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/checksum"
)

// signedBody is the largest body in bytes whose SHA-256 is signed. Larger ones
// are covered by their checksum, itself a signed header: hashing them a second
// time costs a core at a few hundred MB/s.
const signedBody = 64 << 10

// conflictTries is how often a write is repeated that S3 refused with 409
// because another one of the same key was under way.
const conflictTries = 5

// Put writes one object in one request.
func (s *Store) Put(ctx context.Context, key string, data []byte, opts objstore.PutOptions) (objstore.Info, error) {
	if err := check(ctx, "put", key); err != nil {
		return objstore.Info{}, err
	}
	if len(data) > objstore.MaxPut {
		return objstore.Info{}, fmt.Errorf("put %s: %d bytes are too many for one request; upload it in parts", key, len(data))
	}
	if err := objstore.CheckLock(opts.LockUntil, opts.LockMode); err != nil {
		return objstore.Info{}, fmt.Errorf("put %s: %w", key, err)
	}
	sum := checksum.CRC64NVME(data)
	var out *awss3.PutObjectOutput
	err := s.writing(ctx, key, opts.Condition, func() (err error) {
		out, err = s.put(ctx, key, data, sum, opts)
		return err
	})
	if err != nil {
		return objstore.Info{}, s.fail(ctx, "put", key, err)
	}
	info := objstore.Info{
		Key: key, Size: int64(len(data)), ETag: plainETag(out.ETag),
		VersionID: plainVersion(out.VersionId), CRC64NVME: decodeCRC(out.ChecksumCRC64NVME),
	}
	if err := sameCRC(info.CRC64NVME, sum); err != nil {
		return objstore.Info{}, s.fail(ctx, "put", key, err)
	}
	return info, nil
}

func (s *Store) put(ctx context.Context, key string, data []byte, sum uint64, opts objstore.PutOptions) (*awss3.PutObjectOutput, error) {
	opts.Tags = s.tagsToSend(opts.Tags)
	in := &awss3.PutObjectInput{
		Bucket: &s.bucket, Key: s.full(key), Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
		ContentType: contentType(opts), StorageClass: types.StorageClass(opts.StorageClass), Tagging: tagging(opts.Tags),
	}
	in.ObjectLockMode, in.ObjectLockRetainUntilDate = lock(opts)
	in.IfNoneMatch, in.IfMatch = conditions(opts.Condition)
	withCRC := !s.withoutCRC.Load()
	if withCRC {
		in.ChecksumCRC64NVME = encodeCRC(sum)
	} else {
		in.ContentMD5 = contentMD5(data)
	}
	out, err := s.client.PutObject(ctx, in, bodyOptions(len(data)))
	switch {
	case opts.Tags != nil && refusesTags(err, !withCRC):
		untagged := opts
		untagged.Tags = nil
		out, again := s.put(ctx, key, data, sum, untagged)
		s.foundUntagged(err, again)
		return out, again
	case withCRC && s.refusesCRC(err):
		return s.put(ctx, key, data, sum, opts)
	}
	return out, err
}

// writing runs a conditional write and settles what is particular about its
// refusals: 404 to If-Match means that nothing is there to match, and 409 that
// another write was going on, after which the object decides.
func (s *Store) writing(ctx context.Context, key string, cond objstore.Condition, write func() error) error {
	for try := 1; ; try++ {
		err := write()
		switch {
		case err == nil:
			s.bucketSeen.Store(true)
			return nil
		case cond.IfMatch != "" && code(err) == "NoSuchKey":
			return refused(err)
		case cond == (objstore.Condition{}) || status(err) != http.StatusConflict:
			return err
		}
		now, herr := s.Head(ctx, key, "")
		there := herr == nil
		if herr != nil && !errors.Is(herr, objstore.ErrNotFound) {
			return err
		}
		if cond.IfAbsent && there || cond.IfMatch != "" && (!there || now.ETag != cond.IfMatch) {
			return refused(err)
		}
		if try == conflictTries {
			return err
		}
		select {
		case <-time.After(time.Duration(try) * 50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// refused gives the meaning of a failed precondition to another answer.
func refused(err error) error {
	return fmt.Errorf("%w (%s, HTTP %d)", objstore.ErrPrecondition, code(err), status(err))
}

// refusesCRC finds out that the server can not do CRC64NVME, which the request
// had: the caller then tries again without.
func (s *Store) refusesCRC(err error) bool {
	switch status(err) {
	case http.StatusBadRequest, http.StatusNotImplemented:
	default:
		return false
	}
	if errors.Is(s.classify(err), objstore.ErrChecksum) {
		return false // it can, and found a difference
	}
	if !strings.Contains(strings.ToLower(code(err)+" "+err.Error()), "checksum") && status(err) != http.StatusNotImplemented {
		return false
	}
	s.withoutCRC.Store(true)
	return true
}

func bodyOptions(size int) func(*awss3.Options) {
	return func(o *awss3.Options) {
		if size > signedBody {
			o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
		}
	}
}

func conditions(c objstore.Condition) (ifNoneMatch, ifMatch *string) {
	if c.IfAbsent {
		ifNoneMatch = aws.String("*")
	}
	if c.IfMatch != "" {
		ifMatch = aws.String(`"` + c.IfMatch + `"`)
	}
	return ifNoneMatch, ifMatch
}

func contentType(o objstore.PutOptions) *string {
	if o.ContentType == "" {
		return aws.String("application/octet-stream")
	}
	return &o.ContentType
}

func tagging(tags map[string]string) *string {
	if len(tags) == 0 {
		return nil
	}
	v := url.Values{}
	for k, t := range tags {
		v.Set(k, t)
	}
	return aws.String(v.Encode())
}

// plainETag drops the quotes, which not all servers send everywhere.
func plainETag(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

// plainVersion: buckets without versions say nothing or "null".
func plainVersion(id *string) string {
	if v := aws.ToString(id); v != "null" {
		return v
	}
	return ""
}

func contentMD5(data []byte) *string {
	sum := md5.Sum(data) //nolint:gosec // see the import
	return aws.String(base64.StdEncoding.EncodeToString(sum[:]))
}

func encodeCRC(sum uint64) *string {
	return aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum)))
}

func decodeCRC(text *string) *uint64 {
	if text == nil {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(*text)
	if err != nil || len(b) != 8 {
		return nil
	}
	sum := binary.BigEndian.Uint64(b)
	return &sum
}

// sameCRC compares the store's checksum, where there is one, with ours.
func sameCRC(stored *uint64, sent uint64) error {
	if stored == nil || *stored == sent {
		return nil
	}
	return fmt.Errorf("%w: the store has CRC64NVME %016x, %016x was sent; write it again", objstore.ErrChecksum, *stored, sent)
}
