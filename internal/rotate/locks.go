package rotate

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// askers is how many points the store is asked about at once.
const askers = 16

// spareLocked keeps what the store locks: a deletion would only hide it. Such a
// point takes no slot of a rule, for the rules have let go of it already, and its
// lock is not extended: it goes when its time has come. Only points that would go
// are asked about.
func (opts Options) spareLocked(ctx context.Context, out *Outcome) error {
	if len(out.Delete) == 0 {
		return nil
	}
	until := make([]string, len(out.Delete))
	err := parallel.Each(ctx, askers, len(out.Delete), func(ctx context.Context, i int) error {
		mode, end, err := opts.Repo.Retained(ctx, out.Delete[i].ref)
		if err == nil && !end.IsZero() {
			until[i] = fmt.Sprintf("locked until %s (%s)", end.Format(time.RFC3339), mode)
		}
		return err
	})
	if err != nil {
		return err
	}
	reasons := make(map[repo.Ref]string, len(until))
	for i, d := range out.Delete {
		reasons[d.ref] = until[i]
	}
	out.spareIf(keptForNow, func(d Decision) string { return reasons[d.ref] })
	return nil
}

// extendLocks locks the points of a source that stay for longer, where the
// repository is protected. Points that no rule keeps, which only a lock or a doubt
// spares this time, are not among them: their lock would never end. What fails is a
// warning that names the source: the next rotation repeats it.
func (opts Options) extendLocks(ctx context.Context, source string, listed []repo.Listed, part *Outcome) {
	if _, is, err := opts.Repo.Protection(ctx); err == nil && !is {
		return
	}
	stays := make(map[repo.Ref]bool, len(part.Keep))
	for _, d := range part.Keep {
		if d.keeper != keptForNow {
			stays[d.ref] = true
		}
	}
	var points []*repo.Listed
	for i := range listed {
		if l := &listed[i]; stays[l.Ref] && l.Problem == nil {
			points = append(points, l)
		}
	}
	done, err := opts.Repo.ExtendLocks(ctx, source, points, opts.By)
	if done.Points > 0 {
		opts.Log.Info("locked recovery points for longer", "source", source, "points", done.Points, "until", done.Until.Format(time.RFC3339))
	}
	if err != nil {
		part.warn(source, fmt.Sprintf("not every recovery point of %s that stays is locked for as long as the repository says, the next rotation tries again: %v", source, err))
	}
}
