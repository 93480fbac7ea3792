package pgarchive_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/zeebo/xxh3"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
)

func rowSum(t testing.TB, pieces ...[]byte) pgarchive.Sum {
	t.Helper()
	var h pgarchive.RowHasher
	for _, p := range pieces {
		if _, err := h.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	s, err := h.Sum()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestHashOfOneRowIsItsXXH3(t *testing.T) {
	t.Parallel()
	u := xxh3.Hash128([]byte("a\tb"))
	if got := rowSum(t, []byte("a\tb\n")); got != (pgarchive.Sum{Rows: 1, Bytes: 4, Hash: pgarchive.Hash{Hi: u.Hi, Lo: u.Lo}}) {
		t.Error(got)
	}
}

func TestRowsOfEveryLengthHashAlikeWholeAndInPieces(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	row := make([]byte, 5000)
	for i := range row {
		row[i] = byte(random.IntN(256))
		if row[i] == '\n' {
			row[i] = 'x'
		}
	}
	for n := range 3000 {
		whole := append(bytes.Clone(row[:n]), '\n')
		cut := random.IntN(n + 1)
		cut2 := cut + random.IntN(n+1-cut)
		if a, b := rowSum(t, whole), rowSum(t, whole[:cut], whole[cut:cut2], whole[cut2:]); a != b {
			t.Fatalf("%d bytes cut at %d and %d: %v and %v", n, cut, cut2, a, b)
		}
	}
}

func TestOrderDoesNotMatterAndEverythingElseDoes(t *testing.T) {
	t.Parallel()
	base := rowSum(t, []byte("a\nb\n\n"))
	if got := rowSum(t, []byte("\nb\na\n")); got != base {
		t.Error("another order gives another sum")
	}
	for _, other := range []string{"a\nb\n", "a\nb\n\n\n", "a\na\n\n", "ab\n\n\n", "a\nB\n\n"} {
		if rowSum(t, []byte(other)) == base {
			t.Errorf("%q has the same sum", other)
		}
	}
}

func TestTextThatEndsInsideARowIsAnError(t *testing.T) {
	t.Parallel()
	var h pgarchive.RowHasher
	_, _ = h.Write([]byte("a\nb"))
	if _, err := h.Sum(); err == nil {
		t.Error("no error")
	}
}

func TestHashSurvivesItsText(t *testing.T) {
	t.Parallel()
	h := pgarchive.Hash{Hi: 0x0102030405060708, Lo: 0xf1}
	text, _ := h.MarshalText()
	var back pgarchive.Hash
	if err := back.UnmarshalText(text); err != nil || back != h || len(text) != 32 {
		t.Errorf("%s: %v, %v", text, back, err)
	}
	for _, bad := range []string{"", "00", "zz02030405060708000000000000000f"} {
		if err := back.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// frame makes an archive's blocks of pieces of text.
func frame(pieces ...string) []byte {
	var b []byte
	for _, p := range pieces {
		b = append(b, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

var endOfData = []byte{0, 0, 0, 0, 0}

func TestDeframeGivesTheTextOfBlocksWithoutTheEndMark(t *testing.T) {
	t.Parallel()
	h := pgarchive.Header{IntSize: 4}
	for _, c := range []struct {
		src  []byte
		want string
		err  error
	}{
		{append(frame("a\n", "bc\n", "\\.\n\n\n"), endOfData...), "a\nbc\n", nil},
		{append(frame("a\nb", "c\n\\.\n", "\n\n"), endOfData...), "a\nbc\n", nil},
		{append(frame("\\.\n\n\n"), endOfData...), "", nil},
		{append(append(frame("\n\n\n", "\\.\n\n\n"), endOfData...), "the next entry"...), "\n\n\n", nil},
		{frame("a\n", "bc\n"), "a\nbc\n", nil}, // a range inside the data
		{nil, "", nil},
		{append(frame("a\n"), endOfData...), "", pgarchive.ErrCorrupt},
		{frame("abc\n")[:7], "", pgarchive.ErrTruncated},
		{frame("abc\n")[:3], "", pgarchive.ErrTruncated},
		{[]byte{7, 1, 2, 3, 4, 5}, "", pgarchive.ErrCorrupt},
	} {
		for name, src := range map[string]io.Reader{"whole": bytes.NewReader(c.src), "byte by byte": iotest.OneByteReader(bytes.NewReader(c.src)), "with EOF": iotest.DataErrReader(bytes.NewReader(c.src))} {
			got, err := io.ReadAll(iotest.OneByteReader(pgarchive.Deframe(src, h)))
			if !errors.Is(err, c.err) || c.err == nil && string(got) != c.want {
				t.Errorf("%q %s: %q, %v", c.src, name, got, err)
			}
		}
	}
	large := bytes.Repeat([]byte("0123456789012345678901234567890123456789\n"), 200_000)
	src := append(append(frame(string(large[:len(large)/2])), frame(string(large[len(large)/2:]), "\\.\n\n\n")...), endOfData...)
	if got, err := io.ReadAll(pgarchive.Deframe(bytes.NewReader(src), h)); err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d of %d bytes, %v", len(got), len(large), err)
	}
}

// synthetic makes an archive of one table with rows of n bytes.
func synthetic(t testing.TB, size, n int) []byte {
	t.Helper()
	full := fixture(t, "pg17.dump")
	r, err := read(full, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	row := bytes.Repeat([]byte("x"), n)
	row[n-1] = '\n'
	var b []byte
	for i, d := range r.Data() {
		if i == 0 {
			b = append(b, full[:d.First]...)
			for k := 0; len(b) < size; k++ {
				binary.LittleEndian.PutUint64(row, uint64(k)|0x8080808080808080)
				b = append(b, frame(string(row))...)
			}
		}
		from := d.First
		if i > 0 {
			from = d.Start
		}
		b = append(b, full[from:d.End]...)
	}
	return b
}

func BenchmarkReader(b *testing.B) {
	for name, n := range map[string]int{"rows of 100 bytes": 100, "rows of 30 bytes": 30, "rows of 2000 bytes": 2000} {
		b.Run(name, func(b *testing.B) {
			archive := synthetic(b, 64<<20, n)
			b.SetBytes(int64(len(archive)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := read(archive, 1<<20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDeframe(b *testing.B) {
	src := append(bytes.Repeat(frame(string(bytes.Repeat([]byte("x"), 99))+"\n"), 500_000), append(frame("\\.\n\n\n"), endOfData...)...)
	b.SetBytes(int64(len(src)))
	buf := make([]byte, 64<<10)
	for b.Loop() {
		r := pgarchive.Deframe(bytes.NewReader(src), pgarchive.Header{IntSize: 4})
		for {
			if _, err := r.Read(buf); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}

func FuzzReaderNeverPanicsAndAgreesForAnySlices(f *testing.F) {
	for _, name := range []string{"pg17.dump", "pg17-lz4.dump"} {
		f.Add(fixture(f, name), 7)
	}
	f.Fuzz(func(t *testing.T, archive []byte, n int) {
		if n <= 0 || n > 1<<20 {
			n = 1
		}
		a, errA := read(archive, n)
		b, errB := read(archive, 1<<30)
		if (errA == nil) != (errB == nil) || errA == nil && (a.TOCDigest() != b.TOCDigest() || !equalSums(sums(a), sums(b)) || a.LastBoundary() != b.LastBoundary()) {
			t.Fatalf("slices of %d: %v; whole: %v", n, errA, errB)
		}
		for _, d := range b.Data() {
			if d.End > 0 && d.Entry.CopyStmt != "" {
				var h pgarchive.RowHasher
				if _, err := io.Copy(&h, pgarchive.Deframe(bytes.NewReader(archive[d.First:d.End]), b.TOC().Header)); err != nil {
					t.Fatal(err)
				}
				if s, err := h.Sum(); err != nil || s != d.Sum {
					t.Fatalf("%s: deframed %v, %v; read %v", d.Entry, s, err, d.Sum)
				}
			}
		}
	})
}
