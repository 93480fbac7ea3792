package impact

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Window is since when a server can be recovered to any moment: from the end of a base
// backup on, by the WAL that stays.
type Window struct {
	Source, System string
	// Before and After are the oldest moment under the old and under the new rules; zero
	// for none. After is what is left when the runner has its say.
	Before, After time.Time
	// Lost: WAL is deleted because of the change. It has to be approved like the loss of
	// recovery points, also where all of these stay.
	Lost bool
	// Spared is why the runner keeps WAL that only the old rules would; "" when it does
	// not. Protected: for good, as far as this change goes.
	Spared    string
	Protected bool
}

// waits: it is lost as soon as what keeps it is put right.
func (w Window) waits() bool { return w.Spared != "" && !w.Protected }

// addWindows takes the windows over and counts the lost ones.
func (c *change) addWindows() {
	c.impact.Windows = slices.Clone(c.facts.Windows)
	for _, w := range c.impact.Windows {
		if w.Lost {
			c.impact.Shortened++
		}
		if w.waits() {
			c.impact.Waiting++
		}
	}
}

// maxWindows bounds how many servers are told of one by one.
const maxWindows = 5

// recovery says since when one can recover to any moment, before and after, those that
// lose first.
func (c *change) recovery() []string {
	windows := slices.Clone(c.impact.Windows)
	slices.SortStableFunc(windows, func(a, b Window) int { return b.rank() - a.rank() })
	var all []string
	for _, w := range windows[:min(len(windows), maxWindows)] {
		all = append(all, c.recoveryOf(w))
	}
	if more := len(windows) - maxWindows; more > 0 {
		lost := 0
		for _, w := range windows[maxWindows:] {
			if w.Lost {
				lost++
			}
		}
		all = append(all, fmt.Sprintf("so it is for %s more, of which %d lose some of it", count(more, "server", "servers"), lost))
	}
	return all
}

func (w Window) rank() int {
	switch {
	case w.Lost:
		return 2
	case !w.Before.Equal(w.After):
		return 1
	}
	return 0
}

func (c *change) recoveryOf(w Window) string {
	name := w.Source
	for _, other := range c.impact.Windows {
		if other.Source == w.Source && other.System != w.System {
			name = fmt.Sprintf("%s (system %s)", w.Source, w.System)
		}
	}
	what := "point-in-time recovery of " + name
	before, after := c.when.minute(w.Before), c.when.minute(w.After)
	switch {
	case w.Spared != "":
		return fmt.Sprintf("%s is possible from %s to now, and stays so although the rules would shorten it: %s", what, before, w.Spared)
	case w.After.IsZero():
		return fmt.Sprintf("%s is possible from %s to now; under the new rules not at all", what, before)
	case w.Before.IsZero():
		return fmt.Sprintf("%s will be possible from %s to now; under the old rules it would not", what, after)
	case w.Before.Equal(w.After):
		return fmt.Sprintf("%s stays possible from %s to now", what, before)
	}
	text := fmt.Sprintf("%s is possible from %s to now; under the new rules from %s to now", what, before, after)
	if w.Lost {
		text += ": the WAL before goes"
	}
	return text
}

// minute writes a moment to the minute, in the time zone of the policy.
func (m moments) minute(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	loc := m.loc
	if loc == nil {
		loc = time.UTC
	}
	return t.In(loc).Format(dateForm + " 15:04")
}

// shortened says which servers lose WAL, in a few words.
func (i Impact) shortened() string {
	var lost []Window
	for _, w := range i.Windows {
		if w.Lost {
			lost = append(lost, w)
		}
	}
	switch len(lost) {
	case 0:
		return ""
	case 1:
		w := lost[0]
		if w.After.IsZero() {
			return "all point-in-time recovery of " + w.Source
		}
		return fmt.Sprintf("%s of point-in-time recovery of %s", span(w.After.Sub(w.Before)), w.Source)
	}
	names := []string{}
	for _, w := range lost {
		if !slices.Contains(names, w.Source) {
			names = append(names, w.Source)
		}
	}
	if len(names) > 3 {
		names = append(names[:3], "others")
	}
	return fmt.Sprintf("point-in-time recovery of %s, part of it", strings.Join(names, ", "))
}
