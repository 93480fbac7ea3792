package rotate

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// ReviewOptions of ReviewChange.
type ReviewOptions struct {
	Repo *repo.Repository
	// Old is what the policy says so far, also when it was retired; nil when there
	// never was one: then nothing was deleted so far, and all that New does not keep
	// is a loss. See HeldAgainst.
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

	past *past
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
		return nil, opts.unknown(err)
	}
	return review, nil
}

// unknown says what an error leaves in doubt.
func (opts ReviewOptions) unknown(err error) error {
	return fmt.Errorf("what the change of policy %q does to the recovery points of %s is not known: %w", opts.New.Name, opts.Repo.URL(), err)
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
	review := &Review{past: past}
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
	review.Code = rules.code(lost)
	return review, nil
}

// CheckClock fails when the store says that points were written later than it is
// now on this machine: the review leaves those out, and a rotation would not.
func (r *Review) CheckClock() error {
	now := r.past.opts.Now
	for _, l := range r.past.history.At(now.AddDate(100, 0, 0)) {
		if ahead := l.Committed.Sub(now); l.Deleted.IsZero() && ahead > retention.FutureSkew {
			return r.past.opts.unknown(fmt.Errorf("the store says that %s was written %s from now: set the clock of this machine or of the store", l.Ref, ahead.Round(time.Second)))
		}
	}
	return nil
}

// Approves reports whether the code names the loss as of any moment of the last
// impact.ApprovalLife, and the newest such moment. Backups, rotations and holds since
// then do not void a code; other rules, another repository, other points do, and so
// do points that were held or condemned then, and no loss for that reason, and are
// lost now: nobody who agreed saw these.
//
// It may have to read tombstones. Not for several goroutines at once.
func (r *Review) Approves(ctx context.Context, code string) (asOf time.Time, ok bool, err error) {
	n := counted(code)
	if n == 0 {
		return time.Time{}, false, nil // no code approves nothing
	}
	opts, rules := r.past.opts, r.past.rules
	if code == r.Code {
		return opts.Now, true, nil
	}
	names := func(lost impact.Set) bool { return lost.Len() == n && rules.code(lost) == code }
	asOf, ok, err = r.past.wasLost(ctx, opts.Now.Add(-impact.ApprovalLife), opts.Now, names)
	if err != nil {
		return time.Time{}, false, opts.unknown(err)
	}
	return asOf, ok && !r.past.letGo(asOf), nil
}

// counted is how many points a code is for, 0 for what is no code.
func counted(code string) int {
	n, _, err := impact.ParseCode(code)
	if err != nil {
		return 0
	}
	return n
}

// ruleChange is the rules of before and after, and whose they are.
type ruleChange struct {
	repository, policy string
	before             *retention.Rules // nil: everything was kept
	after              retention.Rules
	wal                walPast
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

// fates tells what becomes of each of the points, under the rules of before, where
// none keep everything, and of after: by their keys alone.
func (c ruleChange) fates(points []repo.Listed, at time.Time) func(repo.Ref) (before, after impact.Fate) {
	known := c.wal.at(at)
	after := fatesUnder(points, c.after, at, known)
	if c.before == nil {
		all := impact.Fate{Kept: true, Tier: c.after.UploadTier()}
		return func(ref repo.Ref) (impact.Fate, impact.Fate) { return all, after[ref] }
	}
	before := fatesUnder(points, *c.before, at, known)
	return func(ref repo.Ref) (impact.Fate, impact.Fate) { return before[ref], after[ref] }
}

// lost is what the rules alone lose of points, and of what lies between base backups.
func (c ruleChange) lost(points []repo.Listed, at time.Time) impact.Set {
	var lost impact.Set
	fates := c.fates(points, at)
	for i := range points {
		if before, after := fates(points[i].Ref); isLost(before, after) {
			lost.Add(impact.SetOf(points[i].String()))
		}
	}
	for _, w := range c.windows(points, at) {
		if w.lost() {
			lost.Add(w.set())
		}
	}
	return lost
}

// isLost: by the rules alone, the change loses a point of these fates.
func isLost(before, after impact.Fate) bool { return before.Kept && !after.Kept }

// usesWAL: the rule wal, which asks when base backups ended, is given before or
// after, or there is WAL that stays or goes with them.
func (c ruleChange) usesWAL() bool {
	return len(c.wal) > 0 || !c.after.WAL.IsZero() || c.before != nil && !c.before.WAL.IsZero()
}
