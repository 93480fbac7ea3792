package pgwal

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Scan is what a segment, or its beginning, holds.
type Scan struct {
	Segment     Segment
	SegmentSize uint64
	System      uint64 // system identifier of the server
	Major       int    // of the server
	Timeline    Timeline

	// Start is where the first record begins that begins in the segment, 0 for none;
	// End is behind the last record that is whole: the beginning of the segment when
	// none is.
	Start, End LSN
	Records    int64
	// Bytes that were scanned.
	Bytes int64
	// Whole: filled to its end, or ended by a switch to the next segment.
	Whole bool
	// Switched: a server ended it early, by pg_switch_wal or archive_timeout.
	Switched bool
	// Stop says why reading ended before the end of what was given; nil when it did not.
	// What follows the end of a server's log is left over from earlier use of the file,
	// so in an unfinished segment this is normal.
	Stop error

	// ContinuesFrom: it begins with the rest of a record of the segment before, of
	// Continued bytes. RunsOver is how many bytes its own last record is short of.
	ContinuesFrom bool
	Continued     uint32
	RunsOver      uint32
	// Overwrites: what the segment before began has no rest (the server crashed there).
	Overwrites bool

	// The first and the last end of a transaction, commit or abort, by the server's
	// clock, with the end of its record; zero for none. Clocks may step back: these are
	// the first and the last in order of the log.
	FirstCommit, LastCommit       time.Time
	FirstCommitLSN, LastCommitLSN LSN
	// MinXID and MaxXID of these transactions; 0 for none.
	MinXID, MaxXID uint32
	// RestorePoints in order, at most maxRestorePoints.
	RestorePoints []RestorePoint
}

// maxRestorePoints of a segment that are told: somebody may make them in a loop.
const maxRestorePoints = 64

// CheckWhole says why it is not a whole segment.
func (s Scan) CheckWhole() error {
	if s.Whole {
		return nil
	}
	name := s.Segment.Name(s.SegmentSize)
	if s.Stop != nil {
		return fmt.Errorf("WAL segment %s is not whole: its log ends at %s, %w", name, s.End, s.Stop)
	}
	return fmt.Errorf("WAL segment %s is not whole: it has %d bytes of %d", name, s.Bytes, s.SegmentSize)
}

// ScanSegment reads a segment, or the beginning of one. seg is the segment it should
// be, nil for any. Bytes that are none of it are ErrNotWAL; where its log ends early is
// told by Scan.Stop, and whether that is an error is the caller's to say: see CheckWhole.
func ScanSegment(data []byte, seg *Segment) (Scan, error) {
	s := NewScanner(seg)
	_, _ = s.Write(data) // what it finds is in the Scan
	return s.Scan()
}

// ReadSegment is ScanSegment of a reader, of which nothing is kept.
func ReadSegment(r io.Reader, seg *Segment) (Scan, error) {
	s := NewScanner(seg)
	if _, err := io.CopyBuffer(struct{ io.Writer }{s}, struct{ io.Reader }{r}, make([]byte, 256<<10)); err != nil {
		return Scan{}, fmt.Errorf("read WAL: %w", err)
	}
	return s.Scan()
}

// Why a log ends, most of the time.
var (
	errZeros = errors.New("where zeros follow")
	errStale = errors.New("where an older use of the file follows")
)
