package physical

import (
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/basemanifest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// segment of WAL that a backup needs, from its first byte on.
type segment struct {
	// names it may have: where a timeline ends in the middle of it, the next one's
	// segment of that number begins with the same bytes.
	names []string
	to    uint64 // the first byte that is not needed
}

// needed lists the segments that the ranges of a backup lie in, in order. A range
// that ends where a segment does needs nothing of the next.
//
// 0/3000028 to 0/5000150 in segments of 16 MiB: 03 whole, 04 whole, 05 to byte 336.
func needed(ranges []basemanifest.Range, size uint64) []segment {
	var list []segment
	for i, r := range ranges {
		first, last := pgwal.SegmentAt(r.Timeline, r.Start, size), pgwal.SegmentAt(r.Timeline, max(r.End, r.Start+1)-1, size)
		for s := first; s.Number <= last.Number; s = s.Next() {
			want := segment{names: []string{s.Name(size)}, to: size}
			if s == last {
				want.to = uint64(max(r.End, r.Start+1) - s.Start(size))
				if i+1 < len(ranges) {
					want.names = append(want.names, pgwal.Segment{Timeline: ranges[i+1].Timeline, Number: s.Number}.Name(size))
				}
			}
			list = append(list, want)
		}
	}
	return list
}

// has tells whether files of an archive hold what is needed of a segment: all of
// it, or pieces without a gap.
func (s segment) has(files []repo.WALFile) bool {
	for _, name := range s.names {
		var pieces []repo.WALFile
		for _, f := range files {
			switch {
			case f.Name != name:
			case !f.IsPiece():
				return true
			default:
				pieces = append(pieces, f)
			}
		}
		slices.SortFunc(pieces, func(a, b repo.WALFile) int { return int(int64(a.PieceFrom) - int64(b.PieceFrom)) })
		var end uint64
		for _, p := range pieces {
			if uint64(p.PieceFrom) <= end {
				end = max(end, uint64(p.PieceTo))
			}
		}
		if end >= s.to {
			return true
		}
	}
	return false
}
