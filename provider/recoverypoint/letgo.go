package recoverypoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
)

// letGo releases the point to its policy or, where that is asked for, deletes it.
func (r *Resource) letGo(ctx context.Context, m model) error {
	deletes := m.OnDestroy.ValueString() == deleteToo
	if !deletes && !m.Hold.ValueBool() {
		return nil
	}
	at, _, err := m.place()
	if err != nil {
		return err
	}
	opened, err := r.open(ctx, at, m.KeyRef.ValueString())
	if errors.Is(err, repo.ErrNoRepository) {
		return nil
	}
	if err != nil {
		return err
	}
	made, err := opened.Manifest(ctx, m.ref())
	if errors.Is(err, repo.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if deletes {
		// Looked at before the hold ends: what may not go stays held.
		if err := notLast(ctx, opened.Repository, made.Ref()); err != nil {
			return err
		}
	}
	if m.Hold.ValueBool() {
		if err := opened.Release(ctx, made.Ref(), r.mark("pgbackup_recovery_point was destroyed")); err != nil {
			return err
		}
	}
	if !deletes {
		return nil
	}
	return r.remove(ctx, opened, made)
}

// remove deletes a point under the lease of its source.
func (r *Resource) remove(ctx context.Context, opened connection.Opened, made *repo.Manifest) (err error) {
	lease, ctx, err := opened.TakeLease(ctx, made.Source, repo.LeaseOptions{What: "deletion by Terraform", Self: repo.Self()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lease.Release()) }()
	if err := notLast(ctx, opened.Repository, made.Ref()); err != nil {
		return err
	}
	e := r.conn.Envelope()
	t := repo.Tombstone{Bytes: made.StoredSize(), End: made.End, Deleted: e.At, By: e.By, MadeUnder: made.Policy, Reasons: []string{"pgbackup_recovery_point was destroyed with on_destroy = \"delete\""}}
	if made.RDS == nil {
		return opened.Delete(ctx, made.Ref(), t)
	}
	return opened.DeleteAfter(ctx, made.Ref(), t, func(ctx context.Context) error {
		return rds.Release(r.clients, opened.ID(), nil)(ctx, made)
	})
}

// notLast holds law 3: a point may go only when a verified one of the same source
// and kind, no older than it, stays. One that was found bad may go.
func notLast(ctx context.Context, r *repo.Repository, ref repo.Ref) error {
	points, err := r.List(ctx, repo.Filter{Source: ref.Source, Kind: ref.Kind})
	if err != nil {
		return err
	}
	this := slices.IndexFunc(points, func(p repo.Listed) bool { return p.ID == ref.ID })
	if this < 0 || points[this].Condemned {
		return nil
	}
	for _, p := range points {
		if p.ID != ref.ID && p.Verified() && !p.Start.Before(points[this].Start) && !p.Start.After(time.Now().Add(clockSkew)) {
			return nil
		}
	}
	return fmt.Errorf("it is the newest good recovery point of %s and is not deleted: take a newer one first (lifecycle { create_before_destroy = true } when it is replaced), or set on_destroy = \"release\"", ref.Source)
}
