package rotate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// walPast is since when and until when WAL was archived, by server and the store's
// clock. A review goes by that alone: which timelines there were at a moment of the
// past, and where they had gaps, nobody can tell any more. A rotation, which sees them,
// keeps more than that for their sake, and never less.
type walPast map[retention.Server]walSpan

type walSpan struct{ first, newest time.Time }

// archiveReaders is how many archives are listed at once.
const archiveReaders = 8

func readWALPast(ctx context.Context, r *repo.Repository) (walPast, error) {
	all, err := r.WALArchives(ctx, "")
	if err != nil || len(all) == 0 {
		return nil, err
	}
	spans := make([]walSpan, len(all))
	err = parallel.Each(ctx, archiveReaders, len(all), func(ctx context.Context, i int) error {
		s := &spans[i]
		for f, err := range r.EachWAL(ctx, all[i], 0) {
			if err != nil {
				return err
			}
			if s.first.IsZero() || f.Modified.Before(s.first) {
				s.first = f.Modified
			}
			if f.Modified.After(s.newest) {
				s.newest = f.Modified
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	past := walPast{}
	for i, a := range all {
		if !spans[i].newest.IsZero() {
			past[serverOf(a)] = spans[i]
		}
	}
	return past, nil
}

// at is what there was at a moment: an archive that something was added to later was up
// to date then.
func (p walPast) at(t time.Time) archives {
	known := archives{}
	for server, span := range p {
		if span.first.After(t) {
			continue
		}
		newest := span.newest
		if t.Before(newest) {
			newest = t
		}
		known[server] = retention.Archive{Newest: newest, Stored: newest}
	}
	return known
}

// windowChange is from which base backup on all WAL of a server stays, before and after
// a change. nil is none.
type windowChange struct {
	server        retention.Server
	before, after *retention.Point
	spared        string // why WAL stays all the same; "" when it does not
	protected     bool   // for good, as far as this change goes
}

// lost: WAL goes because of the change that moments between two base backups need.
func (w windowChange) lost() bool {
	return w.before != nil && (w.after == nil || w.after.Start.After(w.before.Start))
}

// set stands for the loss.
func (w windowChange) set() impact.Set {
	after := "none"
	if w.after != nil {
		after = w.after.ID
	}
	return impact.SetOf(fmt.Sprintf("%s/wal/%s from %s to %s", w.server.Source, w.server.System, w.before.ID, after))
}

// windows are those of the servers whose WAL is archived.
func (c ruleChange) windows(points []repo.Listed, at time.Time) []windowChange {
	known := c.wal.at(at)
	if len(known) == 0 {
		return nil
	}
	bases := slices.DeleteFunc(slices.Clone(points), func(l repo.Listed) bool { return !isPhysical(&l) })
	before := everything("", "").Rules
	if c.before != nil {
		before = *c.before
	}
	old, next := decideKeys(bases, before, at, known).Windows, decideKeys(bases, c.after, at, known).Windows
	var all []windowChange
	for server := range known {
		w := windowChange{server: server, before: first(old[server]), after: first(next[server])}
		if w.before != nil || w.after != nil {
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b windowChange) int {
		return cmp.Or(cmp.Compare(a.server.Source, b.server.Source), cmp.Compare(a.server.System, b.server.System))
	})
	return all
}

// first of the base backups that windows begin with, newest first.
func first(bases []*retention.Point) *retention.Point {
	if len(bases) == 0 {
		return nil
	}
	return bases[len(bases)-1]
}

// told is the windows as an impact tells of them.
func (v *verdict) told() []impact.Window {
	var all []impact.Window
	for _, w := range v.windows {
		t := impact.Window{Source: w.server.Source, System: w.server.System, Lost: w.lost() && w.spared == "", Spared: w.spared, Protected: w.protected}
		if w.before != nil {
			t.Before = w.before.End.UTC()
		}
		if w.after != nil {
			t.After = w.after.End.UTC()
		}
		if w.spared != "" {
			t.After = t.Before
		}
		all = append(all, t)
	}
	return all
}

// spareWindows asks what a rotation asks which of the lost windows stay all the same.
func (opts Options) spareWindows(ctx context.Context, v *verdict, listed []repo.Listed, out Outcome) error {
	goes := map[repo.Ref]bool{}
	for _, d := range out.Delete {
		goes[d.ref] = true
	}
	for i := range v.windows {
		w := &v.windows[i]
		if !w.lost() {
			continue
		}
		var staying []repo.Listed
		for _, l := range listed {
			if sourceOf(l) == w.server.Source && !goes[l.Ref] {
				staying = append(staying, l)
			}
		}
		for source, keys := range unreadableSources(staying) {
			w.spared = fmt.Sprintf("nothing of %s is deleted while %s can not be read", source, strings.Join(keys, ", "))
		}
		windows, doubt, err := opts.windows(ctx, staying)
		if err != nil {
			return err
		}
		if doubt != "" {
			w.spared = doubt
		}
		for _, l := range staying {
			if why := windows[l.Ref]; why != "" && w.spared == "" && l.System == w.server.System && !l.Start.After(w.before.Start) {
				w.spared, w.protected = why, true
			}
		}
	}
	return nil
}

// walTurns are the moments after from, up to and including to, at which a base backup
// comes to lie before the window of the rule wal, while WAL is archived.
func (c ruleChange) walTurns(l *repo.Listed, from, to time.Time) []time.Time {
	var all []time.Time
	add := func(at time.Time) {
		if at.After(from) && !at.After(to) {
			all = append(all, at)
		}
	}
	span, archived := c.wal[retention.Server{Source: l.Source, System: l.System}]
	if !archived {
		return nil
	}
	add(span.first)
	for _, r := range []*retention.Rules{c.before, &c.after} {
		if r != nil && !r.WAL.IsZero() {
			expiries(l.End, r.WAL, r.Location, from, to, add)
		}
	}
	return all
}
