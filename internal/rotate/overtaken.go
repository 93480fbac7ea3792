package rotate

import (
	"context"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// How often a rotation that deletes looks whether its policy was changed: a change
// that keeps more must not wait for the end of a long one.
const (
	lookEvery      = 3 * time.Second
	lookEveryPoint = 100
)

// policyChanged is the reason of what stays for it.
const policyChanged = "not deleted: the policy was changed meanwhile"

// watch looks whether the policy is still at the revision that a rotation goes by.
type watch struct {
	opts   *Options
	last   time.Time
	points int // since then
}

// look is an error that wraps repo.ErrPolicyChanged when the policy is at another
// revision. Rules without a revision have nothing to be held against.
func (o *Options) look(ctx context.Context) error {
	if o.Policy == "" || o.PolicyRevision == 0 {
		return nil
	}
	newest, err := o.Repo.NewestRevision(ctx, o.Policy)
	switch {
	case err != nil:
		return fmt.Errorf("whether policy %q was changed meanwhile is not known: %w", o.Policy, err)
	case newest == 0:
		return fmt.Errorf("policy %q: %w while this rotation went by its revision %d: it has no revision any more; look at who removed it", o.Policy, repo.ErrPolicyChanged, o.PolicyRevision)
	case newest != o.PolicyRevision:
		return fmt.Errorf("policy %q: %w while this rotation went by its revision %d: it is at revision %d now; rotate again", o.Policy, repo.ErrPolicyChanged, o.PolicyRevision, newest)
	}
	return nil
}

// beforeDeletion is look, now and then.
func (w *watch) beforeDeletion(ctx context.Context) error {
	if w.points++; w.points <= lookEveryPoint && time.Since(w.last) < lookEvery {
		return nil
	}
	w.last, w.points = time.Now(), 1
	return w.opts.look(ctx)
}
