package retention_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// at is a position a little into a segment.
func at(segment uint64) pgwal.LSN { return pgwal.LSN(segment*segmentSize + 40) }

// base is one that needs the segments first to last to be consistent.
func base(id string, t pgwal.Timeline, first, last uint64, window string) retention.WALBase {
	return retention.WALBase{ID: id, Timeline: t, Start: at(first), Stop: at(last) + 100, Window: window}
}

func segments(t pgwal.Timeline, first, last uint64) []retention.WALFile {
	var files []retention.WALFile
	for n := first; n <= last; n++ {
		files = append(files, retention.WALFile{Kind: pgwal.SegmentFile, Timeline: t, Number: n})
	}
	return files
}

// gone writes what goes as "1/3 1/2": timeline and segment, in the order of deletion.
func gone(in retention.WALInput) string {
	plan := retention.WAL(in)
	var all []string
	for _, i := range plan.Deletions() {
		all = append(all, fmt.Sprintf("%d/%d", in.Files[i].Timeline, in.Files[i].Number))
	}
	return strings.Join(all, " ")
}

func TestWALStaysWithTheBaseBackupsThatNeedIt(t *testing.T) {
	t.Parallel()
	second := retention.Line{ID: 2, Known: true, Ancestors: []pgwal.Switch{{Timeline: 1, At: at(6)}}}
	for _, c := range []struct {
		name  string
		bases []retention.WALBase // newest first
		lines []retention.Line
		files []retention.WALFile
		want  string
	}{
		{"without a base backup all stays", nil, nil, segments(1, 1, 3), ""},
		{"everything from the start of the window's base backup on stays", []retention.WALBase{base("b", 1, 3, 4, "w")}, nil, segments(1, 1, 9), "1/1 1/2"},
		{"an older one keeps its own, and what follows goes from its end", []retention.WALBase{base("new", 1, 8, 8, "w"), base("old", 1, 2, 3, "")}, nil, segments(1, 1, 9), "1/1 1/7 1/6 1/5 1/4"},
		{"a backup that stops at the end of a segment does not need the next", []retention.WALBase{base("new", 1, 8, 8, "w"), {ID: "old", Timeline: 1, Start: at(2), Stop: 4 * segmentSize}}, nil, segments(1, 1, 9), "1/1 1/7 1/6 1/5 1/4"},
		{"the newest keeps all that follows it, whatever the rule says", []retention.WALBase{base("new", 1, 5, 5, ""), base("held", 1, 7, 7, "w")}, nil, segments(1, 4, 9), "1/4"},
		{"without a good base backup all stays", []retention.WALBase{base("bad", 1, 5, 5, "")}, nil, segments(1, 1, 9), ""},
		{"where one begins must be known", []retention.WALBase{base("b", 1, 5, 5, "w"), {ID: "strange", Window: "w"}}, nil, segments(1, 1, 9), ""},
		{"a window that begins before a switch has both timelines", []retention.WALBase{base("b", 1, 4, 4, "w")}, []retention.Line{second}, append(segments(1, 3, 9), segments(2, 6, 9)...), "1/3"},
		{
			"when the window begins behind a switch the timeline that was left goes",
			[]retention.WALBase{base("b", 2, 7, 7, "w")}, []retention.Line{second}, append(segments(1, 3, 9), segments(2, 6, 9)...),
			"1/3 1/4 1/5 1/6 1/7 1/8 1/9 2/6",
		},
		{
			"an older base backup before the switch finds its last segment on either timeline",
			[]retention.WALBase{base("b", 2, 8, 8, "w"), base("old", 1, 5, 6, "")}, []retention.Line{second}, append(segments(1, 4, 7), segments(2, 6, 9)...),
			"1/4 1/7 2/7",
		},
		{"a timeline younger than every base backup stays", []retention.WALBase{base("b", 1, 8, 8, "w")}, []retention.Line{second}, append(segments(1, 7, 9), segments(2, 6, 9)...), "1/7"},
		{"a timeline of unknown origin without a base backup stays", []retention.WALBase{base("b", 3, 8, 8, "w")}, nil, append(segments(2, 1, 3), segments(3, 7, 9)...), "3/7"},
		{"a server that began its archive on a later timeline is no riddle", []retention.WALBase{base("b", 7, 8, 8, "w")}, nil, segments(7, 6, 9), "7/6 7/7"},
		{"history files and what is not recognised stay", []retention.WALBase{base("b", 1, 8, 8, "w")}, nil, []retention.WALFile{
			{Kind: pgwal.HistoryFile, Timeline: 1}, {Kind: pgwal.NoFile, Timeline: 1},
		}, ""},
		{"partial and backup files and pieces go with their segment", []retention.WALBase{base("b", 1, 8, 8, "w")}, nil, []retention.WALFile{
			{Kind: pgwal.PartialFile, Timeline: 1, Number: 7}, {Kind: pgwal.BackupFile, Timeline: 1, Number: 6}, {Kind: pgwal.BackupFile, Timeline: 1, Number: 8}, {Kind: pgwal.PieceFile, Timeline: 1, Number: 5},
		}, "1/5 1/6 1/7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := gone(retention.WALInput{SegmentSize: segmentSize, Bases: c.bases, Lines: c.lines, Files: c.files}); got != c.want {
				t.Errorf("goes %q, want %q", got, c.want)
			}
		})
	}
}

func TestWALSaysWhyItStaysAndGoes(t *testing.T) {
	t.Parallel()
	in := retention.WALInput{SegmentSize: segmentSize, Bases: []retention.WALBase{base("new", 1, 8, 8, "needed for point-in-time recovery"), base("old", 1, 2, 2, "")}, Files: segments(1, 1, 9)}
	plan := retention.WAL(in)
	for n, want := range map[int]string{0: "no base backup that stays needs it", 1: "needed by base backup old", 7: "needed for point-in-time recovery", 8: "needed for point-in-time recovery"} {
		if got := plan.Reason(n); got != want {
			t.Errorf("segment %d: %q, want %q", n+1, got, want)
		}
	}
}

// bases of a server as the rule wal sees them, each with where it lies.
func walBaseAt(day string, t pgwal.Timeline, segment uint64) retention.Point {
	b := p(day, physical)
	b.System, b.Timeline, b.StartLSN, b.StopLSN = "7", t, at(segment), at(segment)+100
	return b
}

func TestWALWindowsFollowTheTimelines(t *testing.T) {
	t.Parallel()
	archived := time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	whole := func(t pgwal.Timeline, first, last uint64, ancestors ...pgwal.Switch) retention.Line {
		return retention.Line{ID: t, Known: true, Ancestors: ancestors, Newest: archived, Ranges: []retention.Range{{From: pgwal.LSN(first * segmentSize), To: pgwal.LSN((last + 1) * segmentSize)}}}
	}
	ended := whole(1, 1, 30)
	ended.Newest = archived.AddDate(0, 0, -20)
	holed := whole(1, 1, 40)
	holed.Ranges = []retention.Range{{From: segmentSize, To: at(14) - 40}, {From: at(15) - 40, To: at(40) - 40}}
	for _, c := range []struct {
		name   string
		points []retention.Point
		lines  []retention.Line
		want   []string
	}{
		{
			"a recovery to before the newest old base needs an older one",
			[]retention.Point{walBaseAt("2026-03-19", 2, 30), walBaseAt("2026-03-12", 1, 20), walBaseAt("2026-03-08", 1, 10)},
			[]retention.Line{whole(1, 1, 30), whole(2, 15, 40, pgwal.Switch{Timeline: 1, At: at(15)})},
			[]string{"2026-03-19", "2026-03-12", "2026-03-08"},
		},
		{
			"a timeline that ended before the window needs none",
			[]retention.Point{walBaseAt("2026-03-19", 2, 30), walBaseAt("2026-03-12", 2, 20), walBaseAt("2026-02-08", 1, 10)},
			[]retention.Line{ended, whole(2, 15, 40, pgwal.Switch{Timeline: 1, At: at(15)})},
			[]string{"2026-03-19", "2026-03-12"},
		},
		{
			"the one behind a gap stays",
			[]retention.Point{walBaseAt("2026-03-19", 1, 30), walBaseAt("2026-03-17", 1, 20), walBaseAt("2026-03-15", 1, 15), walBaseAt("2026-03-12", 1, 10)},
			[]retention.Line{holed},
			[]string{"2026-03-19", "2026-03-15", "2026-03-12"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			plan := retention.Decide(retention.Input{
				Points: c.points, Rules: retention.Rules{Keep: retention.Keep{WAL: span("7d")}}, Now: now,
				Archives: map[retention.Server]retention.Archive{{Source: "db", System: "7"}: {Newest: archived, SegmentSize: segmentSize, Lines: c.lines}},
			})
			if got := ids(plan.Keep); !slices.Equal(got, c.want) {
				t.Errorf("keeps %v, want %v: %v", got, c.want, reasons(plan))
			}
		})
	}
}

// Two clusters of one machine share its name as their source.
func TestEachServerOfASourceHasItsOwnWindow(t *testing.T) {
	t.Parallel()
	var all []retention.Point
	for i, day := range []string{"2026-03-19", "2026-03-12", "2026-03-08"} {
		for _, system := range []string{"7", "8"} {
			b := walBaseAt(day, 1, uint64(30-i))
			b.ID, b.System, b.Start = system+" "+day, system, b.Start.Add(time.Duration(len(all))*-time.Minute)
			all = append(all, b)
		}
	}
	plan := retention.Decide(retention.Input{Points: all, Rules: retention.Rules{Keep: retention.Keep{WAL: span("7d")}}, Now: now, Archives: map[retention.Server]retention.Archive{
		{Source: "db", System: "7"}: {Newest: now}, {Source: "db", System: "8"}: {Newest: now.AddDate(0, 0, -4)},
	}})
	got := ids(plan.Keep)
	slices.Sort(got)
	if want := []string{"7 2026-03-12", "7 2026-03-19", "8 2026-03-08", "8 2026-03-19"}; !slices.Equal(got, want) {
		t.Errorf("keeps %v, want %v", got, want)
	}
}

func TestWithoutTheRuleEveryBaseBackupThatStaysKeepsItsWAL(t *testing.T) {
	t.Parallel()
	plan := retention.Decide(retention.Input{
		Points: []retention.Point{walBaseAt("2026-03-19", 1, 30), walBaseAt("2026-03-12", 1, 20), walBaseAt("2026-03-08", 1, 10)},
		Rules:  retention.Rules{Keep: retention.Keep{KeepLast: 2}}, Now: now,
	})
	var got []string
	for _, w := range plan.Windows[retention.Server{Source: "db", System: "7"}] {
		got = append(got, w.ID)
	}
	if want := []string{"2026-03-19", "2026-03-12"}; !slices.Equal(got, want) {
		t.Errorf("windows begin with %v, want %v", got, want)
	}
}

func millionSegments() retention.WALInput {
	in := retention.WALInput{SegmentSize: segmentSize, Files: segments(1, 1, 1_000_000)}
	for n := uint64(1_000_000); n > 2500; n -= 2500 {
		window := ""
		if n > 900_000 {
			window = "window"
		}
		in.Bases = append(in.Bases, base(fmt.Sprint("b", n), 1, n-5, n-2, window))
	}
	return in
}

func TestAMillionSegmentsAreDecidedInSeconds(t *testing.T) {
	t.Parallel()
	in := millionSegments()
	began := time.Now()
	plan := retention.WAL(in)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if n := len(plan.Deletions()); n < 890_000 || n > 910_000 {
		t.Errorf("%d go", n)
	}
}

func BenchmarkWAL(b *testing.B) {
	in := millionSegments()
	for b.Loop() {
		retention.WAL(in)
	}
}
