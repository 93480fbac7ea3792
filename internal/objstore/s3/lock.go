package s3

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// lock is what a write that locks asks for. S3 reads the time to the second, and a
// fraction that is cut off must not end a lock early.
func lock(opts objstore.PutOptions) (types.ObjectLockMode, *time.Time) {
	if opts.LockUntil.IsZero() {
		return "", nil
	}
	return types.ObjectLockMode(opts.LockMode), wholeSecond(opts.LockUntil)
}

func wholeSecond(t time.Time) *time.Time {
	whole := t.UTC().Truncate(time.Second)
	if whole.Before(t) {
		whole = whole.Add(time.Second)
	}
	return &whole
}

// Lock sets the retention of a version. BypassGovernanceRetention is never sent,
// neither here nor when deleting.
func (s *Store) Lock(ctx context.Context, key, versionID string, until time.Time, mode string) error {
	if err := check(ctx, "lock", key); err != nil {
		return err
	}
	if err := objstore.CheckLock(until, mode); err != nil {
		return fmt.Errorf("lock %s: %w", key, err)
	}
	_, err := s.client.PutObjectRetention(ctx, &awss3.PutObjectRetentionInput{
		Bucket: &s.bucket, Key: s.full(key), VersionId: version(versionID),
		Retention: &types.ObjectLockRetention{Mode: types.ObjectLockRetentionMode(mode), RetainUntilDate: wholeSecond(until)},
	}, withContentMD5)
	if err == nil {
		return nil
	}
	// What would shorten a lock, or loosen it, is refused like a missing permission.
	if status(err) == http.StatusForbidden {
		if now, end, readErr := s.LockedUntil(ctx, key, versionID); readErr == nil && !end.Before(until.Truncate(time.Second)) && (now == mode || now == objstore.Compliance) {
			return nil
		}
	}
	return s.fail(ctx, "lock", key, err)
}

// LockedUntil reads the retention of a version.
func (s *Store) LockedUntil(ctx context.Context, key, versionID string) (string, time.Time, error) {
	if err := check(ctx, "read the lock of", key); err != nil {
		return "", time.Time{}, err
	}
	out, err := s.client.GetObjectRetention(ctx, &awss3.GetObjectRetentionInput{Bucket: &s.bucket, Key: s.full(key), VersionId: version(versionID)})
	if code(err) == "NoSuchObjectLockConfiguration" { // of the object: it never was locked
		return "", time.Time{}, nil
	}
	if err != nil {
		return "", time.Time{}, s.fail(ctx, "read the lock of", key, err)
	}
	if out.Retention == nil || out.Retention.RetainUntilDate == nil {
		return s.lockOfHead(ctx, key, versionID)
	}
	if !out.Retention.RetainUntilDate.After(time.Now()) {
		return "", time.Time{}, nil
	}
	return string(out.Retention.Mode), out.Retention.RetainUntilDate.UTC(), nil
}

// lockOfHead is for servers that answer with an empty retention, of what is locked
// too: the description of the object may still name its lock. S3 itself has an error
// for an object without one.
func (s *Store) lockOfHead(ctx context.Context, key, versionID string) (string, time.Time, error) {
	info, err := s.Head(ctx, key, versionID)
	if err == nil && info.LockUntil.IsZero() {
		err = s.fail(ctx, "read the lock of", key, objstore.ErrLockUnknown)
	}
	return info.LockMode, info.LockUntil, err
}

// LegalHold sets or lifts the legal hold of a version.
func (s *Store) LegalHold(ctx context.Context, key, versionID string, on bool) error {
	if err := check(ctx, "hold", key); err != nil {
		return err
	}
	state := types.ObjectLockLegalHoldStatusOff
	if on {
		state = types.ObjectLockLegalHoldStatusOn
	}
	_, err := s.client.PutObjectLegalHold(ctx, &awss3.PutObjectLegalHoldInput{
		Bucket: &s.bucket, Key: s.full(key), VersionId: version(versionID), LegalHold: &types.ObjectLockLegalHold{Status: state},
	}, withContentMD5)
	if err != nil {
		return s.fail(ctx, "hold", key, err)
	}
	return nil
}

// lacksLock recognises that a bucket was made without Object Lock, which has no
// code of its own.
func lacksLock(code, message string) bool {
	switch code {
	case "ObjectLockConfigurationNotFoundError":
		return true
	case "InvalidRequest", "InvalidArgument":
		said := strings.ToLower(strings.ReplaceAll(message, " ", ""))
		return strings.Contains(said, "objectlockconfiguration")
	}
	return false
}
