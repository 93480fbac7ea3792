package retention_test

import (
	"fmt"
	"math"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

const segmentSize = 1 << 20

// serverModel is a server with its archive, the slow and obvious way: segments are
// looked at one by one, and nothing is known of windows, islands or rules.
type serverModel struct {
	system   string
	now      time.Time
	current  pgwal.Timeline
	position pgwal.LSN
	lines    map[pgwal.Timeline]*lineModel
	bases    []baseModel // oldest first
	number   int
}

type lineModel struct {
	ancestors []pgwal.Switch
	told      bool // its history file is archived
	begins    uint64
	files     map[uint64]time.Time // segment -> when it was archived
}

type baseModel struct {
	retention.Point
}

func newServerModel(system string) *serverModel {
	return &serverModel{
		system: system,
		now:    now.AddDate(-1, 0, 0), current: 1, position: 3 * segmentSize,
		lines: map[pgwal.Timeline]*lineModel{1: {told: true, begins: 3, files: map[uint64]time.Time{}}},
	}
}

// write goes on for some segments, of which those that lost says never get archived.
func (m *serverModel) write(segments int, each time.Duration, lost func() bool) {
	line := m.lines[m.current]
	for range segments {
		n := uint64(m.position) / segmentSize
		m.now = m.now.Add(each)
		if !lost() {
			line.files[n] = m.now
		}
		m.position = pgwal.LSN((n+1)*segmentSize + 40)
	}
}

// begin a base backup; the function ends it.
func (m *serverModel) begin() func() baseModel {
	m.number++
	b := baseModel{retention.Point{
		ID: fmt.Sprintf("%s-%03d", m.system, m.number), Source: "db", Kind: retention.KindPhysical, System: m.system, Start: m.now, Verified: true,
		Timeline: m.current, StartLSN: m.position,
	}}
	return func() baseModel {
		m.now = m.now.Add(time.Minute)
		b.End, b.StopLSN = m.now, m.position
		m.bases = append(m.bases, b)
		return b
	}
}

// fork is a recovery to an earlier position of the current lineage.
func (m *serverModel) fork(back uint64, told bool) {
	m.now = m.now.Add(time.Minute)
	at := m.position - pgwal.LSN(min(back*segmentSize, uint64(m.position)-2*segmentSize-100))
	left := m.current
	var ancestors []pgwal.Switch
	for _, a := range m.lines[m.current].ancestors {
		if at <= a.At {
			left = a.Timeline
			break
		}
		ancestors = append(ancestors, a)
	}
	next := pgwal.Timeline(len(m.lines) + 1)
	m.lines[next] = &lineModel{
		ancestors: append(slices.Clone(ancestors), pgwal.Switch{Timeline: left, At: at}), told: told,
		begins: uint64(at) / segmentSize, files: map[uint64]time.Time{},
	}
	m.current, m.position = next, at
}

// path is the segments, and the timeline that each is read from, from a position to
// the end of segment to of timeline t.
func (m *serverModel) path(start pgwal.LSN, t pgwal.Timeline, to uint64) []pgwal.Segment {
	var path []pgwal.Segment
	lineage := []pgwal.Timeline{t}
	for _, a := range slices.Backward(m.lines[t].ancestors) {
		lineage = append(lineage, a.Timeline)
	}
	for n := uint64(start) / segmentSize; n <= to; n++ {
		for _, tl := range lineage {
			if m.lines[tl].begins <= n {
				path = append(path, pgwal.Segment{Timeline: tl, Number: n})
				break
			}
		}
	}
	return path
}

func (m *serverModel) has(path []pgwal.Segment) bool {
	for _, s := range path {
		if _, there := m.lines[s.Timeline].files[s.Number]; !there {
			return false
		}
	}
	return true
}

// leads tells whether a base backup can be recovered to the end of a segment. Without
// its history file PostgreSQL does not find the way to another timeline.
func (m *serverModel) leads(b baseModel, t pgwal.Timeline, to uint64) bool {
	if b.Timeline != t {
		i := slices.IndexFunc(m.lines[t].ancestors, func(s pgwal.Switch) bool { return s.Timeline == b.Timeline })
		if i < 0 || !m.lines[t].told || m.lines[t].ancestors[i].At < b.StopLSN {
			return false
		}
	}
	return uint64(b.StopLSN-1)/segmentSize <= to && m.has(m.path(b.StartLSN, t, to))
}

// consistent tells whether a base backup is of any use.
func (m *serverModel) consistent(b baseModel) bool {
	for t := range m.lines {
		if m.leads(b, t, uint64(b.StopLSN-1)/segmentSize) {
			return true
		}
	}
	return false
}

// walMoment is the end of a segment that was archived.
type walMoment struct {
	pgwal.Segment
	at time.Time
}

// reachable gives every moment that one of the base backups leads to.
func (m *serverModel) reachable(with func(baseModel) bool) map[walMoment]bool {
	all := map[walMoment]bool{}
	for t, line := range m.lines {
		for n, at := range line.files {
			for _, b := range m.bases {
				if with(b) && !b.Condemned && m.leads(b, t, n) {
					all[walMoment{pgwal.Segment{Timeline: t, Number: n}, at}] = true
					break
				}
			}
		}
	}
	return all
}

// end is the last segment that is archived on the way to the current timeline's end.
func (m *serverModel) end() (end uint64, is bool) {
	for n := uint64(m.position)/segmentSize + 1; n > 0; n-- {
		if m.has(m.path(pgwal.LSN(n*segmentSize), m.current, n)) {
			return n, true
		}
	}
	return 0, false
}

// leadsTo tells whether a good base backup leads to a segment of the current timeline.
func (m *serverModel) leadsTo(end uint64) bool {
	return slices.ContainsFunc(m.bases, func(b baseModel) bool { return !b.Condemned && m.leads(b, m.current, end) })
}

// newest archived moment.
func (m *serverModel) newest() (newest time.Time) {
	for _, line := range m.lines {
		for _, at := range line.files {
			if at.After(newest) {
				newest = at
			}
		}
	}
	return newest
}

// archive is what a survey would tell of it.
func (m *serverModel) archive() retention.Archive {
	a := retention.Archive{Newest: m.newest(), Stored: m.newest(), SegmentSize: segmentSize}
	for t, line := range m.lines {
		if len(line.files) == 0 && !line.told {
			continue
		}
		l := retention.Line{ID: t, Known: line.told || t == 1}
		if l.Known {
			l.Ancestors = line.ancestors
		}
		numbers := slices.Sorted(func(yield func(uint64) bool) {
			for n, at := range line.files {
				if at.After(l.Newest) {
					l.Newest = at
				}
				if !yield(n) {
					return
				}
			}
		})
		for _, n := range numbers {
			from := pgwal.LSN(n * segmentSize)
			if last := len(l.Ranges) - 1; last >= 0 && l.Ranges[last].To == from {
				l.Ranges[last].To += segmentSize
			} else {
				l.Ranges = append(l.Ranges, retention.Range{From: from, To: from + segmentSize})
			}
			l.Reached = from + segmentSize
		}
		a.Lines = append(a.Lines, l)
	}
	slices.SortFunc(a.Lines, func(x, y retention.Line) int { return int(x.ID) - int(y.ID) })
	return a
}

// rotation is what a rotation decides, in the order in which it deletes.
type rotation struct {
	plan     retention.Plan
	wal      retention.WALPlan
	input    retention.WALInput
	segments []pgwal.Segment // of input.Files
}

func (m *serverModel) decide(rules retention.Rules) rotation { return decideAll(rules, m)[0] }

// decideAll decides about servers that share a source.
func decideAll(rules retention.Rules, servers ...*serverModel) []rotation {
	in := retention.Input{Rules: rules, Archives: map[retention.Server]retention.Archive{}}
	for _, m := range servers {
		for _, b := range m.bases {
			in.Points = append(in.Points, b.Point)
		}
		in.Now = m.now
		in.Archives[retention.Server{Source: "db", System: m.system}] = m.archive()
	}
	plan := retention.Decide(in)
	var all []rotation
	for _, m := range servers {
		all = append(all, m.decideWAL(plan))
	}
	return all
}

func (m *serverModel) decideWAL(plan retention.Plan) rotation {
	r := rotation{plan: plan}
	windows := map[string]bool{}
	for _, p := range r.plan.Windows[retention.Server{Source: "db", System: m.system}] {
		windows[p.ID] = true
	}
	r.input = retention.WALInput{SegmentSize: segmentSize, Lines: m.archive().Lines}
	for _, d := range r.plan.Keep { // newest first
		if d.Point.System != m.system {
			continue
		}
		b := retention.WALBase{ID: d.Point.ID, Timeline: d.Point.Timeline, Start: d.Point.StartLSN, Stop: d.Point.StopLSN}
		if windows[b.ID] {
			b.Window = "window"
		}
		r.input.Bases = append(r.input.Bases, b)
	}
	for t := pgwal.Timeline(1); int(t) <= len(m.lines); t++ {
		for _, n := range slices.Sorted(func(yield func(uint64) bool) {
			for n := range m.lines[t].files {
				if !yield(n) {
					return
				}
			}
		}) {
			r.input.Files = append(r.input.Files, retention.WALFile{Kind: pgwal.SegmentFile, Timeline: t, Number: n})
			r.segments = append(r.segments, pgwal.Segment{Timeline: t, Number: n})
		}
	}
	r.wal = retention.WAL(r.input)
	return r
}

// carryOut deletes, and stops after so many steps.
func (m *serverModel) carryOut(r rotation, steps int) {
	for _, d := range r.plan.Delete {
		if steps--; steps < 0 {
			return
		}
		m.bases = slices.DeleteFunc(m.bases, func(b baseModel) bool { return b.ID == d.Point.ID })
	}
	for _, i := range r.wal.Deletions() {
		if steps--; steps < 0 {
			return
		}
		s := r.segments[i]
		delete(m.lines[s.Timeline].files, s.Number)
	}
}

// happen lets something happen to the server.
func (m *serverModel) happen(t *rapid.T) {
	never := func() bool { return false }
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0, 1, 2:
		m.write(rapid.IntRange(1, 6).Draw(t, "segments"), time.Duration(rapid.IntRange(1, 40).Draw(t, "hours"))*time.Hour, never)
	case 3: // some of it is lost
		m.write(rapid.IntRange(1, 4).Draw(t, "segments"), time.Hour, func() bool { return rapid.Bool().Draw(t, "lost") })
	case 4, 5, 6:
		end := m.begin()
		m.write(rapid.IntRange(0, 3).Draw(t, "meanwhile"), time.Hour, never)
		m.position += 100
		end()
		m.write(1, time.Minute, never)
	case 7:
		m.fork(uint64(rapid.IntRange(0, 9).Draw(t, "back")), rapid.IntRange(0, 5).Draw(t, "history") > 0)
	case 8:
		m.now = m.now.Add(time.Duration(rapid.IntRange(0, 20*24).Draw(t, "idle hours")) * time.Hour)
	case 9:
		if len(m.bases) > 0 {
			b := &m.bases[rapid.IntRange(0, len(m.bases)-1).Draw(t, "marked")]
			b.Held, b.Condemned = rapid.Bool().Draw(t, "held"), rapid.Bool().Draw(t, "condemned")
		}
	}
}

const allSteps = math.MaxInt
