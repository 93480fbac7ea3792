package bucket

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Amount is how much there is of something in the bucket.
type Amount struct {
	Versions int   // of objects, current and older ones
	Markers  int   // of deletions
	Bytes    int64 // of the versions
}

// add counts one more.
func (a *Amount) add(v version) {
	if v.marker {
		a.Markers++
		return
	}
	a.Versions++
	a.Bytes += v.size
}

// version is one version of an object, or a delete marker.
type version struct {
	key, id string
	size    int64
	marker  bool
}

// Count counts the versions below a prefix of keys whose key which accepts; nil
// accepts all.
func (b *Bucket) Count(ctx context.Context, prefix string, which func(key string) bool) (Amount, error) {
	var all Amount
	for v, err := range b.versions(ctx, prefix, which) {
		if err != nil {
			return all, err
		}
		all.add(v)
	}
	return all, nil
}

// Any reports whether there is a version or delete marker below a prefix whose key
// which accepts.
func (b *Bucket) Any(ctx context.Context, prefix string, which func(key string) bool) (bool, error) {
	for _, err := range b.versions(ctx, prefix, which) {
		return err == nil, err
	}
	return false, nil
}

// Purge removes these versions and delete markers for good. What S3 refuses to
// remove, which is what Object Lock protects, is left and counted in locked; no
// lock is bypassed.
func (b *Bucket) Purge(ctx context.Context, prefix string, which func(key string) bool) (removed Amount, locked int, err error) {
	var batch []version
	flush := func() error {
		gone, refused, err := b.remove(ctx, batch)
		for _, v := range gone {
			removed.add(v)
		}
		locked += refused
		batch = batch[:0]
		return err
	}
	for v, err := range b.versions(ctx, prefix, which) {
		if err != nil {
			return removed, locked, err
		}
		if batch = append(batch, v); len(batch) == maxRemove {
			if err := flush(); err != nil {
				return removed, locked, err
			}
		}
	}
	return removed, locked, flush()
}

// maxRemove is how many versions S3 removes in one request.
const maxRemove = 1000

// remove removes versions and gives those that are gone, and how many a lock
// protects.
func (b *Bucket) remove(ctx context.Context, batch []version) (gone []version, locked int, err error) {
	if len(batch) == 0 {
		return nil, 0, nil
	}
	objects := make([]types.ObjectIdentifier, len(batch))
	for i, v := range batch {
		objects[i] = types.ObjectIdentifier{Key: aws.String(v.key), VersionId: aws.String(v.id)}
	}
	removing := fmt.Sprintf("removing %d versions of objects from %s", len(batch), b)
	out, err := b.client.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: &b.name, Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)}})
	if err != nil {
		return nil, 0, b.explain(ctx, removing, "s3:DeleteObjectVersion", err)
	}
	refused := map[version]bool{}
	for _, e := range out.Errors {
		code := aws.ToString(e.Code)
		if code == "NoSuchKey" || code == "NoSuchVersion" {
			continue
		}
		// A lock and a missing permission have the same code. S3 tells them apart
		// in words; where a server does not, the version is asked about.
		v := version{key: aws.ToString(e.Key), id: aws.ToString(e.VersionId)}
		if !strings.Contains(strings.ToLower(aws.ToString(e.Message)), "object lock") && !b.lockedVersion(ctx, v) {
			return nil, 0, fmt.Errorf("%s: %s: %s: allow this identity s3:DeleteObjectVersion", removing, code, aws.ToString(e.Message))
		}
		refused[v] = true
	}
	gone = slices.DeleteFunc(slices.Clone(batch), func(v version) bool { return refused[version{key: v.key, id: v.id}] })
	return gone, len(refused), nil
}

// lockedVersion reports whether Object Lock protects a version now.
func (b *Bucket) lockedVersion(ctx context.Context, v version) bool {
	out, err := b.client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &b.name, Key: &v.key, VersionId: &v.id})
	return err == nil && (out.ObjectLockMode != "" || out.ObjectLockLegalHoldStatus == types.ObjectLockLegalHoldStatusOn)
}

// versions pages through the versions and delete markers below a prefix.
func (b *Bucket) versions(ctx context.Context, prefix string, which func(key string) bool) iter.Seq2[version, error] {
	return func(yield func(version, error) bool) {
		in := &awss3.ListObjectVersionsInput{Bucket: &b.name, Prefix: &prefix}
		for {
			page, err := b.client.ListObjectVersions(ctx, in)
			if err != nil {
				yield(version{}, b.explain(ctx, "listing the versions of objects in "+b.String(), "s3:ListBucketVersions", err))
				return
			}
			for _, v := range pageOf(page) {
				if !strings.HasPrefix(v.key, prefix) || which != nil && !which(v.key) {
					continue
				}
				if !yield(v, nil) {
					return
				}
			}
			if !aws.ToBool(page.IsTruncated) || aws.ToString(page.NextKeyMarker) == "" {
				return
			}
			in.KeyMarker, in.VersionIdMarker = page.NextKeyMarker, page.NextVersionIdMarker
		}
	}
}

func pageOf(page *awss3.ListObjectVersionsOutput) (all []version) {
	for _, v := range page.Versions {
		all = append(all, version{key: aws.ToString(v.Key), id: aws.ToString(v.VersionId), size: aws.ToInt64(v.Size)})
	}
	for _, m := range page.DeleteMarkers {
		all = append(all, version{key: aws.ToString(m.Key), id: aws.ToString(m.VersionId), marker: true})
	}
	return all
}
