package drill

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/archive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// moment is what a drill of a whole server recovers to, and by which base backup.
type moment struct {
	base   archive.Base
	window archive.Window
	target archive.Target
	at     time.Time // of target; zero for all there is
}

// pickMoment takes a moment that one of the base backups can be recovered to: the
// newest, the oldest or any. By chance it depends on nothing but the seed and the
// windows; every moment that any of them reaches is as likely as the others, and of
// several base backups that reach it the newest is taken, as a restore would.
func pickMoment(bases []archive.Base, current pgwal.Timeline, chosen string, seed int64) (moment, bool) {
	reach := reachable(bases, current)
	if len(reach) == 0 {
		return moment{}, false
	}
	switch chosen {
	case job.DrillLatest:
		m := slices.MaxFunc(reach, func(a, b moment) int {
			return cmp.Or(a.window.To.Compare(b.window.To), a.window.From.Compare(b.window.From))
		})
		m.target = archive.Target{Latest: true, Timeline: m.window.Timeline}
		return m, true
	case job.DrillOldest:
		m := slices.MinFunc(reach, func(a, b moment) int { return a.window.From.Compare(b.window.From) })
		return m.to(m.window.From), true
	}
	random := rand.New(rand.NewPCG(uint64(seed), 0)) //nolint:gosec // which moment is drilled is no secret
	return momentAt(reach, random)
}

// reachable are the windows of the base backups that can be used, each with its base,
// in an order that is always the same. What was left behind by a failover counts where
// there is nothing else only.
func reachable(bases []archive.Base, current pgwal.Timeline) []moment {
	var list []moment
	onCurrent := false
	for _, b := range bases {
		if b.Problem != "" {
			continue
		}
		for _, w := range b.Windows {
			if !w.From.IsZero() && !w.To.Before(w.From) {
				list = append(list, moment{base: b, window: w})
				onCurrent = onCurrent || w.Timeline == current
			}
		}
	}
	if onCurrent {
		list = slices.DeleteFunc(list, func(m moment) bool { return m.window.Timeline != current })
	}
	slices.SortStableFunc(list, func(a, b moment) int {
		return cmp.Or(a.window.From.Compare(b.window.From), cmp.Compare(a.base.Ref.ID, b.base.Ref.ID), cmp.Compare(a.window.Timeline, b.window.Timeline))
	})
	return list
}

// momentAt takes a moment by chance out of windows that are sorted by their beginning
// and may overlap.
func momentAt(reach []moment, random *rand.Rand) (moment, bool) {
	type span struct{ from, to time.Time }
	var spans []span // apart from each other
	var length time.Duration
	for _, m := range reach {
		from, to := m.window.From, m.window.To
		if n := len(spans); n > 0 && !from.After(spans[n-1].to) {
			if to.After(spans[n-1].to) {
				length += to.Sub(spans[n-1].to)
				spans[n-1].to = to
			}
			continue
		}
		spans = append(spans, span{from, to})
		length += to.Sub(from)
	}
	if length <= 0 {
		// Nothing was committed since any of them: they can be brought to where they end.
		m := reach[len(reach)-1]
		return m.to(m.window.From), true
	}
	rest := time.Duration(random.Int64N(int64(length)))
	at := spans[0].from
	for _, s := range spans {
		if n := s.to.Sub(s.from); rest >= n {
			rest -= n
			continue
		}
		at = s.from.Add(rest)
		break
	}
	for _, m := range slices.Backward(reach) { // the newest base backup that reaches it
		if !m.window.From.After(at) && at.Before(m.window.To) {
			return m.to(at), true
		}
	}
	return moment{}, false
}

// to is the moment with a target. A server looks for the first commit after its
// target, and fails where there is none: so the end of a window is no target, and a
// window in which nothing was committed has none but its beginning, where the base
// backup is consistent.
func (m moment) to(at time.Time) moment {
	m.at = at.Truncate(time.Microsecond) // which is as exact as a server is
	if m.at.Before(m.window.From) {
		m.at = m.window.From
	}
	m.target = archive.Target{Time: m.at, Timeline: m.window.Timeline}
	if !m.at.Before(m.window.To) {
		m.target = archive.Target{Immediate: true, Timeline: m.window.Timeline}
	}
	return m
}
