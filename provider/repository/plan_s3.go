package repository

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/bucket"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// computed are the attributes that follow from the s3 block.
type computed struct {
	arn, replica      types.String
	protections, tags types.Map
}

func nothing() computed {
	return computed{types.StringNull(), types.StringNull(), types.MapNull(types.StringType), types.MapNull(types.StringType)}
}

func unknown() computed {
	return computed{types.StringUnknown(), types.StringUnknown(), types.MapUnknown(types.StringType), types.MapUnknown(types.StringType)}
}

// planS3 makes known what follows from the s3 block, so that a plan shows which
// protection of the bucket it puts right. state has no id when there is nothing yet
// at this place.
func (r *Resource) planS3(ctx context.Context, resp *resource.ModifyPlanResponse, state, plan model, at location.Location, known bool) {
	c := nothing()
	if !plan.S3.IsNull() {
		c = unknown()
		w, knownWish, diags := plan.wish(ctx, r.conn, at)
		resp.Diagnostics.Append(diags...)
		switch {
		case resp.Diagnostics.HasError():
			return
		case known && knownWish:
			c = r.follows(ctx, state, plan, at, w, &resp.Diagnostics)
		case !state.ID.IsNull() && plan.S3.Equal(state.S3): // only the provider's own settings are not known yet
			c = computed{state.BucketARN, state.ReplicaID, state.Protections, state.TagsAll}
		}
	}
	for name, value := range map[string]attr.Value{"bucket_arn": c.arn, "replica_id": c.replica, "protections": c.protections, "tags_all": c.tags} {
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root(name), value)...)
	}
}

func (r *Resource) follows(ctx context.Context, state, plan model, at location.Location, w wish, diags *diag.Diagnostics) computed {
	c := nothing()
	impossible := func(err error) bool {
		if err != nil {
			diags.AddAttributeError(path.Root("s3"), fmt.Sprintf("pgbackup_repository (%s): s3 asks for what cannot be", at), valid.Sentence(err))
		}
		return err != nil
	}
	if impossible(w.elsewhere(at.Region)) {
		return c
	}
	b, _, err := r.conn.Bucket(ctx, at)
	if err != nil { // the apply says so
		return unknown()
	}
	c.arn = types.StringValue(b.ARN())
	if w.replica != nil {
		c.replica = types.StringValue(w.replica.at.String())
	}
	before, changed := state.shown(), !plan.S3.Equal(state.S3)
	if impossible(w.elsewhere(b.Region())) {
		return c
	}
	if changed { // what else goes wrong there, the apply says
		if err := r.refuseReplica(ctx, at, w, state.RepositoryID.ValueString()); errors.Is(err, errReplicaTaken) && impossible(err) {
			return c
		}
	}
	if w.bucket.ObjectLock && before[bucket.ObjectLock] == bucket.Off && impossible(b.NoLock(bucket.Off)) {
		return c
	}
	after, known, err := r.planned(ctx, at, w, before, changed)
	switch {
	case err != nil || !known:
		c.protections, c.tags = types.MapUnknown(types.StringType), types.MapUnknown(types.StringType)
		if !w.create {
			c.tags = types.MapNull(types.StringType)
		}
		return c
	case w.create && before["tags"] != bucket.NotOffered:
		c.tags = textMap(w.tags)
	}
	c.protections = textMap(after)
	return c
}

func textMap(texts map[string]string) types.Map {
	values := map[string]attr.Value{}
	for key, text := range texts {
		values[key] = types.StringValue(text)
	}
	return types.MapValueMust(types.StringType, values)
}

// elsewhere finds what the region of the bucket, "" when it is not known, forbids.
func (w wish) elsewhere(region string) error {
	switch key := w.bucket.KMSKey; {
	case region == "":
	case key != "" && !strings.Contains(key, ":kms:"+region+":"):
		return fmt.Errorf("kms_key_id is not a key of %s, where the bucket is: give one of that region", region)
	case w.replica != nil && w.replica.at.Region == region:
		return fmt.Errorf("the repository is in %s too: a copy in the same region is lost with it; give replica.region another one", region)
	}
	return nil
}

// takesOver holds that somebody has said so before pgbackup changes a bucket that it
// was only using. The default of create_bucket is not enough for that.
func takesOver(ctx context.Context, req resource.ModifyPlanRequest, state, plan model) (diags diag.Diagnostics) {
	var was, is, said s3Model
	var config model
	if plan.S3.IsNull() || plan.S3.IsUnknown() || state.S3.IsNull() {
		return nil
	}
	diags.Append(req.Config.Get(ctx, &config)...)
	for from, into := range map[*types.Object]*s3Model{&state.S3: &was, &plan.S3: &is, &config.S3: &said} {
		diags.Append(from.As(ctx, into, basetypes.ObjectAsOptions{})...)
	}
	if diags.HasError() || was.CreateBucket.ValueBool() || !is.CreateBucket.ValueBool() {
		return diags
	}
	id := state.ID.ValueString()
	if said.CreateBucket.IsNull() {
		diags.AddAttributeError(path.Root("s3").AtName("create_bucket"), fmt.Sprintf("pgbackup_repository (%s): its bucket was there before", id),
			valid.Sentence(errors.New("to go on using it as it is, set create_bucket = false; to let pgbackup put right its versioning, encryption, public access, ownership, policy and tags from now on, say create_bucket = true")))
		return diags
	}
	diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): pgbackup will look after its bucket from now on", id),
		"Versioning, encryption, public access, ownership and tags of the bucket become as `protections` and `tags_all` show, and its policy refuses connections without TLS. "+
			"Access by ACL ends. What else uses the bucket must be able to live with that. The bucket itself is never removed, since pgbackup did not make it.")
	return diags
}
