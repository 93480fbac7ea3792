package main

import (
	"context"
	"errors"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// ageOfNone is how old no backup at all is: as old as the policy that asks for one,
// by its first revision. nil where there is no policy in the repository, or where
// that is not known.
func (a *app) ageOfNone(ctx context.Context, r *repo.Repository, policy string, now time.Time) *time.Duration {
	if policy == "" {
		return nil
	}
	history, err := r.PolicyHistory(ctx, policy)
	if errors.Is(err, repo.ErrNotFound) {
		return nil
	}
	if err != nil {
		a.log.Warn("since when there is no backup is not known, for the policy could not be read", "policy", policy, "error", err)
		return nil
	}
	first := history[0]
	made := first.Written // by the store's clock, where the revision can not be read
	if first.Readable() {
		made = first.Envelope.At
	}
	age := max(0, now.Sub(made))
	return &age
}
