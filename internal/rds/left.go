package rds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// sameRequest is how long a snapshot answers the request it was made for.
const sameRequest = 24 * time.Hour

// finishLeft makes recovery points of the snapshots of this source that have none:
// their run died between CreateDBSnapshot and its manifest. done says that one of
// them is what this run was asked for.
//
//	run 1: CreateDBSnapshot, tag point=A … killed
//	run 2: finds it without manifest A, tags it point=B, commits B
//	run 1 wakes: its snapshot is tagged B, so it does not commit
//
// The id is a new one each time: the old one may have been fenced off by Sweep.
func (r *run) finishLeft(ctx context.Context, points []repo.Listed) (done bool, err error) {
	committed := make(map[string]bool, len(points))
	for _, p := range points {
		committed[p.ID] = true
	}
	snapshots, err := r.RDS.Snapshots(ctx, api.Query{Target: r.Target, Type: api.Manual})
	if err != nil {
		return false, err
	}
	for _, s := range snapshots {
		if !ours(s, r.Repo.ID()) || s.Tags[TagSource] != tagValue(r.Source) || committed[s.Tags[TagPoint]] {
			continue
		}
		is, err := r.finish(ctx, s, done)
		if err != nil {
			return done, fmt.Errorf("finish what an earlier run left: %w", err)
		}
		done = done || is
	}
	return done, nil
}

// finish makes the point of one. have says that the request was answered already.
func (r *run) finish(ctx context.Context, s api.Snapshot, have bool) (answers bool, err error) {
	start, err := repo.ParseID(s.Tags[TagPoint])
	if err != nil {
		r.result.warn("%s is left alone: its tag %s says %q, which is no recovery point", s, TagPoint, s.Tags[TagPoint])
		return false, nil //nolint:nilerr // told; whatever it is, it is not in the way
	}
	was := repo.Ref{Source: r.Source, Kind: Kind, ID: s.Tags[TagPoint]}
	if t, err := r.Repo.Tombstone(ctx, was); err == nil {
		r.result.warn("%s is of recovery point %s, which was deleted on %s: it is left alone and costs storage; delete it in RDS", s, was.ID, t.Deleted.Format(time.RFC3339))
		return false, nil
	} else if !errors.Is(err, repo.ErrNotFound) {
		return false, err
	}
	if s.Status == "deleting" {
		return false, nil
	}
	if failed(s) {
		r.result.warn("%s, left by an earlier run, is %s: it is removed", s, s.Status)
		return false, r.RDS.DeleteSnapshot(ctx, s)
	}
	if s, err = r.wait(ctx, s); err != nil {
		return false, err
	}
	w, err := r.newPoint(start)
	if err != nil {
		return false, err
	}
	// The repository's tag is there already; rights to tag may be bound to it.
	if err := r.RDS.Tag(ctx, s.ARN, map[string]string{TagPoint: w.Ref().ID, awsapi.TagRepository: tagValue(r.Repository)}); err != nil {
		return false, err
	}
	s.Tags[TagPoint] = w.Ref().ID
	m, err := r.commit(ctx, w, s)
	if err != nil {
		return false, err
	}
	r.Log.Info("finished what an earlier run left", "snapshot", s.Name, "point", m.Ref().String())
	if !have && r.Request != "" && s.Tags[TagRequest] == tagValue(r.Request) && r.Clock().Sub(start) < sameRequest {
		return true, r.made(ctx, m, s)
	}
	r.result.Adopted = append(r.result.Adopted, m)
	return false, nil
}
