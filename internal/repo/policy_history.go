package repo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

// PastRevision is one revision of a policy's history. Of one that can not be read
// only Number, Key and Written are known.
type PastRevision struct {
	policy.Revision
	Key     string    // where it is stored
	Written time.Time // by the store's clock
	Problem error     // why it can not be read: ErrDamaged or ErrNewerFormat; nil when it can
}

// Readable reports whether the revision says what it was.
func (p PastRevision) Readable() bool { return p.Problem == nil }

// PolicyHistory reads every revision of a policy, oldest first. One that is
// damaged, or of a newer program, stands in its place with its Problem: what is
// wrong with an old revision hides none of the others. ErrNotFound when the policy
// never was.
func (r *Repository) PolicyHistory(ctx context.Context, name string) ([]PastRevision, error) {
	numbers, err := r.revisionKeys(ctx, name)
	if err != nil {
		return nil, err
	}
	keys := numbers.keys
	if len(keys) == 0 {
		return nil, fmt.Errorf("policy %q in %s: %w", name, r.URL(), ErrNotFound)
	}
	history := make([]PastRevision, len(keys))
	err = parallel.Each(ctx, listers, len(keys), func(ctx context.Context, i int) error {
		past := &history[i]
		past.Key, past.Written = keys[i], numbers.written[i].Modified
		rev, err := r.readRevision(ctx, name, keys[i])
		switch {
		case errors.Is(err, ErrDamaged), errors.Is(err, ErrNewerFormat):
			_, past.Number, _, _ = policy.ParseRevisionKey(keys[i])
			past.Problem = err
			var damaged *DamagedRevisionError
			if errors.As(err, &damaged) && i < len(keys)-1 {
				// Not in force any more: nothing waits for it to be put right.
				past.Problem = fmt.Errorf("%s is %w: %w", damaged.Key, ErrDamaged, damaged.Err)
			}
		case err != nil:
			return err
		default:
			past.Revision = rev
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return history, nil
}
