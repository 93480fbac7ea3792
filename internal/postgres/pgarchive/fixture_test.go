package pgarchive_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read feeds an archive in slices of n bytes.
func read(archive []byte, n int) (*pgarchive.Reader, error) {
	r := pgarchive.NewReader(pgarchive.Events{})
	for len(archive) > 0 {
		m := min(n, len(archive))
		if _, err := r.Write(archive[:m]); err != nil {
			return r, err
		}
		archive = archive[m:]
	}
	return r, r.Close()
}

// sums of every data entry by its name.
func sums(r *pgarchive.Reader) map[string]pgarchive.Sum {
	m := map[string]pgarchive.Sum{}
	for _, d := range r.Data() {
		m[d.Entry.Desc+" "+d.Entry.Namespace+"."+d.Entry.Tag] = d.Sum
	}
	return m
}

func TestArchivesOfEveryMajorGiveTheSameSumsInSlicesOfAnySize(t *testing.T) {
	t.Parallel()
	var before map[string]pgarchive.Sum
	for _, name := range []string{"pg17.dump", "pg18.dump"} {
		archive := fixture(t, name)
		for _, size := range []int{1, 2, 3, 5, 7, 64, 1000, 4096, 1 << 24} {
			r, err := read(archive, size)
			if err != nil {
				t.Fatalf("%s in slices of %d: %v", name, size, err)
			}
			if !r.Complete() || r.Offset() != int64(len(archive)) || r.LastBoundary() != r.Offset() {
				t.Errorf("%s: complete %v, at %d, boundary %d of %d", name, r.Complete(), r.Offset(), r.LastBoundary(), len(archive))
			}
			got := sums(r)
			// Offsets in the archive's data and its text are all that may differ between majors.
			if before != nil && !equalSums(before, got) {
				t.Errorf("%s in slices of %d:\n%v\nbefore:\n%v", name, size, got, before)
			}
			before = got
		}
	}
	want := map[string]int64{
		"TABLE DATA Sch é.T 1": 53, "TABLE DATA public.empty_table": 0, "TABLE DATA public.lines": 3,
		"TABLE DATA public.nocols": 1, "TABLE DATA public.parted_1": 10,
	}
	for name, rows := range want {
		if s, ok := before[name]; !ok || s.Rows != rows {
			t.Errorf("%s: %v, want %d rows", name, s, rows)
		}
	}
}

func equalSums(a, b map[string]pgarchive.Sum) bool {
	if len(a) != len(b) {
		return false
	}
	for name, s := range a {
		if b[name] != s {
			return false
		}
	}
	return true
}

func TestHeadersTellWhoMadeTheArchive(t *testing.T) {
	t.Parallel()
	for name, minor := range map[string]byte{"pg17.dump": 16, "pg18.dump": 16} {
		r, err := read(fixture(t, name), 1000)
		if err != nil {
			t.Fatal(err)
		}
		h := r.TOC().Header
		if h.Version.Minor != minor || h.Database != "postgres" || h.IntSize != 4 || h.OffSize != 8 || h.CreateDate.Year() != 2026 || h.ServerVersion[:2] != name[2:4] || h.DumpVersion[:2] != name[2:4] {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

func TestCompressedArchivesAreRefusedByTheirCompression(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"gzip", "lz4", "zstd"} {
		_, err := read(fixture(t, "pg17-"+c+".dump"), 1<<20)
		if !errors.Is(err, pgarchive.ErrUnsupportedVersion) || !bytes.Contains([]byte(err.Error()), []byte(c)) {
			t.Errorf("%s: %v", c, err)
		}
	}
}

func TestWhatIsNotAnArchiveIsNamed(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                              "empty",
		"PG":                            "not a pg_dump",
		"--\n-- PostgreSQL database":    "plain SQL",
		"\x1f\x8b\x08aaaaaaaa":          "gzip",
		"toc.dat\x00\x00\x00\x00\x00":   "tar",
		"PGDMP\x01\x10\x00\x04\x08\x05": "directory",
	} {
		_, err := read([]byte(in), 100)
		if !errors.Is(err, pgarchive.ErrNotArchive) || !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Errorf("%q: %v", in, err)
		}
	}
	for _, minor := range []byte{11, 17} {
		_, err := read([]byte{'P', 'G', 'D', 'M', 'P', 1, minor, 0, 4, 8, 1, 0}, 100)
		if !errors.Is(err, pgarchive.ErrUnsupportedVersion) {
			t.Errorf("1.%d: %v", minor, err)
		}
	}
}

func TestEveryTruncationIsNoticed(t *testing.T) {
	t.Parallel()
	archive := fixture(t, "pg18.dump")
	for n := 5; n < len(archive); n++ {
		if _, err := read(archive[:n], 1<<20); !errors.Is(err, pgarchive.ErrTruncated) {
			t.Fatalf("cut at %d of %d: %v", n, len(archive), err)
		}
	}
	if _, err := read(append(bytes.Clone(archive), 0), 1<<20); !errors.Is(err, pgarchive.ErrCorrupt) {
		t.Errorf("a byte behind the end: %v", err)
	}
}

func TestEveryFlippedByteIsNoticed(t *testing.T) {
	t.Parallel()
	archive := fixture(t, "pg17.dump")
	good, err := read(archive, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	digest, want := good.TOCDigest(), sums(good)
	for i := range archive {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			archive[i] ^= flip
			r, err := read(archive, 1<<20)
			if err == nil && r.TOCDigest() == digest && equalSums(want, sums(r)) {
				t.Errorf("byte %d xor %#x goes unnoticed", i, flip)
			}
			archive[i] ^= flip
		}
	}
}

func TestLostDoubledAndSwappedBlocksAreNoticed(t *testing.T) {
	t.Parallel()
	archive := fixture(t, "pg18.dump")
	good, err := read(archive, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	want := sums(good)
	for _, d := range good.Data() {
		if d.Entry.Desc != "TABLE DATA" {
			continue
		}
		// The blocks of the entry, its end included.
		var blocks [][]byte
		for at := d.First; at < d.End; {
			n := int64(binary.LittleEndian.Uint32(archive[at+1:])) + 5
			blocks = append(blocks, archive[at:at+n])
			at += n
		}
		rebuild := func(blocks ...[]byte) []byte {
			return slices.Concat(archive[:d.First], bytes.Join(blocks, nil), archive[d.End:])
		}
		for i := range blocks {
			for what, changed := range map[string][]byte{
				"lost":    rebuild(slices.Delete(slices.Clone(blocks), i, i+1)...),
				"doubled": rebuild(slices.Insert(slices.Clone(blocks), i, blocks[i])...),
			} {
				if r, err := read(changed, 1<<20); err == nil && equalSums(want, sums(r)) {
					t.Errorf("%s: block %d %s goes unnoticed", d.Entry, i, what)
				}
			}
		}
		// The whole entry doubled, and lost.
		if _, err := read(slices.Concat(archive[:d.End], archive[d.Start:]), 1<<20); err == nil {
			t.Errorf("%s doubled goes unnoticed", d.Entry)
		}
		if _, err := read(slices.Concat(archive[:d.Start], archive[d.End:]), 1<<20); err == nil {
			t.Errorf("%s lost goes unnoticed", d.Entry)
		}
	}
}

func TestEveryBoundaryIsWhereARangeOfRowsMayBegin(t *testing.T) {
	t.Parallel()
	archive := fixture(t, "pg17.dump")
	boundaries := map[int64]bool{}
	r := pgarchive.NewReader(pgarchive.Events{})
	for i := range archive {
		if _, err := r.Write(archive[i : i+1]); err != nil {
			t.Fatal(err)
		}
		boundaries[r.LastBoundary()] = true
	}
	for _, d := range r.Data() {
		if d.Entry.Desc != "TABLE DATA" {
			continue
		}
		for at := d.First; at < d.End; at++ {
			if !boundaries[at] {
				continue
			}
			var rows pgarchive.RowHasher
			for _, part := range [][]byte{archive[d.First:at], archive[at:d.End]} {
				if _, err := io.Copy(&rows, pgarchive.Deframe(bytes.NewReader(part), r.TOC().Header)); err != nil {
					t.Fatal(err)
				}
			}
			if sum, err := rows.Sum(); err != nil || sum != d.Sum {
				t.Errorf("%s cut at %d: %v, %v; whole: %v", d.Entry, at, sum, err, d.Sum)
			}
		}
	}
}
