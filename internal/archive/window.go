package archive

import (
	"math"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// A server that recovers along a timeline takes each segment from the youngest of its
// ancestors that had begun by then. With the history
//
//	1  0/3000000  →  2  0/5000148  →  3
//
// and segments of 16 MiB it reads segments 1 and 2 of timeline 1, 3 and 4 of timeline 2,
// and 5 and later of timeline 3: the first segment of a timeline repeats what its parent
// had of it.

// leg is the segments that are taken from one timeline.
type leg struct {
	strip    *strip
	from, to uint64 // numbers; to is the first that is not
}

// route is the legs to a timeline, oldest first. Without a history file it begins with
// the timeline itself.
func (c *cover) route(t pgwal.Timeline) []leg {
	s := c.timelines[t]
	if s == nil {
		return nil
	}
	var legs []leg
	from := uint64(0)
	if s.history != nil {
		for _, a := range s.history.Ancestors {
			to := uint64(a.At) / c.size
			parent := c.timelines[a.Timeline]
			if parent == nil {
				parent = &strip{timeline: a.Timeline}
			}
			legs = append(legs, leg{parent, from, to})
			from = to
		}
	}
	return append(legs, leg{s, from, math.MaxUint64})
}

// leads tells whether a base backup that ended at stop on timeline b can be recovered
// along timeline t.
func (c *cover) leads(b pgwal.Timeline, stop pgwal.LSN, t pgwal.Timeline) bool {
	s := c.timelines[t]
	if b == t {
		return true
	}
	if s == nil || s.history == nil {
		return false
	}
	left, is := s.history.Left(b)
	return is && stop <= left
}

// stretch is how far the log goes on from a segment along a route.
type stretch struct {
	end uint64 // the first segment that is not whole there
	leg int    // that end is of
	// reach is the same as a position, with what there is of an unfinished segment.
	reach   pgwal.LSN
	partial *tail
	missing *Gap // before something later on the route
}

// follow goes along a route from a segment to the first that is missing.
func (c *cover) follow(legs []leg, from uint64) stretch {
	pos := from
	for i, l := range legs {
		if pos >= l.to {
			continue // of an older leg than the backup, or one without a segment of its own
		}
		if x, is := l.strip.at(pos); is {
			pos = min(x.to, l.to)
		}
		if pos == l.to {
			continue
		}
		end := stretch{end: pos, leg: i, reach: pgwal.LSN(pos * c.size)}
		if p := l.strip.partial; p != nil && p.segment == pos {
			end.partial, end.reach = p, end.reach+pgwal.LSN(p.reach)
		}
		end.missing = c.missing(legs[i:], pos, end.partial != nil)
		return end
	}
	return stretch{end: pos, leg: len(legs) - 1, reach: pgwal.LSN(pos * c.size)}
}

// missing is the gap from a segment to the next that is there on the rest of a route;
// nil when nothing is.
func (c *cover) missing(legs []leg, pos uint64, partial bool) *Gap {
	look := pos
	if partial { // which is not the next thing that is there
		look++
	}
	for i, l := range legs {
		if next, is := l.strip.after(max(look, l.from), l.to); is {
			gap := c.gap(legs[0].strip.timeline, pos, next, legs[0].strip.lastStoredBefore(pos), legs[i].strip.storedAt(next))
			return &gap
		}
	}
	return nil
}
