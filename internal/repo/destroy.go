package repo

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// Destroy removes the repository and everything in it, recovery points
// included, and nothing that is not pgbackup's. The caller has asked whoever
// must be asked. A held point or a running job (ErrLocked) stops it before
// anything is gone.
//
// Manifests go first, so that no point is ever listed whose data is not there,
// and repository.json last, so that a run that died in between can be repeated.
//
// outside removes what a point has elsewhere, such as a snapshot in RDS, before
// anything of the repository goes; when it fails nothing of it does. nil fails for
// a point that has something.
func (r *Repository) Destroy(ctx context.Context, outside func(context.Context, *Manifest) error) error {
	points, err := r.List(ctx, Filter{})
	if err != nil {
		return err
	}
	sources := map[string]bool{}
	for _, p := range points {
		if p.Held {
			return fmt.Errorf("destroy repository %s: recovery point %s is held; release it first", r.URL(), p.Ref)
		}
		if p.Source != "" {
			sources[p.Source] = true
		}
	}
	var leases []*Lease
	defer func() {
		for _, l := range leases {
			_ = l.Release() // what it was for is gone, or the error is reported already
		}
	}()
	for source := range sources {
		l, _, err := r.TakeLease(ctx, source, LeaseOptions{What: "destroy", Self: Self()})
		if err != nil {
			return fmt.Errorf("destroy repository %s: %w", r.URL(), err)
		}
		leases = append(leases, l)
	}
	if err := r.removeOutside(ctx, points, outside); err != nil {
		return fmt.Errorf("destroy repository %s: %w", r.URL(), err)
	}
	for _, prefix := range families {
		if err := r.removeAll(ctx, prefix); err != nil {
			return err
		}
	}
	var problems []error
	for _, l := range leases {
		problems = append(problems, l.Release())
	}
	leases = nil
	if err := errors.Join(append(problems, r.removeAll(ctx, locksPrefix))...); err != nil {
		return err
	}
	if err := r.store.Delete(ctx, repositoryKey); err != nil {
		return fmt.Errorf("destroy repository %s: %w", r.URL(), err)
	}
	return nil
}

// removeOutside goes over the points that have something elsewhere. What a manifest
// that cannot be read had is not known, and not removed.
func (r *Repository) removeOutside(ctx context.Context, points []Listed, outside func(context.Context, *Manifest) error) error {
	for _, p := range points {
		if p.Kind != KindRDSSnapshot {
			continue
		}
		m, err := r.Manifest(ctx, p.Ref)
		switch {
		case errors.Is(err, ErrDamaged), errors.Is(err, ErrNewerFormat), errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return err
		case outside == nil:
			return fmt.Errorf("recovery point %s has a snapshot in RDS, which cannot be deleted from here", p.Ref)
		}
		if err := outside(ctx, m); err != nil {
			return fmt.Errorf("recovery point %s: %w", p.Ref, err)
		}
	}
	return nil
}

func (r *Repository) removeAll(ctx context.Context, prefix string) error {
	if _, err := r.store.AbortUploads(ctx, prefix); err != nil && !errors.Is(err, objstore.ErrUnsupported) {
		return fmt.Errorf("destroy repository %s: abort uploads below %s: %w", r.URL(), prefix, err)
	}
	var keys []string
	for info, err := range r.store.List(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("destroy repository %s: list %s: %w", r.URL(), prefix, err)
		}
		keys = append(keys, info.Key)
	}
	if err := r.store.Delete(ctx, keys...); err != nil {
		return fmt.Errorf("destroy repository %s: %w", r.URL(), err)
	}
	return nil
}
