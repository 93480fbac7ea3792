// Package checksum computes CRC-64/NVME, the full-object checksum that object
// stores keep, and combines those of parts into that of the whole.
//
// What must not live here: cryptographic hashes; a CRC finds accidents only.
package checksum

import "github.com/minio/crc64nvme"

// CRC64NVME of data.
func CRC64NVME(data []byte) uint64 { return crc64nvme.Checksum(data) }

// Update continues crc, the checksum of what came before, over data.
func Update(crc uint64, data []byte) uint64 { return crc64nvme.Update(crc, data) }

// Combine returns the checksum of A followed by B from the checksums of A and B
// and the length of B in bytes, without either's bytes. It is the method of
// zlib's crc32_combine: appending B multiplies A's polynomial by x^(8*lenB),
// and the initial and final inversions cancel out.
func Combine(crcA, crcB uint64, lenB int64) uint64 {
	shift := uint64(one)
	for n, k := uint64(lenB), 3; n != 0; n, k = n>>1, k+1 { // 3: a byte is 2^3 bits
		if n&1 != 0 {
			shift = multiply(powers[k], shift)
		}
	}
	return multiply(shift, crcA) ^ crcB
}

// one is the polynomial x^0: bits are reflected, the highest power comes last.
const one = 1 << 63

// powers[k] is x^(2^k) modulo the NVME polynomial. 67 = 3 + the bits of a length.
var powers = func() (p [67]uint64) {
	p[0] = one >> 1
	for k := 1; k < len(p); k++ {
		p[k] = multiply(p[k-1], p[k-1])
	}
	return p
}()

// multiply two reflected polynomials modulo the NVME polynomial.
func multiply(a, b uint64) uint64 {
	var product uint64
	for m := uint64(one); m != 0; m >>= 1 {
		if a&m != 0 {
			product ^= b
		}
		if b&1 != 0 {
			b = b>>1 ^ crc64nvme.NVME
		} else {
			b >>= 1
		}
	}
	return product
}
