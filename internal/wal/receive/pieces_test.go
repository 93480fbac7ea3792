package receive

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestPiecesOfASegmentStayFewHoweverSlowlyItFills(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const segment = 16 << 20
		var chained []span
		stored := uint64(0)
		n := 0
		for at := uint32(0); at < segment; n++ {
			at = min(segment, at+uint32(rapid.IntRange(1, 200_000).Draw(t, "grown")))
			piece, needless := extend(chained, at)
			if piece.to != at || piece.size() == 0 {
				t.Fatalf("%v does not reach %d", piece, at)
			}
			chained = append(chained[:len(chained)-needless], piece)
			stored += uint64(piece.size())
			for i, p := range chained {
				if i == 0 && p.from != 0 || i > 0 && p.from != chained[i-1].to {
					t.Fatalf("%v have a hole", chained)
				}
			}
			if len(chained) > 26 {
				t.Fatalf("%d pieces: %v", len(chained), chained)
			}
		}
		if stored > 20*segment {
			t.Fatalf("%d bytes were stored for a segment of %d in %d steps", stored, segment, n)
		}
	})
}

func TestChainOfPiecesLeavesOutWhatLiesBehindAHole(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ pieces, used, rest []span }{
		"none":      {nil, nil, nil},
		"in order":  {[]span{{0, 5}, {5, 9}}, []span{{0, 5}, {5, 9}}, nil},
		"any order": {[]span{{5, 9}, {0, 5}}, []span{{0, 5}, {5, 9}}, nil},
		"replaced":  {[]span{{0, 5}, {5, 9}, {0, 9}}, []span{{0, 9}}, []span{{0, 5}, {5, 9}}},
		"over":      {[]span{{0, 5}, {3, 9}, {5, 7}}, []span{{0, 5}, {3, 9}}, []span{{5, 7}}},
		"hole":      {[]span{{0, 5}, {6, 9}}, []span{{0, 5}}, []span{{6, 9}}},
		"no begin":  {[]span{{6, 9}}, nil, []span{{6, 9}}},
	} {
		used, rest := chain(c.pieces)
		slices.SortFunc(rest, func(a, b span) int { return int(a.from) - int(b.from) })
		if !slices.Equal(used, c.used) || !slices.Equal(rest, c.rest) {
			t.Errorf("%s: %v and %v, want %v and %v", name, used, rest, c.used, c.rest)
		}
	}
}

func TestChainUsesNoPieceTwiceAndLosesNone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) span {
			from := rapid.Uint32Range(0, 20).Draw(t, "from")
			return span{from, from + rapid.Uint32Range(1, 10).Draw(t, "size")}
		}), 0, 12).Draw(t, "pieces")
		used, rest := chain(pieces)
		if len(used)+len(rest) != len(pieces) {
			t.Fatalf("%v became %v and %v", pieces, used, rest)
		}
		var there [64]bool
		for _, p := range pieces {
			for i := p.from; i < p.to; i++ {
				there[i] = true
			}
		}
		want := uint32(slices.Index(there[:], false))
		if covered(used) != want {
			t.Fatalf("%v cover %d, of %v %d can be had", used, covered(used), pieces, want)
		}
	})
}
