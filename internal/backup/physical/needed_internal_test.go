package physical

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/basemanifest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

const mib16 = 16 << 20

func TestEverySegmentFromStartToStopIsNeeded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ranges []basemanifest.Range
		want   []segment
	}{
		{[]basemanifest.Range{{Timeline: 1, Start: 0x3000028, End: 0x5000150}}, []segment{
			{[]string{"000000010000000000000003"}, mib16}, {[]string{"000000010000000000000004"}, mib16}, {[]string{"000000010000000000000005"}, 0x150}}},
		// It ends where a segment does.
		{[]basemanifest.Range{{Timeline: 1, Start: 0x3000028, End: 0x4000000}}, []segment{{[]string{"000000010000000000000003"}, mib16}}},
		// A standby that followed its primary to another timeline meanwhile.
		{[]basemanifest.Range{{Timeline: 1, Start: 0x3000028, End: 0x3000100}, {Timeline: 2, Start: 0x3000100, End: 0x3000200}}, []segment{
			{[]string{"000000010000000000000003", "000000020000000000000003"}, 0x100}, {[]string{"000000020000000000000003"}, 0x200}}},
	} {
		got := needed(c.ranges, mib16)
		if len(got) != len(c.want) {
			t.Fatalf("%v: %v, want %v", c.ranges, got, c.want)
		}
		for i, s := range got {
			if s.to != c.want[i].to || len(s.names) != len(c.want[i].names) || s.names[0] != c.want[i].names[0] || s.names[len(s.names)-1] != c.want[i].names[len(s.names)-1] {
				t.Errorf("%v: %v, want %v", c.ranges, got, c.want)
			}
		}
	}
}

// Pieces hold what is needed exactly when every byte of it is in one of them.
func TestPiecesOfASegmentAreEnoughWithoutAGap(t *testing.T) {
	t.Parallel()
	const name = "000000010000000000000003"
	rapid.Check(t, func(t *rapid.T) {
		s := segment{names: []string{name}, to: rapid.Uint64Range(1, 20).Draw(t, "to")}
		var files []repo.WALFile
		var there [20]bool
		for range rapid.IntRange(0, 6).Draw(t, "pieces") {
			from := rapid.Uint32Range(0, 18).Draw(t, "from")
			to := rapid.Uint32Range(from+1, 20).Draw(t, "end")
			files = append(files, repo.WALFile{Name: name, PieceFrom: from, PieceTo: to}, repo.WALFile{Name: "000000010000000000000004", PieceTo: 20})
			for i := from; i < to; i++ {
				there[i] = true
			}
		}
		want := true
		for i := range s.to {
			want = want && there[i]
		}
		if got := s.has(files); got != want {
			t.Fatalf("%v of %v: %v", files, s, got)
		}
		if !s.has(append(files, repo.WALFile{Name: name})) {
			t.Fatal("the whole segment is not enough")
		}
	})
}

func TestAnIncrementalBuildsOnTheNewestGoodPointWhoseParentsAreGood(t *testing.T) {
	t.Parallel()
	p := func(id, parent string, condemned bool) repo.Listed {
		return repo.Listed{Ref: repo.Ref{ID: id, Parent: parent}, Condemned: condemned}
	}
	for _, c := range []struct {
		points []repo.Listed
		want   string // the newest first
	}{
		{nil, ""},
		{[]repo.Listed{p("f", "", false)}, "f"},
		{[]repo.Listed{p("c", "b", false), p("b", "f", false), p("f", "", false)}, "cbf"},
		{[]repo.Listed{p("c", "b", true), p("b", "f", false), p("f", "", false)}, "bf"},
		{[]repo.Listed{p("c", "b", false), p("b", "f", true), p("f", "", false)}, "f"},
		{[]repo.Listed{p("c", "gone", false), p("f", "", true)}, ""},
		{[]repo.Listed{p("a", "b", false), p("b", "a", false)}, ""}, // in a circle
	} {
		got := ""
		for _, l := range newestChain(c.points) {
			got += l.ID
		}
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.points, got, c.want)
		}
	}
}

func TestChunksGrowWithTheClusterSoThatTheirIndexDoesNot(t *testing.T) {
	t.Parallel()
	for expected, want := range map[int64]int{0: 512 << 10, 1 << 30: 512 << 10, 100 << 30: 1 << 20, 1 << 40: 8 << 20, 50 << 40: 8 << 20} {
		if got := chunkOf(expected); got != want {
			t.Errorf("%d bytes in chunks of %d, want %d", expected, got, want)
		}
	}
}
