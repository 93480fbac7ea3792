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

// initialised is the system identifier of a server that initdb made at a moment.
func initialised(at time.Time) string { return fmt.Sprint(uint64(at.Unix())<<32 | 0x1234567) }

func TestTheOnlyBaseBackupOfAServerThatGoesOnArchivingStays(t *testing.T) {
	t.Parallel()
	day := func(d int) time.Time { return time.Date(2026, 3, d, 0, 0, 0, 0, time.UTC) }
	first := initialised(day(1))
	for _, c := range []struct {
		name   string
		second string    // system identifier
		stored time.Time // newest file of the first server
		stays  bool
	}{
		{"something came after the other's base backup began", initialised(day(12)), day(20), true},
		{"also where that server was made before this one stopped, and it is quiet since", initialised(day(12)), day(18), true},
		{"it has been quiet for more than a week", initialised(day(2)), day(11), false},
		{"the server was made anew after it ended", initialised(day(18)), day(17), false},
		{"an identifier that says nothing of when", "8", day(18), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			old, other := walBaseAt("2026-03-10", 1, 10), walBaseAt("2026-03-19", 1, 20)
			old.System, other.System = first, c.second
			plan := retention.Decide(retention.Input{
				Points: []retention.Point{old, other}, Rules: retention.Rules{Keep: retention.Keep{KeepLast: 1}}, Now: now,
				Archives: map[retention.Server]retention.Archive{
					{Source: "db", System: first}: {Newest: c.stored, Stored: c.stored}, {Source: "db", System: c.second}: {Newest: now, Stored: now},
				},
			})
			want := []string{"2026-03-19"}
			if c.stays {
				want = append(want, "2026-03-10")
			}
			if got := ids(plan.Keep); !slices.Equal(got, want) {
				t.Fatalf("keeps %v, want %v", got, want)
			}
			if c.stays && !strings.Contains(reasons(plan)["2026-03-10"], "system identifier "+first+", which still archives WAL under this source") {
				t.Errorf("says %v", reasons(plan))
			}
			if got := len(plan.Windows[retention.Server{Source: "db", System: first}]); (got == 1) != c.stays {
				t.Errorf("%d base backups of it keep their WAL", got)
			}
		})
	}
}

func TestABaseBackupThatLeadsToTheCurrentTimelineStays(t *testing.T) {
	t.Parallel()
	day := func(d int) time.Time { return time.Date(2026, 3, d, 12, 0, 0, 0, time.UTC) }
	line := func(t pgwal.Timeline, newest time.Time, first, last uint64, ancestors ...pgwal.Switch) retention.Line {
		to := pgwal.LSN((last + 1) * segmentSize)
		return retention.Line{ID: t, Known: true, Ancestors: ancestors, Newest: newest, Reached: to, Ranges: []retention.Range{{From: pgwal.LSN(first * segmentSize), To: to}}}
	}
	left := pgwal.Switch{Timeline: 1, At: at(15)}
	apart := []retention.Point{walBaseAt("2026-03-15", 2, 20), walBaseAt("2026-03-12", 1, 10), walBaseAt("2026-03-11", 1, 5)}
	held := slices.Clone(apart)
	held[1].Held = true
	bad := slices.Clone(apart)
	bad[1].Condemned = true
	unarchived := slices.Clone(apart)
	unarchived[0] = walBaseAt("2026-03-15", 1, 14) // of which nothing is archived
	begun := retention.Line{ID: 3, Known: true, Ancestors: []pgwal.Switch{left}, Newest: day(18)}
	for _, c := range []struct {
		name   string
		points []retention.Point
		lines  []retention.Line
		wal    string // the rule
		want   string // what stays with all of its WAL
	}{
		{"the server was taken back to before", apart, []retention.Line{line(1, day(13), 1, 16), line(2, day(16), 15, 25, left), line(3, day(20), 15, 30, left)}, "", "2026-03-15 2026-03-12"},
		{"and has archived nothing but the history yet", apart, []retention.Line{line(1, day(13), 1, 16), line(2, day(16), 15, 25, left), begun}, "", "2026-03-15 2026-03-12"},
		{"a timeline without a base backup before it", apart, []retention.Line{line(2, day(16), 15, 25), line(3, day(20), 2, 30, pgwal.Switch{Timeline: 1, At: at(2)})}, "", "2026-03-15"},
		{"a timeline that was given up long ago", apart, []retention.Line{line(1, day(13), 1, 16), line(2, day(16), 15, 25, left), line(3, day(5), 15, 30, left)}, "", "2026-03-15"},
		{"the former timeline is written to again", apart, []retention.Line{line(1, day(18), 1, 30), line(2, day(16), 15, 25, left)}, "", "2026-03-15 2026-03-12"},
		{"what a failover left goes", apart, []retention.Line{line(1, day(13), 1, 16), line(2, day(20), 15, 25, left)}, "", "2026-03-15"},
		{"one that is held keeps its WAL too", held, []retention.Line{line(1, day(13), 1, 16), line(2, day(16), 15, 25, left), line(3, day(20), 15, 30, left)}, "", "2026-03-15 2026-03-12"},
		{"one that was found bad leads nowhere", bad, []retention.Line{line(1, day(13), 1, 16), line(2, day(16), 15, 25, left), line(3, day(20), 15, 30, left)}, "", "2026-03-15 2026-03-11"},
		{"nor one whose own WAL is not archived", unarchived, []retention.Line{line(1, day(20), 1, 12)}, "", "2026-03-15 2026-03-12"},
		{"the rule wal keeps it already", apart, []retention.Line{line(1, day(13), 1, 16), line(2, day(16), 15, 25, left), line(3, day(20), 15, 30, left)}, "1d", "2026-03-15 2026-03-12"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rules := retention.Rules{Keep: retention.Keep{KeepLast: 1}}
			if c.wal != "" {
				rules.WAL = span(c.wal)
			}
			server := retention.Server{Source: "db", System: "7"}
			plan := retention.Decide(retention.Input{
				Points: c.points, Rules: rules, Now: now,
				Archives: map[retention.Server]retention.Archive{server: {Newest: day(20), Stored: day(20), SegmentSize: segmentSize, Lines: c.lines}},
			})
			var got []string
			for _, p := range plan.Windows[server] {
				got = append(got, p.ID)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("windows of %v, want %s: %v", got, c.want, reasons(plan))
			}
			if c.wal == "" && strings.HasPrefix(c.name, "the server was taken back") && !strings.Contains(reasons(plan)["2026-03-12"], "the newest base backup that leads to timeline 3") {
				t.Errorf("says %v", reasons(plan))
			}
		})
	}
}
