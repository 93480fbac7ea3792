package repository

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/bucket"
	awsrds "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/bytesize"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// destroy ends a repository: its objects first, then the rules in its bucket, then
// what is left of the bucket. Each step can be done again by the next apply.
func (r *Resource) destroy(ctx context.Context, at location.Location, m model) (diags diag.Diagnostics) {
	force := m.ForceDestroy.ValueBool()
	w, _, diags := m.wish(ctx, r.conn, at)
	_, rules, d := m.declaredRules(ctx, at.Prefix)
	diags.Append(d...)
	if diags.HasError() {
		return diags
	}
	left, err := r.destroyRepository(ctx, at, force)
	if left.Objects > 0 {
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): %d objects in its folders are not pgbackup's, and stay", at, left.Objects), left.String()+".")
	}
	if errors.Is(err, objstore.ErrNoBucket) && r.conn.OnAWS(at) {
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): its bucket is gone, and everything with it", at), valid.Sentence(err))
		err = nil
		rules = false
	}
	if err == nil && rules {
		err = r.removeRules(ctx, at)
	}
	if err == nil && w.replica != nil {
		err = r.endReplication(ctx, at, w.replica.role)
	}
	if err == nil && !at.IsDirectory() {
		err = r.clear(ctx, at, w.create, force, "", &diags)
	}
	if err == nil && w.replica != nil {
		err = r.clearReplica(ctx, at, w, m.RepositoryID.ValueString(), force, &diags)
	}
	if err != nil {
		diags.AddError(summary("deleting", at.String()), valid.Sentence(err))
	}
	return diags
}

func (r *Resource) destroyRepository(ctx context.Context, at location.Location, force bool) (repo.Strangers, error) {
	opened, err := r.conn.OpenRepository(ctx, at, "")
	if errors.Is(err, repo.ErrNoRepository) {
		return repo.Strangers{}, nil
	}
	if err != nil {
		return repo.Strangers{}, err
	}
	if !force {
		// Once more: -replace and tainted resources never pass the plan's guard.
		if err := refusePoints(ctx, opened.Repository); err != nil {
			return repo.Strangers{}, err
		}
	}
	clients := func(_ context.Context, region string) (*awsrds.Client, error) {
		cfg, err := r.conn.AWS(region)
		return awsrds.New(cfg), err
	}
	return opened.Destroy(ctx, rds.Release(clients, opened.Repository, nil))
}

// clear removes what versioning still keeps of a repository, and then its bucket
// when pgbackup made it and nothing else is in it. Without force, versions of
// recovery points that were there once stay, and the bucket with them: they may
// still be wanted back. mark, if not "", is the key of what tells whose all this is,
// and goes last.
func (r *Resource) clear(ctx context.Context, at location.Location, ours, force bool, mark string, diags *diag.Diagnostics) error {
	if !ours && !force {
		return nil
	}
	b, _, err := r.conn.Bucket(ctx, at)
	if err != nil {
		return err
	}
	defer r.conn.Lock("bucket " + at.Bucket)()
	prefix := keyPrefix(at)
	stays := func(why string) {
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s) is deleted; its bucket stays: %s", at, why),
			fmt.Sprintf("%s is removed only when pgbackup made it and nothing is left in it. Nothing more is done with it here.", b))
	}
	if !force {
		left, err := b.Count(ctx, prefix, belowPrefix(at, repo.OwnsPoint))
		if err != nil || left.Versions > 0 {
			if err == nil {
				stays(fmt.Sprintf("it has %d versions (%s) of recovery points that were deleted or copied earlier", left.Versions, bytesize.Text(left.Bytes)))
			}
			return gone(err)
		}
	}
	removed, locked, err := b.Purge(ctx, prefix, belowPrefix(at, repo.Owns))
	if err != nil {
		return gone(err)
	}
	if mark != "" && locked == 0 { // else it says whose the rest is
		if _, _, err := b.Purge(ctx, prefix+mark, func(key string) bool { return key == prefix+mark }); err != nil {
			return gone(err)
		}
	}
	if force && removed.Versions+removed.Markers > 0 {
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): %d versions of objects with %s were deleted for good", at, removed.Versions, bytesize.Text(removed.Bytes)),
			"force_destroy was set, so that nothing is left to bring back.")
	}
	switch {
	case locked > 0:
		stays(fmt.Sprintf("%d versions are protected by Object Lock until their time", locked))
	case ours:
		return r.removeBucket(ctx, b, stays)
	}
	return nil
}

// removeBucket removes an empty bucket that pgbackup made.
func (r *Resource) removeBucket(ctx context.Context, b *bucket.Bucket, stays func(why string)) error {
	tags, err := b.Tags(ctx)
	if err != nil {
		if errors.Is(err, bucket.ErrLacking) {
			stays("its server has no tags of buckets, by which pgbackup would know that it made it")
			return nil
		}
		return gone(err)
	}
	if tags[bucket.TagMadeBy] != awsapi.Terraform {
		stays("it was there before")
		return nil
	}
	// The lease of the lifecycle rules is nobody's when nothing else is there.
	others, err := b.Any(ctx, "", func(key string) bool { return key != bucket.LeaseKey })
	switch {
	case err != nil:
		return gone(err)
	case others:
		stays("it holds other objects, or older versions of them")
		return nil
	}
	if _, _, err := b.Purge(ctx, bucket.LeaseKey, nil); err != nil {
		return gone(err)
	}
	return b.Remove(ctx)
}

// gone is nil for a bucket that is not there.
func gone(err error) error {
	if errors.Is(err, awsapi.ErrGone) {
		return nil
	}
	return err
}

// foretell warns of what a destroy with force_destroy is about to delete. What
// cannot be counted in a minute is told as a lower bound.
func (r *Resource) foretell(ctx context.Context, state model) (diags diag.Diagnostics) {
	id := state.ID.ValueString()
	at, err := location.Parse(id)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	opened, err := r.conn.OpenRepository(ctx, at, "")
	if err != nil {
		return nil // Delete says what is wrong
	}
	points, err := opened.List(ctx, repo.Filter{})
	if err != nil {
		return nil
	}
	sources, snapshots := map[string]bool{}, 0
	for _, p := range points {
		sources[p.Source] = true
		if p.Kind == repo.KindRDSSnapshot {
			snapshots++
		}
	}
	what := fmt.Sprintf("%d recovery points of %d source(s)", len(points), len(sources))
	if snapshots > 0 {
		what += fmt.Sprintf(" (%d of them snapshots in RDS, which are deleted there)", snapshots)
	}
	if !at.IsDirectory() {
		what += r.versionsOf(ctx, at)
	}
	w, _, _ := state.wish(ctx, r.conn, at)
	if w.replica != nil {
		what += "; in the replica" + strings.TrimPrefix(r.versionsOf(ctx, w.replica.at), ",")
	}
	if len(points) > 0 || w.replica != nil {
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): destroying it deletes %s", id, what),
			"force_destroy is true, so that nothing of it can be brought back afterwards. To keep the recovery points, set force_destroy = false and apply before anything is destroyed.")
	}
	return diags
}

// belowPrefix judges the keys of a bucket by what they are in the repository.
func belowPrefix(at location.Location, which func(key string) bool) func(string) bool {
	return func(key string) bool { return which(strings.TrimPrefix(key, keyPrefix(at))) }
}

func (r *Resource) versionsOf(ctx context.Context, at location.Location) string {
	b, _, err := r.conn.Bucket(ctx, at)
	if err != nil {
		return ""
	}
	n, err := b.Count(ctx, keyPrefix(at), belowPrefix(at, repo.Owns))
	least := ""
	if err != nil {
		least = " at least"
	}
	return fmt.Sprintf(",%s %s in %d versions of objects", least, bytesize.Text(n.Bytes), n.Versions)
}
