package retention

import (
	"math"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// Server names whose WAL an archive has: a source, and the system identifier of the
// server. Servers that replaced each other under one source, or share it by mistake,
// each have their own, and a base backup of one is of no use with the WAL of another.
type Server struct{ Source, System string }

// Archive is what is needed to know of the archived WAL of one server.
type Archive struct {
	Newest      time.Time // the newest moment it reaches; zero when that is not known
	Stored      time.Time // when its newest file was, by the store's clock; zero is Newest
	SegmentSize uint64    // in bytes
	Lines       []Line    // its timelines, in any order; none when they are not known
}

// Line is one timeline of an archive.
type Line struct {
	ID pgwal.Timeline
	// Ancestors of it, oldest first, as its history file says; Known tells that there
	// is one, or that the timeline is 1, which needs none.
	Ancestors []pgwal.Switch
	Known     bool
	// Newest moment archived on it; zero when that is not known.
	Newest time.Time
	// Reached is where what is archived on it ends, with what there is of an unfinished
	// segment; zero when there is nothing, or that is not known.
	Reached pgwal.LSN
	Ranges  []Range // of whole segments, in the order of positions, apart
}

// Range is WAL from a position up to another, which is no longer in it.
type Range struct{ From, To pgwal.LSN }

// lineage knows which timelines come from which.
type lineage map[pgwal.Timeline][]pgwal.Switch

// lineageOf works the ancestors out that are known: also those of a timeline whose
// own history file is missing, where that of a descendant tells.
func lineageOf(lines []Line) lineage {
	l := lineage{1: nil}
	for _, line := range lines {
		if !line.Known {
			continue
		}
		l[line.ID] = line.Ancestors
		for i, a := range line.Ancestors {
			if _, told := l[a.Timeline]; !told {
				l[a.Timeline] = line.Ancestors[:i:i]
			}
		}
	}
	return l
}

// left is where the lineage of t leaves its ancestor for the next; false where the
// ancestor is not known to be one.
func (l lineage) left(t, ancestor pgwal.Timeline) (pgwal.LSN, bool) {
	i := slices.IndexFunc(l[t], func(s pgwal.Switch) bool { return s.Timeline == ancestor })
	if i < 0 {
		return 0, false
	}
	return l[t][i].At, true
}

// relation is how sure it is that recovery from a base backup can follow a timeline.
type relation uint8

const (
	apart   relation = iota // it can not
	perhaps                 // the timeline is younger, and nothing tells where it came from
	follows
)

// reach tells whether recovery from a base backup that ended at stop on timeline from
// can go on along timeline t. It has to be consistent before the lineage of t leaves
// its timeline: PostgreSQL refuses "requested timeline is not a child of this
// server's history" otherwise.
//
// Example, timeline 2 left timeline 1 at 0/5: a base backup that ended at 0/4 on 1
// reaches 1 and 2, one that ended at 0/6 on 1 reaches 1 alone, one on 2 reaches 2.
func (l lineage) reach(from pgwal.Timeline, stop pgwal.LSN, t pgwal.Timeline) relation {
	if from == t {
		return follows
	}
	if _, known := l[t]; !known {
		if from < t {
			return perhaps
		}
		return apart
	}
	if at, is := l.left(t, from); is && stop <= at {
		return follows
	}
	return apart
}

// gapsTo are the gaps on the way to the end of a timeline: on it, on its ancestors up
// to where they were left, and where one goes over to the next. From is zero for what
// lies before all there is.
//
// Example with segments of 10: timeline 1 has 0 to 30, was left at 45 for timeline 2,
// which has 40 to 90: 30 to 40 is a gap, for nothing on timeline 2 is before 40.
func (a *Archive) gapsTo(line Line) []Range {
	if a.SegmentSize == 0 {
		return nil
	}
	var gaps []Range
	var reached, begins pgwal.LSN
	take := func(l Line, until pgwal.LSN) {
		for _, r := range l.Ranges {
			r.From, r.To = max(r.From, begins), min(r.To, until)
			if r.From >= r.To {
				continue
			}
			if r.From > reached {
				gaps = append(gaps, Range{reached, r.From})
			}
			reached = r.To
		}
		begins = until
	}
	for _, switched := range line.Ancestors {
		// The segment in which a timeline was left is whole on the next one only.
		until := switched.At - switched.At%pgwal.LSN(a.SegmentSize)
		i := slices.IndexFunc(a.Lines, func(l Line) bool { return l.ID == switched.Timeline })
		if i < 0 {
			begins = until
			continue
		}
		take(a.Lines[i], until)
	}
	take(line, math.MaxUint64)
	return gaps
}
