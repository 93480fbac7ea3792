package impact

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// period is what a keep rule distinguishes, in words.
type period struct {
	oldest string // "the oldest daily restore point"
	kept   string // "daily point", and with an s the plural
	each   string // "day": one point of each is kept; "" where the rule is not about periods
	key    func(time.Time) string
	ahead  func(t time.Time, n int) time.Time
}

var periods = map[string]period{
	"hourly": {
		key:   func(t time.Time) string { return t.Format("2006-01-02T15") },
		ahead: func(t time.Time, n int) time.Time { return t.Add(time.Duration(n) * time.Hour) },
		each:  "hour",
	},
	"daily": {
		key:   func(t time.Time) string { return t.Format(time.DateOnly) },
		ahead: func(t time.Time, n int) time.Time { return t.AddDate(0, 0, n) },
		each:  "day",
	},
	"weekly": {
		key: func(t time.Time) string {
			year, week := t.ISOWeek()
			return fmt.Sprint(year, " ", week)
		},
		ahead: func(t time.Time, n int) time.Time { return t.AddDate(0, 0, 7*n) },
		each:  "week",
	},
	"monthly": {
		key: func(t time.Time) string { return t.Format("2006-01") },
		// From the first of the month: a 31st would leap over short months.
		ahead: func(t time.Time, n int) time.Time {
			return time.Date(t.Year(), t.Month()+time.Month(n), 1, 0, 0, 0, 0, t.Location())
		},
		each: "month",
	},
	"yearly": {
		key:   func(t time.Time) string { return t.Format("2006") },
		ahead: func(t time.Time, n int) time.Time { return time.Date(t.Year()+n, 1, 1, 0, 0, 0, 0, t.Location()) },
		each:  "year",
	},
}

// periodOf finds the words for a keep rule; ok is false for a field that is none.
func periodOf(field string) (p period, ok bool) {
	name := strings.TrimPrefix(field, "keep_")
	byAge := strings.HasPrefix(name, "within")
	name = strings.TrimPrefix(strings.TrimPrefix(name, "within"), "_")
	if p, ok = periods[name]; ok {
		p.oldest, p.kept = "the oldest "+name+" restore point", name+" point"
		if byAge {
			p.oldest += " kept by age"
		}
		return p, true
	}
	switch field {
	case "keep_last":
		return period{oldest: "the oldest of the newest points", kept: "point"}, true
	case "keep_within":
		return period{oldest: "the oldest restore point kept by age", kept: "point"}, true
	case "wal":
		return period{oldest: "the oldest base backup for point-in-time recovery", kept: "base backup"}, true
	}
	return period{}, false
}

// consequence joins the change of one keep rule with what it means: where its
// oldest point moves to and, when the rule keeps more than before, from when
// that is true.
func (c *change) consequence(ch policy.Change, p period) string {
	all := c.edges(ch.Field)
	if len(all) == 0 {
		return ch.String() + ", no recovery point is kept by it today"
	}
	text := ch.String() + ", " + c.moves(p.oldest, all)
	if ch.Direction == policy.Longer {
		if soon := c.trueFrom(ch, p); soon != "" {
			text += "; " + soon
		}
	}
	return text
}

// edge is the oldest point a rule keeps in one source and kind.
type edge struct {
	name          string // source, and kind where there are several
	before, after time.Time
}

// edges finds the oldest point kept by a rule in every group that it keeps
// something of.
func (c *change) edges(field string) []edge {
	var all []edge
	for g, members := range c.groups {
		e := edge{name: c.groupName(g)}
		for _, p := range members {
			if p.Before.Kept && p.Before.By.Has(field) {
				e.before = p.Start
			}
			if p.After.Kept && p.After.By.Has(field) {
				e.after = p.Start
			}
		}
		if !e.before.IsZero() || !e.after.IsZero() {
			all = append(all, e)
		}
	}
	return all
}

// groupName names a source, with the kind where kinds differ.
func (c *change) groupName(i int) string {
	groups := c.impact.Groups
	for _, g := range groups {
		if g.Kind != groups[i].Kind {
			return groups[i].Source + " (" + groups[i].Kind + ")"
		}
	}
	return groups[i].Source
}

// moves says how the oldest of something moves, over one group or many: the same
// everywhere, or where it moves most.
func (c *change) moves(what string, all []edge) string {
	var moved []edge
	for _, e := range all {
		if !e.before.Equal(e.after) {
			moved = append(moved, e)
		}
	}
	if len(moved) == 0 {
		return what + " stays" + c.since(all)
	}
	most, same := moved[0], true
	for _, e := range moved[1:] {
		same = same && e.sameDays(moved[0], c.when)
		if e.distance() > most.distance() {
			most = e
		}
	}
	text := what + " " + c.from(most)
	switch {
	case len(all) == 1:
		return text
	case same && len(moved) == len(all):
		return fmt.Sprintf("%s in all %d sources", text, len(all))
	case same:
		return fmt.Sprintf("%s in %d of %d sources", text, len(moved), len(all))
	}
	return fmt.Sprintf("%s in %s, the farthest of the %d sources where it moves", text, most.name, len(moved))
}

// since says on which day the oldest is, where it is the same day everywhere.
func (c *change) since(all []edge) string {
	for _, e := range all[1:] {
		if c.when.day(e.after) != c.when.day(all[0].after) {
			return " where it is"
		}
	}
	return " that of " + c.when.day(all[0].after)
}

// from writes one move.
func (c *change) from(e edge) string {
	switch {
	case e.after.IsZero():
		return "(" + c.when.day(e.before) + ") is no longer kept as such"
	case e.before.IsZero():
		return "is that of " + c.when.day(e.after)
	}
	before, after := c.when.pair(e.before, e.after)
	return "moves from " + before + " to " + after
}

func (e edge) sameDays(other edge, m moments) bool {
	return m.day(e.before) == m.day(other.before) && m.day(e.after) == m.day(other.after)
}

// distance orders moves: losing the last point is farther than any.
func (e edge) distance() time.Duration {
	if e.before.IsZero() || e.after.IsZero() {
		return farFuture
	}
	return e.after.Sub(e.before).Abs()
}

// trueFrom says what of a longer rule exists today, and from when it is really
// kept: a longer window is not true on the day it is declared.
func (c *change) trueFrom(ch policy.Change, p period) string {
	field := fieldOf(c.facts.New.Retention, ch.Field)
	if field.Count == nil {
		full := field.Span.AddTo(c.dense(ch.Field), c.when.loc)
		if !full.After(c.facts.AsOf) {
			return ""
		}
		return fmt.Sprintf("the whole %s is covered from %s on", field.Span, c.when.day(full))
	}
	have := c.fewest(ch.Field, p)
	exist := count(have, p.kept, p.kept+"s") + agree(have, " exists", " exist") + " today"
	switch n := *field.Count; {
	case n == retention.All && p.each == "":
		return exist + "; every one stays from now on"
	case n == retention.All:
		return exist + "; one of every " + p.each + " stays from now on"
	case have >= n:
		return ""
	case p.each == "":
		return fmt.Sprintf("%s; %d once %d more were made", exist, n, n-have)
	default:
		full := p.ahead(c.facts.AsOf.In(c.when.loc), n-have)
		return fmt.Sprintf("%s; %d from %s on, if one is made each %s", exist, n, c.when.day(full), p.each)
	}
}

// fewest counts the periods a rule of the new policy has a point for, in the
// group where it has the fewest. A period that ended without a point is none:
// the oldest point, which a rule keeps while history is short, is not counted
// twice.
func (c *change) fewest(field string, p period) int {
	have := -1
	for _, members := range c.groups {
		seen := map[string]bool{}
		for _, m := range members {
			if !m.After.Kept || !m.After.By.Has(field) {
				continue
			}
			name := m.ID
			if p.key != nil {
				name = p.key(m.Start.In(c.when.loc))
			}
			seen[name] = true
		}
		if n := len(seen); n > 0 && (have < 0 || n < have) {
			have = n
		}
	}
	return max(have, 0)
}

// dense is since when no point is missing that a rule over a span would keep:
// the old span back from now, or since the youngest history begins. What lies
// before was thinned out by the old rules.
func (c *change) dense(field string) time.Time {
	since := c.facts.AsOf
	if c.facts.Old != nil {
		if old := fieldOf(c.facts.Old.Retention, field); old.Span != nil {
			since = old.Span.SubtractFrom(since, c.when.loc)
		}
	}
	for _, members := range c.groups {
		oldest := members[len(members)-1].Start
		if oldest.After(since) {
			since = oldest
		}
	}
	return since
}

// fieldOf finds a keep rule by name.
func fieldOf(k retention.Keep, name string) retention.Field {
	for _, f := range k.Fields() {
		if f.Name == name {
			return f
		}
	}
	return retention.Field{Name: name, Count: new(int)}
}
