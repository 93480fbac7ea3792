package physical

import "hash/crc32"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Parts of a file are written by several workers, in any order. The checksum of the
// whole comes from those of its parts: appending n bytes to a text multiplies its
// CRC by x^8n in the field the polynomial makes (the method of zlib's crc32_combine).

// matrix is a linear map of 32 bits: column i is what bit i becomes.
type matrix [32]uint32

func (m *matrix) times(v uint32) (sum uint32) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			sum ^= m[i]
		}
	}
	return sum
}

func (m *matrix) squared() (s matrix) {
	for i := range m {
		s[i] = m.times(m[i])
	}
	return s
}

// byteShifts[k] appends 2^k zero bytes.
var byteShifts = func() (shifts [63]matrix) {
	var bit matrix
	bit[0] = crc32.Castagnoli
	for i := 1; i < 32; i++ {
		bit[i] = 1 << (i - 1)
	}
	two := bit.squared()
	four := two.squared()
	shifts[0] = four.squared()
	for k := 1; k < len(shifts); k++ {
		shifts[k] = shifts[k-1].squared()
	}
	return shifts
}()

// joined is the CRC-32C of a text whose CRC is first, followed by one of n bytes
// whose CRC is second.
func joined(first, second uint32, n int64) uint32 {
	for k := 0; n > 0; k, n = k+1, n>>1 {
		if n&1 != 0 {
			first = byteShifts[k].times(first)
		}
	}
	return first ^ second
}
