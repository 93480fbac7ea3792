// Package secret reads the secrets that references (package secretref) point
// to, at the moment they are needed.
//
// What lives here: the adapters for each scheme and turning a repository's key
// reference into a key. What must not: parsing references, keeping secrets, and
// printing them: no error or log line of this package holds a secret.
package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
)

// Errors a caller may test for with errors.Is.
var (
	// ErrMissing: the variable is not set, or the file, the secret or the key is
	// not there.
	ErrMissing = errors.New("secret not found")
	// ErrUnsupported: that kind of reference can not be read here.
	ErrUnsupported = errors.New("not available here")
)

// maxSecret bounds a secret in bytes: whatever is larger was not meant to be one.
const maxSecret = 1 << 20

// Source reads secrets. The zero value reads those of this machine, env: and
// file:, and is silent.
type Source struct {
	// AWS gives the way to the services of AWS in a region, "" for the one of the
	// configuration. It is called when a reference needs it. nil: there is none,
	// and references to AWS are ErrUnsupported.
	AWS func(ctx context.Context, region string) (aws.Config, error)
	// Log is told of secrets that others may read; nil is silent.
	Log *slog.Logger
}

func (s Source) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// Resolve reads what ref points to. Of a file, one trailing line end is not part
// of the secret; of a JSON secret with a field, the field's text is it. A KMS key
// holds no text: see Key.
func (s Source) Resolve(ctx context.Context, ref secretref.Ref) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var value []byte
	var err error
	switch ref.Scheme {
	case secretref.Env:
		value, err = fromEnvironment(ref.Value)
	case secretref.File:
		value, err = fromFile(ref.Value, s.log())
	case secretref.SecretsManager:
		value, err = s.fromSecretsManager(ctx, ref.Value)
	case secretref.SSM:
		value, err = s.fromParameter(ctx, ref.Value)
	case secretref.KMS:
		err = fmt.Errorf("a KMS key holds no text, only a repository's key may be one: %w", ErrUnsupported)
	default:
		return nil, fmt.Errorf("%w: it is empty", secretref.ErrNotReference)
	}
	if err == nil && ref.Field != "" {
		value, err = field(value, ref.Field)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ref, err)
	}
	return value, nil
}

// field takes one text out of a JSON object, as Secrets Manager keeps them.
func field(secret []byte, name string) ([]byte, error) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(secret, &fields) != nil { // its error may quote the secret
		return nil, fmt.Errorf("the secret is not a JSON object, so it has no field %q; leave out \"#%s\" for the whole secret", name, name)
	}
	raw, ok := fields[name]
	if !ok {
		names := make([]string, 0, len(fields))
		for n := range fields {
			names = append(names, n)
		}
		hint := ""
		if near, ok := nearest.Name(name, names); ok {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return nil, fmt.Errorf("%w: the JSON secret has no field %q%s", ErrMissing, name, hint)
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return nil, fmt.Errorf("field %q of the JSON secret is not a text", name)
	}
	if text == "" {
		return nil, fmt.Errorf("%w: field %q of the JSON secret is empty", ErrMissing, name)
	}
	return []byte(text), nil
}
