package impact

import (
	"fmt"
	"iter"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
)

// cost estimates what the points of today cost a month when the old and when
// the new rules have been applied to them, and every object is in the class
// that the policy wants for its age.
func (c *change) cost() *Cost {
	if c.facts.Prices.IsZero() {
		return nil
	}
	var before policy.Storage
	if c.facts.Old != nil {
		before = c.facts.Old.Storage
	}
	prices := c.facts.Prices
	return &Cost{
		Before: prices.Monthly(c.stored(before, func(p *Point) (Fate, bool) { return p.Before, p.Before.Kept })),
		After:  prices.Monthly(c.stored(c.facts.New.Storage, func(p *Point) (Fate, bool) { return p.after(), p.stays() })),
		Prices: prices.String(),
	}
}

// after is the fate under the new rules; a point that is spared keeps its tier.
func (p *Point) after() Fate {
	if p.After.Kept {
		return p.After
	}
	return p.Before
}

func (c *change) stored(storage policy.Storage, fate func(*Point) (Fate, bool)) iter.Seq[cost.Stored] {
	return func(yield func(cost.Stored) bool) {
		for _, members := range c.groups {
			for _, p := range members {
				f, there := fate(p)
				if !there {
					continue
				}
				age := max(c.facts.AsOf.Sub(p.Start), 0)
				if stored, known := cost.Point(p.Bytes, age, storage.ClassAt(f.Tier, age)); known && !yield(stored) {
					return
				}
			}
		}
	}
}

// farFuture is older than any transition: durations end at 250 years.
const farFuture = 250 * 365 * 24 * time.Hour

// retrieval says, for each class the new policy moves points into from which
// they must be brought back and the old one did not use, what that means.
func (c *change) retrieval() []string {
	known := map[string]bool{}
	if c.facts.Old != nil {
		for _, class := range archives(*c.facts.Old) {
			known[class] = true
		}
	}
	var said []string
	for _, class := range archives(c.facts.New) {
		if !known[class] {
			said = append(said, c.bringingBack(class))
		}
	}
	return said
}

// archives lists the archived classes a policy puts points into, each once.
func archives(d policy.Document) []string {
	var found []string
	seen := map[string]bool{}
	add := func(name string) {
		class, err := storageclass.Parse(name)
		if err == nil && class.Archived && !seen[name] {
			seen[name] = true
			found = append(found, name)
		}
	}
	for _, tier := range d.Tiers() {
		add(d.Storage.UploadClass(tier))
		for _, t := range d.Storage.TransitionsOf(tier) {
			add(t.Class)
		}
	}
	return found
}

// bringingBack says what a restore from an archived class takes, with the
// newest point of known size as the example.
func (c *change) bringingBack(class string) string {
	text := "a point in " + class + " can not be read until it was brought back"
	if c.facts.Prices.IsZero() {
		return text
	}
	var newest *Point
	for _, members := range c.groups {
		for _, p := range members {
			if p.stays() && p.Bytes > 0 && (newest == nil || p.Start.After(newest.Start)) {
				newest = p
			}
		}
	}
	if newest == nil {
		_, wait := c.facts.Prices.Retrieval(class, 0, 0)
		return fmt.Sprintf("%s, which takes up to %s%s", text, span(wait), c.beyondRTO(wait))
	}
	usd, wait := c.facts.Prices.Retrieval(class, newest.Bytes, cost.ObjectsOf(newest.Bytes))
	return fmt.Sprintf("%s: up to %s%s and %s for one of %s (estimate, not a bill)", text, span(wait), c.beyondRTO(wait), dollars(usd), bytesize.Text(newest.Bytes))
}

// beyondRTO says that a wait alone breaks what is promised.
func (c *change) beyondRTO(wait time.Duration) string {
	rto := c.facts.New.Objectives.RTO
	if promised, ok := rto.Exact(); !ok || rto.IsZero() || wait <= promised {
		return ""
	}
	return fmt.Sprintf(" (more than the %s that rto promises)", rto)
}
