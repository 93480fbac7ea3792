package archive

import (
	"cmp"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// cover is what the files of an archive cover, in segments. It is filled file by file,
// in the order of their keys, and keeps none but those at the edges.
type cover struct {
	size      uint64 // of segments, in bytes
	timelines map[pgwal.Timeline]*strip
}

// strip is what is there of one timeline.
type strip struct {
	timeline pgwal.Timeline
	spans    []span // ascending, never touching
	partial  *tail
	history  *pgwal.History
	pending  *tail // pieces of the segment that is being listed

	// pieces of segments that only they cover.
	pieces map[uint64][]repo.WALFile
}

// span is a run of segments.
type span struct {
	from, to    uint64 // numbers; to is the first that is not in it
	bytes       int64
	first, last time.Time // stored
}

// tail is a segment of which there are pieces, from its beginning to reach.
type tail struct {
	segment     uint64
	reach       uint64 // bytes from its beginning that are there
	bytes       int64
	first, last time.Time
	files       []repo.WALFile
}

func newCover(size uint64) *cover {
	return &cover{size: size, timelines: map[pgwal.Timeline]*strip{}}
}

func (c *cover) strip(t pgwal.Timeline) *strip {
	s := c.timelines[t]
	if s == nil {
		s = &strip{timeline: t, pieces: map[uint64][]repo.WALFile{}}
		c.timelines[t] = s
	}
	return s
}

// add notes a file. Files of a timeline come in the order of their keys. What is no
// segment of this size covers nothing, and neither does an object with nothing in it, such
// as a copy that broke off left.
func (c *cover) add(f repo.WALFile) {
	kind := f.Kind()
	if kind != pgwal.SegmentFile && kind != pgwal.PieceFile || f.Stored == 0 {
		return
	}
	seg, err := pgwal.ParseSegment(f.Name, c.size)
	if err != nil {
		return
	}
	s := c.strip(f.Timeline)
	if s.pending != nil && s.pending.segment != seg.Number {
		s.settle(c.size)
	}
	if kind == pgwal.SegmentFile {
		s.whole(seg.Number, f.Stored, f.Modified, f.Modified)
		return
	}
	s.piece(seg.Number, f)
}

// whole adds a segment that is all there.
func (s *strip) whole(n uint64, bytes int64, first, last time.Time) {
	s.partial = nil
	if end := len(s.spans) - 1; end >= 0 && n == s.spans[end].to {
		x := &s.spans[end]
		x.to, x.bytes, x.last = n+1, x.bytes+bytes, last
		return
	} else if end >= 0 && n < s.spans[end].to {
		return
	}
	s.spans = append(s.spans, span{from: n, to: n + 1, bytes: bytes, first: first, last: last})
}

// piece adds a part of a segment. Pieces of one come by where they begin; they may
// overlap, and those behind a hole do not count.
func (s *strip) piece(n uint64, f repo.WALFile) {
	if s.pending == nil {
		s.pending = &tail{segment: n, first: f.Modified}
	}
	p := s.pending
	if uint64(f.PieceFrom) > p.reach || uint64(f.PieceTo) <= p.reach {
		return
	}
	p.reach = uint64(f.PieceTo)
	p.bytes += f.Stored
	p.last = f.Modified
	p.files = append(p.files, f)
}

// settle decides what the pieces of a segment are, when all were seen.
func (s *strip) settle(size uint64) {
	p := s.pending
	s.pending = nil
	if p == nil || len(s.spans) > 0 && p.segment < s.spans[len(s.spans)-1].to {
		return // of a segment that is there whole
	}
	// A server is given an unfinished segment only when nothing of a later one is there.
	if s.partial = nil; p.reach == 0 {
		return
	}
	if p.reach >= size {
		s.pieces[p.segment] = p.files
		s.whole(p.segment, p.bytes, p.first, p.last)
		return
	}
	s.partial = p
}

// done ends the adding.
func (c *cover) done() {
	for _, s := range c.timelines {
		s.settle(c.size)
	}
}

// at is the span that a segment lies in.
func (s *strip) at(n uint64) (span, bool) {
	i, _ := slices.BinarySearchFunc(s.spans, n, func(x span, n uint64) int {
		switch {
		case x.to <= n:
			return -1
		case x.from > n:
			return 1
		}
		return 0
	})
	if i < len(s.spans) && s.spans[i].from <= n && n < s.spans[i].to {
		return s.spans[i], true
	}
	return span{}, false
}

// after is the first segment from n on, and before limit, that is there, also in part.
func (s *strip) after(n, limit uint64) (uint64, bool) {
	found, is := limit, false
	for _, x := range s.spans {
		if x.to > n {
			found, is = max(x.from, n), true
			break
		}
	}
	if p := s.partial; p != nil && p.segment >= n && (!is || p.segment < found) {
		found, is = p.segment, true
	}
	return found, is && found < limit
}

// timelineOf makes the public form of a strip.
func (c *cover) timelineOf(s *strip) Timeline {
	t := Timeline{ID: s.timeline, History: s.history}
	for i, x := range s.spans {
		if i > 0 {
			t.Gaps = append(t.Gaps, c.gap(s.timeline, s.spans[i-1].to, x.from, s.spans[i-1].last, x.first))
		}
		t.Ranges = append(t.Ranges, Range{Timeline: s.timeline, From: pgwal.LSN(x.from * c.size), To: pgwal.LSN(x.to * c.size),
			Segments: x.to - x.from, Bytes: x.bytes, FirstStored: x.first, LastStored: x.last})
	}
	if p := s.partial; p != nil {
		if end := len(s.spans) - 1; end >= 0 && s.spans[end].to < p.segment {
			t.Gaps = append(t.Gaps, c.gap(s.timeline, s.spans[end].to, p.segment, s.spans[end].last, p.first))
		}
		from := pgwal.LSN(p.segment * c.size)
		t.Partial = &Range{Timeline: s.timeline, From: from, To: from + pgwal.LSN(p.reach), Bytes: p.bytes, FirstStored: p.first, LastStored: p.last}
	}
	return t
}

func (c *cover) gap(t pgwal.Timeline, from, to uint64, before, after time.Time) Gap {
	return Gap{Timeline: t, From: pgwal.LSN(from * c.size), To: pgwal.LSN(to * c.size), Segments: to - from, Before: before, After: after, Stored: after}
}

// sorted are the timelines, ascending.
func (c *cover) sorted() []*strip {
	all := make([]*strip, 0, len(c.timelines))
	for _, s := range c.timelines {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *strip) int { return cmp.Compare(a.timeline, b.timeline) })
	return all
}

// lastStoredBefore is when the segment before n was stored, or earlier: only the ends of
// spans are known.
func (s *strip) lastStoredBefore(n uint64) (at time.Time) {
	for _, x := range s.spans {
		switch {
		case x.to <= n:
			at = x.last
		case x.from < n:
			at = x.first
		}
	}
	return at
}

// storedAt is when a segment at the beginning of a span, or an unfinished one, was stored.
func (s *strip) storedAt(n uint64) time.Time {
	if x, is := s.at(n); is {
		return x.first
	}
	if s.partial != nil {
		return s.partial.first
	}
	return time.Time{}
}
