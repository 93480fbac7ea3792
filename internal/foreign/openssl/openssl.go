// Package openssl reads what `openssl enc -aes-256-cbc` wrote with a passphrase.
//
// What lives here: the format, its key derivations, and taking off the padding at
// the end. What must not: where a passphrase comes from, and any trust in what
// was decrypted: CBC has no authentication, so nothing here can tell whether
// somebody changed the file.
package openssl

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5" //nolint:gosec // what OpenSSL before 1.1 derives keys with
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Magic begins every file; eight bytes of salt follow.
const Magic = "Salted__"

// DefaultIterations of PBKDF2 when `openssl enc -pbkdf2` is given no -iter.
const DefaultIterations = 10_000

// MaxIterations bounds what is tried: a hundred million take a minute.
const MaxIterations = 100_000_000

const saltSize = 8

// Errors for errors.Is.
var (
	// ErrNotEncrypted: the stream does not begin as openssl enc writes it.
	ErrNotEncrypted = errors.New("not a file of openssl enc")
	// ErrPadding: the end is not what was written with this passphrase: the passphrase
	// is wrong, or the file was cut or changed.
	ErrPadding = errors.New("the end does not decrypt: the passphrase is wrong, or the file is cut or was changed")
)

// Derivation turns a passphrase into key and initialisation vector.
type Derivation struct {
	// Iterations of PBKDF2 with HMAC-SHA256; 0 is the derivation of openssl enc without
	// -pbkdf2, by Digest.
	Iterations int
	Digest     func() hash.Hash
	Name       string // for people
}

// Derivations are those to try: PBKDF2 as -iter says, then what openssl enc does
// without -pbkdf2, since 1.1 and before.
func Derivations(iterations int) []Derivation {
	if iterations == 0 {
		iterations = DefaultIterations
	}
	return []Derivation{
		{Iterations: iterations, Name: fmt.Sprintf("-pbkdf2 -iter %d", iterations)},
		{Digest: sha256.New, Name: "without -pbkdf2"},
		{Digest: md5.New, Name: "-md md5 without -pbkdf2"},
	}
}

func (d Derivation) key(passphrase, salt []byte) ([]byte, error) {
	const size = 32 + aes.BlockSize
	if d.Iterations > 0 {
		return pbkdf2.Key(sha256.New, string(passphrase), salt, d.Iterations, size)
	}
	// EVP_BytesToKey with one round.
	var out, last []byte
	for len(out) < size {
		h := d.Digest()
		h.Write(last)
		h.Write(passphrase)
		h.Write(salt)
		last = h.Sum(nil)
		out = append(out, last...)
	}
	return out[:size], nil
}

// Reader decrypts a stream.
type Reader struct {
	src   *bufio.Reader
	mode  cipher.BlockMode
	clear []byte // decrypted and not yet read
	buf   []byte
	err   error
}

const bufferSize = 64 << 10 // a multiple of the block size

// NewReader reads the header of src and decrypts the rest as it is read. The last
// block is checked: its padding wrong is ErrPadding.
func NewReader(src io.Reader, passphrase []byte, d Derivation) (*Reader, error) {
	head := make([]byte, len(Magic)+saltSize)
	if _, err := io.ReadFull(src, head); err != nil || string(head[:len(Magic)]) != Magic {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		return nil, ErrNotEncrypted
	}
	key, err := d.key(passphrase, head[len(Magic):])
	if err != nil {
		return nil, fmt.Errorf("derive the key: %w", err)
	}
	block, err := aes.NewCipher(key[:32])
	if err != nil {
		return nil, err
	}
	return &Reader{
		src: bufio.NewReaderSize(src, 2*bufferSize), mode: cipher.NewCBCDecrypter(block, key[32:]), buf: make([]byte, bufferSize),
	}, nil
}

// Read gives plain bytes.
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.clear) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.more()
	}
	n := copy(p, r.clear)
	r.clear = r.clear[n:]
	return n, nil
}

// more decrypts the next blocks; the last one of the file gives up its padding.
func (r *Reader) more() {
	n, err := io.ReadFull(r.src, r.buf)
	switch {
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		r.err = err
		return
	case n == 0 || n%aes.BlockSize != 0:
		r.err = ErrPadding
		return
	}
	blocks := r.buf[:n]
	r.mode.CryptBlocks(blocks, blocks)
	r.clear = blocks
	if err == nil {
		if _, more := r.src.Peek(1); more == nil {
			return
		} else if more != io.EOF {
			r.err = more
			return
		}
	}
	pad := int(blocks[n-1])
	if pad == 0 || pad > aes.BlockSize {
		r.clear, r.err = nil, ErrPadding
		return
	}
	for _, b := range blocks[n-pad:] {
		if int(b) != pad {
			r.clear, r.err = nil, ErrPadding
			return
		}
	}
	r.clear, r.err = blocks[:n-pad], io.EOF
}

// Prefix decrypts the whole blocks at the beginning of a file, to see what is in
// it. Padding is left on.
func Prefix(head, passphrase []byte, d Derivation) ([]byte, error) {
	if len(head) < len(Magic)+saltSize || string(head[:len(Magic)]) != Magic {
		return nil, ErrNotEncrypted
	}
	key, err := d.key(passphrase, head[len(Magic):len(Magic)+saltSize])
	if err != nil {
		return nil, fmt.Errorf("derive the key: %w", err)
	}
	block, err := aes.NewCipher(key[:32])
	if err != nil {
		return nil, err
	}
	body := head[len(Magic)+saltSize:]
	out := make([]byte, len(body)/aes.BlockSize*aes.BlockSize)
	cipher.NewCBCDecrypter(block, key[32:]).CryptBlocks(out, body[:len(out)])
	return out, nil
}
