package impact

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

// sentences tell the impact in the order a reviewer asks: what changes and what
// each change means, what goes, how far back one can still restore, what stays
// all the same, what it costs. Without a full stop.
func (c *change) sentences() []string {
	var all []string
	if c.facts.Old == nil {
		all = append(all, "no policy of this name was here before: all that the new rules do not keep is counted as lost")
	}
	for _, ch := range c.impact.Changes {
		all = append(all, c.sentence(ch))
	}
	if slices.ContainsFunc(c.impact.Changes, func(ch policy.Change) bool { return aboutClasses(ch.Field) }) || c.facts.Old == nil {
		all = append(all, c.retrieval()...)
	}
	return append(all, c.totals()...)
}

// sentence joins one change with its consequence.
func (c *change) sentence(ch policy.Change) string {
	if p, ok := periodOf(ch.Field); ok {
		return c.consequence(ch, p)
	}
	switch {
	case ch.Field == "timezone":
		return ch.String() + ", hours, days, weeks, months and years begin at other moments, so another point may be the newest of each"
	case ch.Field == "expire_after":
		return ch.String() + ", " + c.ceiling(ch)
	case ch.Field == "transitions" && ch.Before == "none":
		return ch.String() + ", for what is there and what comes"
	case ch.Field == "transitions":
		return ch.String() + ", for what has not moved yet: nothing moves back up"
	case aboutClasses(ch.Field):
		return ch.String() + ", for backups from now on"
	}
	return ch.String() + ", no recovery point is touched"
}

// aboutClasses: the field is about where objects are stored, not how long.
func aboutClasses(field string) bool {
	return field == "class" || field == "transitions" || strings.HasPrefix(field, "classes.")
}

// ceiling says what a changed expire_after does.
func (c *change) ceiling(ch policy.Change) string {
	after := c.facts.New.Storage.ExpireAfter
	if after.IsZero() {
		return "points of any age stay while a rule keeps them"
	}
	bound := after.SubtractFrom(c.facts.AsOf, c.when.loc)
	if ch.Direction == policy.Longer {
		return "points stay, while a rule keeps them, that started after " + c.when.day(bound)
	}
	n := 0
	for _, members := range c.groups {
		for _, p := range members {
			if p.lost() && p.Start.Before(bound) {
				n++
			}
		}
	}
	if n == 0 {
		return "no point that would go is older than that today (" + c.when.day(bound) + "); from now on none grows older but the newest verified one, also when backups stop"
	}
	return fmt.Sprintf("%s older than that (%s) %s", points(n), c.when.day(bound), agree(n, "goes", "go"))
}

// totals tell what all changes together do.
func (c *change) totals() []string {
	i := c.impact
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	switch {
	case i.Points > 0:
		also := ""
		if i.Due > 0 {
			also = fmt.Sprintf("; it deletes %d more that the rules before would delete too", i.Due)
		}
		say("%s (%s) of %s will be deleted by the next rotation because of this change%s", points(i.Points), sizeOf(i.Bytes, i.Points, i.Unsized), count(i.losingSources(), "source", "sources"), also)
	default:
		say("no recovery point is deleted because of this change")
	}
	if i.Gained > 0 {
		say("%s %s that the old rules would delete by the next rotation", points(i.Gained), agree(i.Gained, "stays", "stay"))
	}
	if text := c.oldestMoment(); text != "" {
		say("%s", text)
	}
	if text := c.largestGap(); text != "" {
		say("%s", text)
	}
	all = append(all, c.recovery()...)
	if i.Spared > 0 {
		say("%s that the rules would delete %s: %s", points(i.Spared), agree(i.Spared, "stays", "stay"), strings.Join(c.whySpared(), "; "))
	}
	if i.Cost != nil && len(i.Groups) > 0 {
		text := i.Cost.String()
		if slices.ContainsFunc(i.Changes, func(ch policy.Change) bool { return aboutClasses(ch.Field) }) {
			text += ", if all of it were stored by the rules"
		}
		say("%s", text)
	}
	return all
}

// losingSources counts the sources that lose a point.
func (i Impact) losingSources() int {
	names := map[string]bool{}
	for _, g := range i.Groups {
		if g.Lost > 0 {
			names[g.Source] = true
		}
	}
	return len(names)
}

// oldestMoment says how far back one can restore before and after, where that
// changes.
func (c *change) oldestMoment() string {
	var all []edge
	moved := false
	for g, group := range c.impact.Groups {
		e := edge{name: c.groupName(g), before: group.OldestBefore, after: group.OldestAfter}
		if e.before.IsZero() && e.after.IsZero() {
			continue
		}
		all = append(all, e)
		moved = moved || !e.before.Equal(e.after)
	}
	if !moved {
		return ""
	}
	return c.moves("the oldest moment that can be restored", all)
}

// largestGap says by how much the moments one can restore lie farther apart, in
// the group where that changes most.
func (c *change) largestGap() string {
	worst, changed := -1, 0
	for g, group := range c.impact.Groups {
		if span(group.GapAfter) == span(group.GapBefore) || group.GapBefore == 0 || group.GapAfter == 0 {
			continue
		}
		// A gap that is gone because all around it is gone is no better, and one
		// that shows because older points stay is no worse.
		if (group.Lost > 0) == (group.GapAfter < group.GapBefore) {
			continue
		}
		changed++
		if worst < 0 || c.widened(g) > c.widened(worst) {
			worst = g
		}
	}
	if worst < 0 {
		return ""
	}
	group, verb := c.impact.Groups[worst], "grows"
	if group.GapAfter < group.GapBefore {
		verb = "shrinks"
	}
	text := fmt.Sprintf("the largest gap between restorable moments %s from %s to %s", verb, span(group.GapBefore), span(group.GapAfter))
	if len(c.impact.Groups) > 1 {
		text += " in " + c.groupName(worst)
	}
	if changed > 1 {
		text += fmt.Sprintf(", the most of %d sources", changed)
	}
	return text
}

func (c *change) widened(g int) int64 {
	return int64(c.impact.Groups[g].GapAfter - c.impact.Groups[g].GapBefore)
}

// whySpared gives the reasons for which points are spared, at most three.
func (c *change) whySpared() []string {
	var why []string
	for _, members := range c.groups {
		for _, p := range members {
			if p.doomed() && p.Spared != "" && !slices.Contains(why, p.Spared) {
				if len(why) == 3 {
					return append(why, "and for other reasons")
				}
				why = append(why, p.Spared)
			}
		}
	}
	return why
}

// String gives the cost as a sentence, with the words that keep it from being
// taken for a bill.
func (c Cost) String() string {
	before, after := dollars(c.Before), dollars(c.After)
	if before == after && c.After < 0.01 {
		return fmt.Sprintf("storing what is kept costs less than one cent a month (estimate, not a bill: %s)", c.Prices)
	}
	if before == after {
		return fmt.Sprintf("storing what is kept stays at %s a month (estimate, not a bill: %s)", after, c.Prices)
	}
	return fmt.Sprintf("storing what is kept goes from %s to %s a month (estimate, not a bill: %s)", before, after, c.Prices)
}
