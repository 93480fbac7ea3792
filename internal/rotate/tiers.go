package rotate

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// taggers is how many points are put into their tiers at once.
const taggers = 8

// setTiers puts the points of a source that stay by the rules into the tiers the
// rules make of them, where their marks say otherwise. Points that stay for
// another reason stay in the tier they have. What fails is a warning: the next
// rotation repeats it, and until then a point only lies in a dearer class.
func (opts Options) setTiers(ctx context.Context, source string, listed []repo.Listed, part *Outcome) {
	if !opts.Tiers || opts.Policy == "" || !opts.Repo.CanTag() {
		return
	}
	wrong, err := opts.wrongTiers(ctx, listed, part.Keep)
	if err == nil {
		err = opts.retag(ctx, wrong)
	}
	if refused := opts.Repo.TagsRefused(); err != nil && refused != nil {
		part.warn("", Untagged(opts.Policy, refused)) // the other sources are not tried
	} else if err != nil {
		part.warn(source, fmt.Sprintf("not every recovery point of %s is in the tier it should be, the next rotation tries again: %v", source, err))
	}
}

// Untagged is the warning that the server takes no tags, for the reason refused: a
// point is worth more than its tag, so nothing fails for it.
func Untagged(policyName string, refused error) string {
	return fmt.Sprintf("the server takes no tags, by which the bucket's lifecycle rules find the recovery points of policy %q: they are stored without and stay in the class they were uploaded to; "+
		"correct that, or remove storage.transitions and storage.classes from the policy (%v)", policyName, refused)
}

// wrongTiers are the points whose mark, or want of one, is not what was decided.
func (opts Options) wrongTiers(ctx context.Context, listed []repo.Listed, kept []Decision) ([]Decision, error) {
	tier := make(map[repo.Ref]Decision, len(kept))
	for _, d := range kept {
		if d.tier != "" {
			tier[d.ref] = d
		}
	}
	differs := func(l *repo.Listed) bool {
		d, decided := tier[l.Ref]
		return decided && l.Problem == nil && (l.Tier != d.tier || l.TierPolicy != opts.Policy)
	}
	// A point without a mark belongs to the policy that made it, which only its
	// manifest knows. It has a mark from now on.
	unmarked := func(l *repo.Listed) bool { return l.TierPolicy == "" && differs(l) }
	if err := loadSome(ctx, opts.Repo, listed, unmarked); err != nil {
		return nil, err
	}
	theirs := map[string]bool{"": false, opts.Policy: false}
	var wrong []Decision
	for i := range listed {
		l := &listed[i]
		if !differs(l) {
			continue
		}
		owner := l.TierPolicy
		if owner == "" && l.Manifest != nil {
			owner = madeUnder(l.Manifest)
		}
		if _, known := theirs[owner]; !known {
			inForce, err := opts.inForce(ctx, owner)
			if err != nil {
				return nil, err
			}
			theirs[owner] = inForce
		}
		if !theirs[owner] {
			wrong = append(wrong, tier[l.Ref])
		}
	}
	return wrong, nil
}

// inForce tells whether another policy looks after its points itself: two that
// both keep a point must not take it from each other every night.
func (opts Options) inForce(ctx context.Context, name string) (bool, error) {
	rev, err := opts.Repo.CurrentPolicy(ctx, name)
	switch {
	case errors.Is(err, repo.ErrNotFound):
		return false, nil
	case errors.Is(err, repo.ErrDamaged), errors.Is(err, repo.ErrNewerFormat):
		return true, nil
	case err != nil:
		return false, err
	}
	return !rev.Envelope.Retired, nil
}

// retag sets tags and marks, several points at once. After the first failure no
// more are begun: what fails for one (a missing right) fails for all.
func (opts Options) retag(ctx context.Context, points []Decision) error {
	return parallel.Each(ctx, taggers, len(points), func(ctx context.Context, i int) error {
		d := points[i]
		if err := opts.Repo.SetTier(ctx, d.ref, opts.Policy, d.tier, opts.Now, opts.By); err != nil {
			return err
		}
		opts.Log.Info("put a recovery point into its tier", "point", d.ref.String(), "tier", d.tier)
		return nil
	})
}
