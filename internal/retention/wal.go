package retention

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// WALInput is everything the decision about the archived WAL of one server depends
// on.
type WALInput struct {
	SegmentSize uint64 // in bytes
	// Bases are the base backups of this server that are there when WAL is deleted,
	// good and bad, newest first.
	Bases []WALBase
	Lines []Line // timelines of the archive; only what they come from matters
	Files []WALFile
}

// WALBase is a base backup that stays.
type WALBase struct {
	ID       string
	Timeline pgwal.Timeline
	// Start is where recovery begins, Stop from where on it is consistent.
	Start, Stop pgwal.LSN
	// Window is why all WAL from Start on stays; "" when that up to Stop is enough.
	Window string
}

// WALFile is a file of an archive. A segment, a piece of one, a partial one and a
// .backup file lie where their segment does.
type WALFile struct {
	Kind     pgwal.FileKind
	Timeline pgwal.Timeline
	Number   uint64 // of the segment; see pgwal.Segment
}

// WALPlan is the outcome for every file of the input.
type WALPlan struct {
	reason  []uint16 // by file; 0 is to go
	reasons []string
	order   []int
}

// Keeps tells whether a file stays.
func (p *WALPlan) Keeps(file int) bool { return p.reason[file] != 0 }

// Reason says why a file stays, or goes, without a full stop.
func (p *WALPlan) Reason(file int) string { return p.reasons[p.reason[file]] }

// Deletions are the files that go, in an order in which they can be deleted one after
// the other and the work be stopped anywhere: what is left then reaches as far without
// a gap as it can. A run of segments behind one that stays goes from its end, any
// other from its beginning.
//
// Example, segments 1 to 9, a base backup needs 2 and 3, the window begins at 8: 1,
// then 7 6 5 4. Stopped before 5 that base backup still leads to the end of 5.
func (p *WALPlan) Deletions() []int { return p.order }

// Reasons why WAL stays or goes.
const (
	walGoes      = "no base backup that stays needs it"
	walNoBase    = "there is no base backup of its server: nothing of its WAL is deleted"
	walUnclear   = "where a base backup of its server begins is not known: nothing of its WAL is deleted"
	walNoWindow  = "no base backup of its server is good: nothing of its WAL is deleted"
	walHistory   = "history files stay"
	walUnknown   = "not recognised: kept until someone looks"
	walOrphan    = "nothing tells where its timeline came from: kept until someone looks"
	walYounger   = "its timeline is younger than the newest base backup"
	walNewest    = "the WAL of the newest base backup stays"
	maxWALReason = 1 << 15 // further base backups share a reason
)

// WAL decides about the archived WAL of one server, after the base backups were
// decided about: each that stays keeps what makes it consistent, from its start to
// its stop; those that a window begins with, and the newest, keep everything from
// their start on, on every timeline that recovery from them can follow.
//
// Example, base backups at segments 10 (of last month, kept by a monthly rule), 50
// (where the window begins) and 90, all on timeline 1, which was left at segment 70
// for timeline 2: 10 and 11 stay, 50 and all that follows on timeline 1, everything
// on timeline 2; 1 to 9 and 12 to 49 go. When 90 was taken on timeline 2 and becomes
// the window's beginning, what is left on timeline 1 goes, and on timeline 2 what is
// before 90.
//
// In doubt it stays: everything while there is no base backup or one is not
// understood; timelines that nobody knows the origin of, and that have no base backup
// or are younger than the newest one. History files always stay: they are small, and
// recovery asks for all of them.
//
// The time it takes grows with the number of files, not with the span of their
// positions: a million are decided in well under a second.
func WAL(in WALInput) WALPlan {
	p := WALPlan{reason: make([]uint16, len(in.Files)), reasons: []string{walGoes}}
	if doubt := doubtAbout(in.Bases); doubt != "" {
		p.reasons = append(p.reasons, doubt)
		for i := range p.reason {
			p.reason[i] = 1
		}
		return p
	}
	w := walWork{in: &in, plan: &p, lines: lineageOf(in.Lines), reach: map[pgwal.Timeline]*walNeeds{}, made: map[string]uint16{}}
	for i := range in.Files {
		p.reason[i] = w.decide(&in.Files[i])
	}
	p.order = w.deletions()
	return p
}

// doubtAbout says why nothing can be decided by these base backups.
func doubtAbout(bases []WALBase) string {
	good := false
	for _, b := range bases {
		if b.Timeline == 0 || b.Start == 0 || b.Stop < b.Start {
			return walUnclear
		}
		good = good || b.Window != ""
	}
	switch {
	case len(bases) == 0:
		return walNoBase
	case !good:
		return walNoWindow
	}
	return ""
}

type walWork struct {
	in    *WALInput
	plan  *WALPlan
	lines lineage
	reach map[pgwal.Timeline]*walNeeds
	made  map[string]uint16
}

// walNeeds is what base backups need of one timeline, in numbers of segments.
type walNeeds struct {
	all     uint16 // reason why everything stays; 0 for none
	from    uint64 // everything from here on stays
	why     uint16
	islands []island // in order, apart
}

// island is the segments from a first to a last that stay for one base backup.
type island struct {
	first, last uint64
	why         uint16
}

func (w *walWork) decide(f *WALFile) uint16 {
	switch f.Kind {
	case pgwal.HistoryFile:
		return w.reason(walHistory)
	case pgwal.SegmentFile, pgwal.PieceFile, pgwal.PartialFile, pgwal.BackupFile:
	default:
		return w.reason(walUnknown)
	}
	n := w.reach[f.Timeline]
	if n == nil {
		n = w.needs(f.Timeline)
		w.reach[f.Timeline] = n
	}
	switch {
	case n.all != 0:
		return n.all
	case f.Number >= n.from:
		return n.why
	}
	i := sort.Search(len(n.islands), func(i int) bool { return n.islands[i].last >= f.Number })
	if i < len(n.islands) && n.islands[i].first <= f.Number {
		return n.islands[i].why
	}
	return 0
}

// reason gives the number of a text.
func (w *walWork) reason(text string) uint16 {
	n, made := w.made[text]
	if !made {
		if len(w.plan.reasons) >= maxWALReason {
			return uint16(len(w.plan.reasons) - 1)
		}
		n = uint16(len(w.plan.reasons))
		w.plan.reasons = append(w.plan.reasons, text)
		w.made[text] = n
	}
	return n
}

// needs works out what is needed of a timeline.
func (w *walWork) needs(t pgwal.Timeline) *walNeeds {
	n := &walNeeds{from: math.MaxUint64}
	_, known := w.lines[t]
	own := slices.ContainsFunc(w.in.Bases, func(b WALBase) bool { return b.Timeline == t })
	switch {
	case t > w.youngest():
		// A base backup may be running there, and where it began nobody knows yet.
		n.all = w.reason(walYounger)
		return n
	case !known && !own:
		n.all = w.reason(walOrphan)
		return n
	}
	for i, b := range w.in.Bases {
		first, last := uint64(b.Start)/w.in.SegmentSize, uint64(max(b.Stop, 1)-1)/w.in.SegmentSize
		window := b.Window
		if i == 0 && window == "" {
			window = walNewest
		}
		if window != "" && first < n.from && w.follows(b, t) {
			n.from, n.why = first, w.reason(window)
		}
		if w.passes(b, t) {
			n.islands = append(n.islands, island{first, max(first, last), w.reason("needed by base backup " + b.ID)})
		}
	}
	n.islands = apartFrom(n.islands)
	return n
}

// youngest is the timeline of the newest base backup, or a younger one of another.
func (w *walWork) youngest() pgwal.Timeline {
	var youngest pgwal.Timeline
	for _, b := range w.in.Bases {
		youngest = max(youngest, b.Timeline)
	}
	return youngest
}

// follows tells whether recovery from a base backup may need WAL of timeline t from
// its start on, wherever it is to end.
func (w *walWork) follows(b WALBase, t pgwal.Timeline) bool {
	return w.lines.reach(b.Timeline, b.Stop, t) != apart || w.before(b, t)
}

// passes tells whether t may have the WAL that makes a base backup consistent: its own
// timeline, and one that left it no earlier than it began, which has the last segment
// of what it left under its own name.
func (w *walWork) passes(b WALBase, t pgwal.Timeline) bool {
	if t == b.Timeline || w.before(b, t) {
		return true
	}
	left, is := w.lines.left(t, b.Timeline)
	_, known := w.lines[t]
	return is && b.Start <= left || !known && b.Timeline < t
}

// before tells whether t is an ancestor of the base backup's timeline that was left
// after the backup began.
func (w *walWork) before(b WALBase, t pgwal.Timeline) bool {
	left, is := w.lines.left(b.Timeline, t)
	return is && b.Start < left
}

// apartFrom puts islands in order and joins those that touch the same segments.
func apartFrom(islands []island) []island {
	slices.SortFunc(islands, func(a, b island) int { return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(b.last, a.last)) })
	var joined []island
	for _, i := range islands {
		if last := len(joined) - 1; last >= 0 && i.first <= joined[last].last {
			joined[last].last = max(joined[last].last, i.last)
			continue
		}
		joined = append(joined, i)
	}
	return joined
}

// deletions puts the files that go in order, see WALPlan.Deletions.
func (w *walWork) deletions() []int {
	files := w.in.Files
	var order []int
	for i := range files {
		if !w.plan.Keeps(i) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(files[a].Timeline, files[b].Timeline), cmp.Compare(files[a].Number, files[b].Number))
	})
	kept := w.keptSegments()
	for start, i := 0, 1; i <= len(order); i++ {
		if i < len(order) && files[order[i]].Timeline == files[order[i-1]].Timeline && files[order[i]].Number <= files[order[i-1]].Number+1 {
			continue
		}
		first := files[order[start]]
		if first.Number > 0 && kept[pgwal.Segment{Timeline: first.Timeline, Number: first.Number - 1}] {
			slices.Reverse(order[start:i])
		}
		start = i
	}
	return order
}

// keptSegments are those at the ends of islands: what a run of files that go can lie
// behind.
func (w *walWork) keptSegments() map[pgwal.Segment]bool {
	kept := map[pgwal.Segment]bool{}
	for t, n := range w.reach {
		for _, i := range n.islands {
			kept[pgwal.Segment{Timeline: t, Number: i.last}] = true
		}
	}
	return kept
}
