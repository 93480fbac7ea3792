package repository

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/bucket"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/lifecycle"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/planmod"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

type lifecycleModel struct {
	NoncurrentAfter   types.String `tfsdk:"noncurrent_after"`
	AbortUploadsAfter types.String `tfsdk:"abort_uploads_after"`
}

func lifecycleAttribute() schema.Attribute {
	days := []planmodifier.String{planmod.SameDuration()}
	either := stringvalidator.AtLeastOneOf(
		path.MatchRelative().AtParent().AtName("noncurrent_after"), path.MatchRelative().AtParent().AtName("abort_uploads_after"))
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Lifecycle rules of the bucket that clean up behind the repository, below its `prefix` or, without one, in the whole bucket. None of them removes a recovery point. " +
			"They are put beside the rules that are there already, which stay as they are; changed or lost rules show in the next plan and are repaired; `terraform destroy` removes them. " +
			"An `aws_s3_bucket_lifecycle_configuration` for the same bucket replaces all rules at every apply: use only one of the two. " +
			"Needs `s3:GetLifecycleConfiguration` and `s3:PutLifecycleConfiguration`, and `s3:GetObject` and `s3:PutObject` on `.pgbackup/*`, where a lock lies that lets one change of the rules happen at a time. Without `lifecycle`, the rules of the bucket are neither read nor changed.",
		Attributes: map[string]schema.Attribute{
			"noncurrent_after": schema.StringAttribute{
				Optional: true, PlanModifiers: days, Validators: []validator.String{valid.Days(), either},
				MarkdownDescription: "In a bucket with versioning, how long S3 keeps what was deleted or overwritten, in whole days such as `30d`. Until then a deleted recovery point can still be brought back from the bucket's versions. Defaults to for ever.",
			},
			"abort_uploads_after": schema.StringAttribute{
				Optional: true, PlanModifiers: days, Validators: []validator.String{valid.Days()},
				MarkdownDescription: "How long S3 keeps, and charges for, the parts of an upload that was never finished, in whole days such as `7d`. Longer than the longest backup takes. Not every server has such rules: MinIO refuses them and drops unfinished uploads by a setting of its own. Defaults to for ever.",
			},
		},
	}
}

// declaredRules are the lifecycle rules of the s3 block; declared is false when
// it has none, and the bucket's rules are then nobody's business here.
func (m model) declaredRules(ctx context.Context, keyPrefix string) (rules []lifecycle.Rule, declared bool, diags diag.Diagnostics) {
	l, diags := m.lifecycle(ctx)
	if l == nil || diags.HasError() {
		return nil, false, diags
	}
	days := func(text types.String) int {
		if text.IsNull() {
			return 0
		}
		n, err := valid.ParseDays(text.ValueString())
		if err != nil { // unknown when the schema validated it
			diags.AddAttributeError(path.Root("s3").AtName("lifecycle"), "Invalid value in s3.lifecycle", valid.Sentence(err))
		}
		return n
	}
	rules = lifecycle.OfRepository(keyPrefix, days(l.NoncurrentAfter), days(l.AbortUploadsAfter))
	return rules, true, diags // after the rules: days adds to diags
}

func (m model) lifecycle(ctx context.Context) (*lifecycleModel, diag.Diagnostics) {
	if m.S3.IsNull() || m.S3.IsUnknown() {
		return nil, nil
	}
	var b s3Model
	diags := m.S3.As(ctx, &b, basetypes.ObjectAsOptions{})
	if diags.HasError() || b.Lifecycle.IsNull() || b.Lifecycle.IsUnknown() {
		return nil, diags
	}
	var l lifecycleModel
	diags.Append(b.Lifecycle.As(ctx, &l, basetypes.ObjectAsOptions{})...)
	return &l, diags
}

// applyRules makes the bucket's rules of this repository those of the plan.
func (r *Resource) applyRules(ctx context.Context, at location.Location, rules []lifecycle.Rule) error {
	b, keyPrefix, err := r.conn.Bucket(ctx, at)
	if err != nil {
		return err
	}
	return withoutRules(b.Apply(ctx, lifecycle.Repository(keyPrefix), rules))
}

// tryRules finds out before a repository is made whether its rules can be.
func (r *Resource) tryRules(ctx context.Context, at location.Location, rules []lifecycle.Rule) error {
	b, keyPrefix, err := r.conn.Bucket(ctx, at)
	if err != nil {
		return err
	}
	return withoutRules(b.Possible(ctx, lifecycle.Repository(keyPrefix), rules))
}

// withoutRules adds to the error of a server without lifecycle rules, or without
// these, what to do.
func withoutRules(err error) error {
	switch {
	case errors.Is(err, bucket.ErrNoLifecycle):
		return fmt.Errorf("%w; remove lifecycle from the s3 block, and let the server's own means clean up", err)
	case errors.Is(err, bucket.ErrRefused):
		return fmt.Errorf("%w. Not every server has rules that drop unfinished uploads: where that is what it refuses, remove abort_uploads_after from s3.lifecycle, and let the server's own means clean up", err)
	}
	return err
}

// removeRules ends the repository's rules with it.
func (r *Resource) removeRules(ctx context.Context, at location.Location) error {
	err := r.applyRules(ctx, at, nil)
	if errors.Is(err, bucket.ErrNoLifecycle) {
		return nil
	}
	return err
}

// readRules puts into the state what of the declared rules is in force, so that
// a plan shows the rest. What an import finds is taken over. Rules that cannot be
// read keep their state.
func (r *Resource) readRules(ctx context.Context, m *model, at location.Location, imported bool) (diags diag.Diagnostics) {
	declared, has, diags := m.declaredRules(ctx, at.Prefix)
	if diags.HasError() || at.IsDirectory() || !has && !imported {
		return diags
	}
	b, keyPrefix, err := r.conn.Bucket(ctx, at)
	var c lifecycle.Configuration
	if err == nil {
		c, err = b.Lifecycle(ctx)
	}
	if err != nil {
		if !imported { // which asks without being told that there are any
			diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): its lifecycle rules cannot be read; their state is kept as it was", at), valid.Sentence(err))
		}
		return diags
	}
	owner := lifecycle.Repository(keyPrefix)
	found := c.Own(owner)
	drift := lifecycle.Drift(declared, found)
	if len(drift) == 0 {
		return diags
	}
	if !imported {
		detail := strings.Join(drift, "; ")
		if err := b.Competitor(c, declared); err != nil {
			detail = err.Error()
		}
		diags.AddWarning(fmt.Sprintf("pgbackup_repository (%s): its lifecycle rules were changed by somebody else", at), valid.Sentence(errors.New(detail)))
	}
	diags.Append(m.setLifecycle(ctx, inForce(keyPrefix, found))...)
	return diags
}

// inForce says which settings the found rules carry out, as pgbackup writes them:
// one that somebody changed counts as none, to be written again.
func inForce(keyPrefix string, found []lifecycle.Rule) (l lifecycleModel) {
	for _, rule := range found {
		for _, ours := range lifecycle.OfRepository(keyPrefix, rule.NoncurrentDays, rule.AbortDays) {
			if !ours.Equal(rule) {
				continue
			}
			if rule.NoncurrentDays > 0 {
				l.NoncurrentAfter = types.StringValue(strconv.Itoa(rule.NoncurrentDays) + "d")
			}
			if rule.AbortDays > 0 {
				l.AbortUploadsAfter = types.StringValue(strconv.Itoa(rule.AbortDays) + "d")
			}
		}
	}
	return l
}

// setLifecycle keeps the spelling of settings that mean the same.
func (m *model) setLifecycle(ctx context.Context, l lifecycleModel) diag.Diagnostics {
	before, diags := m.lifecycle(ctx)
	if before != nil {
		l.NoncurrentAfter = sameDays(before.NoncurrentAfter, l.NoncurrentAfter)
		l.AbortUploadsAfter = sameDays(before.AbortUploadsAfter, l.AbortUploadsAfter)
	}
	var b s3Model
	diags.Append(m.S3.As(ctx, &b, basetypes.ObjectAsOptions{})...)
	if diags.HasError() {
		return diags
	}
	object, moreDiags := types.ObjectValueFrom(ctx, b.Lifecycle.AttributeTypes(ctx), l)
	diags.Append(moreDiags...)
	b.Lifecycle = object
	m.S3, moreDiags = types.ObjectValueFrom(ctx, m.S3.AttributeTypes(ctx), b)
	diags.Append(moreDiags...)
	return diags
}

func sameDays(before, now types.String) types.String {
	x, errX := valid.ParseDays(before.ValueString())
	y, errY := valid.ParseDays(now.ValueString())
	if errX == nil && errY == nil && x == y {
		return before
	}
	return now
}

// sameBlock compares the places of two s3 blocks: what else is in them never makes
// it another repository.
func sameBlock(a, b types.Object) bool {
	if a.IsNull() != b.IsNull() || a.IsUnknown() != b.IsUnknown() {
		return false
	}
	x, y := a.Attributes(), b.Attributes()
	for _, place := range []string{"bucket", "prefix", "region", "endpoint"} {
		if x[place] != nil && y[place] != nil && !x[place].Equal(y[place]) {
			return false
		}
	}
	return true
}
