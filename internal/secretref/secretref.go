// Package secretref is the written form of a reference to a secret: where it
// is, never what it is (law 6).
//
// It is pure: reading the secret a reference points to is the business of the
// adapters. No error of this package repeats the text it was given, because a
// user's likeliest mistake is to write the secret itself.
package secretref

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
)

// The schemes a reference can have.
const (
	Env            = "env"            // env:NAME, an environment variable of the runner
	File           = "file"           // file:/absolute/path, a file the runner can read
	KMS            = "kms"            // kms:ARN, an AWS KMS key
	SecretsManager = "secretsmanager" // secretsmanager:NAME or ARN
	SSM            = "ssm"            // ssm:NAME, a Systems Manager parameter
)

// Schemes lists every scheme of the written form.
func Schemes() []string { return []string{Env, File, SecretsManager, SSM, KMS} }

// ErrNotReference is wrapped by the error for text that is no reference at all,
// most likely a literal secret.
var ErrNotReference = errors.New("not a reference to a secret")

// Ref is a parsed reference. The zero value refers to nothing.
type Ref struct {
	Scheme string // one of the constants above
	Value  string // variable name, path, ARN or name
	Field  string // key inside a JSON secret, "" for the whole secret
}

var (
	envName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,254}$`)
	fieldName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)
	awsName   = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!:*-]+$`)
)

// maxLength is the longest reference read; AWS names end at 2048 characters.
const maxLength = 4096

// Parse reads "scheme:value" or "scheme:value#field".
func Parse(s string) (Ref, error) {
	if len(s) > maxLength {
		return Ref{}, fmt.Errorf("%w: it is longer than %d characters", ErrNotReference, maxLength)
	}
	if s == "" {
		return Ref{}, fmt.Errorf("%w: it is empty; write secretsmanager:NAME, ssm:NAME, kms:ARN, file:/path or env:NAME", ErrNotReference)
	}
	scheme, value, found := strings.Cut(s, ":")
	if !found || !known(scheme) {
		return Ref{}, fmt.Errorf("%w%s; secrets are never written here, only where to find them: secretsmanager:NAME, ssm:NAME, file:/path or env:NAME (the text given is not repeated in case it is the secret)",
			ErrNotReference, schemeHint(scheme, found))
	}
	ref := Ref{Scheme: scheme, Value: value}
	// A path may contain '#'; only the last one can separate a field, and a
	// path with a '#' but without a field ends in "#".
	if i := strings.LastIndexByte(value, '#'); i >= 0 {
		ref.Value, ref.Field = value[:i], value[i+1:]
		if ref.Field != "" && !fieldName.MatchString(ref.Field) {
			return Ref{}, fmt.Errorf("%s reference: what follows '#' must be one key of a JSON secret (letters, digits, '_', '.', '-')", scheme)
		}
	}
	return ref, ref.check()
}

func (r Ref) check() error {
	switch r.Scheme {
	case Env:
		if !envName.MatchString(r.Value) {
			return errors.New("env reference: after \"env:\" comes the name of an environment variable (letters, digits, '_'), not its value")
		}
	case File:
		if !strings.HasPrefix(r.Value, "/") {
			return errors.New("file reference: after \"file:\" comes an absolute path such as file:/etc/pgbackup/key")
		}
		if strings.ContainsAny(r.Value, "\x00\n\r") || strings.HasSuffix(r.Value, "/") {
			return errors.New("file reference: the path must name a file and hold no line breaks")
		}
	case KMS:
		if !strings.HasPrefix(r.Value, "arn:") || !awsName.MatchString(r.Value) {
			return errors.New("kms reference: after \"kms:\" comes the ARN of a key, such as kms:arn:aws:kms:us-east-1:111122223333:key/…")
		}
		if r.Field != "" {
			return errors.New("kms reference: a key has no fields, leave out what follows '#'")
		}
	default:
		if !awsName.MatchString(r.Value) {
			return fmt.Errorf("%s reference: after %q comes a name or an ARN", r.Scheme, r.Scheme+":")
		}
	}
	return nil
}

// String gives the written form, which holds no secret.
func (r Ref) String() string {
	if r.IsZero() {
		return ""
	}
	s := r.Scheme + ":" + r.Value
	if r.Field != "" || strings.Contains(r.Value, "#") {
		s += "#" + r.Field
	}
	return s
}

// IsZero reports whether r refers to nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// MarshalText gives the written form.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is Parse.
func (r *Ref) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

func known(scheme string) bool {
	for _, s := range Schemes() {
		if s == scheme {
			return true
		}
	}
	return false
}

// schemeHint suggests a scheme for a mistyped one. It quotes only our own word:
// what stands before the colon may be half of a password.
func schemeHint(scheme string, found bool) string {
	if !found || len(scheme) > 20 {
		return ""
	}
	if name, ok := nearest.Name(scheme, Schemes()); ok {
		return fmt.Sprintf(" (the scheme %q was perhaps meant)", name+":")
	}
	return ""
}
