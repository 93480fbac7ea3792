package pgwal

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Scanner scans a segment as its bytes arrive, in pieces of any size. What it found
// so far can be asked for at any time.
type Scanner struct {
	// Ended is told of every transaction that ends; nil is not.
	Ended func(End)

	want   *Segment
	scan   Scan
	failed error // not WAL

	magic  uint16
	block  uint64
	pos    LSN
	header []byte // of the page that begins, as far as it arrived; nil inside of a page
	first  bool   // no page was read yet

	open bool // cur is being put together
	cur  record
	skip uint64 // bytes up to the next record: padding, or the rest of an unknown record
	rest bool   // they are the rest of a record whose beginning is not known
	last LSN    // start of the last whole record, 0 where not known

	seen func(*record) // of tests: every whole record
}

// End is the end of a transaction: its commit or abort.
type End struct {
	XID uint32 // 0 of one that was prepared: its record tells that elsewhere
	At  time.Time
	LSN LSN // behind the record
}

// NewScanner begins at the start of a segment: seg, or whichever the bytes are of.
func NewScanner(seg *Segment) *Scanner {
	return &Scanner{want: seg, first: true, header: make([]byte, 0, longHeader)}
}

// Next begins the segment after this one, whose first record may have begun here: it
// is then checked too, and counts there. It may be asked for when this one is whole.
func (s *Scanner) Next() *Scanner {
	next := s.scan.Segment.Next()
	n := NewScanner(&next)
	n.Ended, n.seen = s.Ended, s.seen
	if s.failed == nil && s.scan.Whole {
		n.last = s.last
		if n.open = s.open; n.open {
			n.cur = s.cur
		}
	}
	return n
}

// Scan is what was found so far. The error is ErrNotWAL.
func (s *Scanner) Scan() (Scan, error) {
	if s.failed == nil && s.first {
		return Scan{}, fmt.Errorf("%w: it has %d bytes, its first header alone has %d", ErrNotWAL, len(s.header), longHeader)
	}
	scan := s.scan
	scan.RestorePoints = append([]RestorePoint(nil), s.scan.RestorePoints...)
	if s.open && scan.Whole && !scan.Switched {
		scan.RunsOver = s.cur.length - s.cur.got
	}
	return scan, s.failed
}

// Write scans the next bytes. It never fails and takes them all: what is wrong with
// them Scan tells.
func (s *Scanner) Write(p []byte) (int, error) {
	n := len(p)
	s.scan.Bytes += int64(n)
	for len(p) > 0 && s.failed == nil && s.scan.Stop == nil && !s.scan.Whole {
		p = p[s.step(p):]
	}
	if !s.first && s.failed == nil && uint64(s.scan.Bytes) > s.scan.SegmentSize {
		s.failed = fmt.Errorf("%w: it has %d bytes and says it has %d", ErrNotWAL, s.scan.Bytes, s.scan.SegmentSize)
	}
	return n, nil
}

// step takes some of the bytes, all of one page.
func (s *Scanner) step(p []byte) int {
	if s.header != nil {
		size := shortHeader
		if s.first {
			size = longHeader
		}
		n := min(size-len(s.header), len(p))
		if s.header = append(s.header, p[:n]...); len(s.header) == size {
			s.page()
			s.pos += LSN(size)
			s.header = nil
		}
		return n
	}
	n := int(min(uint64(len(p)), s.block-uint64(s.pos)%s.block))
	s.body(p[:n])
	if s.scan.Stop == nil && !s.scan.Whole && uint64(s.pos)%s.block == 0 {
		if s.header = make([]byte, 0, shortHeader); s.pos == s.scan.Segment.End(s.scan.SegmentSize) {
			s.scan.Whole = true
		}
	}
	return n
}

// page begins a page whose header is there.
func (s *Scanner) page() {
	if s.first {
		s.firstPage()
		return
	}
	p := readPage(s.header, false)
	switch {
	case p.magic == 0 && p.at == 0:
		s.scan.Stop = errZeros
	case p.magic != s.magic || p.at != s.pos || p.flags&^pageFlags != 0 || p.flags&pageLong != 0:
		s.scan.Stop = errStale
	case p.timeline < s.scan.Timeline || s.want != nil && p.timeline > s.want.Timeline:
		s.scan.Stop = fmt.Errorf("where a page of timeline %s follows", p.timeline)
	default:
		s.scan.Timeline = p.timeline
		s.join(p)
	}
}

func (s *Scanner) firstPage() {
	p, err := firstPage(s.header)
	if err != nil {
		s.failed = err
		return
	}
	seg := SegmentAt(p.timeline, p.at, p.segmentSize)
	if w := s.want; w != nil {
		if seg.Number != w.Number || p.timeline > w.Timeline {
			s.failed = fmt.Errorf("%w: it should be %s and says it is %s", ErrNotWAL, w.Name(p.segmentSize), seg.Name(p.segmentSize))
			return
		}
		seg = *w
	}
	s.first = false
	s.magic, s.block, s.pos = p.magic, uint64(p.blockSize), p.at
	s.scan.Segment, s.scan.SegmentSize, s.scan.System, s.scan.Major, s.scan.Timeline = seg, p.segmentSize, p.system, magics[p.magic], p.timeline
	s.scan.End = p.at
	s.scan.Overwrites = p.flags&pageOverwritten != 0
	s.scan.ContinuesFrom = p.flags&pageContinues != 0 && p.rest > 0
	if s.scan.ContinuesFrom {
		s.scan.Continued = p.rest
	}
	if s.scan.ContinuesFrom && !s.open {
		s.skip, s.rest = uint64(p.rest), true
		return
	}
	s.join(p)
}

// join holds what a page says it continues against what the page before left open.
func (s *Scanner) join(p page) {
	continues := p.flags&pageContinues != 0 && p.rest > 0
	switch {
	case s.open && p.flags&pageOverwritten != 0:
		s.open = false
	case s.open && (!continues || p.rest != s.cur.length-s.cur.got):
		s.scan.Stop = fmt.Errorf("where the rest of the record at %s should follow", s.cur.start)
	case s.rest && s.skip > 0 && (!continues || uint64(p.rest) != s.skip):
		s.scan.Stop = fmt.Errorf("where the rest of a record of the segment before should follow")
	case !s.open && (!s.rest || s.skip <= 0) && continues:
		s.scan.Stop = fmt.Errorf("where the rest of a record follows that did not begin")
	}
}

// body takes bytes of one page.
func (s *Scanner) body(b []byte) {
	for len(b) > 0 && s.scan.Stop == nil && !s.scan.Whole {
		n := len(b)
		switch {
		case s.skip > 0:
			n = int(min(uint64(n), s.skip))
			s.skip -= uint64(n)
			if s.pos += LSN(n); s.skip == 0 && s.rest {
				s.rest = false
				s.pad()
			}
		case !s.open:
			s.cur = record{start: s.pos}
			s.open = true
			n = 0
		case s.cur.length == 0:
			n = min(n, 4-int(s.cur.got))
			s.take(b[:n])
			if s.cur.got == 4 {
				s.begin()
			}
		default:
			n = min(n, int(s.cur.length-s.cur.got))
			s.take(b[:n])
			if s.cur.got == s.cur.length {
				s.finish()
			}
		}
		b = b[n:]
	}
}

func (s *Scanner) take(b []byte) {
	s.cur.add(b)
	s.pos += LSN(len(b))
}

// pad passes over what is between a record and the next one.
func (s *Scanner) pad() { s.skip = uint64(-s.pos) % recordAlign }

// begin looks at the length of a record.
func (s *Scanner) begin() {
	switch s.cur.length = binary.LittleEndian.Uint32(s.cur.kept[:]); {
	case s.cur.length == 0:
		s.scan.Stop = errZeros
	case s.cur.length < recordHeader || s.cur.length > maxRecord:
		s.scan.Stop = fmt.Errorf("where something of %d bytes follows that is no record", s.cur.length)
	}
}

// finish counts a record that is there to its end.
func (s *Scanner) finish() {
	switch prev := s.cur.prev(); {
	case !s.cur.intact():
		s.scan.Stop = fmt.Errorf("where a record follows whose CRC-32C is not that of its bytes")
		return
	case prev >= s.cur.start || s.last != 0 && prev != s.last:
		s.scan.Stop = fmt.Errorf("where a record follows that says the one before is at %s", prev)
		return
	}
	s.open = false
	s.last = s.cur.start
	s.pad()
	s.scan.End = s.pos + LSN(s.skip)
	s.scan.Records++
	if s.scan.Start == 0 && s.cur.start >= s.scan.Segment.Start(s.scan.SegmentSize) {
		s.scan.Start = s.cur.start
	}
	s.note()
	if s.cur.isSwitch() {
		s.scan.Whole, s.scan.Switched = true, true
	}
}

// note keeps what a record tells about times.
func (s *Scanner) note() {
	if s.seen != nil {
		s.seen(&s.cur)
	}
	if at, xid, is := s.cur.ended(); is {
		if s.Ended != nil {
			s.Ended(End{XID: xid, At: at, LSN: s.scan.End})
		}
		if s.scan.FirstCommit.IsZero() {
			s.scan.FirstCommit, s.scan.FirstCommitLSN = at, s.scan.End
		}
		s.scan.LastCommit, s.scan.LastCommitLSN = at, s.scan.End
		if xid != 0 {
			if s.scan.MinXID == 0 || xid < s.scan.MinXID {
				s.scan.MinXID = xid
			}
			s.scan.MaxXID = max(s.scan.MaxXID, xid)
		}
	}
	if p, is := s.cur.restorePoint(); is && len(s.scan.RestorePoints) < maxRestorePoints {
		p.At, p.Time = s.scan.End, p.Time.Truncate(time.Microsecond)
		s.scan.RestorePoints = append(s.scan.RestorePoints, p)
	}
}
