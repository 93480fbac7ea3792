package pgarchive

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// Hash is the order-independent content hash defined in the package
// documentation. The zero value is the hash of no rows.
type Hash struct{ Hi, Lo uint64 }

// add adds one row's hash modulo 2^128.
func (h *Hash) add(u xxh3.Uint128) {
	var carry uint64
	h.Lo, carry = bits.Add64(h.Lo, u.Lo, 0)
	h.Hi, _ = bits.Add64(h.Hi, u.Hi, carry)
}

// String is the hash as 32 lower-case hexadecimal digits, most significant first.
func (h Hash) String() string { return fmt.Sprintf("%016x%016x", h.Hi, h.Lo) }

// MarshalText writes the hash as String does.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 32 hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	var b [16]byte
	if len(text) != 32 {
		return fmt.Errorf("content hash %q: want 32 hexadecimal digits, have %d", text, len(text))
	}
	if _, err := hex.Decode(b[:], text); err != nil {
		return fmt.Errorf("content hash %q: %w", text, err)
	}
	h.Hi, h.Lo = binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	return nil
}

// Sum is what is known of the content of one data entry.
type Sum struct {
	// Rows is the number of COPY lines of a table, or of large objects.
	Rows int64 `json:"rows"`
	// Bytes is the length of the COPY text with its newlines and without the
	// end mark, or the length of all large objects.
	Bytes int64 `json:"bytes"`
	Hash  Hash  `json:"hash"`
}

// String is for messages: "12 rows, 340 bytes, hash 0f…".
func (s Sum) String() string {
	return fmt.Sprintf("%d rows, %d bytes, hash %s", s.Rows, s.Bytes, s.Hash)
}

// Add is the sum of the rows of both.
func (s Sum) Add(other Sum) Sum {
	return Sum{Rows: s.Rows + other.Rows, Bytes: s.Bytes + other.Bytes, Hash: s.Hash.Add(other.Hash)}
}
