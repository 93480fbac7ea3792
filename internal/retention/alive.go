package retention

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// quiet is how long an archive, or its youngest timeline, may have got nothing new
// before the newest base backup of another began, and still be one that is written to:
// a server on which nothing is done writes no log, over a weekend or longer.
const quiet = 7 * 24 * time.Hour

// pinAlive keeps what no count of base backups may take: a base backup that leads to
// the end of every archive that is still written to. Slots are counted by source, and
// servers that share one, or timelines that went apart, use each other's up.
//
// Example, keep_last 1, servers 7 and 8 under one source by mistake, both archiving,
// base backups of 8 on 03-10 and of 7 on 03-11: that of 03-10 is the only one of server
// 8 and stays.
//
// Example, keep_last 1, base backups of 03-10 on timeline 1 and of 03-11 on timeline 2;
// the server was taken back to timeline 3, which left timeline 1 on 03-12: that of 03-10
// stays until there is one on timeline 3, and all WAL from its start on.
func (g *group) pinAlive(in *Input) {
	if g.points[0].Kind != KindPhysical || len(in.Archives) == 0 {
		return
	}
	good := g.servers()
	for server, members := range good {
		good[server] = slices.DeleteFunc(members, func(i int) bool { return !g.restorable(i, in.Now) || !g.chainWhole(i) })
	}
	for server, members := range good {
		archive, archived := in.Archives[server]
		if !archived || len(members) == 0 {
			continue
		}
		shared, goesOn := g.goesOn(server, &archive, good)
		if !goesOn {
			continue
		}
		if shared {
			g.pinServer(server, members)
		}
		lines := lineageOf(archive.Lines)
		for _, line := range archive.written(g.points[members[0]].Start) {
			g.pinLeading(in, &archive, lines, line, members)
		}
	}
}

// goesOn tells whether an archive is still written to, as far as base backups of other
// servers under the same source tell; shared, whether there are any. A server that was
// made anew, by initdb, has ended the archive of the one before: nothing came into that
// one since. So an archive has ended when another server's newest base backup began
// after the last file of it was stored; where it went on while both servers were there,
// not before it was quiet for long.
func (g *group) goesOn(server Server, archive *Archive, good map[Server][]int) (shared, goesOn bool) {
	stored := archive.Stored
	if stored.IsZero() {
		stored = archive.Newest
	}
	for other, members := range good {
		if other == server || len(members) == 0 {
			continue
		}
		shared = true
		began := g.points[members[0]].Start
		together := stored.After(born(other.System))
		if stored.Before(began) && (!together || stored.Before(began.Add(-quiet))) {
			return true, false
		}
	}
	return shared, true
}

// born is when a server was made. PostgreSQL puts that into the upper half of its system
// identifier, in seconds since 1970 (BootStrapXLOG in xlog.c). Zero where it is none.
func born(system string) time.Time {
	id, err := strconv.ParseUint(system, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(int64(id>>32), 0)
}

// pinServer keeps the newest good base backup of one of several servers.
func (g *group) pinServer(server Server, members []int) {
	if i := g.newestVerified(members); !g.kept(i) {
		g.addReason(i, serverReason(server))
	}
}

// newestVerified of base backups that are newest first, the newest where none is.
func (g *group) newestVerified(members []int) int {
	if at := slices.IndexFunc(members, func(i int) bool { return g.points[i].Verified }); at >= 0 {
		return members[at]
	}
	return members[0]
}

// pinLeading keeps the newest base backup that leads to a timeline, with its WAL, unless
// one stays with its WAL anyway that leads as far.
func (g *group) pinLeading(in *Input, archive *Archive, lines lineage, line Line, members []int) {
	leading := slices.DeleteFunc(slices.Clone(members), func(i int) bool { return !archive.leads(lines, g.points[i], line) })
	if len(leading) == 0 {
		return
	}
	best := g.newestVerified(leading)
	gaps := archive.gapsTo(line)
	newest := slices.IndexFunc(members, g.kept)
	for _, i := range leading {
		opens := g.kept(i) && g.opens(in, i, newest >= 0 && i == members[newest])
		if opens && !between(gaps, g.points[i].StartLSN, g.points[best].StartLSN) {
			return
		}
	}
	if g.leading == nil {
		g.leading = map[int]bool{}
	}
	g.leading[best] = true
	g.addReason(best, lineReason(line))
}

// between tells whether a gap lies between two positions.
func between(gaps []Range, from, to pgwal.LSN) bool {
	return slices.ContainsFunc(gaps, func(gap Range) bool { return gap.To > from && gap.From < to })
}

// written are the timelines that are still written to: the youngest, as long as it is
// not one of long ago that was given up for another, and each other that got something
// since the newest base backup of its server began.
func (a *Archive) written(newestBase time.Time) []Line {
	if len(a.Lines) == 0 {
		return nil
	}
	youngest := slices.MaxFunc(a.Lines, func(x, y Line) int { return cmp.Compare(x.ID, y.ID) }).ID
	var all []Line
	for _, line := range a.Lines {
		since := newestBase
		if line.ID == youngest {
			since = since.Add(-quiet)
		}
		unknown := line.Newest.IsZero() && line.ID == youngest
		if unknown || !line.Newest.Before(since) {
			all = append(all, line)
		}
	}
	return all
}

// leads tells whether recovery from a base backup goes along a timeline, and gets to
// where it is consistent by what is archived on the way.
func (a *Archive) leads(lines lineage, p *Point, line Line) bool {
	if p.Timeline == 0 || lines.reach(p.Timeline, p.StopLSN, line.ID) != follows {
		return false
	}
	end := a.end(line)
	return end == 0 || p.StopLSN <= end
}

// end is how far the way to a timeline is archived; zero where that is not known.
func (a *Archive) end(line Line) pgwal.LSN {
	if line.Reached != 0 {
		return line.Reached
	}
	for _, left := range slices.Backward(line.Ancestors) {
		i := slices.IndexFunc(a.Lines, func(l Line) bool { return l.ID == left.Timeline })
		if i >= 0 && a.Lines[i].Reached != 0 {
			// The segment in which a timeline was left is whole on the next one only.
			return min(a.Lines[i].Reached, left.At-left.At%pgwal.LSN(max(a.SegmentSize, 1)))
		}
	}
	return 0
}
