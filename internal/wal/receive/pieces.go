package receive

import "slices"

// span is a range of a segment's bytes, [from, to).
type span struct{ from, to uint32 }

func (s span) size() uint32 { return s.to - s.from }

// chain picks of pieces those that cover a segment from its beginning without a hole,
// as few as do, in order. The others are of no use beside them, or not yet.
func chain(pieces []span) (used, rest []span) {
	sorted := slices.Clone(pieces)
	slices.SortFunc(sorted, func(a, b span) int {
		if a.from != b.from {
			return int(int64(a.from) - int64(b.from))
		}
		return int(int64(b.to) - int64(a.to))
	})
	var end uint32
	for i := 0; i < len(sorted); {
		best := -1
		for ; i < len(sorted) && sorted[i].from <= end; i++ {
			if sorted[i].to > end && (best < 0 || sorted[i].to > sorted[best].to) {
				if best >= 0 {
					rest = append(rest, sorted[best])
				}
				best = i
			} else {
				rest = append(rest, sorted[i])
			}
		}
		if best < 0 {
			return used, append(rest, sorted[i:]...)
		}
		used = append(used, sorted[best])
		end = sorted[best].to
	}
	return used, rest
}

// covered is how far a chain reaches.
func covered(chained []span) uint32 {
	if len(chained) == 0 {
		return 0
	}
	return chained[len(chained)-1].to
}

// extend says which piece to store so that a chain reaches up to to, and how many of
// its last pieces that makes needless. The new one takes along those before it that are
// at most twice as large. A segment that fills slowly would else lie there in
// thousands of pieces; this way it has a few, and each byte is stored about as often.
//
//	4 MB | 1 MB | 0.2 MB and 0.2 MB new: the last two and the new one become... 0.4 MB,
//	1 MB is more than twice that and stays. With 0.4 MB more it goes along as well.
func extend(chained []span, to uint32) (piece span, needless int) {
	piece = span{covered(chained), to}
	for i := len(chained) - 1; i >= 0; i-- {
		if chained[i].size()/2 > piece.size() {
			break
		}
		piece.from = chained[i].from
		needless++
	}
	return piece, needless
}
