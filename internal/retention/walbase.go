package retention

import (
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// pinWALBases is the rule `wal = W`: recovery to any moment of the last W needs the
// newest base backup that ended before (newest archived moment - W), and the WAL
// from its start on. When all base backups are younger, the oldest one stays:
// history is shorter than the rule.
//
// Example, wal 7d, archived up to 2026-03-20 12:00, bases of 03-01, 03-08,
// 03-12 and 03-15: recovery to 03-13 12:00 needs the base of 03-12; that one
// stays, and the rule asks for none of the others.
//
// A newest archived moment that is unknown, or in the future, is replaced by
// the end of the newest base backup: a wrong clock must not move the window.
//
// Where the timelines of the archive are known, that has to be so on each of them
// that reaches into the window, see pinLine.
func (g *group) pinWALBases(in *Input) {
	if in.Rules.WAL.IsZero() || g.points[0].Kind != KindPhysical {
		return
	}
	for server, members := range g.servers() {
		w := window{group: g, rules: &in.Rules, archive: in.Archives[server]}
		w.usable = slices.DeleteFunc(members, func(i int) bool {
			return g.state[i] != free || g.points[i].End.IsZero() || !g.chainWhole(i)
		})
		if len(w.usable) == 0 {
			continue
		}
		anchor := w.archive.Newest
		if anchor.IsZero() || anchor.After(in.Now.Add(FutureSkew)) {
			anchor = g.points[w.usable[0]].End
		}
		w.bound = in.Rules.WAL.SubtractFrom(anchor, in.Rules.Location)
		w.pinFor(w.usable)
		w.lines = lineageOf(w.archive.Lines)
		for _, line := range w.archive.Lines {
			if line.Newest.IsZero() || !line.Newest.Before(w.bound) {
				w.pinLine(line)
			}
		}
	}
}

// servers shares the points of a group out over the servers they are of, each newest
// first.
func (g *group) servers() map[Server][]int {
	of := map[Server][]int{}
	for i, p := range g.points {
		server := Server{p.Source, p.System}
		of[server] = append(of[server], i)
	}
	return of
}

// window is the work of the rule wal on the base backups of one server.
type window struct {
	group   *group
	rules   *Rules
	archive Archive
	lines   lineage
	usable  []int // newest first
	bound   time.Time
}

// pinFor pins the base backup, of those given newest first, from which all moments
// since the bound can be recovered. short tells that none is so old, so that it is
// the oldest.
func (w *window) pinFor(bases []int) (base int, short bool) {
	if len(bases) == 0 {
		return -1, true
	}
	for _, i := range bases {
		if w.group.points[i].End.Before(w.bound) {
			w.pin(i, walReason(w.rules, w.bound))
			return i, false
		}
	}
	base = bases[len(bases)-1]
	w.pin(base, walShortReason(w.rules))
	return base, true
}

// pinLine pins what the moments on one timeline need: a base backup that recovery
// can come from to this timeline, and one behind each gap.
//
// Example, wal 7d, timeline 2 was made yesterday by a recovery to three days ago,
// base backups each night on timeline 1: the one of eight days ago serves both
// timelines. Had there been one of four days ago on timeline 1 only, and the
// recovery gone to five days ago, it would serve timeline 1, and timeline 2, on
// which the server is, would need an older one.
func (w *window) pinLine(line Line) {
	var sure, all []int
	for _, i := range w.usable {
		p := w.group.points[i]
		if p.Timeline == 0 {
			continue // of unknown position
		}
		switch w.lines.reach(p.Timeline, p.StopLSN, line.ID) {
		case follows:
			sure, all = append(sure, i), append(all, i)
		case perhaps:
			all = append(all, i)
		}
	}
	gaps := w.archive.gapsTo(line)
	short := w.pinPath(sure, gaps)
	if short && len(all) > len(sure) {
		w.pinPath(all, gaps)
	}
}

// pinPath pins where recovery begins and where it begins again behind each gap. short
// tells that the rule reaches back farther than these base backups.
func (w *window) pinPath(bases []int, gaps []Range) (short bool) {
	base, short := w.pinFor(bases)
	if base < 0 {
		return short
	}
	for _, gap := range gaps {
		w.pinBehind(gap, w.group.points[base].StartLSN, bases)
	}
	return short
}

// pinBehind pins the oldest base backup behind a gap, unless the gap lies before the
// one that recovery begins with, at from: what that one can be recovered to ends there.
//
// Example, wal 7d, base backups of 03-01, 03-15 and 03-18, no WAL from 03-14 20:00 to
// 03-15 01:00: that of 03-01 leads to 03-14 20:00, and only that of 03-15 on from there.
func (w *window) pinBehind(gap Range, from pgwal.LSN, bases []int) {
	points := w.group.points
	if gap.To <= from {
		return
	}
	oldest := -1
	for _, i := range bases {
		if points[i].StartLSN >= gap.To && (oldest < 0 || points[i].StartLSN < points[oldest].StartLSN) {
			oldest = i
		}
	}
	if oldest >= 0 {
		w.pin(oldest, walGapReason(gap))
	}
}

func (w *window) pin(i int, reason string) {
	g := w.group
	if g.by[i]&walBit != 0 {
		return // for another timeline, or another gap
	}
	g.by[i] |= walBit
	g.addReason(i, reason)
}

// findWindows says from which base backups on all WAL stays: those that the rule wal
// keeps, or without that rule all that stay and count; and in any case the newest good
// one, and those that lead to a timeline that is still written to.
func (g *group) findWindows(in *Input, windows map[Server][]*Point) {
	if g.points[0].Kind != KindPhysical {
		return
	}
	for server, members := range g.servers() {
		newest := false
		for _, i := range members {
			if !g.kept(i) || !g.restorable(i, in.Now) || !g.chainWhole(i) {
				continue
			}
			if g.opens(in, i, !newest) {
				windows[server] = append(windows[server], g.points[i])
			}
			newest = true
		}
	}
}

// opens tells whether all WAL stays from the start on of a good base backup that stays;
// newest, that it is the newest of these.
func (g *group) opens(in *Input, i int, newest bool) bool {
	return newest || g.leading[i] || g.by[i]&walBit != 0 || in.Rules.WAL.IsZero() && g.state[i] != aside
}
