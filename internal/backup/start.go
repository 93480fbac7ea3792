package backup

import (
	"context"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// begin returns the start time of the new point. An id carries the second, and
// points are ordered by it: a second backup within the second of the one before
// waits for the next, or "latest" could mean the older of the two.
func (r *run) begin(ctx context.Context) (time.Time, error) {
	points, err := r.Repo.List(ctx, repo.Filter{Source: r.Source, Kind: logical.Kind})
	if err != nil {
		return time.Time{}, err
	}
	now := r.Clock()
	if len(points) == 0 {
		return now, nil
	}
	if points[0].Problem == nil {
		r.newest = &points[0]
	}
	wait := points[0].Start.Add(time.Second).Sub(now)
	if wait <= 0 {
		return now, nil
	}
	if wait > time.Second {
		r.warn("recovery point %s is dated %s in the future: one of the clocks is or was wrong, and until then it counts as newer than this backup", points[0].ID, (wait - time.Second).Round(time.Second))
		return now, nil
	}
	select {
	case <-time.After(wait):
		return r.Clock(), nil
	case <-ctx.Done():
		return time.Time{}, context.Cause(ctx)
	}
}
