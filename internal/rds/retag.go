package rds

import (
	"context"
	"errors"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// RetagOptions of Retag.
type RetagOptions struct {
	Repo    *repo.Repository // at its new place
	Clients Clients
	From    string // URL of the repository before it was moved
	DryRun  bool
}

// Retag gives the snapshots of a repository that was moved to it, at its new place,
// and returns them. From then on a repository at the old place deletes none of them:
// whoever has copied a repository must not do this, only who has moved one. Those of
// yet another place are left alone. The result is valid with an error too; done
// again it does the rest.
func Retag(ctx context.Context, o RetagOptions) (moved []api.Snapshot, err error) {
	to, from := ownerOf(o.Repo), owner{o.Repo.ID(), place(o.From)}
	if to == from {
		return nil, fmt.Errorf("%s is where the repository is: name the place where it was", o.From)
	}
	listed, err := o.Repo.List(ctx, repo.Filter{Kind: Kind})
	if err != nil {
		return nil, err
	}
	if err := o.Repo.LoadManifests(ctx, listed); err != nil {
		return nil, err
	}
	var points []*repo.Manifest
	var failed []error
	for _, l := range listed {
		if l.Problem != nil {
			failed = append(failed, fmt.Errorf("%s: %w", l.Key, l.Problem))
			continue
		}
		points = append(points, l.Manifest)
	}
	// By database, not by point: what a killed run left has no point yet.
	for of := range byDatabase(points) {
		done, err := retag(ctx, o, of, from, to)
		moved = append(moved, done...)
		failed = append(failed, err)
	}
	return moved, errors.Join(failed...)
}

func retag(ctx context.Context, o RetagOptions, of database, from, to owner) (moved []api.Snapshot, err error) {
	c, err := o.Clients(ctx, of.region)
	if err != nil {
		return nil, err
	}
	snapshots, err := c.Snapshots(ctx, api.Query{Target: of.Target, Type: api.Manual})
	if err != nil {
		return nil, err
	}
	for _, s := range snapshots {
		if !from.ours(s) {
			continue
		}
		if !o.DryRun {
			if err := c.Tag(ctx, s.ARN, map[string]string{awsapi.TagRepository: to.place}); err != nil {
				return moved, err
			}
		}
		moved = append(moved, s)
	}
	return moved, nil
}
