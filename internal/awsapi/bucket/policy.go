package bucket

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
)

// The statements we put into a bucket's policy, by Sid.
const (
	sidTLS        = "PgbackupTLSOnly"
	sidMethod     = "PgbackupOtherEncryption"
	sidKey        = "PgbackupOtherKey"
	sidCustomer   = "PgbackupCustomerKey"
	sseHeader     = "s3:x-amz-server-side-encryption"
	sseKeyHeader  = "s3:x-amz-server-side-encryption-aws-kms-key-id"
	customerCrypt = "s3:x-amz-server-side-encryption-customer-algorithm"
)

var ourSids = []string{sidTLS, sidMethod, sidKey, sidCustomer}

// statements that say what is wanted of Transport and OtherEncryption.
//
// Uploads without any header take the bucket's own encryption and are welcome: the
// runner's are such. What is refused is one that asks for something else, a key of
// the sender's own above all, by which backups can be taken hostage.
//
// Source: Amazon S3 User Guide, "Bucket policy examples", and its condition keys.
func (b *Bucket) statements(want Protections, kmsKey string) (all []iampolicy.Statement) {
	everybody := map[string][]string{"*": {"*"}}
	objects := []string{b.ARN() + "/*"}
	deny := func(sid string, conditions map[string]map[string][]string) {
		all = append(all, iampolicy.Statement{Sid: sid, Effect: "Deny", Principals: everybody, Actions: []string{"s3:PutObject"}, Resources: objects, Conditions: conditions})
	}
	if want[Transport] == TLSOnly {
		all = append(all, iampolicy.Statement{
			Sid: sidTLS, Effect: "Deny", Principals: everybody, Actions: []string{"s3:*"}, Resources: append([]string{b.ARN()}, objects...),
			Conditions: map[string]map[string][]string{"Bool": {"aws:SecureTransport": {"false"}}},
		})
	}
	if want[OtherEncryption] == Allowed || want[OtherEncryption] == "" {
		return all
	}
	deny(sidCustomer, map[string]map[string][]string{"Null": {customerCrypt: {"false"}}})
	method := "AES256"
	if kmsKey != "" {
		method = "aws:kms"
		deny(sidKey, map[string]map[string][]string{"Null": {sseKeyHeader: {"false"}}, "StringNotEquals": {sseKeyHeader: {kmsKey}}})
	}
	deny(sidMethod, map[string]map[string][]string{"Null": {sseHeader: {"false"}}, "StringNotEquals": {sseHeader: {method}}})
	return all
}

// demands reads what the bucket's policy demands.
func (b *Bucket) demands(ctx context.Context) (transport, other string, err error) {
	raw, err := b.policy(ctx)
	if err != nil {
		return "", "", err
	}
	found, err := parseStatements(raw)
	if err != nil {
		return "", "", fmt.Errorf("%s: its policy: %w", b, err)
	}
	transport = AnyConn
	if found.has(b.statements(Protections{Transport: TLSOnly}, "")) {
		transport = TLSOnly
	}
	return transport, b.otherEncryption(found), nil
}

// otherEncryption says for which encryption the statements are that refuse all
// others.
func (b *Bucket) otherEncryption(found statementList) string {
	for _, key := range []string{"", found.keyOf(sidKey)} {
		if refused := allBut(key); found.has(b.statements(Protections{OtherEncryption: refused}, key)) {
			return refused
		}
	}
	if found.any(sidMethod, sidKey, sidCustomer) {
		return "refused in part"
	}
	return Allowed
}

// allBut is the state of OtherEncryption in a bucket that encrypts with a key.
func allBut(kmsKey string) string {
	if kmsKey == "" {
		return "all but SSE-S3 refused"
	}
	return "all but SSE-KMS with " + kmsKey + " refused"
}

// demand writes our statements into the bucket's policy and leaves those of others
// as they are, to the byte.
func (b *Bucket) demand(ctx context.Context, want Protections, kmsKey string) error {
	raw, err := b.policy(ctx)
	if err != nil {
		return err
	}
	merged, changed, err := mergeStatements(raw, ourSids, b.statements(want, kmsKey))
	switch {
	case err != nil:
		return fmt.Errorf("%s: its policy: %w; nothing was changed", b, err)
	case !changed:
		return nil
	case merged == nil:
		_, err = b.client.DeleteBucketPolicy(ctx, &awss3.DeleteBucketPolicyInput{Bucket: &b.name})
	default:
		_, err = b.client.PutBucketPolicy(ctx, &awss3.PutBucketPolicyInput{Bucket: &b.name, Policy: aws.String(string(merged))})
	}
	return b.explain(ctx, "writing the policy of "+b.String(), "s3:PutBucketPolicy", err)
}

// policy reads the bucket's policy, nil when it has none.
func (b *Bucket) policy(ctx context.Context) ([]byte, error) {
	out, err := b.client.GetBucketPolicy(ctx, &awss3.GetBucketPolicyInput{Bucket: &b.name})
	if code(err) == "NoSuchBucketPolicy" {
		return nil, nil
	}
	if err != nil {
		return nil, b.explain(ctx, b.reading("the policy"), "s3:GetBucketPolicy", err)
	}
	return []byte(aws.ToString(out.Policy)), nil
}
