package seal

import (
	"context"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
)

// Wrapper is the outer key: it wraps and unwraps the repository key. A local
// 256-bit key is one (Local); a key that never leaves a key service is another.
// repository is the repository's id, which is bound into the result and must be
// the same on Unwrap.
type Wrapper interface {
	// Method names the kind of wrapper in keys/<n>.json, such as "local".
	Method() string
	// KeyID names the outer key without telling anything about it.
	KeyID() string
	Wrap(ctx context.Context, plain []byte, repository string) ([]byte, error)
	// Unwrap fails with ErrWrongKey when the outer key is another one, with
	// ErrDamaged when wrapped is not what Wrap made, and with ErrUnavailable when
	// the key can not be used now and is one that was only guessed at.
	Unwrap(ctx context.Context, wrapped []byte, repository string) ([]byte, error)
}

// Local is a Wrapper made of a 256-bit key that the user keeps.
type Local struct{ Key Key }

// Method implements Wrapper.
func (Local) Method() string { return "local" }

// KeyID implements Wrapper.
func (l Local) KeyID() string { return l.Key.Fingerprint() }

// Wrap implements Wrapper.
func (l Local) Wrap(_ context.Context, plain []byte, repository string) ([]byte, error) {
	return wrap(l.Key.aead("pgbackup outer wrap v1"), plain, keyOfRepository(repository)), nil
}

// Unwrap implements Wrapper.
func (l Local) Unwrap(_ context.Context, wrapped []byte, repository string) ([]byte, error) {
	plain, err := unwrap(l.Key.aead("pgbackup outer wrap v1"), wrapped, keyOfRepository(repository))
	if err != nil {
		return nil, fmt.Errorf("unwrap the %s with key %s: %w", keyOfRepository(repository), l.KeyID(), err)
	}
	return plain, nil
}

// keyOfRepository is what a local key binds into a wrapped repository key.
func keyOfRepository(id string) string { return "repository key of " + id }

// RepositoryKey wraps point keys and authenticates manifests.
type RepositoryKey struct {
	key Key
}

// NewRepositoryKey draws one.
func NewRepositoryKey() *RepositoryKey { return &RepositoryKey{key: NewKey()} }

// WrapWith returns the repository key wrapped by the outer key, bound to the
// repository's id.
func (r *RepositoryKey) WrapWith(ctx context.Context, w Wrapper, repository string) ([]byte, error) {
	return w.Wrap(ctx, r.key.bits()[:], repository)
}

// UnwrapRepositoryKey is the reverse of WrapWith.
func UnwrapRepositoryKey(ctx context.Context, w Wrapper, wrapped []byte, repository string) (*RepositoryKey, error) {
	plain, err := w.Unwrap(ctx, wrapped, repository)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	k, ok := keyOf(plain)
	if !ok {
		return nil, fmt.Errorf("repository key of %s: %w", repository, ErrKeySize)
	}
	return &RepositoryKey{key: k}, nil
}

// ID names the repository key in manifests.
func (r *RepositoryKey) ID() string { return r.key.Fingerprint() }

// NewPointKey draws the key of a new recovery point and returns it with its
// wrapped form for the manifest. scope is the parts that name the point.
func (r *RepositoryKey) NewPointKey(scope ...string) (*PointKey, []byte) {
	k := NewKey()
	wrapped := wrap(r.key.aead("pgbackup point wrap v1"), k.bits()[:], join(scope))
	return newPointKey(k, scope), wrapped
}

// OpenPointKey unwraps a point key from a manifest; ErrWrongKey when it was
// wrapped by another repository key or for another point.
func (r *RepositoryKey) OpenPointKey(wrapped []byte, scope ...string) (*PointKey, error) {
	plain, err := unwrap(r.key.aead("pgbackup point wrap v1"), wrapped, join(scope))
	if err != nil {
		return nil, fmt.Errorf("unwrap key of recovery point %s: %w", strings.Join(scope, "/"), err)
	}
	defer clear(plain)
	k, ok := keyOf(plain)
	if !ok {
		return nil, fmt.Errorf("key of recovery point %s: %w", strings.Join(scope, "/"), ErrKeySize)
	}
	return newPointKey(k, scope), nil
}

// MAC authenticates a manifest's bytes as those of the object called name.
func (r *RepositoryKey) MAC(name string, data []byte) []byte {
	m := hmac.New(sha256.New, r.key.derive("pgbackup manifest mac v1", KeySize))
	m.Write([]byte(join([]string{name})))
	m.Write(data)
	return m.Sum(nil)
}

// CheckMAC fails with ErrEdited when mac is not that of data under name.
func (r *RepositoryKey) CheckMAC(name string, data, mac []byte) error {
	if !hmac.Equal(mac, r.MAC(name, data)) {
		return fmt.Errorf("%w: its HMAC does not match", ErrEdited)
	}
	return nil
}

// String keeps the key out of logs and messages, as Key does.
func (r *RepositoryKey) String() string { return "[repository key " + r.ID() + "]" }

// String and Format name the outer key, and nothing of it.
func (l Local) String() string { return "[local key " + l.KeyID() + "]" }

// Format implements fmt.Formatter for every verb.
func (l Local) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, l.String()) }

func wrap(a cipher.AEAD, plain []byte, what string) []byte {
	nonce := make([]byte, a.NonceSize(), a.NonceSize()+len(plain)+a.Overhead())
	_, _ = rand.Read(nonce) // one of few: random nonces are safe far beyond this number
	return a.Seal(nonce, nonce, plain, []byte(what))
}

func unwrap(a cipher.AEAD, wrapped []byte, what string) ([]byte, error) {
	if len(wrapped) < a.NonceSize() {
		return nil, fmt.Errorf("%w: the wrapped key is cut short", ErrDamaged)
	}
	plain, err := a.Open(nil, wrapped[:a.NonceSize()], wrapped[a.NonceSize():], []byte(what))
	if err != nil {
		return nil, ErrWrongKey
	}
	return plain, nil
}

// join makes one unambiguous string of parts: no two lists share one.
func join(parts []string) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%d:%s,", len(p), p)
	}
	return b.String()
}
