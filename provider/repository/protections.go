package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/bucket"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// Names among the protections that are not those of a bucket alone.
const (
	replication     = "replication"
	replicationsOwn = "replication_role"
	ofReplica       = "replica_"
)

// found reads the protections of the bucket and of its replica, and the tags of the
// bucket. tags is nil on a server that has none.
func (r *Resource) found(ctx context.Context, at location.Location, w wish) (p bucket.Protections, tags map[string]string, err error) {
	b, _, err := r.conn.Bucket(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	if p, err = b.Protections(ctx); err != nil {
		return nil, nil, err
	}
	switch tags, err = b.Tags(ctx); {
	case errors.Is(err, bucket.ErrLacking):
		p["tags"] = bucket.NotOffered
	case err != nil && !errors.Is(err, awsapi.ErrDenied):
		return nil, nil, err
	}
	if w.replica == nil {
		return p, tags, nil
	}
	locks := w.bucket.ObjectLock || bucket.Locks(p[bucket.ObjectLock])
	key := bucket.KMSKeyOf(p[bucket.Encryption])
	replica, _, err := r.conn.Bucket(ctx, w.replica.at)
	if err != nil {
		return nil, nil, err
	}
	if p[replication], p[replicationsOwn], err = r.replicationState(ctx, b, replica, at, w, key, locks); err != nil {
		return nil, nil, err
	}
	other, err := replica.Protections(ctx)
	switch {
	case errors.Is(err, awsapi.ErrGone):
		p[replication] = "the bucket of the replica is gone"
		other = bucket.Protections{}
	case err != nil:
		return nil, nil, err
	}
	for name, state := range other {
		p[ofReplica+name] = state
	}
	return p, tags, nil
}

// wanted are the protections that a wish comes to; of what is only used, none.
func (r *Resource) wanted(ctx context.Context, at location.Location, w wish, locks bool) (bucket.Protections, error) {
	all := bucket.Protections{}
	b, _, err := r.conn.Bucket(ctx, at)
	if err != nil {
		return nil, err
	}
	if w.create {
		all = b.Wanted(w.bucket)
	}
	if w.replica == nil {
		return all, nil
	}
	all[replication], all[replicationsOwn] = bucket.On, bucket.On
	if w.replica.role != "" {
		all[replicationsOwn] = given
	}
	if w.replica.create {
		replica, _, err := r.conn.Bucket(ctx, w.replica.at)
		if err != nil {
			return nil, err
		}
		for name, state := range replica.Wanted(bucket.Wish{KMSKey: w.replica.kmsKey, RefuseElse: w.bucket.RefuseElse, ObjectLock: w.bucket.ObjectLock || locks}) {
			all[ofReplica+name] = state
		}
	}
	return all, nil
}

// planned are the protections after an apply: those that are wanted, and of all
// others what was found. known is false when only the apply shows them: what is
// not there yet, or what another server than AWS offers.
func (r *Resource) planned(ctx context.Context, at location.Location, w wish, before bucket.Protections, changed bool) (after bucket.Protections, known bool, err error) {
	want, err := r.wanted(ctx, at, w, bucket.Locks(before[bucket.ObjectLock]))
	if err != nil {
		return nil, false, err
	}
	onAWS := r.conn.OnAWS(at)
	if !onAWS && (before == nil || changed) || before == nil && !w.create {
		return nil, false, nil
	}
	after = bucket.Protections{}
	maps.Copy(after, before)
	if w.replica == nil {
		maps.DeleteFunc(after, func(name, _ string) bool {
			return strings.HasPrefix(name, "replica_") || strings.HasPrefix(name, replication)
		})
	} else if !w.replica.create && (before == nil || changed) {
		return nil, false, nil // of the replica's bucket nothing is known
	}
	for name, state := range want {
		switch now := before[name]; {
		case now == bucket.NotOffered, now == bucket.Unreadable: // and so it stays
		case strings.HasSuffix(name, bucket.ObjectLock) && now != "" && (bucket.Locks(now) || state == bucket.Off): // for ever
		default:
			after[name] = state
		}
	}
	return after, true, nil
}

// show puts what was found into the model, where the plan left it open.
func (m *model) show(ctx context.Context, p bucket.Protections) (diags diag.Diagnostics) {
	m.Protections, diags = types.MapValueFrom(ctx, types.StringType, map[string]string(p))
	return diags
}

func (m *model) shown() bucket.Protections {
	if m.Protections.IsNull() || m.Protections.IsUnknown() {
		return nil
	}
	texts, _ := textsOf(m.Protections)
	return texts
}

// readBucket puts into the state how the bucket is protected and tagged, so that a
// plan shows what somebody changed. What cannot be read keeps its state.
func (r *Resource) readBucket(ctx context.Context, m *model, at location.Location, fresh bool) (diags diag.Diagnostics) {
	if at.IsDirectory() {
		m.BucketARN, m.ReplicaID = types.StringNull(), types.StringNull()
		m.Protections, m.TagsAll = types.MapNull(types.StringType), types.MapNull(types.StringType)
		return nil
	}
	if fresh {
		diags.Append(r.takeOver(ctx, m, at)...)
	}
	w, known, d := m.wish(ctx, r.conn, at)
	diags.Append(d...)
	if diags.HasError() || !known {
		return diags
	}
	p, tags, err := r.found(ctx, at, w)
	if err != nil {
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): what protects its bucket cannot be read; the state is kept as it was", at), valid.Sentence(err))
		return diags
	}
	before := m.shown()
	for name, state := range before {
		// A server may answer how something is that it does not let be set.
		if state == bucket.NotOffered && p[name] == bucket.Off {
			p[name] = state
		}
	}
	if differ := bucket.Differ(p, before); len(before) > 0 && len(differ) > 0 {
		detail := strings.Join(differ, "; ") + ". "
		if w.create {
			detail += "The plan puts it right."
		} else {
			detail += "create_bucket is false: the bucket is left as it is."
		}
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): somebody changed what protects its bucket: %s", at, differ[0]), detail)
	}
	diags.Append(m.show(ctx, p)...)
	b, _, err := r.conn.Bucket(ctx, at)
	if err != nil {
		return diags
	}
	m.BucketARN = types.StringValue(b.ARN())
	m.ReplicaID = types.StringNull()
	if w.replica != nil {
		m.ReplicaID = types.StringValue(w.replica.at.String())
	}
	if w.create && tags != nil {
		ours, _ := textsOf(m.TagsAll)
		if fresh {
			ours = w.tags
		}
		maps.DeleteFunc(tags, func(key, _ string) bool { _, is := ours[key]; return !is })
		m.TagsAll, d = types.MapValueFrom(ctx, types.StringType, tags)
		diags.Append(d...)
	} else {
		m.TagsAll = types.MapNull(types.StringType)
	}
	return diags
}

// settle fills in what an apply made known, where the plan left it open. lacking
// are the protections the server turned out not to offer.
func (r *Resource) settle(ctx context.Context, m *model, at location.Location, w wish, lacking []string) (diags diag.Diagnostics) {
	if !m.BucketARN.IsUnknown() && !m.ReplicaID.IsUnknown() && !m.Protections.IsUnknown() && !m.TagsAll.IsUnknown() {
		return nil
	}
	seen := model{S3: m.S3, Protections: types.MapNull(types.StringType), TagsAll: types.MapNull(types.StringType)}
	if w.create && !at.IsDirectory() {
		seen.TagsAll = textMap(w.tags)
	}
	diags = r.readBucket(ctx, &seen, at, false)
	if shown := seen.shown(); shown != nil {
		for _, name := range lacking {
			shown[name] = bucket.NotOffered
		}
		seen.Protections = textMap(shown)
	}
	if m.BucketARN.IsUnknown() {
		m.BucketARN = seen.BucketARN
	}
	if m.ReplicaID.IsUnknown() {
		m.ReplicaID = seen.ReplicaID
	}
	if m.Protections.IsUnknown() {
		m.Protections = seen.Protections
	}
	if m.TagsAll.IsUnknown() {
		m.TagsAll = seen.TagsAll
	}
	return diags
}
