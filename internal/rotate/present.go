package rotate

import (
	"context"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// checkData makes sure that every good point that stays still has its data: the
// rules rely on it when they let others go. One that has not protects its source
// as an unreadable manifest does. Only sources that would lose points are looked
// at.
func (opts Options) checkData(ctx context.Context, listed []repo.Listed, out *Outcome) error {
	going := map[string]map[repo.Ref]bool{}
	for _, d := range out.Delete {
		if going[d.Source] == nil {
			going[d.Source] = map[repo.Ref]bool{}
		}
		going[d.Source][d.ref] = true
	}
	for source, doomed := range going {
		var staying []repo.Listed
		for _, l := range listed {
			if l.Source == source && l.Verified() && l.Deleted.IsZero() && !doomed[l.Ref] {
				staying = append(staying, l)
			}
		}
		missing, err := opts.Repo.MissingData(ctx, source, staying)
		if err != nil {
			return err
		}
		for ref, problem := range missing {
			out.warn(source, fmt.Sprintf("nothing of %s is deleted: %s is %v; `pgbackup-runner verify %s` condemns it, and rotation goes on without it", source, ref, problem, ref.ID))
		}
		if len(missing) > 0 {
			out.spare(source, "nothing of this source is deleted while a point that stays lacks its data")
		}
	}
	return nil
}
