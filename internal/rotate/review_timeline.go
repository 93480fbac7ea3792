package rotate

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// timeline is how the loss changed between two moments. Each source and kind is a
// lane of its own: what is lost of it changes only at its own events, and is only
// decided again there.
type timeline struct {
	past     *past
	from, to time.Time
	lanes    []lane
}

// lane is one source and kind.
type lane struct{ history *repo.History }

// step is what a lane loses from a moment on.
type step struct {
	at   time.Time
	lane int
	lost impact.Set
}

// timeline follows every source and kind from one moment to another. The past is
// not asked for whole moments any more after it.
func (p *past) timeline(ctx context.Context, from, to time.Time) (timeline, error) {
	t := timeline{past: p, from: from, to: to}
	type name struct{ source, kind string }
	names, chained := map[name]bool{}, map[name]bool{}
	for _, at := range []time.Time{from, to} {
		for _, l := range p.history.At(at) {
			n := name{l.Source, l.Kind}
			names[n] = true
			chained[n] = chained[n] || l.Parent != "" || l.Kind == retention.KindPhysical
		}
	}
	for _, m := range p.history.Moments(from, to) {
		names[name{m.Source, m.Kind}] = true
	}
	p.history = nil
	for n := range names {
		if n.source == "" || n.kind == "" {
			continue // strangers' files: no rule is about them
		}
		history, err := p.repo.History(ctx, repo.Filter{Source: n.source, Kind: n.kind})
		if err != nil {
			return t, err
		}
		l := lane{history}
		if chained[n] { // what a deleted incremental was built on stands in its tombstone
			for _, at := range l.moments(from, to) {
				if err := p.readStones(ctx, history.At(at)); err != nil {
					return t, err
				}
			}
		}
		t.lanes = append(t.lanes, l)
	}
	return t, nil
}

// newest finds the newest moment as of which the loss of all lanes together is
// one that matches.
func (t *timeline) newest(matches func(impact.Set) bool) (found time.Time, ok bool) {
	current := make([]impact.Set, len(t.lanes))
	var total impact.Set
	steps := t.steps()
	for i := 0; i < len(steps); {
		at := steps[i].at
		for ; i < len(steps) && steps[i].at.Equal(at); i++ {
			s := steps[i]
			total.Remove(current[s.lane])
			total.Add(s.lost)
			current[s.lane] = s.lost
		}
		if matches(total) {
			found, ok = at, true
			if i == len(steps) {
				found = t.to // it still is
			}
		}
	}
	return found, ok
}

// steps are the losses of all lanes, in the order of time, where they change.
func (t *timeline) steps() []step {
	all := make([][]step, len(t.lanes))
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(runtime.GOMAXPROCS(0), len(t.lanes)) {
		wg.Go(func() {
			for i := range next {
				all[i] = t.laneSteps(i)
			}
		})
	}
	for i := range t.lanes {
		next <- i
	}
	close(next)
	wg.Wait()
	steps := slices.Concat(all...)
	slices.SortStableFunc(steps, func(a, b step) int { return a.at.Compare(b.at) })
	return steps
}

// laneSteps decides about one lane at each of its events, and wherever time alone
// makes the rules see one of its points in another light.
func (t *timeline) laneSteps(number int) []step {
	l := t.lanes[number]
	ahead := l.moments(t.from, t.to)
	known := map[string]bool{}
	var steps []step
	for len(ahead) > 0 {
		at := ahead[0]
		ahead = ahead[1:]
		points := t.past.complete(l.history.At(at), at)
		for i := range points {
			if !known[points[i].Key] {
				known[points[i].Key] = true
				ahead = append(ahead, turns(points[i].Start, t.past.rules, at, t.to)...)
			}
		}
		slices.SortFunc(ahead, time.Time.Compare)
		ahead = slices.CompactFunc(ahead, time.Time.Equal)
		lost := t.past.rules.lost(points, at)
		if len(steps) == 0 || steps[len(steps)-1].lost != lost {
			steps = append(steps, step{at, number, lost})
		}
	}
	return steps
}

// moments are both ends of the timeline and what happened in the lane between.
func (l lane) moments(from, to time.Time) []time.Time {
	all := []time.Time{from}
	for _, m := range l.history.Moments(from, to) {
		all = append(all, m.At)
	}
	if last := all[len(all)-1]; last.Before(to) {
		all = append(all, to)
	}
	return all
}

// lost is what the rules alone lose of points, by their keys.
func (c ruleChange) lost(points []repo.Listed, at time.Time) impact.Set {
	var lost impact.Set
	before := c.keeps(c.before, points, at)
	after := c.keeps(&c.after, points, at)
	for i := range points {
		if ref := points[i].Ref; before(ref) && !after(ref) {
			lost.Add(impact.SetOf(ref.String()))
		}
	}
	return lost
}

// keeps tells what rules keep; none keep everything.
func (c ruleChange) keeps(rules *retention.Rules, points []repo.Listed, at time.Time) func(repo.Ref) bool {
	if rules == nil {
		return func(repo.Ref) bool { return true }
	}
	kept := make(map[repo.Ref]bool, len(points))
	for _, d := range decideKeys(points, *rules, at).Keep {
		kept[refOf(d.Point)] = true
	}
	return func(ref repo.Ref) bool { return kept[ref] }
}
