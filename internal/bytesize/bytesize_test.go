package bytesize

import (
	"math"
	"testing"
)

func TestSizesHaveOneDigitAfterThePointAndNoFourBefore(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		-1: "-1 B", 0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB",
		5 << 30: "5.0 GiB", 1 << 50: "1.0 PiB", math.MaxInt64: "8.0 EiB",
	} {
		if got := Text(n); got != want {
			t.Errorf("%d: %q instead of %q", n, got, want)
		}
	}
}
