package rotate

import (
	"context"
	"errors"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// lastDocument reads what a policy says, or said when it was retired: rules that
// were in force protect their points until others are agreed upon. nil, without
// an error, when the policy never was.
func lastDocument(ctx context.Context, r *repo.Repository, name string) (*policy.Document, policy.Revision, error) {
	rev, err := r.CurrentPolicy(ctx, name)
	switch {
	case errors.Is(err, repo.ErrNotFound):
		return nil, policy.Revision{}, nil
	case err != nil:
		return nil, policy.Revision{}, err
	}
	return &rev.Document, rev, nil
}

// HeldAgainst gives the document that a change of a policy is held against (see
// ReviewOptions.Old), and the policy's newest revision. It is that revision's
// document, unless its loss was never approved: such a revision is no measure, what
// it loses is still to be approved, so the rules stand in it that a rotation is
// held to. nil, without an error, when the policy never was.
func HeldAgainst(ctx context.Context, r *repo.Repository, name string) (*policy.Document, policy.Revision, error) {
	last, rev, err := lastDocument(ctx, r, name)
	if err != nil || last == nil {
		return nil, rev, err
	}
	held, err := Restrictions(ctx, r, rev)
	if err != nil || len(held) == 0 {
		return last, rev, err
	}
	base, rules := *last, held[0].Rules
	base.Retention, base.Storage.ExpireAfter = rules.Keep, rules.ExpireAfter
	if rules.Location != nil {
		base.Timezone = rules.Location.String()
	}
	return &base, rev, nil
}
