package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/checksum"
)

// abortTimeout bounds Abort, which must work after the caller's context ended.
const abortTimeout = 30 * time.Second

// Create begins a multipart upload.
func (s *Store) Create(ctx context.Context, key string, opts objstore.PutOptions) (objstore.Upload, error) {
	if err := check(ctx, "create", key); err != nil {
		return nil, err
	}
	if err := objstore.CheckLock(opts.LockUntil, opts.LockMode); err != nil {
		return nil, fmt.Errorf("create %s: %w", key, err)
	}
	opts.Tags = s.tagsToSend(opts.Tags)
	in := &awss3.CreateMultipartUploadInput{
		Bucket: &s.bucket, Key: s.full(key), ContentType: contentType(opts),
		StorageClass: types.StorageClass(opts.StorageClass), Tagging: tagging(opts.Tags),
	}
	in.ObjectLockMode, in.ObjectLockRetainUntilDate = lock(opts)
	withCRC := !s.withoutCRC.Load()
	if withCRC {
		in.ChecksumAlgorithm, in.ChecksumType = types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject
	}
	out, err := s.client.CreateMultipartUpload(ctx, in)
	switch {
	case opts.Tags != nil && refusesTags(err, !withCRC):
		untagged := opts
		untagged.Tags = nil
		up, again := s.Create(ctx, key, untagged)
		s.foundUntagged(err, again)
		return up, again
	case withCRC && s.refusesCRC(err):
		return s.Create(ctx, key, opts)
	}
	if err != nil {
		return nil, s.fail(ctx, "create", key, err)
	}
	s.bucketSeen.Store(true)
	return &upload{store: s, key: key, opts: opts, id: out.UploadId, withCRC: withCRC, parts: objstore.Parts{Size: opts.PartSize}, sent: map[int32]types.CompletedPart{}}, nil
}

type upload struct {
	store   *Store
	key     string
	opts    objstore.PutOptions
	id      *string
	withCRC bool // the server was told that checksums come
	parts   objstore.Parts

	mu    sync.Mutex
	sent  map[int32]types.CompletedPart
	ended bool // completed or aborted
}

var errEnded = errors.New("the upload has been completed or aborted")

func (u *upload) Part(ctx context.Context, n int, data []byte) error {
	op := fmt.Sprintf("upload part %d of", n)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", op, u.key, err)
	}
	if err := u.parts.Check(n, data); err != nil {
		return fmt.Errorf("%s %s: %w", op, u.key, err)
	}
	if u.isEnded() {
		return fmt.Errorf("%s %s: %w", op, u.key, errEnded)
	}
	sum := checksum.CRC64NVME(data)
	in := &awss3.UploadPartInput{
		Bucket: &u.store.bucket, Key: u.store.full(u.key), UploadId: u.id, PartNumber: aws.Int32(int32(n)),
		Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
	}
	if u.withCRC {
		in.ChecksumCRC64NVME = encodeCRC(sum)
	} else {
		in.ContentMD5 = contentMD5(data)
	}
	out, err := u.store.client.UploadPart(ctx, in, bodyOptions(len(data)))
	if err != nil {
		return u.store.fail(ctx, op, u.key, err)
	}
	part := types.CompletedPart{PartNumber: in.PartNumber, ETag: out.ETag}
	if stored := decodeCRC(out.ChecksumCRC64NVME); u.withCRC && stored != nil {
		if err := sameCRC(stored, sum); err != nil {
			return u.store.fail(ctx, op, u.key, err)
		}
		part.ChecksumCRC64NVME = out.ChecksumCRC64NVME
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sent[int32(n)] = part
	u.parts.Sent(n, len(data), sum)
	return nil
}

func (u *upload) Complete(ctx context.Context) (objstore.Info, error) {
	if err := ctx.Err(); err != nil {
		return objstore.Info{}, fmt.Errorf("complete %s: %w", u.key, err)
	}
	count, size, sum, err := u.parts.Whole()
	if err == nil && u.isEnded() {
		err = errEnded
	}
	if err != nil {
		return objstore.Info{}, fmt.Errorf("complete %s: %w", u.key, err)
	}
	if count == 0 {
		return u.completeEmpty(ctx)
	}
	in := &awss3.CompleteMultipartUploadInput{
		Bucket: &u.store.bucket, Key: u.store.full(u.key), UploadId: u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.sorted()},
		MpuObjectSize:   aws.Int64(size),
	}
	in.IfNoneMatch, in.IfMatch = conditions(u.opts.Condition)
	if u.withCRC {
		in.ChecksumCRC64NVME, in.ChecksumType = encodeCRC(sum), types.ChecksumTypeFullObject
	}
	var out *awss3.CompleteMultipartUploadOutput
	err = u.store.writing(ctx, u.key, u.opts.Condition, func() (err error) {
		out, err = u.store.client.CompleteMultipartUpload(withPatience(ctx, completeFactor), in)
		return err
	})
	if err != nil {
		return objstore.Info{}, u.store.fail(ctx, "complete", u.key, err)
	}
	info := objstore.Info{
		Key: u.key, Size: size, ETag: plainETag(out.ETag),
		VersionID: plainVersion(out.VersionId), CRC64NVME: decodeCRC(out.ChecksumCRC64NVME),
	}
	u.end()
	if out.ChecksumType == types.ChecksumTypeComposite {
		info.CRC64NVME = nil // a checksum of checksums says nothing about the whole
	}
	if err := sameCRC(info.CRC64NVME, sum); err != nil {
		return objstore.Info{}, u.store.fail(ctx, "complete", u.key, err)
	}
	return info, nil
}

// completeEmpty: S3 completes no upload without parts, so a plain Put takes its
// place.
func (u *upload) completeEmpty(ctx context.Context) (objstore.Info, error) {
	info, err := u.store.Put(ctx, u.key, nil, u.opts)
	if err != nil {
		return objstore.Info{}, fmt.Errorf("complete %s without parts: %w", u.key, err)
	}
	_ = u.Abort() // the object stands; a left-over upload is AbortUploads' litter
	return info, nil
}

func (u *upload) Abort() error {
	if u.isEnded() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), abortTimeout)
	defer cancel()
	if err := u.store.abort(ctx, *u.store.full(u.key), u.id); err != nil {
		return u.store.fail(ctx, "abort the upload of", u.key, err)
	}
	u.end()
	return nil
}

func (u *upload) isEnded() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ended
}

func (u *upload) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
}

func (u *upload) sorted() []types.CompletedPart {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.SortedFunc(maps.Values(u.sent), func(a, b types.CompletedPart) int {
		return cmp.Compare(*a.PartNumber, *b.PartNumber)
	})
}

// abort one upload; one that is gone is as good as aborted.
func (s *Store) abort(ctx context.Context, fullKey string, id *string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: &s.bucket, Key: &fullKey, UploadId: id})
	if code(err) == "NoSuchUpload" {
		return nil
	}
	return err
}

// AbortUploads discards unfinished multipart uploads.
func (s *Store) AbortUploads(ctx context.Context, prefix string) (int, error) {
	pending, err := s.pending(ctx, prefix)
	if err != nil {
		return 0, s.fail(ctx, "list uploads under", prefix, err)
	}
	n := 0
	var failed []error
	for _, p := range pending {
		if err := s.abort(ctx, *p.Key, p.UploadId); err != nil {
			failed = append(failed, s.fail(ctx, "abort the upload of", (*p.Key)[len(s.prefix):], err))
			continue
		}
		n++
	}
	return n, errors.Join(failed...)
}

// PendingUploads counts unfinished multipart uploads.
func (s *Store) PendingUploads(ctx context.Context, prefix string) (int, error) {
	pending, err := s.pending(ctx, prefix)
	if err != nil {
		return 0, s.fail(ctx, "list uploads under", prefix, err)
	}
	return len(pending), nil
}

func (s *Store) pending(ctx context.Context, prefix string) ([]types.MultipartUpload, error) {
	var all []types.MultipartUpload
	in := &awss3.ListMultipartUploadsInput{Bucket: &s.bucket, Prefix: s.full(prefix)}
	for {
		out, err := s.client.ListMultipartUploads(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, out.Uploads...)
		if !aws.ToBool(out.IsTruncated) || aws.ToString(out.NextKeyMarker) == "" {
			return all, nil
		}
		in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
	}
}
