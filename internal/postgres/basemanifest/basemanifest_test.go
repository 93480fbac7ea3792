package basemanifest_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/basemanifest"
)

// manifest is as a server writes it, with its checksum.
func manifest(body string) string {
	return fmt.Sprintf("%s\"Manifest-Checksum\": \"%x\"}\n", body, sha256.Sum256([]byte(body)))
}

var whole = manifest(`{ "PostgreSQL-Backup-Manifest-Version": 2,
"System-Identifier": 7576000123456789012,
"Files": [
{ "Path": "backup_label", "Size": 227, "Last-Modified": "2026-03-01 02:00:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "8a2b5cfe" },
{ "Encoded-Path": "636166e92e747874", "Size": 5, "Last-Modified": "2026-03-01 02:00:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "00000000" }
],
"WAL-Ranges": [
{ "Timeline": 2, "Start-LSN": "0/3000100", "End-LSN": "0/3000200" },
{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/3000100" }
],
`)

func TestAManifestIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	var files []basemanifest.File
	m, err := basemanifest.Read(iotest.OneByteReader(strings.NewReader(whole)), func(f basemanifest.File) error {
		files = append(files, f)
		return nil
	})
	if err != nil || m.Version != 2 || m.System != "7576000123456789012" || m.Files != 2 || len(m.Ranges) != 2 || m.Ranges[0].Timeline != 1 || m.Ranges[1].End != 0x3000200 {
		t.Fatalf("%+v, %v", m, err)
	}
	if files[0] != (basemanifest.File{Path: "backup_label", Size: 227, CRC32C: "8a2b5cfe"}) || files[1].Path != "caf\xe9.txt" {
		t.Errorf("%+v", files)
	}
}

func TestAManifestWithOneOtherByteIsDamaged(t *testing.T) {
	t.Parallel()
	none := func(basemanifest.File) error { return nil }
	for i := range whole {
		flipped := []byte(whole)
		flipped[i] ^= 0x01
		if _, err := basemanifest.Read(bytes.NewReader(flipped), none); err == nil {
			t.Errorf("byte %d, %q", i, whole[max(0, i-10):i+1])
		}
		if _, err := basemanifest.Read(strings.NewReader(whole[:i]), none); !errors.Is(err, basemanifest.ErrDamaged) {
			t.Errorf("cut to %d: %v", i, err)
		}
	}
	if _, err := basemanifest.Read(strings.NewReader(whole+"\n"), none); !errors.Is(err, basemanifest.ErrDamaged) {
		t.Errorf("a byte more: %v", err)
	}
}

func TestWhatNoServerWritesIsDamageThoughItsChecksumIsRight(t *testing.T) {
	t.Parallel()
	unsummed, _, _ := strings.Cut(whole, `"Manifest-Checksum"`)
	for _, c := range [][2]string{
		{`"backup_label"`, `"../backup_label"`}, {`"backup_label"`, `"/etc/passwd"`}, {`"backup_label"`, `""`}, {`"Size": 227`, `"Size": -1`},
		{`"CRC32C", "Checksum": "8a2b5cfe"`, `"SHA256", "Checksum": "8a2b5cfe"`}, {`"End-LSN": "0/3000200"`, `"End-LSN": "0/1"`}, {`"Timeline": 2`, `"Timeline": 0`},
		{`"WAL-Ranges": [`, `"More": [`}, {`"636166e92e747874"`, `"xx"`},
	} {
		text := manifest(strings.Replace(unsummed, c[0], c[1], 1))
		if _, err := basemanifest.Read(strings.NewReader(text), func(basemanifest.File) error { return nil }); !errors.Is(err, basemanifest.ErrDamaged) {
			t.Errorf("%s: %v", c[1], err)
		}
	}
	newer := manifest(strings.Replace(unsummed, `Version": 2`, `Version": 3`, 1))
	if _, err := basemanifest.Read(strings.NewReader(newer), nil); err == nil || !strings.Contains(err.Error(), "newer pgbackup-runner") {
		t.Errorf("version 3: %v", err)
	}
}

func TestWhatWasSeenIsHeldAgainstTheManifest(t *testing.T) {
	t.Parallel()
	crc := basemanifest.Sum(0, []byte("123456789"))
	if got := basemanifest.CRC32C(crc); got != "839206e3" { // the check value E3069283, lowest byte first
		t.Fatal(got)
	}
	file := func(path string) basemanifest.File {
		return basemanifest.File{Path: path, Size: 9, CRC32C: basemanifest.CRC32C(crc)}
	}
	seen := func() *basemanifest.Seen {
		s := basemanifest.NewSeen()
		for _, path := range []string{"a", "b", "c"} {
			s.Add(path, 9, crc)
		}
		return s
	}
	for _, order := range []string{"abc", "cba", "bac"} {
		s := seen()
		for _, path := range order {
			if err := s.Check(file(string(path))); err != nil {
				t.Errorf("%s: %v", order, err)
			}
		}
		if err := s.Complete(); err != nil {
			t.Errorf("%s: %v", order, err)
		}
	}
	s := seen()
	if err := s.Check(file("d")); err == nil || !strings.Contains(err.Error(), "d, which did not come") {
		t.Error(err)
	}
	if err := s.Check(basemanifest.File{Path: "a", Size: 8, CRC32C: basemanifest.CRC32C(crc)}); err == nil || !strings.Contains(err.Error(), "a came with 9 bytes") {
		t.Error(err)
	}
	if err := s.Check(basemanifest.File{Path: "b", Size: 9, CRC32C: "00000000"}); err == nil || !strings.Contains(err.Error(), "b came with CRC-32C") {
		t.Error(err)
	}
	if err := s.Check(file("a")); err != nil {
		t.Error(err)
	}
	if err := s.Check(file("a")); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Error(err)
	}
	if err := s.Complete(); err == nil || !strings.Contains(err.Error(), "2 files came") {
		t.Error(err)
	}
}
