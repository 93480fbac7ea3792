package main

import (
	"context"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/verify"
)

func refsOf(points []repo.Listed) []repo.Ref {
	var refs []repo.Ref
	for _, p := range points {
		if p.Problem == nil {
			refs = append(refs, p.Ref)
		}
	}
	return refs
}

// toldArchived names the points that a verification passed over because they are
// archived. That is no failure beside others that were read; it is one where they
// were asked for by name, or where nothing was read at all.
func (a *app) toldArchived(ctx context.Context, r *repo.Repository, report verify.Report, named bool) error {
	if len(report.Archived) == 0 {
		return nil
	}
	refs := make([]repo.Ref, len(report.Archived))
	for i, p := range report.Archived {
		refs[i] = p.Ref
	}
	points, err := a.archived(ctx, r, refs, true)
	if err != nil {
		return reading(err)
	}
	if len(points) == 0 { // brought back by somebody meanwhile
		return fmt.Errorf("%s: %w when it was read, and is not any more: verify again", refs[0], repo.ErrArchived)
	}
	plan, err := thawFlags{}.plan()
	if err != nil {
		return err
	}
	told := thaw{app: a, repo: r, points: points, plan: plan, begun: a.now()}.told()
	if named || report.Checked == 0 {
		return fmt.Errorf("not verified: %w", told)
	}
	a.say("%s archived and not read: %s.", areArchived(len(points)), told)
	return nil
}

func areArchived(n int) string {
	if n == 1 {
		return "1 recovery point is"
	}
	return count(int64(n)) + " recovery points are"
}
