package rds

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Clients gives the way to RDS in a region.
type Clients func(ctx context.Context, region string) (*api.Client, error)

// find reads the snapshot of a manifest. there is false when it is gone for sure:
// not found with credentials of the very account it was in.
func find(ctx context.Context, clients Clients, m *repo.Manifest) (c *api.Client, s api.Snapshot, there bool, err error) {
	if m.RDS == nil {
		return nil, s, false, fmt.Errorf("recovery point %s names no snapshot in RDS", m.Ref())
	}
	if c, err = clients(ctx, m.RDS.Region); err != nil {
		return nil, s, false, err
	}
	s, err = c.Snapshot(ctx, m.RDS.Snapshot, m.RDS.Cluster)
	if errors.Is(err, awsapi.ErrGone) {
		return c, s, false, sameAccount(ctx, c, m)
	}
	if err == nil && s.ARN != m.RDS.ARN {
		err = otherSnapshot(m, s)
	}
	return c, s, err == nil, err
}

// Release deletes the snapshots of points that a rotation lets go, for
// rotate.Options. Only a manual snapshot that carries the tags of this repository,
// at this place, and of this very point goes; one that is gone is fine.
// ErrOtherPlace when the repository is a copy of the one that the snapshot is of.
func Release(clients Clients, r *repo.Repository, log *slog.Logger) func(context.Context, *repo.Manifest) error {
	own := ownerOf(r)
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return func(ctx context.Context, m *repo.Manifest) error {
		c, s, there, err := find(ctx, clients, m)
		switch {
		case err != nil:
			return err
		case !there || s.Status == "deleting":
			return nil
		case !own.sameID(s), s.Tags[awsapi.TagRepository] == "":
			return fmt.Errorf("%s %w: it has not the tags %s, %s (%s) and %s (%s) of this repository. Put them back, or delete it by hand; the recovery point is kept until then", s, awsapi.ErrForeign, awsapi.TagManagedBy, TagRepositoryID, own.id, awsapi.TagRepository, own.place)
		case !own.ours(s):
			was := s.Tags[awsapi.TagRepository]
			return fmt.Errorf("%s %w: its tag %s says %q, this is %s. A copy deletes nothing of the original, and keeps the recovery point. If the repository was moved here, run `pgbackup-runner rds retag --repository %s --from %s` once", s, ErrOtherPlace, awsapi.TagRepository, was, own.place, r.URL(), was)
		case s.Tags[TagPoint] != m.ID:
			log.Warn("the snapshot is another recovery point's by now and is kept", "snapshot", s.Name, "point", m.ID, "of", s.Tags[TagPoint])
			return nil
		}
		return c.DeleteSnapshot(ctx, s)
	}
}

// Check looks whether the snapshot of a point is there and available, for
// verify.Options. The error wraps repo.ErrDamaged when it is not, and nothing else
// does: no access, another account and a snapshot in transition say nothing about it.
func Check(clients Clients) func(context.Context, *repo.Manifest) error {
	return func(ctx context.Context, m *repo.Manifest) error {
		_, s, there, err := find(ctx, clients, m)
		if err != nil {
			return err
		}
		return restorable(m, s, there)
	}
}
