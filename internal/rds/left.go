package rds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// sameRequest is how long a snapshot answers the request it was made for.
const sameRequest = 24 * time.Hour

// leftOver is a snapshot of this source that has no recovery point: its run died
// between CreateDBSnapshot and its manifest.
//
//	run 1: CreateDBSnapshot, tag point=A … killed
//	run 2: finds it without manifest A, tags it point=B, commits B
//	run 1 wakes: its snapshot is tagged B, so it does not commit
//
// The id is a new one each time: the old one may have been fenced off by Sweep.
type leftOver struct {
	api.Snapshot
	start   time.Time // of the point it was made for
	settled bool      // nothing is left to do about it
}

// findLeft lists what earlier runs left of this source. What belongs to nobody by
// now is told and not given.
func (r *run) findLeft(ctx context.Context, points []repo.Listed) (left []leftOver, err error) {
	committed := make(map[string]bool, len(points))
	for _, p := range points {
		committed[p.ID] = true
	}
	snapshots, err := r.RDS.Snapshots(ctx, api.Query{Target: r.Target, Type: api.Manual})
	if err != nil {
		return nil, err
	}
	own := ownerOf(r.Repo)
	for _, s := range snapshots {
		if !own.ours(s) || s.Tags[TagSource] != tagValue(r.Source) || committed[s.Tags[TagPoint]] || s.Status == "deleting" {
			continue
		}
		start, err := repo.ParseID(s.Tags[TagPoint])
		if err != nil {
			r.result.warn("%s is left alone: its tag %s says %q, which is no recovery point", s, TagPoint, s.Tags[TagPoint])
			continue
		}
		was := repo.Ref{Source: r.Source, Kind: Kind, ID: s.Tags[TagPoint]}
		switch t, err := r.Repo.Tombstone(ctx, was); {
		case err == nil:
			r.result.warn("%s is of recovery point %s, which was deleted on %s: it is left alone and costs storage; delete it in RDS", s, was.ID, t.Deleted.Format(time.RFC3339))
		case errors.Is(err, repo.ErrNotFound):
			left = append(left, leftOver{Snapshot: s, start: start})
		default:
			return nil, err
		}
	}
	return left, nil
}

// answer finishes the snapshot that this very request has begun, if there is one,
// and waits for it as for a new one. done says that the request is answered.
func (r *run) answer(ctx context.Context, left []leftOver) (done bool, err error) {
	i := slices.IndexFunc(left, func(l leftOver) bool {
		return r.Request != "" && l.Tags[TagRequest] == tagValue(r.Request) && r.Clock().Sub(l.start) < sameRequest && !failed(l.Snapshot)
	})
	if i < 0 {
		return false, nil
	}
	l := &left[i]
	l.settled = true
	s, err := r.wait(ctx, l.Snapshot)
	if errors.Is(err, ErrFailed) {
		r.result.warn("what an earlier run began for the same request is of no use, another snapshot is taken: %v", err)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("finish what an earlier run left: %w", err)
	}
	m, s, err := r.adopt(ctx, s, l.start)
	if err != nil {
		return false, fmt.Errorf("finish what an earlier run left: %w", err)
	}
	return true, r.made(ctx, m, s)
}

// finishLeft makes recovery points of the others. It comes after the run's own
// snapshot, waits for nothing, and what cannot be finished is told: one that hangs
// must not be in the way of all that come after it.
func (r *run) finishLeft(ctx context.Context, left []leftOver) {
	for _, l := range left {
		if l.settled || context.Cause(ctx) != nil {
			continue
		}
		s, err := r.RDS.Snapshot(ctx, l.Name, r.Target.Cluster) // it may be ready by now
		switch {
		case errors.Is(err, awsapi.ErrGone):
			continue
		case err != nil:
		case failed(s):
			r.result.warn("%s, left by an earlier run, is %s: it is removed", s, s.Status)
			err = r.RDS.DeleteSnapshot(ctx, s)
		case !s.Ready():
			r.result.warn("%s, left by an earlier run, is %s and no recovery point yet: a later run finishes it. If it stays like that, delete it in RDS", s, s.Status)
		default:
			var m *repo.Manifest
			if m, _, err = r.adopt(ctx, s, l.start); err == nil {
				r.result.Adopted = append(r.result.Adopted, m)
			}
		}
		if err != nil {
			r.result.warn("%s, left by an earlier run, could not be finished: %v", l.Snapshot, err)
		}
	}
}

// adopt makes a recovery point of an available snapshot.
func (r *run) adopt(ctx context.Context, s api.Snapshot, start time.Time) (*repo.Manifest, api.Snapshot, error) {
	w, err := r.newPoint(start)
	if err != nil {
		return nil, s, err
	}
	// The repository's tag is there already; rights to tag may be bound to it.
	tags := map[string]string{TagPoint: w.Ref().ID, awsapi.TagRepository: ownerOf(r.Repo).place}
	if err := r.RDS.Tag(ctx, s.ARN, tags); err != nil {
		return nil, s, err
	}
	s.Tags[TagPoint] = w.Ref().ID
	m, err := r.commit(ctx, w, s)
	if err == nil {
		r.Log.Info("finished what an earlier run left", "snapshot", s.Name, "point", m.Ref().String())
	}
	return m, s, err
}
