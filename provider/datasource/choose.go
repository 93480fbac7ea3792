package datasource

import (
	"context"
	"errors"
	"slices"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// choose gives the first points, newest first, that the filters let through, up
// to the limit, with their manifests read, and how many there are in all.
//
// Keys tell nearly everything. What only a manifest tells is whether it can be
// read, and the tier of a point that was never retagged: points that turn out
// not to be wanted make room for older ones. These are read a large batch at a
// time, however few are still missing: a rare tier would otherwise take a round
// trip for each point.
func (m *recoveryPointsModel) choose(ctx context.Context, r *repo.Repository, listed []repo.Listed) (found []repo.Listed, total int, err error) {
	limit := defaultLimit
	if n := m.Limit.ValueInt64(); n > 0 {
		limit = int(n)
	}
	wanted := slices.DeleteFunc(listed, func(l repo.Listed) bool { return !m.wantsByKey(&l) })
	total = len(wanted)
	for batch := limit; len(found) < limit && len(wanted) > 0; batch = max(limit-len(found), laterBatch) {
		n := min(batch, len(wanted))
		part := wanted[:n]
		wanted = wanted[n:]
		if err := r.LoadManifests(ctx, part); err != nil {
			return nil, 0, err
		}
		for i := range part {
			if m.wants(&part[i]) {
				found = append(found, part[i])
			} else {
				total--
			}
		}
	}
	return found[:min(limit, len(found))], total, nil
}

// laterBatch is how many manifests are read at least when the first ones did not
// do.
const laterBatch = 256

// wantsByKey is what can be said of a point before its manifest is read.
func (m *recoveryPointsModel) wantsByKey(l *repo.Listed) bool {
	after, before, tier := moment(m.After), moment(m.Before), m.Tier.ValueString()
	return l.ID != "" &&
		(m.Verified.IsNull() || m.Verified.ValueBool() == l.Verified()) &&
		(m.Held.IsNull() || m.Held.ValueBool() == l.Held) &&
		(tier == "" || l.Tier == "" || l.Tier == tier) &&
		(after.IsZero() || !l.Start.Before(after)) &&
		(before.IsZero() || l.Start.Before(before))
}

// wants is what can be said once it was. A point that was deleted in between is
// none any more.
func (m *recoveryPointsModel) wants(l *repo.Listed) bool {
	tier := m.Tier.ValueString()
	return m.wantsByKey(l) && !errors.Is(l.Problem, repo.ErrNotFound) && (tier == "" || l.CurrentTier() == tier)
}
