package repo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
)

// Strangers are objects in the folders of a repository that are not of the form
// that pgbackup writes there, and so are somebody else's.
type Strangers struct {
	Objects int
	First   []string // keys of the first few
}

// told is how many of them are named.
const told = 3

func (s *Strangers) add(key string) {
	if s.Objects++; len(s.First) < told {
		s.First = append(s.First, key)
	}
}

func (s Strangers) String() string {
	text := strings.Join(s.First, ", ")
	if more := s.Objects - len(s.First); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Destroy removes the repository and everything in it, recovery points
// included, and nothing that is not pgbackup's: what else lies in its folders stays
// and is returned. The caller has asked whoever must be asked. A held point or a
// running job (ErrLocked) stops it before anything is gone.
//
// Manifests go first, so that no point is ever listed whose data is not there,
// and repository.json last, so that a run that died in between can be repeated.
//
// outside removes what a point has elsewhere, such as a snapshot in RDS, before
// anything of the repository goes; when it fails nothing of it does. nil fails for
// a point that has something.
func (r *Repository) Destroy(ctx context.Context, outside func(context.Context, *Manifest) error) (left Strangers, err error) {
	points, err := r.List(ctx, Filter{})
	if err != nil {
		return left, err
	}
	sources := map[string]bool{}
	for _, p := range points {
		if p.Held {
			return left, fmt.Errorf("destroy repository %s: recovery point %s is held; release it first", r.URL(), p.Ref)
		}
		if p.Source != "" {
			sources[p.Source] = true
		}
	}
	archives, err := r.WALArchives(ctx, "")
	if err != nil {
		return left, fmt.Errorf("destroy repository %s: %w", r.URL(), err)
	}
	for _, a := range archives {
		sources[a.Source], sources[WALLease(a.Source)] = true, true
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
			return left, fmt.Errorf("destroy repository %s: %w", r.URL(), err)
		}
		leases = append(leases, l)
	}
	if err := r.removeOutside(ctx, points, outside); err != nil {
		return left, fmt.Errorf("destroy repository %s: %w", r.URL(), err)
	}
	for _, f := range families {
		if f.prefix == locksPrefix {
			var problems []error
			for _, l := range leases {
				problems = append(problems, l.Release())
			}
			leases = nil
			if err := errors.Join(problems...); err != nil {
				return left, err
			}
		}
		if err := r.removeAll(ctx, f, &left); err != nil {
			return left, err
		}
	}
	if err := r.store.Delete(ctx, repositoryKey); err != nil {
		return left, fmt.Errorf("destroy repository %s: %w", r.URL(), err)
	}
	return left, nil
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

// removeAll removes what is ours of a family. Unfinished uploads have keys that no
// listing of objects shows; where others use the folder they are left alone.
func (r *Repository) removeAll(ctx context.Context, f family, left *Strangers) error {
	var keys []string
	before := left.Objects
	for info, err := range r.store.List(ctx, f.prefix) {
		if err != nil {
			return fmt.Errorf("destroy repository %s: list %s: %w", r.URL(), f.prefix, err)
		}
		if f.ours(strings.TrimPrefix(info.Key, f.prefix)) {
			keys = append(keys, info.Key)
		} else {
			left.add(info.Key)
		}
	}
	if left.Objects == before {
		if _, err := r.store.AbortUploads(ctx, f.prefix); err != nil && !errors.Is(err, objstore.ErrUnsupported) {
			return fmt.Errorf("destroy repository %s: abort uploads below %s: %w", r.URL(), f.prefix, err)
		}
	}
	if err := r.store.Delete(ctx, keys...); err != nil {
		return fmt.Errorf("destroy repository %s: %w", r.URL(), err)
	}
	return nil
}
