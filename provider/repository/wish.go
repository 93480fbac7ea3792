package repository

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/bucket"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
)

// wish is what an s3 block asks for besides the place.
type wish struct {
	create  bool
	bucket  bucket.Wish
	tags    map[string]string // all of them, on the bucket and what belongs to it
	lock    repo.Protection
	replica *replicaWish
}

type replicaWish struct {
	at     location.Location
	create bool
	role   string // ARN; "" is one of ours
	kmsKey string
	class  string
}

// wish reads the s3 block of a repository at a known place. known is false while a
// part of it is only known at apply; a directory asks for nothing.
func (m model) wish(ctx context.Context, conn *connection.Connection, at location.Location) (w wish, known bool, diags diag.Diagnostics) {
	if at.IsDirectory() || m.S3.IsNull() {
		return w, true, nil
	}
	if m.S3.IsUnknown() || conn.Unknown {
		return w, false, nil
	}
	var b s3Model
	diags = m.S3.As(ctx, &b, basetypes.ObjectAsOptions{})
	if diags.HasError() || b.CreateBucket.IsUnknown() || b.KMSKeyID.IsUnknown() || b.DenyUnencrypted.IsUnknown() || b.ObjectLock.IsUnknown() || b.Replica.IsUnknown() || b.Tags.IsUnknown() {
		return w, false, diags
	}
	w.create = b.CreateBucket.ValueBool()
	lock, knownLock := b.lock(ctx, &diags)
	w.lock = lock
	w.bucket = bucket.Wish{KMSKey: b.KMSKeyID.ValueString(), RefuseElse: b.DenyUnencrypted.ValueBool(), ObjectLock: !lock.IsZero()}
	own, knownTags := textsOf(b.Tags)
	// Repositories with other prefixes may lie in the same bucket: the tag says
	// whose bucket it is, not whose prefix.
	w.tags = awsapi.OwnTags(conn.Tags(own), metric.Repository(location.Location{Bucket: at.Bucket}), at.Bucket)
	replica, knownReplica := b.replica(ctx, at, &diags)
	w.replica = replica
	return w, knownLock && knownTags && knownReplica, diags
}

func (b s3Model) lock(ctx context.Context, diags *diag.Diagnostics) (p repo.Protection, known bool) {
	if b.ObjectLock.IsNull() {
		return p, true
	}
	var l objectLockModel
	diags.Append(b.ObjectLock.As(ctx, &l, basetypes.ObjectAsOptions{})...)
	return repo.Protection{Mode: l.Mode.ValueString(), Days: int(l.Days.ValueInt64())}, !l.Mode.IsUnknown() && !l.Days.IsUnknown()
}

func (b s3Model) replica(ctx context.Context, at location.Location, diags *diag.Diagnostics) (r *replicaWish, known bool) {
	if b.Replica.IsNull() {
		return nil, true
	}
	var x replicaModel
	diags.Append(b.Replica.As(ctx, &x, basetypes.ObjectAsOptions{})...)
	copied := at
	copied.Bucket, copied.Region = x.Bucket.ValueString(), x.Region.ValueString()
	known = !x.Bucket.IsUnknown() && !x.Region.IsUnknown() && !x.CreateBucket.IsUnknown() && !x.RoleARN.IsUnknown() && !x.KMSKeyID.IsUnknown() && !x.StorageClass.IsUnknown()
	return &replicaWish{at: copied, create: x.CreateBucket.ValueBool(), role: x.RoleARN.ValueString(), kmsKey: x.KMSKeyID.ValueString(), class: x.StorageClass.ValueString()}, known
}

// textsOf reads a map of texts; known is false when one of them is not.
func textsOf(m types.Map) (map[string]string, bool) {
	texts := map[string]string{}
	for key, value := range m.Elements() {
		text, ok := value.(types.String)
		if !ok || text.IsUnknown() {
			return nil, false
		}
		texts[key] = text.ValueString()
	}
	return texts, !m.IsUnknown()
}

// ValidateConfig finds what does not go together in an s3 block.
func (r *Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || m.S3.IsNull() || m.S3.IsUnknown() {
		return
	}
	var b s3Model
	resp.Diagnostics.Append(m.S3.As(ctx, &b, basetypes.ObjectAsOptions{})...)
	where := path.Root("s3")
	refuse := func(at path.Path, detail string) {
		resp.Diagnostics.AddAttributeError(at, "Invalid "+strings.ReplaceAll(at.String(), `"`, ""), detail)
	}
	if !b.CreateBucket.IsNull() && !b.CreateBucket.IsUnknown() && !b.CreateBucket.ValueBool() {
		for name, given := range map[string]bool{"kms_key_id": !b.KMSKeyID.IsNull(), "deny_unencrypted": b.DenyUnencrypted.ValueBool(), "tags": !b.Tags.IsNull()} {
			if given {
				refuse(where.AtName(name), fmt.Sprintf("With create_bucket = false the bucket's settings are left as they are. Remove %s, or let pgbackup look after the bucket with create_bucket = true.", name))
			}
		}
	}
	var l objectLockModel
	if !b.ObjectLock.IsNull() && !b.ObjectLock.IsUnknown() {
		resp.Diagnostics.Append(b.ObjectLock.As(ctx, &l, basetypes.ObjectAsOptions{})...)
		if l.Mode.ValueString() == "COMPLIANCE" && !l.Acknowledge.ValueBool() && !l.Acknowledge.IsUnknown() {
			refuse(where.AtName("object_lock"), "What is written in the mode COMPLIANCE cannot be deleted by anybody before its time, not even by AWS, and is paid for until then. If that is meant, set acknowledge_compliance = true; otherwise use GOVERNANCE.")
		}
	}
	if b.Replica.IsNull() || b.Replica.IsUnknown() {
		return
	}
	var x replicaModel
	resp.Diagnostics.Append(b.Replica.As(ctx, &x, basetypes.ObjectAsOptions{})...)
	replica := where.AtName("replica")
	given := func(s types.String) bool { return !s.IsNull() && !s.IsUnknown() }
	switch {
	case given(x.Bucket) && x.Bucket.Equal(b.Bucket):
		refuse(replica.AtName("bucket"), "The replica must be another bucket than the repository's.")
	case given(x.Region) && x.Region.Equal(b.Region):
		refuse(replica.AtName("region"), fmt.Sprintf("The repository is in %s too: a copy in the same region is lost with it. Give another region.", x.Region.ValueString()))
	case given(b.KMSKeyID) && x.KMSKeyID.IsNull():
		refuse(replica.AtName("kms_key_id"), "S3 copies what is encrypted with a KMS key only when it is told the key of the replica's region: give replica.kms_key_id.")
	case given(x.KMSKeyID) && given(x.Region) && !strings.Contains(x.KMSKeyID.ValueString(), ":kms:"+x.Region.ValueString()+":"):
		refuse(replica.AtName("kms_key_id"), fmt.Sprintf("The key is not one of %s, where the replica is: give a key of that region.", x.Region.ValueString()))
	}
}
