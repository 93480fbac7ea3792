// Package seal is pgbackup's client-side encryption: the key hierarchy and the
// authenticated sealing of chunks and manifests.
//
//	outer key (user's 256-bit key, or one in AWS KMS) wraps
//	  the repository key, which wraps
//	    one key per recovery point, which seals the point's chunks.
//
// Everything is AES-256-GCM, HKDF-SHA-256 and HMAC-SHA-256 from the standard
// library. What must not live here: where keys come from (package secret) and
// how chunks are framed and stored (package repo).
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// KeySize is the size in bytes of every key: 256 bits.
const KeySize = 32

// Errors a caller may test for with errors.Is.
var (
	// ErrKeySize: the text given as a key does not decode to 256 bits.
	ErrKeySize = errors.New("key is not 256 bits")
	// ErrWrongKey: the key does not open what it was tried on.
	ErrWrongKey = errors.New("wrong key")
	// ErrUnavailable: the outer key is not within reach here. Only of a key that
	// nobody named: another one may open the repository.
	ErrUnavailable = errors.New("key is not available")
	// ErrDamaged: the bytes do not authenticate: a bit flipped, or somebody
	// edited them.
	ErrDamaged = errors.New("sealed data is damaged")
	// ErrEdited: a manifest's HMAC does not match its content.
	ErrEdited = errors.New("manifest was edited")
)

// Key is 256 secret bits. It never prints itself: not with any verb of fmt, and
// not from within another structure either. There fmt can not call methods of
// unexported fields, and follows pointers for a verb that does not fit; a
// function is all it never looks into. The zero Key is no key; using it panics
// rather than sealing with a known one.
type Key struct{ bits func() *[KeySize]byte }

// NewKey draws a key from the operating system's random source.
func NewKey() Key {
	b := new([KeySize]byte)
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return Key{func() *[KeySize]byte { return b }}
}

// keyOf copies b, which must have KeySize bytes.
func keyOf(b []byte) (Key, bool) {
	if len(b) != KeySize {
		return Key{}, false
	}
	own := [KeySize]byte(b)
	return Key{func() *[KeySize]byte { return &own }}, true
}

// ParseKey reads a key as people keep them: 64 hex digits, 44 characters of
// base64, or 32 raw bytes; one trailing line end is allowed. The error never
// contains the text.
func ParseKey(text []byte) (Key, error) {
	for _, raw := range [][]byte{text, bytes.TrimSuffix(text, []byte("\n")), bytes.TrimSuffix(text, []byte("\r\n"))} {
		if k, ok := keyOf(raw); ok {
			return k, nil
		}
	}
	text = bytes.TrimSpace(text)
	decoded := make([]byte, len(text)+KeySize) // room for what any decoder wants
	defer clear(decoded)
	if n, err := hex.Decode(decoded, text); err == nil {
		if k, ok := keyOf(decoded[:n]); ok {
			return k, nil
		}
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if n, err := enc.Strict().Decode(decoded, text); err == nil {
			if k, ok := keyOf(decoded[:n]); ok {
				return k, nil
			}
		}
	}
	return Key{}, fmt.Errorf("%w: it has %d characters; give 64 hex digits or 44 characters of base64, as `pgbackup-runner key generate` writes them", ErrKeySize, len(text))
}

// Encode returns the key as base64: the one form in which a key leaves the
// program, written by `key generate`.
func (k Key) Encode() string { return base64.StdEncoding.EncodeToString(k.bits()[:]) }

// Equal tells whether two keys are the same, in constant time.
func (k Key) Equal(other Key) bool {
	return k.bits != nil && other.bits != nil && subtle.ConstantTimeCompare(k.bits()[:], other.bits()[:]) == 1
}

// Fingerprint names a key without telling anything about it: 16 hex digits.
func (k Key) Fingerprint() string {
	return hex.EncodeToString(k.derive("pgbackup fingerprint v1", 8))
}

// String, GoString, Format and LogValue keep the key out of logs and messages.
func (k Key) String() string {
	if k.bits == nil {
		return "[no key]"
	}
	return "[key " + k.Fingerprint() + "]"
}

// GoString implements fmt.GoStringer.
func (k Key) GoString() string { return k.String() }

// Format implements fmt.Formatter for every verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue implements slog.LogValuer.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalJSON refuses: a key is never part of a document.
func (k Key) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a key can not be written to JSON")
}

func (k Key) derive(info string, n int) []byte {
	out, err := hkdf.Key(sha256.New, k.bits()[:], nil, info, n)
	if err != nil { // only for absurd n
		panic(err)
	}
	return out
}

func (k Key) aead(info string) cipher.AEAD {
	return newGCM(k.derive(info, KeySize))
}

func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the size is ours
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}
