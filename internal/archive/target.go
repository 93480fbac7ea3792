package archive

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// Target is where a recovery ends: one of Time, LSN, XID, Name, Immediate and Latest.
type Target struct {
	Time      time.Time
	LSN       pgwal.LSN
	XID       uint64
	Name      string // of a restore point
	Immediate bool   // as soon as the base backup is consistent
	Latest    bool   // all there is
	// Inclusive: what is exactly at the target is in it. PostgreSQL's default is true.
	Inclusive bool
	Timeline  pgwal.Timeline // 0 is the newest

	// found is where Locate found the XID or Name: the end of its record.
	found pgwal.LSN
}

// Located tells whether Locate found it.
func (t Target) Located() bool { return t.found != 0 }

// Check says why it is no target.
func (t Target) Check() error {
	n := 0
	for _, is := range []bool{!t.Time.IsZero(), t.LSN != 0, t.XID != 0, t.Name != "", t.Immediate, t.Latest} {
		if is {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("a recovery has one target: a time, a position, a transaction, a restore point, immediate or latest; %d are given", n)
	}
	return nil
}

// String says what is aimed at.
func (t Target) String() string {
	switch {
	case !t.Time.IsZero():
		return moment(t.Time)
	case t.LSN != 0:
		return "position " + t.LSN.String()
	case t.XID != 0:
		return fmt.Sprintf("transaction %d", t.XID)
	case t.Name != "":
		return fmt.Sprintf("restore point %q", t.Name)
	case t.Immediate:
		return "the end of the base backup"
	}
	return "the newest archived position"
}

// moment writes a time as messages show it.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.999999Z07:00") }

// Unreachable: no base backup and WAL of the archive lead to a target.
type Unreachable struct {
	Target  Target
	Why     string
	Windows []Window // that could be reached instead, on the timeline of the target
}

// Error names the reachable windows.
func (u *Unreachable) Error() string {
	text := fmt.Sprintf("%s cannot be recovered: %s", u.Target, u.Why)
	if len(u.Windows) == 0 {
		return text
	}
	var reach []string
	for _, w := range u.Windows {
		reach = append(reach, fmt.Sprintf("%s to %s (%s to %s)", moment(w.From), moment(w.To), w.FromLSN, w.ToLSN))
	}
	return fmt.Sprintf("%s. Recoverable on timeline %s: %s", text, u.Windows[0].Timeline, strings.Join(reach, "; "))
}

// candidate is a usable base backup with its window on a timeline.
type candidate struct {
	base   Base
	window Window
}

// Choose picks the newest base backup from which the target can be reached, and its
// window on the target's timeline. A target of an XID or Name is looked for where
// Locate found it; without that, the newest base backup is taken. *Unreachable when none
// leads there.
//
// The end of a window can be aimed at: a time from Window.To on is where a server stops
// for want of more WAL, and not by a target, so whoever recovers to exactly that moment
// asks the server for the latest.
func (s *Survey) Choose(t Target) (Base, Window, error) {
	if err := t.Check(); err != nil {
		return Base{}, Window{}, err
	}
	timeline := t.Timeline
	if timeline == 0 {
		timeline = s.Current
	}
	var all []candidate // newest first by where they end
	for _, b := range s.Bases {
		if w, has := b.Window(timeline); has && b.Problem == "" {
			all = append(all, candidate{b, w})
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		switch {
		case a.window.FromLSN > b.window.FromLSN:
			return -1
		case a.window.FromLSN < b.window.FromLSN:
			return 1
		}
		return 0
	})
	for _, c := range all {
		if t.inside(c.window) {
			return c.base, c.window, nil
		}
	}
	return Base{}, Window{}, &Unreachable{Target: t, Why: s.why(t, timeline, all) + s.elsewhere(t, timeline), Windows: merge(all)}
}

// elsewhere names the timelines beside one on which the target can be reached: a copy
// that was promoted may have archived a newer one than the server is on.
func (s *Survey) elsewhere(t Target, beside pgwal.Timeline) string {
	if t.Timeline != 0 || t.Time.IsZero() && t.LSN == 0 && t.found == 0 {
		return ""
	}
	var on []string
	for _, line := range slices.Backward(s.Timelines) {
		reaches := slices.ContainsFunc(s.Bases, func(b Base) bool {
			w, has := b.Window(line.ID)
			return has && b.Problem == "" && t.inside(w)
		})
		if line.ID != beside && reaches {
			on = append(on, line.ID.String())
		}
	}
	if len(on) == 0 {
		return ""
	}
	return "; on timeline " + strings.Join(on, " and ") + " it can be recovered: choose it with --target-timeline"
}

// inside tells whether a target lies in a window.
func (t Target) inside(w Window) bool {
	switch {
	case !t.Time.IsZero():
		return !t.Time.Before(w.From) && !t.Time.After(w.To)
	case t.LSN != 0: // a record must begin there or behind it
		return t.LSN >= w.FromLSN && t.LSN < w.ToLSN
	case t.found != 0:
		return t.found > w.FromLSN && t.found <= w.ToLSN
	}
	return true
}

// side tells where a target lies that is not in a window: below zero before it, above
// behind it.
func (t Target) side(w Window) int {
	before, after := false, false
	switch {
	case !t.Time.IsZero():
		before, after = t.Time.Before(w.From), t.Time.After(w.To)
	case t.LSN != 0:
		before, after = t.LSN < w.FromLSN, t.LSN >= w.ToLSN
	case t.found != 0:
		before, after = t.found <= w.FromLSN, t.found > w.ToLSN
	}
	switch {
	case before:
		return -1
	case after:
		return 1
	}
	return 0
}

// why says why none of the windows, newest first, has the target in it.
func (s *Survey) why(t Target, timeline pgwal.Timeline, all []candidate) string {
	if len(all) == 0 {
		return s.noBase(timeline)
	}
	newest, oldest := all[0].window, all[len(all)-1].window
	before := false // some base backup is later than the target
	for _, c := range all {
		switch w := c.window; {
		case t.side(w) < 0:
			before = true
		case w.Gap != nil:
			next := "no base backup was made since"
			if before {
				next = "the next base backup is later"
			}
			return fmt.Sprintf("WAL is missing from %s to %s on timeline %s (%s; the last commit before is of %s, the first after of %s), and %s",
				w.Gap.From, w.Gap.To, w.Gap.Timeline, counted(w.Gap.Segments, "segment"), moment(w.Gap.Before), moment(w.Gap.After), next)
		case before:
			return fmt.Sprintf("the WAL after the base backup %s ends at %s, and the next base backup is later", c.base.Ref.ID, moment(w.To))
		}
	}
	if t.side(oldest) < 0 {
		return fmt.Sprintf("the oldest base backup that can be recovered ended at %s (%s)", moment(oldest.From), oldest.FromLSN)
	}
	return fmt.Sprintf("the newest archived commit is of %s (%s); ask for the latest to have all there is", moment(newest.To), newest.ToLSN)
}

// counted is a number with its noun.
func counted(n uint64, one string) string {
	if n != 1 {
		one += "s"
	}
	return fmt.Sprintf("%d %s", n, one)
}

// noBase says why nothing at all can be recovered on a timeline.
func (s *Survey) noBase(timeline pgwal.Timeline) string {
	if len(s.Bases) == 0 {
		return "there is no base backup of " + s.Archive.String() + "; take one with: pgbackup-runner backup --kind physical"
	}
	var problems []string
	for _, b := range s.Bases {
		if b.Problem != "" && len(problems) < 3 {
			problems = append(problems, b.Ref.ID+": "+b.Problem)
		}
	}
	if len(problems) > 0 {
		return fmt.Sprintf("no base backup can be used on timeline %s: %s", timeline, strings.Join(problems, "; "))
	}
	return fmt.Sprintf("no base backup leads to timeline %s", timeline)
}

// merge joins windows that touch, oldest first: of two base backups on one stretch of
// WAL the window is one.
func merge(newestFirst []candidate) []Window {
	var out []Window
	for _, c := range slices.Backward(newestFirst) {
		w := c.window
		if last := len(out) - 1; last >= 0 && w.FromLSN <= out[last].ToLSN {
			if w.ToLSN > out[last].ToLSN {
				out[last].To, out[last].ToLSN, out[last].Gap = w.To, w.ToLSN, w.Gap
			}
			continue
		}
		out = append(out, w)
	}
	return out
}
