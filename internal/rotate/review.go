package rotate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// ApprovalLife is for how long a code is good after the moment it was made at.
const ApprovalLife = 7 * 24 * time.Hour

// ReviewOptions of ReviewChange.
type ReviewOptions struct {
	Repo *repo.Repository
	// Old is the policy's newest document, also of a retired revision; nil when
	// there never was one: then nothing was deleted so far, and all that New does
	// not keep is a loss. See LastDocument.
	Old *policy.Document
	New policy.Document
	// AsOf is the moment Frozen is about, which comes out the same whatever
	// happens to the repository since. Zero, or later than Now, is Now.
	AsOf   time.Time
	Now    time.Time
	Prices cost.Table // zero: no cost
}

// Review is what a change of a policy does to the recovery points of a
// repository.
type Review struct {
	Frozen impact.Impact // as of AsOf
	Live   impact.Impact // as of Now: what the next rotation deletes because of the change
	// Code names what the new rules lose as of Now by keys alone, whether or not
	// something spares it; "" when that is nothing.
	Code string

	rules    ruleChange
	timeline timeline
}

// ReviewChange reads the repository, without writing, and works out what the
// change from Old to New loses: the points that New deletes and Old would not,
// less those that a rotation spares. When the context ends first it is an error:
// part of a repository says nothing about the loss in all of it.
func ReviewChange(ctx context.Context, opts ReviewOptions) (*Review, error) {
	if opts.AsOf.IsZero() || opts.AsOf.After(opts.Now) {
		opts.AsOf = opts.Now
	}
	review, err := opts.review(ctx)
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("what the change of policy %q does to the recovery points of %s is not known: %w", opts.New.Name, opts.Repo.URL(), err)
	}
	return review, nil
}

func (opts ReviewOptions) review(ctx context.Context) (*Review, error) {
	rules, err := opts.rules()
	if err != nil {
		return nil, err
	}
	past, err := readPast(ctx, opts, rules)
	if err != nil {
		return nil, err
	}
	review := &Review{rules: rules}
	// Live first: what it reads of manifests serves Frozen too.
	var lost impact.Set
	if review.Live, lost, err = past.impact(ctx, opts.Now); err != nil {
		return nil, err
	}
	review.Frozen = review.Live
	if opts.AsOf.Before(opts.Now) {
		if review.Frozen, _, err = past.impact(ctx, opts.AsOf); err != nil {
			return nil, err
		}
	}
	if review.timeline, err = past.timeline(ctx, opts.Now.Add(-ApprovalLife), opts.Now); err != nil {
		return nil, err
	}
	review.Code = rules.code(lost)
	return review, nil
}

// Approves reports whether the code names the loss as of any moment of the last
// ApprovalLife, and the newest such moment. Backups, rotations and holds since
// then do not void a code; other rules, another repository, other points do.
func (r *Review) Approves(code string) (asOf time.Time, ok bool) {
	n, _, err := impact.ParseCode(code)
	if err != nil {
		return time.Time{}, false
	}
	return r.timeline.newest(func(lost impact.Set) bool { return lost.Len() == n && r.rules.code(lost) == code })
}

// LastDocument reads what a policy says, or said when it was retired: rules that
// were in force protect their points until others are agreed upon. nil, without
// an error, when the policy never was.
func LastDocument(ctx context.Context, r *repo.Repository, name string) (*policy.Document, policy.Revision, error) {
	rev, err := r.CurrentPolicy(ctx, name)
	switch {
	case errors.Is(err, repo.ErrNotFound):
		return nil, policy.Revision{}, nil
	case err != nil:
		return nil, policy.Revision{}, err
	}
	return &rev.Document, rev, nil
}

// ruleChange is the rules of before and after, and whose they are.
type ruleChange struct {
	repository, policy string
	before             *retention.Rules // nil: everything was kept
	after              retention.Rules
}

func (opts ReviewOptions) rules() (ruleChange, error) {
	c := ruleChange{repository: opts.Repo.ID(), policy: opts.New.Name}
	var err error
	if c.after, err = opts.New.Rules(); err != nil {
		return c, err
	}
	if err := c.after.Validate(); err != nil {
		return c, err
	}
	if opts.Old != nil {
		before, err := opts.Old.Rules()
		if err != nil {
			return c, fmt.Errorf("the rules of before: %w", err)
		}
		c.before = &before
	}
	return c, nil
}

func (c ruleChange) code(lost impact.Set) string {
	return impact.Code(c.repository, c.policy, c.before, c.after, lost)
}

// usesWAL: the rule wal, which asks when base backups ended, is given before or
// after.
func (c ruleChange) usesWAL() bool {
	return !c.after.WAL.IsZero() || c.before != nil && !c.before.WAL.IsZero()
}
