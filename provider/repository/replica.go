package repository

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/bucket"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/role"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
)

// keyPrefix is what the keys of a repository begin with.
func keyPrefix(at location.Location) string {
	if at.Prefix == "" {
		return ""
	}
	return at.Prefix + "/"
}

// replicate makes the replica's bucket, the role and the rule that copies into it.
func (r *Resource) replicate(ctx context.Context, source *bucket.Bucket, at location.Location, w wish) (lacking []string, err error) {
	replica, _, err := r.conn.Bucket(ctx, w.replica.at)
	if err != nil {
		return nil, err
	}
	if source.Region() == replica.Region() {
		return nil, fmt.Errorf("the replica is in %s, as the repository is: a copy in the same region is lost with it; give replica.region another one", replica.Region())
	}
	found, err := source.Protections(ctx)
	if err != nil {
		return nil, err
	}
	if found[bucket.Versioning] != bucket.On && found[bucket.Versioning] != bucket.Unreadable {
		return nil, fmt.Errorf("%s: versioning is %s, and S3 copies only from a bucket with versioning: enable it, or set create_bucket = true", source, found[bucket.Versioning])
	}
	key := bucket.KMSKeyOf(found[bucket.Encryption])
	if key != "" && w.replica.kmsKey == "" {
		return nil, fmt.Errorf("%s encrypts with the KMS key %s, and S3 copies such objects only when it is told a key of the replica's region: give replica.kms_key_id", source, key)
	}
	// S3 copies locks with their objects, and only where these can be locked.
	locks := w.bucket.ObjectLock || bucket.Locks(found[bucket.ObjectLock])
	if w.replica.create {
		lacking, err = r.care(ctx, replica, bucket.Wish{KMSKey: w.replica.kmsKey, RefuseElse: w.bucket.RefuseElse, ObjectLock: locks}, w.replicaTags(), false)
	} else {
		err = fitting(ctx, replica, locks)
	}
	if err != nil {
		return nil, fmt.Errorf("the replica: %w", err)
	}
	if err := r.claimReplica(ctx, at, w); err != nil {
		return nil, fmt.Errorf("the replica: %w", err)
	}
	roleARN, err := r.ensureRole(ctx, w, replicationRole(source, at, w, key, locks))
	if err != nil {
		return nil, err
	}
	defer r.conn.Lock("bucket " + source.Name())()
	return lacking, awsapi.UntilAssumable(ctx, roleARN, func(ctx context.Context) error { return source.Replicate(ctx, w.rule(at, replica, roleARN)) })
}

// rule is the replication rule of the repository.
func (w wish) rule(at location.Location, replica *bucket.Bucket, roleARN string) bucket.Replication {
	return bucket.Replication{Prefix: keyPrefix(at), Role: roleARN, Replica: replica.ARN(), StorageClass: w.replica.class, KMSKey: w.replica.kmsKey}
}

func (w wish) replicaTags() map[string]string {
	return awsapi.OwnTags(w.tags, metric.Repository(location.Location{Bucket: w.replica.at.Bucket}), w.replica.at.Bucket)
}

// fitting holds that a bucket somebody else made can take copies.
func fitting(ctx context.Context, replica *bucket.Bucket, locks bool) error {
	there, err := replica.Exists(ctx)
	if err != nil {
		return err
	}
	if !there {
		return fmt.Errorf("there is no %s in %s, and replica.create_bucket is false", replica, replica.Region())
	}
	found, err := replica.Protections(ctx)
	switch {
	case err != nil:
		return err
	case found[bucket.Versioning] != bucket.On && found[bucket.Versioning] != bucket.Unreadable:
		return fmt.Errorf("%s: versioning is %s, and S3 copies only into a bucket with versioning: enable it", replica, found[bucket.Versioning])
	case locks && !bucket.Locks(found[bucket.ObjectLock]) && found[bucket.ObjectLock] != bucket.Unreadable:
		return replica.NoLock(found[bucket.ObjectLock])
	}
	return nil
}

// roleName of the role that copies a repository. A prefix may not be in the name
// of a role as it is, nor fit into one.
func roleName(at location.Location) string {
	sum := sha256.Sum256([]byte(metric.Repository(at)))
	return "pgbackup-replication-" + hex.EncodeToString(sum[:6])
}

// replicationRole is the role as it should be.
func replicationRole(source *bucket.Bucket, at location.Location, w wish, sourceKey string, locks bool) role.Role {
	return role.Role{
		Name: roleName(at), Description: "Lets S3 copy the pgbackup repository " + metric.Repository(at),
		Trust: iampolicy.TrustS3Replication(),
		Policy: iampolicy.ForReplication(iampolicy.Replication{
			Partition: bucket.Partition(source.Region()), Source: at.Bucket, SourceRegion: source.Region(), SourceKMSKey: sourceKey, Prefix: at.Prefix,
			Replica: w.replica.at.Bucket, ReplicaRegion: w.replica.at.Region, ReplicaKMSKey: w.replica.kmsKey, ObjectLock: locks,
		}),
		Tags: awsapi.OwnTags(w.tags, metric.Repository(at), at.Bucket),
	}
}

func (r *Resource) ensureRole(ctx context.Context, w wish, want role.Role) (string, error) {
	if w.replica.role != "" {
		return w.replica.role, nil
	}
	cfg, err := r.conn.AWS("")
	if err != nil {
		return "", err
	}
	arn, _, err := role.New(cfg).Ensure(ctx, want)
	return arn, err
}

// endReplication takes away the rule, and the role when it is ours. The copies stay.
func (r *Resource) endReplication(ctx context.Context, at location.Location, given string) error {
	b, _, err := r.conn.Bucket(ctx, at)
	if err != nil {
		return err
	}
	unlock := r.conn.Lock("bucket " + at.Bucket)
	err = b.EndReplication(ctx, keyPrefix(at))
	unlock()
	if err != nil && !errors.Is(err, awsapi.ErrGone) || given != "" {
		return err
	}
	return r.removeRole(ctx, at)
}

func (r *Resource) removeRole(ctx context.Context, at location.Location) error {
	cfg, err := r.conn.AWS("")
	if err != nil {
		return err
	}
	err = role.New(cfg).Remove(ctx, roleName(at))
	if errors.Is(err, awsapi.ErrForeign) { // never ours to remove
		return nil
	}
	return err
}

// replicationState is the state of the rule and the role among the protections.
func (r *Resource) replicationState(ctx context.Context, source, replica *bucket.Bucket, at location.Location, w wish, sourceKey string, locks bool) (rule, its string, err error) {
	found, there, err := source.Replication(ctx, keyPrefix(at))
	if err != nil {
		return "", "", err
	}
	arn := w.replica.role
	if arn == "" && strings.HasSuffix(found.Role, ":role/"+roleName(at)) {
		arn = found.Role
	}
	switch want := w.rule(at, replica, arn); {
	case !there:
		rule = bucket.Off
	case source.Same(found, want):
		rule = bucket.On
	default:
		rule = "changed by somebody else"
	}
	if w.replica.role != "" {
		return rule, given, nil
	}
	cfg, err := r.conn.AWS("")
	if err != nil {
		return "", "", err
	}
	want := replicationRole(source, at, w, sourceKey, locks)
	have, _, err := role.New(cfg).Read(ctx, want.Name)
	switch {
	case errors.Is(err, awsapi.ErrGone):
		return rule, bucket.Off, nil
	case errors.Is(err, awsapi.ErrDenied):
		return rule, bucket.Unreadable, nil
	case err != nil:
		return "", "", err
	case !iampolicy.Same(have.Trust.JSON(), want.Trust.JSON()) || !iampolicy.Same(have.Policy.JSON(), want.Policy.JSON()) || !awsapi.Ours(have.Tags):
		return rule, "changed by somebody else", nil
	}
	return rule, bucket.On, nil
}

// given is the state of a role that is somebody else's.
const given = "given"
