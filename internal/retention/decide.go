// Package retention decides which recovery points a policy keeps and which it
// deletes, and says why for each of them.
//
// It is pure: points, rules and now go in, a plan comes out. Nothing here lists
// a repository, reads a clock or deletes anything. What is never deleted,
// whatever rules and clocks say, is in pins.go; the counting rules are in
// slots.go; the sentences are in reasons.go; what a kept point stands for is in
// tier.go; the rule wal is in walbase.go, what stays for an archive that is still
// written to in alive.go, and which archived WAL stays with the base backups in wal.go.
package retention

import (
	"cmp"
	"slices"
	"time"
)

// FutureSkew is how far ahead of now a point may start and still be taken at
// its word: clocks of two well-kept machines differ by less. A point beyond is
// dated in the future: it stays, and counts for nothing.
const FutureSkew = 10 * time.Minute

// Decide gives the plan for all points of the input, each (source, kind) on its
// own, newest first. The outcome does not depend on the order of the points.
//
// Rules should have passed Validate; rules that keep nothing delete nothing.
func Decide(in Input) Plan {
	if in.Rules.Location == nil {
		in.Rules.Location = time.UTC
	}
	plan := Plan{Windows: map[Server][]*Point{}}
	var kept, total int
	groups := split(in.Points)
	for _, g := range groups {
		g.decide(&in)
		g.findWindows(&in, plan.Windows)
		for i := range g.points {
			total++
			if g.kept(i) {
				kept++
			}
		}
	}
	plan.Keep = make([]Decision, 0, kept)
	plan.Delete = make([]Decision, 0, total-kept)
	for _, g := range groups {
		for i, p := range g.points {
			if g.kept(i) {
				plan.Keep = append(plan.Keep, Decision{Point: p, Reasons: g.keep[i], By: g.by[i], Tier: g.tier(i)})
			} else {
				plan.Delete = append(plan.Delete, Decision{Point: p, Reasons: g.drop[i]})
			}
		}
	}
	return plan
}

// group is the work on the points of one source and kind, newest first.
type group struct {
	points  []*Point
	state   []state
	keep    [][]string // reasons to keep, nil for a point that may go
	drop    [][]string // reasons to delete, shared between points
	by      []RuleSet  // rules that keep it
	longest []unit     // longest period over that a rule keeps it for
	tiers   tiers
	byID    map[string]int32
	leading map[int]bool // base backups that are kept with their WAL for a timeline, see pinLeading
}

// state says whether a point takes part in the rules.
type state uint8

const (
	free    state = iota // counted by the rules
	expired              // beyond the ceiling: only a pin keeps it
	aside                // held, locked, condemned, unreadable, future-dated, unclear: stays and counts for nothing
)

func (g *group) kept(i int) bool { return g.keep[i] != nil }

func (g *group) addReason(i int, reason string) { g.keep[i] = append(g.keep[i], reason) }

// tier of a kept point. The rules say nothing about one that is set aside, so
// it has none: it stays in whatever class it is.
func (g *group) tier(i int) string {
	if g.state[i] == aside {
		return ""
	}
	return g.tiers.name(g.longest[i])
}

func (g *group) decide(in *Input) {
	n := len(g.points)
	g.state = make([]state, n)
	g.keep = make([][]string, n)
	g.drop = make([][]string, n)
	g.by = make([]RuleSet, n)
	g.longest = make([]unit, n)
	g.tiers = newTiers(&in.Rules, in.Now)
	g.setAside(in.Now)
	g.expire(&in.Rules, in.Now)
	g.countSlots(&in.Rules)
	g.pinWALBases(in)
	g.pinNewest(in.Now)
	g.pinAlive(in)
	g.pinParents()
}

// expire applies the ceiling. It counts from now: unlike the keep rules it is
// a promise about age itself.
func (g *group) expire(rules *Rules, now time.Time) {
	if rules.ExpireAfter.IsZero() {
		return
	}
	bound := rules.ExpireAfter.SubtractFrom(now, rules.Location)
	reasons := []string{expiredReason(rules, bound)}
	for i, p := range g.points {
		if g.state[i] == free && p.Start.Before(bound) {
			g.state[i] = expired
			g.drop[i] = reasons
		}
	}
}

// split sorts the points into their groups, by source and kind, each newest
// first, equal starts by id.
func split(points []Point) []*group {
	type name struct{ source, kind string }
	number := map[name]int32{}
	var names []name
	keys := make([]sortKey, len(points))
	for i := range points {
		p := &points[i]
		key := name{p.Source, p.Kind}
		n, seen := number[key]
		if !seen {
			n = int32(len(names))
			number[key] = n
			names = append(names, key)
		}
		keys[i] = sortKey{group: n, index: int32(i), nanos: int32(p.Start.Nanosecond()), seconds: p.Start.Unix()}
	}
	rank := rankOf(names, func(a, b name) int {
		return cmp.Or(cmp.Compare(a.source, b.source), cmp.Compare(a.kind, b.kind))
	})
	for i := range keys {
		keys[i].group = rank[keys[i].group]
	}
	slices.SortFunc(keys, func(a, b sortKey) int {
		if c := a.compare(b); c != 0 {
			return c
		}
		return compareEqualStarts(&points[a.index], &points[b.index])
	})
	groups := make([]*group, len(names))
	ordered := make([]*Point, len(points))
	start := 0
	for i, k := range keys {
		ordered[i] = &points[k.index]
		if i+1 == len(keys) || keys[i+1].group != k.group {
			groups[k.group] = &group{points: ordered[start : i+1 : i+1]}
			start = i + 1
		}
	}
	return groups
}

// sortKey holds what most comparisons need in 24 bytes, so that sorting a
// million points does not wander through all their memory.
type sortKey struct {
	seconds int64
	nanos   int32
	group   int32
	index   int32
}

func (a sortKey) compare(b sortKey) int {
	switch {
	case a.group != b.group:
		return cmp.Compare(a.group, b.group)
	case a.seconds != b.seconds:
		return cmp.Compare(b.seconds, a.seconds)
	}
	return cmp.Compare(b.nanos, a.nanos)
}

// compareEqualStarts makes the order of the outcome a function of the points
// alone, even of two that carry the same id.
func compareEqualStarts(a, b *Point) int {
	return cmp.Or(
		cmp.Compare(a.ID, b.ID),
		cmp.Compare(a.Parent, b.Parent),
		a.End.Compare(b.End),
		cmp.Compare(a.System, b.System),
		cmp.Compare(a.Timeline, b.Timeline),
		cmp.Compare(a.StartLSN, b.StartLSN),
		cmp.Compare(a.StopLSN, b.StopLSN),
		cmp.Compare(a.flags(), b.flags()),
	)
}

func (p *Point) flags() int {
	n := 0
	for _, set := range []bool{p.Verified, p.Held, p.Locked, p.Condemned, p.Unreadable} {
		n *= 2
		if set {
			n++
		}
	}
	return n
}

// rankOf gives the position each entry of names takes when they are sorted.
func rankOf[T any](names []T, compare func(a, b T) int) []int32 {
	order := make([]int32, len(names))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return compare(names[a], names[b]) })
	rank := make([]int32, len(names))
	for position, i := range order {
		rank[i] = int32(position)
	}
	return rank
}
