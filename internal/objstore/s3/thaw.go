package s3

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// storageClass is the class as Info has it: S3 itself leaves STANDARD out of the
// description of an object and not out of a listing.
func storageClass(name string) string {
	if name == storageclass.Standard {
		return ""
	}
	return name
}

// expiryDate is the end of a copy in x-amz-restore.
var expiryDate = regexp.MustCompile(`expiry-date="([^"]*)"`)

// archive reads what an answer says of an object in an archive:
//
//	x-amz-restore: ongoing-request="true"
//	x-amz-restore: ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"
//
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func archive(class string, tiering types.ArchiveStatus, restore string) objstore.Archive {
	c, err := storageclass.Parse(class)
	a := objstore.Archive{In: err == nil && c.Archived || tiering != ""}
	if !a.In {
		return a
	}
	a.Thawing = ongoing.MatchString(restore)
	if m := expiryDate.FindStringSubmatch(restore); m != nil && !a.Thawing {
		if until, err := http.ParseTime(m[1]); err == nil {
			a.Until = until.UTC()
		}
	}
	return a
}

var ongoing = regexp.MustCompile(`ongoing-request="?true`)

// Thaw asks for a copy of an archived version.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html
func (s *Store) Thaw(ctx context.Context, key, versionID string, opts objstore.ThawOptions) error {
	if err := check(ctx, "thaw", key); err != nil {
		return err
	}
	if err := objstore.CheckThaw(opts); err != nil {
		return fmt.Errorf("thaw %s: %w", key, err)
	}
	tier := types.Tier(cmp.Or(opts.Tier, storageclass.TierStandard))
	request := &types.RestoreRequest{GlacierJobParameters: &types.GlacierJobParameters{Tier: tier}}
	if opts.Days > 0 {
		request.Days = aws.Int32(int32(opts.Days))
	}
	_, err := s.client.RestoreObject(ctx, &awss3.RestoreObjectInput{Bucket: &s.bucket, Key: s.full(key), VersionId: version(versionID), RestoreRequest: request}, withContentMD5)
	if err == nil {
		s.bucketSeen.Store(true)
		return nil
	}
	switch code(err) {
	case "RestoreAlreadyInProgress", "ObjectAlreadyInActiveTierError":
		return nil
	case "InvalidObjectState":
		return s.refusedThaw(ctx, key, versionID)
	case "GlacierExpeditedRetrievalNotAvailable":
		err = fmt.Errorf("%w: S3 has no capacity for expedited retrievals at this moment: ask for the standard tier, or buy provisioned capacity", objstore.ErrUnsupported)
	default:
		err = versionGone(s.missing(ctx, err, key, versionID), versionID)
	}
	if code(err) == "AccessDenied" {
		err = fmt.Errorf("%w: allow this identity s3:RestoreObject on the objects of the bucket", objstore.ErrDenied)
	}
	return s.fail(ctx, "thaw", key, err)
}

// refusedThaw tells an object that is in no archive, of which there is nothing to
// bring back, from one whose class S3 does not bring back like that.
func (s *Store) refusedThaw(ctx context.Context, key, versionID string) error {
	info, err := s.Head(ctx, key, versionID)
	if err != nil || info.Archive.Readable(time.Now()) {
		return err
	}
	return s.fail(ctx, "thaw", key, fmt.Errorf("%w: S3 does not bring objects of the storage class %s back like that", objstore.ErrUnsupported, cmp.Or(info.StorageClass, storageclass.Standard)))
}
