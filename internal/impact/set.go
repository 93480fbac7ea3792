package impact

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// Set stands for a set of recovery points: their number, and the sum modulo
// 2^256 of the SHA-256 of their names. Points come and go without the others
// being looked at, in any order. The zero value is the empty set; equal sets
// are equal by ==.
//
// It tells one loss from another among people who mean well. It is no seal:
// with free choice of many names, sums can be made to agree, but whoever can
// write names into a repository can delete from it as well.
type Set struct {
	n   int
	sum [4]uint64 // least significant first
}

// SetOf is the set of the one point of that name: <source>/<kind>/<id>.
func SetOf(name string) Set {
	h := sha256.Sum256([]byte(name))
	s := Set{n: 1}
	for i := range s.sum {
		s.sum[i] = binary.BigEndian.Uint64(h[len(h)-8*(i+1):])
	}
	return s
}

// Add puts the points of other into s. None of them may be in it.
func (s *Set) Add(other Set) {
	s.n += other.n
	carry := uint64(0)
	for i := range s.sum {
		s.sum[i], carry = bits.Add64(s.sum[i], other.sum[i], carry)
	}
}

// Remove takes the points of other out of s. All of them must be in it.
func (s *Set) Remove(other Set) {
	s.n -= other.n
	borrow := uint64(0)
	for i := range s.sum {
		s.sum[i], borrow = bits.Sub64(s.sum[i], other.sum[i], borrow)
	}
}

// Len is the number of points.
func (s Set) Len() int { return s.n }

// hash is the sum, 32 bytes, most significant first.
func (s Set) hash() []byte {
	var b []byte
	for i := len(s.sum) - 1; i >= 0; i-- {
		b = binary.BigEndian.AppendUint64(b, s.sum[i])
	}
	return b
}
