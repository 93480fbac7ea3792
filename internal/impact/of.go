package impact

import (
	"cmp"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

// Of works out the impact of a change from the facts. It is a function of the
// facts alone: the order of the points does not matter.
func Of(f Facts) (Impact, error) {
	rules, err := f.New.Rules()
	if err != nil {
		return Impact{}, err
	}
	points := make([]*Point, len(f.Points))
	for i := range f.Points {
		points[i] = &f.Points[i]
	}
	slices.SortFunc(points, func(a, b *Point) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Kind, b.Kind), b.Start.Compare(a.Start), cmp.Compare(b.ID, a.ID))
	})
	c := change{facts: f, when: moments{rules.Location}, impact: Impact{AsOf: f.AsOf.UTC(), Timezone: f.New.Timezone}}
	c.impact.First = f.Old == nil
	if f.Old != nil {
		c.impact.Changes = policy.Diff(*f.Old, f.New)
	}
	for start, i := 0, 1; i <= len(points); i++ {
		if i == len(points) || points[i].Source != points[start].Source || points[i].Kind != points[start].Kind {
			c.addGroup(points[start:i])
			start = i
		}
	}
	c.addWindows()
	slices.SortStableFunc(c.lost, func(a, b *Point) int { return a.Start.Compare(b.Start) })
	for _, p := range c.lost[:min(len(c.lost), MaxNamed)] {
		c.impact.Lost = append(c.impact.Lost, p.name())
	}
	c.impact.Cost = c.cost()
	c.impact.Sentences = c.sentences()
	return c.impact, nil
}

// change is the work on one impact.
type change struct {
	facts  Facts
	when   moments
	impact Impact
	groups [][]*Point // of impact.Groups, newest first
	lost   []*Point
}

// addGroup takes the points of one source and kind, newest first.
func (c *change) addGroup(members []*Point) {
	g := Group{Source: members[0].Source, Kind: members[0].Kind}
	before, after := history{}, history{}
	for _, p := range members {
		if p.Before.Kept {
			g.Before++
			before.add(p)
		}
		if p.stays() {
			g.After++
			after.add(p)
		}
		switch {
		case p.lost():
			g.Lost++
			g.LostBytes += p.Bytes
			if p.Bytes == 0 {
				g.Unsized++
			}
			c.lost = append(c.lost, p)
		case p.doomed():
			c.impact.Spared++
			if !p.Protected {
				c.impact.Waiting++
			}
		case !p.After.Kept:
			c.impact.Due++
		case p.After.Kept && !p.Before.Kept:
			g.Gained++
		}
	}
	if g.Before == 0 && g.After == 0 {
		return
	}
	g.OldestBefore, g.GapBefore = before.oldest, before.gap
	g.OldestAfter, g.GapAfter = after.oldest, after.gap
	c.impact.Groups = append(c.impact.Groups, g)
	c.groups = append(c.groups, members)
	c.impact.Points += g.Lost
	c.impact.Bytes += g.LostBytes
	c.impact.Unsized += g.Unsized
	c.impact.Gained += g.Gained
}

// history is the moments one can restore, seen from the newest to the oldest.
type history struct {
	oldest time.Time
	gap    time.Duration // the longest between two neighbours
}

func (h *history) add(p *Point) {
	if !p.Restorable {
		return
	}
	if !h.oldest.IsZero() {
		h.gap = max(h.gap, h.oldest.Sub(p.Start))
	}
	h.oldest = p.Start
}
