package repository

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/bucket"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// takeOver describes the bucket of an imported repository as a configuration
// would: one of ours as create_bucket = true, with its key, lock and replica.
func (r *Resource) takeOver(ctx context.Context, m *model, at location.Location) (diags diag.Diagnostics) {
	var b s3Model
	diags = m.S3.As(ctx, &b, basetypes.ObjectAsOptions{})
	if diags.HasError() {
		return diags
	}
	b.CreateBucket, b.DenyUnencrypted, b.KMSKeyID = types.BoolValue(false), types.BoolValue(false), types.StringNull()
	where, _, err := r.conn.Bucket(ctx, at)
	if err != nil {
		return diags
	}
	found, err := where.Protections(ctx)
	if err == nil && r.isOurs(ctx, where) {
		b.CreateBucket = types.BoolValue(true)
		b.DenyUnencrypted = types.BoolValue(strings.HasPrefix(found[bucket.OtherEncryption], "all but"))
		if key := bucket.KMSKeyOf(found[bucket.Encryption]); key != "" {
			b.KMSKeyID = types.StringValue(key)
		}
	}
	if opened, err := r.conn.OpenRepository(ctx, at, ""); err == nil {
		if p, locked, err := opened.Protection(ctx); err == nil && locked {
			var d diag.Diagnostics
			b.ObjectLock, d = types.ObjectValueFrom(ctx, b.ObjectLock.AttributeTypes(ctx), objectLockModel{
				Mode: types.StringValue(p.Mode), Days: types.Int64Value(int64(p.Days)), Acknowledge: types.BoolValue(p.Mode == "COMPLIANCE"),
			})
			diags.Append(d...)
		}
	}
	diags.Append(r.takeOverReplica(ctx, &b, where, at)...)
	object, d := types.ObjectValueFrom(ctx, m.S3.AttributeTypes(ctx), b)
	diags.Append(d...)
	m.S3 = object
	return diags
}

func (r *Resource) isOurs(ctx context.Context, b *bucket.Bucket) bool {
	tags, err := b.Tags(ctx)
	return err == nil && awsapi.Ours(tags)
}

func (r *Resource) takeOverReplica(ctx context.Context, b *s3Model, source *bucket.Bucket, at location.Location) (diags diag.Diagnostics) {
	rule, there, err := source.Replication(ctx, keyPrefix(at))
	if err != nil || !there {
		return nil
	}
	copied := at
	copied.Bucket = rule.Replica[strings.LastIndex(rule.Replica, ":")+1:]
	copied.Region = ""
	replica, _, err := r.conn.Bucket(ctx, copied)
	if err == nil {
		copied.Region, err = replica.Home(ctx)
	}
	if err == nil {
		replica, _, err = r.conn.Bucket(ctx, copied)
	}
	if err != nil {
		diags.AddWarning(summary("importing", at.String())+": its replica is left out", valid.Sentence(err))
		return diags
	}
	text := func(s string) types.String {
		if s == "" {
			return types.StringNull()
		}
		return types.StringValue(s)
	}
	x := replicaModel{
		Bucket: types.StringValue(copied.Bucket), Region: types.StringValue(copied.Region), CreateBucket: types.BoolValue(r.isOurs(ctx, replica)),
		KMSKeyID: text(rule.KMSKey), StorageClass: text(rule.StorageClass),
	}
	if !strings.HasSuffix(rule.Role, ":role/"+roleName(at)) {
		x.RoleARN = text(rule.Role)
	}
	b.Replica, diags = types.ObjectValueFrom(ctx, b.Replica.AttributeTypes(ctx), x)
	return diags
}
