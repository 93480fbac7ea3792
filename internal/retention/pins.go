package retention

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// setAside marks the points no rule decides about. They stay and say so, but
// use up no slot and anchor no span: one wrong clock, or one hold, must not age
// everything else out.
//
// Example, keep_last 2 over P5 (dated 2031), P4, P3 (held), P2, P1:
// P5 and P3 stay as they are, P4 and P2 fill the two slots, P1 goes.
func (g *group) setAside(now time.Time) {
	ahead := now.Add(FutureSkew)
	g.byID = make(map[string]int32, len(g.points))
	for i, p := range g.points {
		if first, taken := g.byID[p.ID]; taken {
			if !slices.Contains(g.keep[first], reasonSameID) {
				g.putAside(int(first), reasonSameID)
			}
			g.putAside(i, reasonSameID)
		} else {
			g.byID[p.ID] = int32(i)
		}
		switch {
		case p.Start.IsZero():
			g.putAside(i, reasonNoStart)
		case p.Start.After(ahead):
			g.putAside(i, futureReason(p.Start))
		}
		if p.ID == "" {
			g.putAside(i, reasonNoID)
		}
		if p.Held {
			g.putAside(i, reasonHeld)
		}
		if p.Locked {
			g.putAside(i, reasonLocked)
		}
		if p.Condemned {
			g.putAside(i, reasonCondemned)
		}
		if p.Unreadable {
			g.putAside(i, reasonUnreadable)
		}
	}
}

func (g *group) putAside(i int, reason string) {
	g.state[i] = aside
	g.addReason(i, reason)
}

// pinNewest is law 3: the newest verified point survives every rule and every
// clock. "Newest verified" has to stay true under every reading, so up to three
// points are pinned:
//   - the newest verified one that could be restored from today: not found bad,
//     not unreadable, not dated in the future;
//   - the newest verified one that is neither held nor locked, so that a hold,
//     which ends some day, takes nothing from the others;
//   - the newest verified one whose parents are all there.
//
// They are the same point nearly always. Where nothing is verified the newest
// point stays instead: an unproven backup is better than none.
//
// Example, keep_last 1, expire_after 10d, now 2026-03-20 over 03-03
// (unverified), 03-02 (verified), 03-01 (verified): backups stopped, the
// ceiling takes 03-03 and 03-01, 03-02 stays.
func (g *group) pinNewest(now time.Time) {
	restorable := func(i int) bool { return g.restorable(i, now) }
	counted := func(i int) bool { return g.state[i] != aside }
	g.pinFirst(restorable, reasonNewestVerified, reasonNewest)
	g.pinFirst(counted, reasonNewestVerifiedFree, reasonNewestFree)
	g.pinFirst(func(i int) bool { return restorable(i) && g.chainWhole(i) }, reasonNewestVerifiedWhole, reasonNewestWhole)
}

// pinFirst pins the newest verified point among those that qualify or, when
// none is verified, the newest of them. A point that is pinned already under
// another reading gets no second reason.
func (g *group) pinFirst(qualifies func(int) bool, verified, unverified string) {
	first := -1
	for i, p := range g.points {
		if !qualifies(i) {
			continue
		}
		if p.Verified {
			g.pin(i, verified)
			return
		}
		if first < 0 {
			first = i
		}
	}
	if first >= 0 {
		g.pin(first, unverified)
	}
}

func (g *group) pin(i int, reason string) {
	if last := len(g.keep[i]) - 1; last < 0 || !strings.HasPrefix(g.keep[i][last], pinPrefix) {
		g.addReason(i, reason)
	}
}

// restorable reports whether the point can be trusted to be what its manifest
// says, as far as is known.
func (g *group) restorable(i int, now time.Time) bool {
	p := g.points[i]
	return !p.Condemned && !p.Unreadable && !p.Start.IsZero() && !p.Start.After(now.Add(FutureSkew))
}

// chainWhole reports whether every point an incremental builds on is there and
// not known to be bad.
func (g *group) chainWhole(i int) bool {
	for range g.points {
		parent := g.points[i].Parent
		if parent == "" {
			return true
		}
		next, there := g.byID[parent]
		if !there || g.points[next].Condemned || g.points[next].Unreadable {
			return false
		}
		i = int(next)
	}
	return false // a circle
}

// pinParents keeps every point that a kept incremental builds on, directly or
// through others, also beyond the ceiling: without it the incremental is lost.
//
// Example, keep_last 1 over F1 <- I2 <- I3: I3 fills the slot, I2 and F1 stay
// as its parents.
func (g *group) pinParents() {
	if !slices.ContainsFunc(g.points, func(p *Point) bool { return p.Parent != "" }) {
		return
	}
	work := make([]int32, 0, len(g.points))
	for i := range g.points {
		if g.kept(i) {
			work = append(work, int32(i))
		}
	}
	children := map[int32]int{}
	newestChild := map[int32]int32{}
	var orphans []int32
	for done := 0; done < len(work); done++ {
		child := work[done]
		parentID := g.points[child].Parent
		if parentID == "" {
			continue
		}
		parent, there := g.byID[parentID]
		if !there {
			orphans = append(orphans, child)
			continue
		}
		if !g.kept(int(parent)) && children[parent] == 0 {
			work = append(work, parent)
		}
		children[parent]++
		if newest, seen := newestChild[parent]; !seen || child < newest {
			newestChild[parent] = child
		}
	}
	for parent, n := range children {
		g.addReason(int(parent), parentReason(g.points[newestChild[parent]].ID, n))
	}
	for _, i := range orphans {
		g.addReason(int(i), fmt.Sprintf("its parent %s is missing: it cannot be restored", g.points[i].Parent))
	}
}
