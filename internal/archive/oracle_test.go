package archive

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// The tests here hold coverage, windows and the choice of a base backup against an
// oracle that walks segment by segment and asks of each whether it is there.

const (
	size     = 1 << 20
	segments = 16 // that a model has at most
	quarter  = size / 4
)

var (
	shop  = repo.WALArchive{Source: "shop", System: "42"}
	epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
)

// model is an archive in the simplest terms.
type model struct {
	histories map[pgwal.Timeline]*pgwal.History
	whole     map[pgwal.Segment]bool
	pieces    map[pgwal.Segment][][2]uint32
	bases     []repo.Listed
}

func drawModel(t *rapid.T) *model {
	m := &model{map[pgwal.Timeline]*pgwal.History{}, map[pgwal.Segment]bool{}, map[pgwal.Segment][][2]uint32{}, nil}
	timelines := pgwal.Timeline(rapid.IntRange(1, 4).Draw(t, "timelines"))
	begins := map[pgwal.Timeline]pgwal.LSN{1: size}
	for tl := pgwal.Timeline(1); tl <= timelines; tl++ {
		if tl > 1 {
			parent := pgwal.Timeline(rapid.IntRange(1, int(tl)-1).Draw(t, "parent"))
			at := begins[parent] + pgwal.LSN(rapid.IntRange(0, 4*4).Draw(t, "fork")*quarter)
			begins[tl] = at
			h := &pgwal.History{Timeline: tl}
			if p := m.histories[parent]; p != nil {
				h.Ancestors = slices.Clone(p.Ancestors)
			}
			h.Ancestors = append(h.Ancestors, pgwal.Switch{Timeline: parent, At: at})
			m.histories[tl] = h
		}
		first := uint64(begins[tl]) / size
		for n := first; n < segments; n++ {
			seg := pgwal.Segment{Timeline: tl, Number: n}
			switch rapid.IntRange(0, 9).Draw(t, "there") {
			case 0:
			case 1, 2:
				at := uint32(0)
				for range rapid.IntRange(1, 4).Draw(t, "pieces") {
					if rapid.IntRange(0, 5).Draw(t, "hole") == 0 {
						at += quarter
					}
					end := min(at+quarter*uint32(rapid.IntRange(1, 2).Draw(t, "length")), size)
					if at < end {
						m.pieces[seg] = append(m.pieces[seg], [2]uint32{at, end})
					}
					at = end
				}
				if rapid.IntRange(0, 3).Draw(t, "also whole") == 0 {
					m.whole[seg] = true
				}
			default:
				m.whole[seg] = true
			}
		}
		for len(m.bases) < 6 && rapid.Bool().Draw(t, "base") {
			start := begins[tl] + pgwal.LSN(rapid.IntRange(0, 6*size).Draw(t, "start"))
			stop := start + pgwal.LSN(rapid.IntRange(1, 2*size).Draw(t, "stop"))
			m.bases = append(m.bases, listedBase(len(m.bases), tl, start, stop))
		}
	}
	for tl := pgwal.Timeline(2); tl <= timelines; tl++ {
		if rapid.IntRange(0, 9).Draw(t, "lost history") == 0 {
			delete(m.histories, tl)
		}
	}
	return m
}

func listedBase(n int, tl pgwal.Timeline, start, stop pgwal.LSN) repo.Listed {
	id := fmt.Sprintf("20260301T%06dZ-aaaaaaaa", n)
	manifest := &repo.Manifest{ID: id, Source: shop.Source, Kind: "physical", Server: repo.Server{SystemIdentifier: shop.System},
		Physical: &repo.Physical{StartLSN: start, StopLSN: stop, Timeline: tl, SegmentSize: size, Stopped: storedAt(stop)}}
	return repo.Listed{Ref: repo.Ref{Source: shop.Source, Kind: "physical", ID: id}, Manifest: manifest}
}

// storedAt is when a position was written and stored: the log moves at one byte a
// millisecond.
func storedAt(at pgwal.LSN) time.Time { return epoch.Add(time.Duration(at) * time.Millisecond) }

// files are the objects of the model in the order in which a store lists them.
func (m *model) files(t *rapid.T) []repo.WALFile {
	var files []repo.WALFile
	add := func(seg pgwal.Segment, from, to uint32, end pgwal.LSN) {
		f, err := repo.NewWALFile(shop, seg.Name(size), from, to)
		if err != nil {
			t.Fatal(err)
		}
		f.Stored, f.Modified = 100, storedAt(end)
		files = append(files, f)
	}
	for seg := range m.whole {
		add(seg, 0, 0, seg.End(size))
	}
	for seg, pieces := range m.pieces {
		for _, p := range pieces {
			add(seg, p[0], p[1], seg.Start(size)+pgwal.LSN(p[1]))
		}
	}
	slices.SortFunc(files, func(a, b repo.WALFile) int {
		switch {
		case a.Key() < b.Key():
			return -1
		case a.Key() > b.Key():
			return 1
		}
		return 0
	})
	return files
}

func (m *model) survey(t *rapid.T) *Survey {
	s := &Survey{Archive: shop, SegmentSize: size, cover: newCover(size)}
	for _, f := range m.files(t) {
		s.cover.add(f)
	}
	s.cover.done()
	for tl, h := range m.histories {
		s.cover.strip(tl).history = h
	}
	slices.SortFunc(m.bases, func(a, b repo.Listed) int { return -compare(a.ID, b.ID) })
	s.draw(m.bases)
	return s
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// has is how many bytes from the beginning of a segment can be recovered: of one that
// is there in part only where nothing of its timeline follows.
func (m *model) has(seg pgwal.Segment) uint64 {
	has := m.there(seg)
	if has < size {
		for n := seg.Number + 1; n <= segments; n++ {
			later := pgwal.Segment{Timeline: seg.Timeline, Number: n}
			if m.whole[later] || len(m.pieces[later]) > 0 {
				return 0
			}
		}
	}
	return has
}

// there is how many bytes from the beginning of a segment are there.
func (m *model) there(seg pgwal.Segment) uint64 {
	if m.whole[seg] {
		return size
	}
	var there [4]bool
	for _, p := range m.pieces[seg] {
		for q := p[0] / quarter; q < p[1]/quarter; q++ {
			there[q] = true
		}
	}
	n := uint64(0)
	for n < 4 && there[n] {
		n++
	}
	return n * quarter
}

// of is the timeline that a server takes a segment from on the way to a timeline.
func (m *model) of(target pgwal.Timeline, n uint64) pgwal.Timeline {
	from := target
	h := m.histories[target]
	if h == nil {
		return target
	}
	for i := len(h.Ancestors) - 1; i >= 0; i-- {
		if n >= uint64(h.Ancestors[i].At)/size {
			break
		}
		from = h.Ancestors[i].Timeline
	}
	return from
}

// reach walks from a segment to the first that is not all there.
func (m *model) reach(target pgwal.Timeline, n uint64) (pgwal.LSN, bool) {
	for {
		has := m.has(pgwal.Segment{Timeline: m.of(target, n), Number: n})
		if has < size {
			more := false // on the way behind it
			for k := n + 1; k < segments+1; k++ {
				more = more || m.has(pgwal.Segment{Timeline: m.of(target, k), Number: k}) > 0
			}
			return pgwal.LSN(n*size + has), more
		}
		n++
	}
}

func (m *model) leads(b repo.Listed, target pgwal.Timeline) bool {
	p := b.Manifest.Physical
	if p.Timeline == target {
		return true
	}
	if h := m.histories[target]; h != nil {
		at, left := h.Left(p.Timeline)
		return left && p.StopLSN <= at
	}
	return false
}

func TestNoGapIsEverMissed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		s := m.survey(t)
		for _, tl := range s.Timelines {
			covered := map[uint64]bool{}
			var last pgwal.LSN
			for i, r := range tl.Ranges {
				if r.From >= r.To || i > 0 && r.From <= last {
					t.Fatalf("range %d of timeline %d is %+v after %s", i, tl.ID, r, last)
				}
				if i > 0 && (len(tl.Gaps) < i || tl.Gaps[i-1].From != last || tl.Gaps[i-1].To != r.From || tl.Gaps[i-1].Segments != uint64(r.From-last)/size) {
					t.Fatalf("before range %d of timeline %d there is no gap: %+v", i, tl.ID, tl.Gaps)
				}
				for n := uint64(r.From) / size; n < uint64(r.To)/size; n++ {
					covered[n] = true
				}
				last = r.To
			}
			for n := range uint64(segments + 2) {
				seg := pgwal.Segment{Timeline: tl.ID, Number: n}
				if is := m.has(seg) == size; is != covered[n] {
					t.Fatalf("segment %d of timeline %d is there: %v, and covered: %v", n, tl.ID, is, covered[n])
				}
				if p := tl.Partial; p != nil && p.From == seg.Start(size) && (m.has(seg) != uint64(p.To-p.From) || p.From < last) {
					t.Fatalf("of segment %d there are %d bytes, not %+v", n, m.has(seg), *p)
				}
			}
		}
	})
}

func TestAWindowReachesAsFarAsTheLogDoesAndNoFurther(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		s := m.survey(t)
		for i, b := range s.Bases {
			p := b.Manifest.Physical
			windows := 0
			for _, tl := range s.Timelines {
				reach, more := m.reach(tl.ID, uint64(p.StartLSN)/size)
				w, has := b.Window(tl.ID)
				if !m.leads(m.bases[i], tl.ID) || reach < p.StopLSN {
					if has {
						t.Fatalf("base %+v has a window on timeline %d: %+v, but the log goes to %s", p, tl.ID, w, reach)
					}
					continue
				}
				windows++
				if !has {
					// One that ends before the timeline begins is that of its ancestor.
					if own := m.of(tl.ID, uint64(reach)/size) == tl.ID; tl.ID == s.Current || own || tl.ID == p.Timeline {
						t.Fatalf("base %+v has no window on timeline %d, the log goes to %s", p, tl.ID, reach)
					}
					continue
				}
				if w.ToLSN != reach || w.FromLSN != p.StopLSN || (w.Gap != nil) != more {
					t.Fatalf("base %+v on timeline %d: %+v, the log goes to %s and on behind a gap: %v", p, tl.ID, w, reach, more)
				}
				if w.To.After(later(storedAt(reach), w.From)) || w.From != p.Stopped {
					t.Fatalf("base %+v on timeline %d: until %s, but the log ends at %s", p, tl.ID, w.To, storedAt(reach))
				}
				if g := w.Gap; g != nil && (g.From > reach || g.To <= g.From || g.To < reach) {
					t.Fatalf("the gap after %s is %+v", reach, *g)
				}
			}
			if (b.Problem != "") != (len(b.Windows) == 0) || windows > 0 && b.Problem != "" {
				t.Fatalf("base %+v: %d windows, problem %q", p, windows, b.Problem)
			}
		}
	})
}

func TestTheNewestBaseBackupThatReachesTheTargetIsChosen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		s := m.survey(t)
		target := Target{Inclusive: true}
		at := pgwal.LSN(rapid.IntRange(1, segments*size).Draw(t, "at"))
		byTime := rapid.Bool().Draw(t, "by time")
		if target.LSN = at; byTime {
			target.LSN, target.Time = 0, storedAt(at)
		}
		timeline := s.Current
		if rapid.Bool().Draw(t, "on another timeline") && len(s.Timelines) > 0 {
			timeline = rapid.SampledFrom(s.Timelines).Draw(t, "timeline").ID
			target.Timeline = timeline
		}
		var want *repo.Listed
		for i, b := range m.bases {
			p := b.Manifest.Physical
			reach, _ := m.reach(timeline, uint64(p.StartLSN)/size)
			if !m.leads(b, timeline) || reach < p.StopLSN || at < p.StopLSN || s.cover.timelines[timeline] == nil {
				continue
			}
			if _, has := s.Bases[i].Window(timeline); !has {
				continue // that it is right is tested above
			}
			in := at < reach
			if byTime {
				w, _ := s.Bases[i].Window(timeline)
				in = !target.Time.After(w.To)
			}
			if in && (want == nil || p.StopLSN > want.Manifest.Physical.StopLSN) {
				want = &m.bases[i]
			}
		}
		base, window, err := s.Choose(target)
		var unreachable *Unreachable
		switch {
		case want == nil:
			if !errors.As(err, &unreachable) || unreachable.Why == "" || err.Error() == "" {
				t.Fatalf("%s: %v %+v, nothing reaches it", target, err, base.Ref)
			}
			for _, w := range unreachable.Windows {
				if target.inside(w) && !byTime {
					t.Fatalf("%s is refused and lies in %+v", target, w)
				}
			}
		case err != nil || base.Ref.ID != want.ID && base.Manifest.Physical.StopLSN != want.Manifest.Physical.StopLSN:
			t.Fatalf("%s: %+v %+v %v, want %s", target, base.Ref, window, err, want.ID)
		case !target.inside(window) || window.Timeline != timeline:
			t.Fatalf("%s is not in %+v", target, window)
		}
	})
}

func TestTheNewestPositionIsTheFarthestOnTheCurrentTimeline(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		s := m.survey(t)
		if s.Current == 0 {
			return
		}
		var want pgwal.LSN
		for n := range uint64(segments + 1) {
			seg := pgwal.Segment{Timeline: m.of(s.Current, n), Number: n}
			if has := m.has(seg); has > 0 {
				want = seg.Start(size) + pgwal.LSN(has)
			}
		}
		if s.Newest != want {
			t.Fatalf("the newest position is %s, want %s", s.Newest, want)
		}
		from, to, ok := s.Window()
		for _, b := range s.Bases {
			w, has := b.Window(s.Current)
			if has && w.Gap == nil && (!ok || w.From.Before(from) || w.To.After(to)) {
				t.Fatalf("the window %s to %s (%v) leaves out %+v", from, to, ok, w)
			}
		}
		if (len(s.Gaps()) > 0) != slices.ContainsFunc(s.Bases, func(b Base) bool { w, has := b.Window(s.Current); return has && w.Gap != nil }) {
			t.Fatalf("gaps: %+v", s.Gaps())
		}
	})
}
