package physical

import (
	"hash/crc32"
	"testing"

	"pgregory.net/rapid"
)

func TestTheChecksumOfAFileIsMadeOfThoseOfItsParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var whole []byte
		sum := uint32(0)
		for _, part := range rapid.SliceOfN(rapid.SliceOf(rapid.Byte()), 0, 8).Draw(t, "parts") {
			whole = append(whole, part...)
			sum = joined(sum, crc32.Checksum(part, castagnoli), int64(len(part)))
		}
		if want := crc32.Checksum(whole, castagnoli); sum != want {
			t.Fatalf("%08x, want %08x", sum, want)
		}
	})
}

func TestThatHoldsForManyZerosToo(t *testing.T) {
	t.Parallel()
	zeros := make([]byte, 9<<20)
	for _, n := range []int{1, 4095, 1 << 20, 9 << 20} {
		first := crc32.Checksum([]byte("head"), castagnoli)
		want := crc32.Update(first, castagnoli, zeros[:n])
		if got := joined(first, crc32.Checksum(zeros[:n], castagnoli), int64(n)); got != want {
			t.Errorf("%d: %08x, want %08x", n, got, want)
		}
	}
}
