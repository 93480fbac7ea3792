package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// Get opens an object or a range of it.
func (s *Store) Get(ctx context.Context, key string, opts objstore.GetOptions) (io.ReadCloser, objstore.Info, error) {
	if err := check(ctx, "get", key); err != nil {
		return nil, objstore.Info{}, err
	}
	if opts.Offset < 0 || opts.Length < 0 {
		return nil, objstore.Info{}, fmt.Errorf("get %s: a range from %d of %d bytes is not possible", key, opts.Offset, opts.Length)
	}
	in := &awss3.GetObjectInput{Bucket: &s.bucket, Key: s.full(key), VersionId: version(opts.VersionID), Range: byteRange(opts)}
	out, err := s.client.GetObject(ctx, in)
	if status(err) == http.StatusRequestedRangeNotSatisfiable {
		info, err := s.Head(ctx, key, opts.VersionID)
		if err != nil {
			return nil, objstore.Info{}, err
		}
		return io.NopCloser(strings.NewReader("")), info, nil
	}
	if err != nil {
		return nil, objstore.Info{}, s.fail(ctx, "get", key, s.archived(versionGone(s.missing(ctx, err, key, opts.VersionID), opts.VersionID), key, opts.VersionID))
	}
	s.bucketSeen.Store(true)
	info := objstore.Info{Key: key, ETag: plainETag(out.ETag), Modified: aws.ToTime(out.LastModified), VersionID: plainVersion(out.VersionId), StorageClass: storageClass(string(out.StorageClass))}
	want, err := describeRange(&info, opts, out)
	if err != nil {
		_ = out.Body.Close()
		return nil, objstore.Info{}, s.fail(ctx, "get", key, err)
	}
	return &reader{ctx: ctx, store: s, key: key, body: out.Body, left: want}, info, nil
}

// describeRange fills the size of the whole object and returns how many bytes
// the answer must have.
func describeRange(info *objstore.Info, opts objstore.GetOptions, out *awss3.GetObjectOutput) (int64, error) {
	if opts.Offset == 0 && opts.Length == 0 {
		info.Size = aws.ToInt64(out.ContentLength)
		return info.Size, nil
	}
	_, total, ok := strings.Cut(aws.ToString(out.ContentRange), "/")
	size, err := strconv.ParseInt(total, 10, 64)
	if !ok || err != nil {
		return 0, fmt.Errorf("%w: the server ignores the Range header", objstore.ErrUnsupported)
	}
	info.Size = size
	want := max(size-opts.Offset, 0)
	if opts.Length > 0 {
		want = min(want, opts.Length)
	}
	return want, nil
}

func byteRange(o objstore.GetOptions) *string {
	switch {
	case o.Length > 0:
		return aws.String(fmt.Sprintf("bytes=%d-%d", o.Offset, o.Offset+o.Length-1))
	case o.Offset > 0:
		return aws.String(fmt.Sprintf("bytes=%d-", o.Offset))
	}
	return nil
}

func version(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

// versionGone: a version id of another server or bucket is answered 400.
func versionGone(err error, versionID string) error {
	if versionID != "" && status(err) == http.StatusBadRequest && (code(err) == "InvalidArgument" || code(err) == "BadRequest" || code(err) == "InvalidVersionId") {
		return fmt.Errorf("%w: there is no version %s", objstore.ErrNotFound, versionID)
	}
	return err
}

// archived says what to do about an object in GLACIER or DEEP_ARCHIVE: until it is
// brought back it can be listed and described, and not read.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html
func (s *Store) archived(err error, key, versionID string) error {
	if code(err) != "InvalidObjectState" {
		return err
	}
	class := "an archive class"
	var state *types.InvalidObjectState
	if errors.As(err, &state) && state.StorageClass != "" {
		class = "storage class " + string(state.StorageClass)
	}
	which := ""
	if versionID != "" {
		which = " --version-id " + versionID
	}
	return fmt.Errorf("%w: the object is in %s and has to be brought back before it can be read, which takes minutes to two days: "+
		"aws s3api restore-object --bucket %s --key '%s'%s --restore-request Days=7", objstore.ErrArchived, class, s.bucket, *s.full(key), which)
}

// Head describes an object.
func (s *Store) Head(ctx context.Context, key string, versionID string) (objstore.Info, error) {
	if err := check(ctx, "head", key); err != nil {
		return objstore.Info{}, err
	}
	out, err := s.client.HeadObject(ctx, &awss3.HeadObjectInput{
		Bucket: &s.bucket, Key: s.full(key), VersionId: version(versionID), ChecksumMode: types.ChecksumModeEnabled,
	})
	if status(err) == http.StatusNotFound && !s.bucketSeen.Load() {
		if berr := s.bucketError(ctx); berr != nil {
			return objstore.Info{}, s.fail(ctx, "head", key, berr)
		}
	}
	if err != nil {
		return objstore.Info{}, s.fail(ctx, "head", key, versionGone(s.missing(ctx, err, key, versionID), versionID))
	}
	s.bucketSeen.Store(true)
	info := objstore.Info{
		Key: key, Size: aws.ToInt64(out.ContentLength), ETag: plainETag(out.ETag), Modified: aws.ToTime(out.LastModified),
		VersionID: plainVersion(out.VersionId), CRC64NVME: decodeCRC(out.ChecksumCRC64NVME),
		StorageClass: storageClass(string(out.StorageClass)), Archive: archive(string(out.StorageClass), out.ArchiveStatus, aws.ToString(out.Restore)),
	}
	if until := aws.ToTime(out.ObjectLockRetainUntilDate); until.After(time.Now()) {
		info.LockUntil, info.LockMode = until.UTC(), string(out.ObjectLockMode)
	}
	if out.ChecksumType == types.ChecksumTypeComposite {
		info.CRC64NVME = nil
	}
	return info, nil
}

// bucketError tells what a bare 404 to HEAD leaves open: whether the bucket, or
// the user, is what was not found. A listing answers with words. It is asked
// until something has shown the bucket to be there.
func (s *Store) bucketError(ctx context.Context) error {
	_, err := s.client.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &s.prefix, MaxKeys: aws.Int32(1)})
	if err == nil {
		s.bucketSeen.Store(true)
	}
	if status(err) == http.StatusNotFound {
		return err
	}
	return nil // not allowed to list, perhaps; the object is what was asked for
}

// reader hands on the body and never ends before the last byte.
type reader struct {
	ctx   context.Context
	store *Store
	key   string
	body  io.ReadCloser
	left  int64
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, fmt.Errorf("read %s: %w", r.key, err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.body.Read(p)
	r.left -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case r.left < 0:
		return n, fmt.Errorf("read %s: the server sent %d bytes more than it announced", r.key, -r.left)
	case err == io.EOF && r.left == 0:
		return n, io.EOF
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		return n, fmt.Errorf("read %s: %w: the connection broke %d bytes before the end (%w)", r.key, objstore.ErrTransient, r.left, io.ErrUnexpectedEOF)
	}
	return n, r.store.fail(r.ctx, "read", r.key, err)
}

func (r *reader) Close() error { return r.body.Close() }
