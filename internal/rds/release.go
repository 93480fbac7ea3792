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
		err = fmt.Errorf("%w: the snapshot of recovery point %s is %s, here is %s", ErrOtherAccount, m.ID, m.RDS.ARN, s.ARN)
	}
	return c, s, err == nil, err
}

// Release deletes the snapshots of points that a rotation lets go, for
// rotate.Options. Only a manual snapshot that carries the tags of this repository
// and of this very point goes; one that is gone is fine.
func Release(clients Clients, repositoryID string, log *slog.Logger) func(context.Context, *repo.Manifest) error {
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
		case !ours(s, repositoryID):
			return fmt.Errorf("%s %w: it has not the tags %s and %s of this repository (id %s). Put them back, or delete it by hand; the recovery point is kept until then", s, awsapi.ErrForeign, awsapi.TagManagedBy, TagRepositoryID, repositoryID)
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
		switch {
		case err != nil:
			return err
		case !there:
			return fmt.Errorf("%w: RDS snapshot (%s) is gone: somebody deleted it in AWS", repo.ErrDamaged, m.RDS.Snapshot)
		case s.Ready():
			return nil
		case failed(s), s.Status == "deleting":
			return fmt.Errorf("%w: %s is %s", repo.ErrDamaged, s, s.Status)
		}
		return fmt.Errorf("%s is %s at the moment: look again later", s, s.Status)
	}
}
