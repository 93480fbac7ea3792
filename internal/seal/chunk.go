package seal

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
)

// Position is where a chunk belongs. It is bound into the seal, so a chunk that
// is moved, swapped or replayed elsewhere does not open.
type Position struct {
	Object uint32 // ordinal of the object within the point
	Chunk  uint32 // ordinal of the chunk within the object
	Last   bool   // the object's last chunk: a cut at a chunk border shows
}

// PointKey seals the chunks of one recovery point. Safe for concurrent use.
type PointKey struct {
	aead  cipher.AEAD
	scope string
}

// Overhead is how many bytes longer a sealed chunk is than its plain form.
const Overhead = 16

func newPointKey(k Key, scope []string) *PointKey {
	return &PointKey{aead: k.aead("pgbackup chunk v1"), scope: join(scope)}
}

// The nonce is the position. A point key is drawn for one point and each
// position is sealed once in it, so no nonce is ever used twice with a key.
func (p *PointKey) nonce(pos Position) []byte {
	n := make([]byte, p.aead.NonceSize())
	binary.BigEndian.PutUint32(n[0:], pos.Object)
	binary.BigEndian.PutUint32(n[4:], pos.Chunk)
	return n
}

func (p *PointKey) associated(pos Position, header []byte) []byte {
	a := make([]byte, 0, len(p.scope)+len(header)+9)
	a = append(a, p.scope...)
	a = binary.BigEndian.AppendUint32(a, pos.Object)
	a = binary.BigEndian.AppendUint32(a, pos.Chunk)
	last := byte(0)
	if pos.Last {
		last = 1
	}
	a = append(a, last)
	return append(a, header...)
}

// Seal appends the sealed form of plain to dst. header is authenticated with it.
func (p *PointKey) Seal(dst, plain []byte, pos Position, header []byte) []byte {
	return p.aead.Seal(dst, p.nonce(pos), plain, p.associated(pos, header))
}

// Open appends the plain form of sealed to dst, or fails with ErrDamaged and
// returns no bytes at all. dst may be sealed[:0].
func (p *PointKey) Open(dst, sealed []byte, pos Position, header []byte) ([]byte, error) {
	plain, err := p.aead.Open(dst, p.nonce(pos), sealed, p.associated(pos, header))
	if err != nil {
		return nil, fmt.Errorf("%w: chunk %d of object %d does not authenticate", ErrDamaged, pos.Chunk, pos.Object)
	}
	return plain, nil
}
