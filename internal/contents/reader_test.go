package contents_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/contents"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// archive is a tar of two files and a directory, the last file all zeros.
func archive(t *testing.T, more ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range append([]*tar.Header{
		{Typeflag: tar.TypeDir, Name: "etc/", Mode: 0o755},
		{Typeflag: tar.TypeReg, Name: "etc/a", Mode: 0o600, Size: 700},
		{Typeflag: tar.TypeReg, Name: "etc/zeros", Mode: 0o600, Size: 4096},
	}, more...) {
		h.Format = tar.FormatPAX
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		fill := "a"
		if h.Name == "etc/zeros" {
			fill = "\x00"
		}
		if _, err := w.Write([]byte(strings.Repeat(fill, int(h.Size)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestAWholeTarIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	list, err := contents.Read(bytes.NewReader(archive(t)), nil)
	if err != nil || list.Count != 3 || list.Files != 2 || list.Bytes != 4796 {
		t.Fatalf("%+v %v", list, err)
	}
}

// Also where Go's own reader sees no fault: at the boundary of an entry.
func TestATarCutAnywhereIsDamaged(t *testing.T) {
	t.Parallel()
	whole := archive(t)
	for cut := 0; cut < len(whole); cut += 256 {
		if _, err := contents.Read(bytes.NewReader(whole[:cut]), nil); !errors.Is(err, repo.ErrDamaged) {
			t.Errorf("cut to %d of %d bytes: %v", cut, len(whole), err)
		}
	}
}

func TestBytesAfterTheEndAreDamage(t *testing.T) {
	t.Parallel()
	for _, more := range [][]byte{{0}, make([]byte, 10240), archive(t)} {
		if _, err := contents.Read(bytes.NewReader(append(archive(t), more...)), nil); !errors.Is(err, repo.ErrDamaged) {
			t.Errorf("%d bytes more: %v", len(more), err)
		}
	}
}

func TestEntriesThatAreNeverStoredAreDamage(t *testing.T) {
	t.Parallel()
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeChar, Name: "dev/sda"},
		{Typeflag: tar.TypeFifo, Name: "pipe"},
	} {
		if _, err := contents.Read(bytes.NewReader(archive(t, h)), nil); !errors.Is(err, repo.ErrDamaged) {
			t.Errorf("%s: %v", h.Name, err)
		}
	}
}

func TestAFlippedHeaderIsDamage(t *testing.T) {
	t.Parallel()
	whole := archive(t)
	for at := 0; at < 148; at += 37 { // before the checksum, which may be written in several ways
		flipped := bytes.Clone(whole)
		flipped[at] ^= 0x10
		if _, err := contents.Read(bytes.NewReader(flipped), nil); err == nil {
			t.Errorf("byte %d", at)
		}
	}
}
