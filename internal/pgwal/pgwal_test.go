package pgwal_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

func TestPositionsAreWrittenAsPostgreSQLDoes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]pgwal.LSN{"0/0": 0, "16/B374D848": 0x16B374D848, "0/3000060": 0x3000060, "FFFFFFFF/FFFFFFFF": 1<<64 - 1} {
		got, err := pgwal.ParseLSN(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "0/", "/0", "0/G", "0/100000000", "1/2/3", "-1/0"} {
		if _, err := pgwal.ParseLSN(text); err == nil || !strings.Contains(err.Error(), "16/B374D848") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The names are those that pg_walfile_name gives.
func TestSegmentsAreNamedAsPostgreSQLDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at   string
		size uint64
		name string
	}{
		{"0/3000060", 16 << 20, "000000010000000000000003"},
		{"16/B374D848", 16 << 20, "0000000100000016000000B3"},
		{"0/FF000000", 16 << 20, "0000000100000000000000FF"},
		{"1/0", 16 << 20, "000000010000000100000000"},
		{"16/B374D848", 1 << 20, "000000010000001600000B37"},
		{"16/B374D848", 1 << 30, "000000010000001600000002"},
	} {
		at, err := pgwal.ParseLSN(c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := pgwal.SegmentAt(1, at, c.size).Name(c.size); got != c.name {
			t.Errorf("%s in segments of %d: %s, want %s", c.at, c.size, got, c.name)
		}
	}
}

func TestEveryNameLeadsBackToItsSegment(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := uint64(1) << rapid.IntRange(20, 30).Draw(t, "bits")
		s := pgwal.SegmentAt(pgwal.Timeline(rapid.Uint32Min(1).Draw(t, "timeline")), pgwal.LSN(rapid.Uint64().Draw(t, "lsn")), size)
		name := s.Name(size)
		back, err := pgwal.ParseSegment(name, size)
		if err != nil || back != s {
			t.Fatalf("%s: %v %v, want %v", name, back, err, s)
		}
		if kind, timeline := pgwal.KindOfFile(name); kind != pgwal.SegmentFile || timeline != s.Timeline {
			t.Fatalf("%s is of kind %d", name, kind)
		}
	})
}

func TestFilesAreRecognisedByTheirNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]pgwal.FileKind{
		"000000010000000000000003":                 pgwal.SegmentFile,
		"000000010000000000000003.partial":         pgwal.PartialFile,
		"000000010000000000000003.00000028.backup": pgwal.BackupFile,
		"00000002.history":                         pgwal.HistoryFile,
		"00000000.history":                         pgwal.NoFile,
		"000000000000000000000003":                 pgwal.NoFile,
		"00000001000000000000000g":                 pgwal.NoFile,
		"00000001000000000000000a":                 pgwal.NoFile,
		"000000010000000000000003.gz":              pgwal.NoFile,
		"../000000010000000000000003":              pgwal.NoFile,
		"000000010000000000000003.28.backup":       pgwal.NoFile,
		"archive_status":                           pgwal.NoFile,
		"":                                         pgwal.NoFile,
	} {
		if got, _ := pgwal.KindOfFile(name); got != want {
			t.Errorf("%q is of kind %d, want %d", name, got, want)
		}
	}
}

func TestAHistoryTellsWhichTimelineAPositionIsOf(t *testing.T) {
	t.Parallel()
	h, err := pgwal.ParseHistory(3, []byte("1\t0/3000000\tno recovery target specified\n\n2\t0/5000148\tbefore 2026-03-01 10:00:00+00\n"))
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[pgwal.LSN]pgwal.Timeline{0: 1, 0x2FFFFFF: 1, 0x3000000: 2, 0x5000147: 2, 0x5000148: 3, 1 << 40: 3} {
		if got := h.TimelineAt(at); got != want {
			t.Errorf("%s is of timeline %s, want %s", at, got, want)
		}
	}
	if at, left := h.Left(2); !left || at != 0x5000148 {
		t.Errorf("timeline 2 is left at %s, %v", at, left)
	}
	if !h.Has(3) || !h.Has(1) || h.Has(4) {
		t.Error("what is in the history is not known")
	}
	for _, text := range []string{"3\t0/1\tx", "2\t0/1\n1\t0/2\n", "1\t0/5\n2\t0/4\n", "1", "x\t0/1", "0\t0/1", "1\tzero\n"} {
		if _, err := pgwal.ParseHistory(3, []byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
