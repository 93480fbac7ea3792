package checksum_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore/checksum"
)

func TestTheCatalogueCheckValueIsMet(t *testing.T) {
	// https://reveng.sourceforge.io/crc-catalogue/all.htm, CRC-64/NVME, check.
	if got := checksum.CRC64NVME([]byte("123456789")); got != 0xae8b14860a799888 {
		t.Errorf("CRC64NVME = %x", got)
	}
}

func TestCombiningPartsGivesTheChecksumOfTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "a")
		b := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "b")
		whole := checksum.CRC64NVME(append(append([]byte{}, a...), b...))
		if got := checksum.Combine(checksum.CRC64NVME(a), checksum.CRC64NVME(b), int64(len(b))); got != whole {
			t.Fatalf("Combine = %x, want %x", got, whole)
		}
		if got := checksum.Update(checksum.CRC64NVME(a), b); got != whole {
			t.Fatalf("Update = %x, want %x", got, whole)
		}
	})
}

func TestCombiningWorksForPartsOfManyMebibytes(t *testing.T) {
	a, b := []byte("head"), make([]byte, 9<<20+17)
	b[len(b)-1] = 7
	got := checksum.Combine(checksum.CRC64NVME(a), checksum.CRC64NVME(b), int64(len(b)))
	if want := checksum.CRC64NVME(append(a, b...)); got != want {
		t.Errorf("Combine = %x, want %x", got, want)
	}
}
