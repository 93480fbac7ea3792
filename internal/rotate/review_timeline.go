package rotate

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// timeline is how the loss changed between two moments. Each source and kind is a
// lane of its own: what is lost of it changes only at its own events, and is only
// decided again there.
type timeline struct {
	past     *past
	from, to time.Time
	lanes    []*repo.History
}

// step is what a lane loses from a moment on.
type step struct {
	at   time.Time
	lane int
	lost impact.Set
}

// wasLost finds the newest moment as of which the loss was one that matches.
//
// What no key says of deleted points stands in their tombstones, and a week may have
// left a great many. So the moment is first looked for by the keys, which differ
// little: there a point begins to count at its start, and nobody knows what it was
// built on. That moment is then looked at with the tombstones it takes. All others
// are only read where that does not bear out.
func (p *past) wasLost(ctx context.Context, from, to time.Time, matches func(impact.Set) bool) (found time.Time, ok bool, err error) {
	t := timeline{past: p, from: from, to: to, lanes: p.history.Lanes()}
	if found, ok, err = t.newest(ctx, matches); err != nil {
		return found, false, err
	}
	if ok {
		lost, err := p.lost(ctx, found)
		if err != nil || matches(lost) {
			return found, err == nil, err
		}
	}
	if err := p.readStones(ctx, p.history.DeletedAfter(from)); err != nil {
		return found, false, err
	}
	return t.newest(ctx, matches)
}

// letGo reports whether a point is lost now that was held or condemned at a moment.
func (p *past) letGo(then time.Time) bool {
	aside := map[repo.Ref]bool{}
	for _, l := range p.at(then) {
		if l.Held || l.Condemned {
			aside[l.Ref] = true
		}
	}
	if len(aside) == 0 {
		return false
	}
	v := p.judge(p.at(p.opts.Now), p.opts.Now)
	for i := range v.points {
		if point := &v.points[i]; point.Before.Kept && !point.After.Kept && aside[v.listed[i].Ref] {
			return true
		}
	}
	return false
}

// lost is what the rules alone lose as of a moment.
func (p *past) lost(ctx context.Context, at time.Time) (impact.Set, error) {
	if err := p.prepare(ctx, at); err != nil {
		return impact.Set{}, err
	}
	return p.rules.lost(p.at(at), at), nil
}

// newest finds the newest moment as of which the loss of all lanes together is
// one that matches.
func (t *timeline) newest(ctx context.Context, matches func(impact.Set) bool) (found time.Time, ok bool, err error) {
	steps, err := t.steps(ctx)
	if err != nil {
		return found, false, err
	}
	current := make([]impact.Set, len(t.lanes))
	var total impact.Set
	for i := 0; i < len(steps); {
		at := steps[i].at
		for ; i < len(steps) && steps[i].at.Equal(at); i++ {
			s := steps[i]
			total.Remove(current[s.lane])
			total.Add(s.lost)
			current[s.lane] = s.lost
		}
		if !matches(total) {
			continue
		}
		found, ok = t.to, true
		if i < len(steps) {
			found = steps[i].at.Add(-1) // until then it was
		}
	}
	return found, ok, nil
}

// steps are the losses of all lanes, in the order of time, where they change.
func (t *timeline) steps(ctx context.Context) ([]step, error) {
	all := make([][]step, len(t.lanes))
	err := parallel.Each(ctx, runtime.GOMAXPROCS(0), len(t.lanes), func(ctx context.Context, i int) (err error) {
		all[i], err = t.laneSteps(ctx, i)
		return err
	})
	if err != nil {
		return nil, err
	}
	steps := slices.Concat(all...)
	slices.SortStableFunc(steps, func(a, b step) int { return a.at.Compare(b.at) })
	return steps, nil
}

// laneSteps decides about one lane at each of its events, and wherever time alone
// makes the rules see one of its points in another light.
func (t *timeline) laneSteps(ctx context.Context, number int) ([]step, error) {
	lane := t.lanes[number]
	ahead := t.moments(lane)
	known, ended := map[string]bool{}, map[string]bool{}
	var steps []step
	for len(ahead) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		at := ahead[0]
		ahead = ahead[1:]
		points := lane.At(at)
		for i := range points {
			l := &points[i]
			if known[l.Key] {
				continue
			}
			known[l.Key] = true
			ahead = append(ahead, turns(l.Start, t.past.rules, at, t.to)...)
			if committed := t.past.stones[l.Key].Committed; committed.After(at) && !committed.After(t.to) {
				ahead = append(ahead, committed)
			}
		}
		points = t.past.complete(points, at)
		for i := range points {
			if l := &points[i]; isPhysical(l) && !l.End.IsZero() && !ended[l.Key] {
				ended[l.Key] = true
				ahead = append(ahead, t.past.rules.walTurns(l, at, t.to)...)
			}
		}
		slices.SortFunc(ahead, time.Time.Compare)
		ahead = slices.CompactFunc(ahead, time.Time.Equal)
		lost := t.past.rules.lost(points, at)
		if len(steps) == 0 || steps[len(steps)-1].lost != lost {
			steps = append(steps, step{at, number, lost})
		}
	}
	return steps, nil
}

// moments are both ends of the timeline and what happened in a lane between.
func (t *timeline) moments(lane *repo.History) []time.Time {
	all := []time.Time{t.from}
	for _, m := range lane.Moments(t.from, t.to) {
		all = append(all, m.At)
	}
	if last := all[len(all)-1]; last.Before(t.to) {
		all = append(all, t.to)
	}
	return all
}
