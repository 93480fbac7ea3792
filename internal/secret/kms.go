package secret

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// KMSContext names the repository's id in the encryption context of every call to
// KMS, where CloudTrail shows it and key policies may ask for it.
const KMSContext = "pgbackup:repository"

// kmsKey is a seal.Wrapper over a symmetric key of AWS KMS. What it wraps is
// sealed here, with a data key that KMS draws and alone can open again: the
// repository key itself is never sent anywhere.
type kmsKey struct {
	arn    string
	id     string
	client *kms.Client
}

// kmsKey prepares the use of a key. Nothing is asked of KMS yet.
func (s Source) kmsKey(ctx context.Context, keyARN string) (*kmsKey, error) {
	id, err := kmsKeyID(keyARN)
	if err != nil {
		return nil, err
	}
	cfg, err := s.access(ctx, keyARN)
	if err != nil {
		return nil, err
	}
	return &kmsKey{arn: keyARN, id: id, client: kms.NewFromConfig(cfg)}, nil
}

// kmsKeyID is what names a key for ever: its ARN, of a multi-Region key without the
// region, for its replicas open what it sealed. An alias is none: whoever points it
// at another key would lock the repository.
func kmsKeyID(keyARN string) (string, error) {
	parsed, err := arn.Parse(keyARN)
	if err != nil || parsed.Service != "kms" || parsed.Region == "" {
		return "", fmt.Errorf("%w: it is not the ARN of a KMS key, such as arn:aws:kms:us-east-1:111122223333:key/…", secretref.ErrNotReference)
	}
	key, isKey := strings.CutPrefix(parsed.Resource, "key/")
	if !isKey || key == "" {
		return "", fmt.Errorf("an alias as a key is %w: name the key by its own ARN (…:key/…), for an alias can be pointed at another key, and then the backups could not be read", ErrUnsupported)
	}
	if strings.HasPrefix(key, "mrk-") {
		parsed.Region = ""
	}
	return parsed.String(), nil
}

// Method implements seal.Wrapper.
func (*kmsKey) Method() string { return "kms" }

// KeyID implements seal.Wrapper.
func (k *kmsKey) KeyID() string { return k.id }

func (k *kmsKey) String() string { return "[KMS key " + k.id + "]" }

func encryptionContext(repository string) map[string]string {
	return map[string]string{KMSContext: repository}
}

// Wrap gives the length of the encrypted data key in two bytes, that key, and what
// it sealed.
func (k *kmsKey) Wrap(ctx context.Context, plain []byte, repository string) ([]byte, error) {
	out, err := k.client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: &k.arn, KeySpec: types.DataKeySpecAes256, EncryptionContext: encryptionContext(repository),
	})
	if err != nil {
		return nil, k.explain(ctx, "asking KMS for a data key", "kms:GenerateDataKey", err)
	}
	defer clear(out.Plaintext)
	data, err := seal.ParseKey(out.Plaintext)
	if err != nil || len(out.CiphertextBlob) == 0 || len(out.CiphertextBlob) > 1<<16-1 {
		return nil, fmt.Errorf("asking KMS for a data key of %s: its answer holds no 256-bit key", k.arn)
	}
	sealed, err := seal.Local{Key: data}.Wrap(ctx, plain, repository)
	if err != nil {
		return nil, err
	}
	wrapped := binary.BigEndian.AppendUint16(nil, uint16(len(out.CiphertextBlob)))
	return append(append(wrapped, out.CiphertextBlob...), sealed...), nil
}

// Unwrap is the reverse of Wrap.
func (k *kmsKey) Unwrap(ctx context.Context, wrapped []byte, repository string) ([]byte, error) {
	if len(wrapped) < 2 || len(wrapped)-2 < int(binary.BigEndian.Uint16(wrapped)) {
		return nil, fmt.Errorf("%w: the key wrapped by KMS is cut short", seal.ErrDamaged)
	}
	n := 2 + int(binary.BigEndian.Uint16(wrapped))
	out, err := k.client.Decrypt(ctx, &kms.DecryptInput{
		KeyId: &k.arn, CiphertextBlob: wrapped[2:n], EncryptionContext: encryptionContext(repository),
	})
	switch {
	case awsapi.Is(err, "InvalidCiphertextException"):
		return nil, fmt.Errorf("%w: KMS does not open the data key that %s is said to have made for repository %s", seal.ErrDamaged, k.arn, repository)
	case awsapi.Is(err, "IncorrectKeyException"):
		return nil, fmt.Errorf("%w: another KMS key than %s made the data key", seal.ErrWrongKey, k.arn)
	case err != nil:
		return nil, k.explain(ctx, "asking KMS to open the repository key", "kms:Decrypt", err)
	}
	defer clear(out.Plaintext)
	data, err := seal.ParseKey(out.Plaintext)
	if err != nil {
		return nil, fmt.Errorf("%w: what KMS opened is no 256-bit key", seal.ErrDamaged)
	}
	return seal.Local{Key: data}.Unwrap(ctx, wrapped[n:], repository)
}

// explain adds the way back to what KMS says of a key that can not be used.
func (k *kmsKey) explain(ctx context.Context, doing, permission string, err error) error {
	hint := ""
	switch {
	case awsapi.Is(err, "DisabledException"):
		hint = "; enable the key again: aws kms enable-key"
	case awsapi.Is(err, "KMSInvalidStateException"):
		hint = "; if it is about to be deleted, stop that now, without it the backups can not be read: aws kms cancel-key-deletion, then enable-key"
	case awsapi.Is(err, "NotFoundException"):
		hint = "; look at account and region of the ARN. A key that was deleted is gone for good: then only another key that was added with `pgbackup-runner key rotate` opens the repository"
	}
	explained := awsapi.Explain(ctx, doing+" ("+k.arn+")", permission+" on the key, with encryption context "+KMSContext, err)
	if errors.Is(explained, awsapi.ErrGone) {
		explained = fmt.Errorf("%w: %w", ErrMissing, explained)
	}
	return fmt.Errorf("%w%s", explained, hint)
}

var _ seal.Wrapper = (*kmsKey)(nil)
