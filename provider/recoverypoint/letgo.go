package recoverypoint

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
)

// letGo releases the point to its policy or, where that is asked for, deletes it.
func (r *Resource) letGo(ctx context.Context, m model, diags *diag.Diagnostics) error {
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
		h, err := holdOf(ctx, opened.Repository, made.Ref())
		if err != nil {
			return err
		}
		if h.foreign() {
			return fmt.Errorf("%s, and is not deleted: run `pgbackup-runner release %s` when it may go, or set on_destroy = \"release\"", h, made.ID)
		}
		if err := r.notLast(ctx, opened.Repository, made.Ref()); err != nil {
			return err
		}
	}
	if err := r.endHold(ctx, opened.Repository, m, "pgbackup_recovery_point was destroyed", diags); err != nil {
		return err
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
	if err := r.notLast(ctx, opened.Repository, made.Ref()); err != nil {
		return err
	}
	e := r.conn.Envelope()
	t := repo.Tombstone{Bytes: made.StoredSize(), End: made.End, Deleted: e.At, By: e.By, MadeUnder: made.Policy, Reasons: []string{"pgbackup_recovery_point was destroyed with on_destroy = \"delete\""}}
	if made.RDS == nil {
		return opened.Delete(ctx, made.Ref(), t)
	}
	return opened.DeleteAfter(ctx, made.Ref(), t, func(ctx context.Context) error {
		return rds.Release(r.clients, opened.Repository, nil)(ctx, made)
	})
}

// notLast holds law 3: a point may go only when a verified one of the same source
// and kind, no older than it and with all its data, stays. One that was found bad, or
// whose snapshot is gone, may go.
func (r *Resource) notLast(ctx context.Context, in *repo.Repository, ref repo.Ref) error {
	points, err := in.List(ctx, repo.Filter{Source: ref.Source, Kind: ref.Kind})
	if err != nil {
		return err
	}
	this := slices.IndexFunc(points, func(p repo.Listed) bool { return p.ID == ref.ID })
	if this < 0 || points[this].Condemned {
		return nil
	}
	start := points[this].Start
	points = slices.DeleteFunc(points, func(p repo.Listed) bool {
		return !p.Verified() || p.Start.Before(start) || p.Start.After(time.Now().Add(clockSkew))
	})
	bad, err := r.lacking(ctx, in, ref.Source, points)
	if err != nil {
		return fmt.Errorf("whether it is the last good recovery point of %s is not known, so it is not deleted: %w", ref.Source, err)
	}
	if ref.Kind == rds.Kind && errors.Is(bad[ref], repo.ErrDamaged) {
		return nil
	}
	for _, p := range points { // their manifests are loaded by now
		if p.ID != ref.ID && p.Verified() && bad[p.Ref] == nil {
			return nil
		}
	}
	return fmt.Errorf("it is the newest good recovery point of %s and is not deleted: take a newer one first (lifecycle { create_before_destroy = true } when it is replaced), or set on_destroy = \"release\"", ref.Source)
}

// lacking loads the manifests of points and gives those whose data is not all there,
// in the repository or in RDS.
func (r *Resource) lacking(ctx context.Context, in *repo.Repository, source string, points []repo.Listed) (map[repo.Ref]error, error) {
	if err := in.LoadManifests(ctx, points); err != nil {
		return nil, err
	}
	bad, err := in.MissingData(ctx, source, points)
	if err != nil {
		return nil, err
	}
	var outside []*repo.Manifest
	for _, p := range points {
		if p.Manifest != nil && p.Manifest.RDS != nil {
			outside = append(outside, p.Manifest)
		}
	}
	fallen, err := rds.Standing(r.clients)(ctx, outside)
	maps.Copy(bad, fallen)
	return bad, err
}
