package bucket

import (
	"context"
	"errors"
	"fmt"
	"strings"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
)

// Replication is one rule by which S3 copies what is written below a prefix into
// another bucket.
type Replication struct {
	Prefix       string // of keys, with a slash at its end; "" is the whole bucket
	Role         string // ARN of the role that S3 takes on for all rules of the bucket
	Replica      string // ARN of the bucket to copy into
	StorageClass string // of the copies; "" is that of the original
	KMSKey       string // ARN of the key in the replica's region; "" is the replica's own default
	Disabled     bool   // somebody switched it off
}

// Replication reads the rule of a prefix; false when there is none.
func (b *Bucket) Replication(ctx context.Context, prefix string) (Replication, bool, error) {
	raw, err := b.replication(ctx)
	if err != nil {
		return Replication{}, false, err
	}
	d, err := parseReplication(raw)
	if err != nil {
		return Replication{}, false, fmt.Errorf("%s: its replication rules: %w", b, err)
	}
	for _, rule := range d.rules {
		if rule.id == replicationID(prefix) {
			r := rule.says
			r.Role = d.role
			return r, true, nil
		}
	}
	return Replication{}, false, nil
}

// Replicate makes the rule of a prefix so, beside those of others, which stay as
// they are to the byte. Two callers at once must take turns.
func (b *Bucket) Replicate(ctx context.Context, want Replication) error {
	return b.changeReplication(ctx, func(d *replicationDocument) ([]byte, bool, error) { return d.with(want) })
}

// EndReplication takes the rule of a prefix away. What was copied stays.
func (b *Bucket) EndReplication(ctx context.Context, prefix string) error {
	err := b.changeReplication(ctx, func(d *replicationDocument) ([]byte, bool, error) {
		raw, changed := d.without(replicationID(prefix))
		return raw, changed, nil
	})
	if errors.Is(err, ErrLacking) {
		return nil
	}
	return err
}

// Same reports whether a rule that was read does what is wanted. Servers other than
// AWS may lose parts of a rule that they do not know; these are not compared.
func (b *Bucket) Same(have, want Replication) bool {
	if !b.onAWS() {
		if have.Prefix == "" {
			have.Prefix = want.Prefix
		}
		if have.StorageClass == "" {
			have.StorageClass = want.StorageClass
		}
		if have.KMSKey == "" {
			have.KMSKey = want.KMSKey
		}
	}
	return have == want
}

func (b *Bucket) changeReplication(ctx context.Context, change func(*replicationDocument) ([]byte, bool, error)) error {
	raw, err := b.replication(ctx)
	if err != nil {
		return err
	}
	d, err := parseReplication(raw)
	var merged []byte
	var changed bool
	if err == nil {
		merged, changed, err = change(&d)
	}
	if err != nil {
		return fmt.Errorf("%s: its replication rules: %w; nothing was changed", b, err)
	}
	if !changed {
		return nil
	}
	const permission = "s3:PutReplicationConfiguration, and iam:PassRole on the role"
	writing := "writing the replication rules of " + b.String()
	if merged == nil {
		_, err = b.client.DeleteBucketReplication(ctx, &awss3.DeleteBucketReplicationInput{Bucket: &b.name})
		return b.explain(ctx, writing, permission, err)
	}
	// The typed document passes the SDK's own checks; what is sent is the raw one.
	_, err = b.client.PutBucketReplication(ctx, &awss3.PutBucketReplicationInput{Bucket: &b.name, ReplicationConfiguration: typedReplication()}, replaceBody(merged))
	return b.explain(ctx, writing, permission, err)
}

// replication reads the bucket's replication document, nil when it has none.
func (b *Bucket) replication(ctx context.Context) (raw []byte, err error) {
	_, err = b.client.GetBucketReplication(ctx, &awss3.GetBucketReplicationInput{Bucket: &b.name}, captureBody(&raw))
	if code(err) == "ReplicationConfigurationNotFoundError" {
		return nil, nil
	}
	if err != nil {
		return nil, b.explain(ctx, b.reading("the replication rules"), "s3:GetReplicationConfiguration", err)
	}
	return raw, nil
}

// replicationID names our rule of a prefix.
func replicationID(prefix string) string { return "pgbackup/" + strings.TrimSuffix(prefix, "/") }
