package receive

import (
	"iter"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// place is where a stream begins: always at the beginning of a segment, but where the
// rest of one is in the spool.
type place struct {
	timeline pgwal.Timeline
	at       pgwal.LSN
}

// holes is how many of the newest segments of an archive are looked through for holes:
// segments are stored several at once, and a receiver that is killed may have stored
// the later of them. It is more than any receiver has at work.
const holes = 64

// archived is what a repository has of an archive, as far as a receiver wants to know.
type archived struct {
	size  uint64 // of segments
	whole map[pgwal.Timeline][]uint64
	// pieces by segment. Those of segments that are whole are needless.
	pieces   map[pgwal.Segment][]span
	needless []repo.WALFile
}

// survey reads a listing of one archive, in the order of its keys: of a timeline the
// segments in order, each before its pieces. Of the whole segments it keeps the newest,
// of which alone something is asked: an archive may have a million.
func survey(files iter.Seq2[repo.WALFile, error], size uint64) (archived, error) {
	a := archived{size: size, whole: map[pgwal.Timeline][]uint64{}, pieces: map[pgwal.Segment][]span{}}
	for f, err := range files {
		if err != nil {
			return a, err
		}
		s, err := pgwal.ParseSegment(f.Name, size)
		if err != nil || uint64(f.PieceTo) > size {
			continue // a history, or of a server with other segments
		}
		_, whole := a.find(s)
		switch kind := f.Kind(); {
		case kind == pgwal.SegmentFile:
			a.addWhole(s)
		case kind == pgwal.PieceFile && whole:
			a.needless = append(a.needless, f)
		case kind == pgwal.PieceFile:
			a.pieces[s] = append(a.pieces[s], span{f.PieceFrom, f.PieceTo})
		}
	}
	return a, nil
}

func (a archived) addWhole(s pgwal.Segment) {
	numbers := a.whole[s.Timeline]
	if len(numbers) >= 4*holes {
		numbers = slices.Clone(numbers[len(numbers)-2*holes:])
	}
	a.whole[s.Timeline] = append(numbers, s.Number)
}

// find tells whether one of the newest segments is there as a whole.
func (a archived) find(s pgwal.Segment) (int, bool) {
	return slices.BinarySearch(a.whole[s.Timeline], s.Number)
}

// newest is the newest timeline of a history that the archive has something of.
func (a archived) newest(h pgwal.History) (pgwal.Timeline, bool) {
	var newest pgwal.Timeline
	for t := range a.whole {
		if h.Has(t) {
			newest = max(newest, t)
		}
	}
	for s := range a.pieces {
		if h.Has(s.Timeline) {
			newest = max(newest, s.Timeline)
		}
	}
	return newest, newest != 0
}

// beyond are the timelines of the archive that the history does not have.
func (a archived) beyond(h pgwal.History) (t pgwal.Timeline) {
	for other := range a.whole {
		if !h.Has(other) {
			t = max(t, other)
		}
	}
	return t
}

// resume is where to go on: the first of the newest segments of the newest timeline
// that is not whole.
func (a archived) resume(h pgwal.History) (place, bool) {
	t, ok := a.newest(h)
	if !ok {
		return place{}, false
	}
	numbers := a.whole[t]
	if len(numbers) == 0 { // pieces only: of the segments there the first one
		first := ^uint64(0)
		for s := range a.pieces {
			if s.Timeline == t {
				first = min(first, s.Number)
			}
		}
		return place{t, pgwal.LSN(first * a.size)}, true
	}
	top := numbers[len(numbers)-1]
	next := top + 1
	for i := len(numbers) - 2; i >= 0 && top-numbers[i] < holes; i-- {
		if numbers[i]+1 != numbers[i+1] {
			next = numbers[i] + 1
		}
	}
	return place{t, pgwal.LSN(next * a.size)}, true
}

// route holds a place against the history of a server: when the server left the
// timeline before the place, receiving goes on with the timeline that it took, from the
// segment in which it did.
//
// Worked example: received is timeline 1 up to 0/5000000, the standby that took over had
// it up to 0/4800000 only. Its history says: timeline 1 was left at 0/4800000. So what
// follows is timeline 2 from 0/4000000 on, the beginning of the segment; what timeline 1
// had beyond 0/4800000 stays in the archive and is on no way to timeline 2.
func route(h pgwal.History, p place, size uint64) place {
	for {
		left, was := h.Left(p.timeline)
		if !was || p.at <= left {
			return p
		}
		p = place{successor(h, p.timeline), pgwal.SegmentAt(0, left, size).Start(size)}
	}
}

// successor is the timeline that a history went on with after t, which it left.
func successor(h pgwal.History, t pgwal.Timeline) pgwal.Timeline {
	for i, s := range h.Ancestors {
		if s.Timeline == t && i+1 < len(h.Ancestors) {
			return h.Ancestors[i+1].Timeline
		}
	}
	return h.Timeline
}
