package rds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// Result of Take.
type Result struct {
	Manifest *repo.Manifest
	Snapshot api.Snapshot
	// Adopted are points made of snapshots that dead runs left.
	Adopted  []*repo.Manifest
	Warnings []string
	// Doubt says why nothing should be deleted on the strength of this point.
	Doubt string
}

func (r *Result) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// run is one Take under way.
type run struct {
	Options
	db      api.Database
	account string
	result  *Result
}

// Take makes a manual snapshot and, once RDS says that it is available, the
// recovery point that stands for it. Whatever ends it in between leaves a tagged
// snapshot, which the next run for the source finishes; where it cannot, it takes its
// own all the same and warns. The result is valid with an error too.
func Take(ctx context.Context, o Options) (Result, error) {
	o.defaults()
	var result Result
	if err := repo.CheckSource(o.Source); err != nil {
		return result, err
	}
	r := &run{Options: o, result: &result}
	if err := r.take(ctx); err != nil {
		return result, fmt.Errorf("snapshot of %s: %w", o.Target, err)
	}
	return result, nil
}

func (r *run) take(ctx context.Context) (err error) {
	if r.db, err = r.RDS.Database(ctx, r.Target); err != nil {
		return err
	}
	if r.db.MemberOf != "" {
		return fmt.Errorf("it is a member of cluster %s, whose snapshots hold its data: name the cluster instead", r.db.MemberOf)
	}
	arn, err := api.ParseARN(r.db.ARN)
	if err != nil {
		return err
	}
	r.account = arn.Account
	lease, ctx, err := r.Repo.TakeLease(ctx, r.Source, repo.LeaseOptions{What: "snapshot", Self: r.Self, TTL: r.LeaseTTL})
	if err != nil {
		return err
	}
	defer func() {
		if lost := context.Cause(ctx); err != nil && errors.Is(lost, repo.ErrLeaseLost) {
			err = lost
		}
		if released := lease.Release(); released != nil {
			r.Log.Warn("the lease was not given back; the next run waits until it ends by itself", "error", released)
		}
	}()
	swept, err := r.Repo.Sweep(ctx, r.Source)
	if err != nil {
		return err
	}
	if swept.Left != nil {
		r.result.warn("%v", swept.Left)
	}
	points, err := r.Repo.List(ctx, repo.Filter{Source: r.Source, Kind: Kind})
	if err != nil {
		return err
	}
	if err := r.checkSame(ctx, points); err != nil {
		return err
	}
	left, err := r.findLeft(ctx, points)
	if err != nil {
		return err
	}
	done, err := r.answer(ctx, left)
	if err == nil && !done {
		err = r.makeNew(ctx)
	}
	r.finishLeft(ctx, left)
	return err
}

// checkSame holds that the source's newest readable point is of the same database:
// two that shared a source would be thinned out together.
func (r *run) checkSame(ctx context.Context, points []repo.Listed) error {
	for _, p := range points {
		if p.Problem != nil {
			continue
		}
		m, err := r.Repo.Manifest(ctx, p.Ref)
		if errors.Is(err, repo.ErrDamaged) || errors.Is(err, repo.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if was := m.RDS; was.Account != r.account || was.Region != r.RDS.Region() || was.Database != r.Target.ID || was.Cluster != r.Target.Cluster {
			return fmt.Errorf("source %q %w, %s: give this one another --source", r.Source, ErrOtherDatabase, was.DatabaseARN)
		}
		return nil
	}
	return nil
}

// makeNew takes a snapshot.
func (r *run) makeNew(ctx context.Context) error {
	start := r.Clock()
	w, err := r.newPoint(start)
	if err != nil {
		return err
	}
	s, err := r.create(ctx, w.Ref().ID)
	if err != nil {
		return err
	}
	r.Log.Info("snapshot begun", "snapshot", s.Name, "of", r.Target.String(), "region", r.RDS.Region())
	if s, err = r.wait(ctx, s); err != nil {
		return err
	}
	if apart := s.Created.Sub(start); s.Created.Before(start.Add(-retention.FutureSkew)) || apart > r.Limit+retention.FutureSkew {
		r.result.Doubt = fmt.Sprintf("the clocks of this machine and of AWS are %s apart: set this one", apart.Abs().Round(time.Second))
		r.result.warn("%s; nothing is rotated after this snapshot", r.result.Doubt)
	}
	m, err := r.commit(ctx, w, s)
	if err != nil {
		return err
	}
	return r.made(ctx, m, s)
}

func (r *run) newPoint(start time.Time) (*repo.PointWriter, error) {
	return r.Repo.NewPoint(r.Source, Kind, start, repo.WriterOptions{StorageClass: r.StorageClass, Tags: r.ObjectTags})
}

// create asks RDS for the snapshot, for as long as the database is busy with
// something else, such as its automated backup.
func (r *run) create(ctx context.Context, point string) (s api.Snapshot, err error) {
	name := SnapshotName(r.Target, point)
	err = awsapi.Until(ctx, awsapi.Waiting{What: r.Target.String() + " to be ready for a snapshot", Limit: r.Limit, First: r.First, Most: time.Minute},
		func(ctx context.Context) (bool, string, error) {
			s, err = r.RDS.CreateSnapshot(ctx, r.Target, name, r.tags(point))
			switch {
			case api.Busy(err):
				state := "busy"
				if db, lookErr := r.RDS.Database(ctx, r.Target); lookErr == nil {
					state = db.Status
				}
				r.Log.Info("the database is not ready for a snapshot yet", "of", r.Target.String(), "status", state)
				return false, state, nil
			case awsapi.Is(err, "DBSnapshotAlreadyExists", "DBSnapshotAlreadyExistsFault", "DBClusterSnapshotAlreadyExistsFault"):
				// The name is ours alone: the answer to a first attempt was lost.
				s, err = r.RDS.Snapshot(ctx, name, r.Target.Cluster)
			}
			return err == nil, "", err
		})
	return s, err
}

// wait waits until a snapshot is available. One that failed is removed.
func (r *run) wait(ctx context.Context, s api.Snapshot) (api.Snapshot, error) {
	name := s.Name
	err := awsapi.Until(ctx, awsapi.Waiting{What: s.String() + " to be available", Limit: r.Limit, First: r.First, Most: time.Minute},
		func(ctx context.Context) (done bool, state string, err error) {
			if s, err = r.RDS.Snapshot(ctx, name, r.Target.Cluster); err != nil {
				return false, "", err
			}
			if failed(s) {
				return false, "", fmt.Errorf("%w: it is %s; look at the events of %s in the RDS console", ErrFailed, s.Status, r.Target)
			}
			r.Log.Debug("snapshot under way", "snapshot", name, "status", s.Status, "percent", s.Percent)
			return s.Ready(), fmt.Sprintf("%s, %d %% done; the next run for this source finishes it", s.Status, s.Percent), nil
		})
	if errors.Is(err, ErrFailed) {
		if ownerOf(r.Repo).ours(s) {
			err = errors.Join(err, r.RDS.DeleteSnapshot(ctx, s))
		}
	}
	return s, err
}

func failed(s api.Snapshot) bool {
	return s.Status == "failed" || s.Status == "incompatible-restore" || s.Status == "incompatible-parameters"
}

// commit makes the recovery point of an available snapshot.
func (r *run) commit(ctx context.Context, w *repo.PointWriter, s api.Snapshot) (*repo.Manifest, error) {
	// Another run may have taken this one for dead, and the snapshot over.
	if !ownerOf(r.Repo).ours(s) || s.Tags[TagPoint] != w.Ref().ID {
		return nil, fmt.Errorf("%w: %s is tagged as that of point %q", repo.ErrFenced, s, s.Tags[TagPoint])
	}
	description, err := json.MarshalIndent(describe(s), "", "  ")
	if err != nil {
		return nil, err
	}
	if err := w.WriteStream(ctx, Stream, append(description, '\n')); err != nil {
		return nil, err
	}
	m := &repo.Manifest{
		End: r.Clock(), Tool: "Amazon RDS", Runner: r.RunnerVersion,
		Server:       repo.Server{Version: s.EngineVersion, Clock: s.Created},
		Verification: repo.Verification{Level: "reported"},
		Policy:       r.Policy, PolicyRevision: r.PolicyRevision, Job: r.Job, Tier: r.Tier,
		RDS: &repo.RDSSnapshot{
			ARN: s.ARN, Snapshot: s.Name, Database: r.Target.ID, DatabaseARN: r.db.ARN, Cluster: r.Target.Cluster,
			Region: r.RDS.Region(), Account: r.account, Engine: s.Engine, Version: s.EngineVersion, AllocatedGiB: s.AllocatedGiB,
			Encrypted: s.Encrypted, KMSKey: s.KMSKey, Created: s.Created.UTC(), Request: r.Request,
		},
	}
	if err := w.Commit(ctx, m); err != nil {
		return nil, err
	}
	r.Log.Info("snapshot is a recovery point", "point", m.Ref().String(), "snapshot", s.Name)
	return m, nil
}

// made is the end of a run that has what was asked for.
func (r *run) made(ctx context.Context, m *repo.Manifest, s api.Snapshot) error {
	r.result.Manifest, r.result.Snapshot = m, s
	if !r.Hold {
		return nil
	}
	if err := r.Repo.Hold(ctx, m.Ref(), repo.Mark{At: r.Clock(), By: r.Self.Host, Why: "asked for with the snapshot"}); err != nil {
		r.result.warn("the snapshot is good but could not be held: %v; run `pgbackup-runner hold %s`", err, m.ID)
	}
	return nil
}

// describe is what the point's one object says of the snapshot.
func describe(s api.Snapshot) map[string]any {
	return map[string]any{
		"arn": s.ARN, "name": s.Name, "database": s.ID, "cluster": s.Cluster, "engine": s.Engine, "engine_version": s.EngineVersion,
		"allocated_gib": s.AllocatedGiB, "full_bytes": s.FullBytes, "encrypted": s.Encrypted, "kms_key": s.KMSKey,
		"created": s.Created.UTC().Format(time.RFC3339), "tags": s.Tags,
	}
}
