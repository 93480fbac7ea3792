package pgwal

import (
	"fmt"
	"strconv"
	"strings"
)

// DefaultSegmentSize is that of a server whose initdb was told nothing, in bytes.
const DefaultSegmentSize = 16 << 20

// CheckSegmentSize holds that a server can have segments of this size: a power of
// two from 1 MiB to 1 GiB (initdb --wal-segsize).
func CheckSegmentSize(size uint64) error {
	if size < 1<<20 || size > 1<<30 || size&(size-1) != 0 {
		return fmt.Errorf("%d is no size of WAL segments: a power of two from 1 MiB to 1 GiB is", size)
	}
	return nil
}

// Segment is one file of the log. Number is its start divided by the segment size.
type Segment struct {
	Timeline Timeline
	Number   uint64
}

// SegmentAt is the segment that holds the byte at a position.
func SegmentAt(t Timeline, at LSN, size uint64) Segment {
	return Segment{Timeline: t, Number: uint64(at) / size}
}

// Start is the position of the segment's first byte.
func (s Segment) Start(size uint64) LSN { return LSN(s.Number * size) }

// End is one past the segment's last byte.
func (s Segment) End(size uint64) LSN { return LSN((s.Number + 1) * size) }

// Next is the segment after it on the same timeline.
func (s Segment) Next() Segment { return Segment{s.Timeline, s.Number + 1} }

// Name is the segment's file name: 24 hexadecimal digits.
func (s Segment) Name(size uint64) string {
	perID := uint64(1<<32) / size
	return fmt.Sprintf("%s%08X%08X", s.Timeline, uint32(s.Number/perID), uint32(s.Number%perID))
}

// ParseSegment reads a file name of a server with segments of this size.
func ParseSegment(name string, size uint64) (Segment, error) {
	bad := func(why string) (Segment, error) {
		return Segment{}, fmt.Errorf("%.60q is no name of a WAL segment: %s", name, why)
	}
	if len(name) != 24 {
		return bad("24 hexadecimal digits are")
	}
	t, err := ParseTimeline(name[:8])
	if err != nil {
		return bad("its timeline is not valid")
	}
	id, err := parseHex(name[8:16])
	if err != nil {
		return bad("24 hexadecimal digits are")
	}
	n, err := parseHex(name[16:])
	if err != nil {
		return bad("24 hexadecimal digits are")
	}
	perID := uint64(1<<32) / size
	if uint64(n) >= perID {
		return bad(fmt.Sprintf("with segments of %d bytes the last eight digits are below %08X", size, perID))
	}
	return Segment{t, uint64(id)*perID + uint64(n)}, nil
}

// FileKind says what a file of pg_wal is, by its name.
type FileKind uint8

// The kinds. All but Segment are small or unfinished.
const (
	NoFile      FileKind = iota // of no form that a server archives
	SegmentFile                 // 000000010000000000000003
	PartialFile                 // 000000010000000000000003.partial: the unfinished last one of a timeline that was left
	HistoryFile                 // 00000002.history
	BackupFile                  // 000000010000000000000003.00000028.backup
	PieceFile                   // a part of an unfinished segment, which no server names: see package repo
)

// KindOfFile recognises a name that archive_command may be given, and tells its
// timeline.
func KindOfFile(name string) (FileKind, Timeline) {
	digits, rest, _ := strings.Cut(name, ".")
	if len(digits) == 8 && rest == "history" {
		if t, err := ParseTimeline(digits); err == nil {
			return HistoryFile, t
		}
		return NoFile, 0
	}
	// The smallest segments allow every last part below 2^12, the largest below 4: which
	// it is the name does not say.
	s, err := ParseSegment(digits, 1<<20)
	if err != nil {
		return NoFile, 0
	}
	switch {
	case name == digits:
		return SegmentFile, s.Timeline
	case rest == "partial":
		return PartialFile, s.Timeline
	}
	if offset, ok := strings.CutSuffix(rest, ".backup"); ok {
		if _, err := strconv.ParseUint(offset, 16, 32); err == nil && len(offset) == 8 {
			return BackupFile, s.Timeline
		}
	}
	return NoFile, 0
}
