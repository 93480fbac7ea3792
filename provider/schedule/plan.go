package schedule

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/identifier"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runnerdist"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/timezone"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// known reports whether nothing in the values is unknown, blocks included.
func known(ctx context.Context, values ...attr.Value) bool {
	for _, v := range values {
		tf, err := v.ToTerraformValue(ctx)
		if err != nil || !tf.IsFullyKnown() {
			return false
		}
	}
	return true
}

// inputs are all attributes that are not computed.
func (m model) inputs() []attr.Value {
	return []attr.Value{m.Name, m.Policy, m.Runner, m.Cron, m.Timezone, m.Enabled, m.Source, m.KeyRef, m.Job, m.Metrics, m.Notifications, m.Tags, m.RunOn}
}

func (m model) inputsKnown(ctx context.Context) bool { return known(ctx, m.inputs()...) }

// ValidateConfig renders the deployment as soon as everything is known, which
// finds whatever is wrong with it.
func (r *Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	_, diags := r.preview(ctx, m)
	resp.Diagnostics.Append(diags...)
}

// preview renders what is known. It gives nil while that is not enough, or when
// something is wrong with it.
func (r *Resource) preview(ctx context.Context, m model) (rendered *rendering, diags diag.Diagnostics) {
	if m.Job.IsNull() || m.RunOn.IsNull() || m.refused() {
		return nil, nil
	}
	if !m.inputsKnown(ctx) {
		return nil, m.previewJob(ctx)
	}
	rendered, diags = r.render(ctx, m)
	if diags.HasError() {
		return nil, diags
	}
	return rendered, diags
}

// somePolicy stands for a policy whose id is not known yet.
const somePolicy = "s3://not-known-yet#not-known-yet"

// previewJob finds what is wrong with a job before it is known which repository it
// goes to, which is the usual case of a first plan.
func (m model) previewJob(ctx context.Context) (diags diag.Diagnostics) {
	m.Policy = types.StringValue(somePolicy)
	if !known(ctx, m.Name, m.Cron, m.Timezone, m.Source, m.KeyRef, m.Job, m.Metrics, m.Notifications) {
		return nil
	}
	var block jobModel
	diags.Append(m.Job.As(ctx, &block, objectAs)...)
	if diags.HasError() {
		return diags
	}
	if _, err := m.toJob(ctx, block); err != nil {
		diags.Append(m.invalidJob(err)...)
	}
	return diags
}

// refused: a validator of an attribute has reported what rendering would report
// again.
func (m model) refused() bool {
	_, zoneErr := timezone.Load(m.Timezone.ValueString())
	_, cronErr := schedule.Parse(m.Cron.ValueString(), "")
	return !m.Timezone.IsUnknown() && zoneErr != nil || !m.Cron.IsUnknown() && cronErr != nil || !m.Name.IsUnknown() && identifier.Check(m.Name.ValueString()) != nil
}

// invalidJob is not tied to the attribute: Terraform would print all of the block,
// and a password that stands there instead of its reference with it.
func (m model) invalidJob(err error) (diags diag.Diagnostics) {
	diags.AddError("Invalid job of pgbackup_schedule ("+m.Name.ValueString()+")", valid.Sentence(err))
	return diags
}

// rendering is what a model comes to.
type rendering struct {
	target
	deployment
	name  string // of the target
	later error  // why not everything of it is known; nil when it is
}

// render makes the deployment of a model whose inputs are all known. Everything
// that is wrong with it is in the diagnostics.
func (r *Resource) render(ctx context.Context, m model) (*rendering, diag.Diagnostics) {
	block, on, diags := m.blocks(ctx)
	if diags.HasError() {
		return nil, diags
	}
	if _, err := schedule.Parse(m.Cron.ValueString(), m.Timezone.ValueString()); err != nil {
		diags.AddAttributeError(path.Root("cron"), "Invalid value for cron", valid.Sentence(err))
	}
	out, in := rendering{}, input{model: m, on: on}
	var err error
	if out.name, err = on.name(); err == nil {
		out.target, err = r.target(out.name)
	}
	if err != nil {
		diags.AddAttributeError(path.Root("run_on"), "Invalid value for run_on", valid.Sentence(err))
	}
	if in.job, err = m.toJob(ctx, block); err != nil && !diags.HasError() {
		diags.Append(m.invalidJob(err)...)
	}
	if m.Runner.ValueString() != "" {
		if in.release, err = runnerdist.ParseRelease(m.Runner.ValueString()); err != nil {
			diags.AddAttributeError(path.Root("runner"), "Invalid value for runner", valid.Sentence(err))
		}
	}
	if diags.HasError() {
		return nil, diags
	}
	var more diag.Diagnostics
	out.deployment, more, out.later = out.render(ctx, in)
	diags.Append(more...)
	return &out, diags
}

// ModifyPlan shows what will be deployed. Rendering is pure, so that apply renders
// the same; what Read found changed differs from it and is planned to be put
// right.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return
	}
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	var prior *model
	if !req.State.Raw.IsNull() {
		prior = &model{}
		resp.Diagnostics.Append(req.State.Get(ctx, prior)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	rendered, diags := r.preview(ctx, m)
	resp.Diagnostics.Append(diags...)
	if rendered == nil || resp.Diagnostics.HasError() {
		return
	}
	if rendered.later != nil {
		resp.Diagnostics.Append(m.warnOfLater(rendered.later)...)
		switch m.shown = unknownShown(); {
		case prior != nil && m.sameInputs(*prior):
			m.shown = prior.shown // a plan that nobody asked for would help nobody
		case !errors.Is(rendered.later, errNoAccount) && errors.Is(rendered.later, errNoKeys):
			// Only what the role may read is not known yet.
			rendered.show(&m)
			m.Deployment, m.JobDigest = types.StringUnknown(), types.StringUnknown()
		}
		resp.Diagnostics.Append(resp.Plan.Set(ctx, m)...)
		return
	}
	rendered.show(&m)
	if m.LeftBehind = emptyList(); prior != nil && r.ends(ctx, rendered, m, *prior) {
		m.LeftBehind = types.ListUnknown(leftType)
	}
	resp.Diagnostics.Append(m.warnAboutAccess(ctx)...)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, m)...)
}

// sameInputs reports whether two models say the same in everything that users say.
func (m model) sameInputs(other model) bool {
	a, b := m.inputs(), other.inputs()
	for i := range a {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

// show sets every computed attribute but left_behind.
func (d rendering) show(m *model) {
	m.shown = nullShown()
	d.describe(m)
}

// ends reports whether the apply will remove a deployment, which may fail.
func (r *Resource) ends(ctx context.Context, d *rendering, m, prior model) bool {
	old, _ := prior.current(ctx, r)
	return len(prior.LeftBehind.Elements()) > 0 || d.movedFrom(old, m)
}

// warnOfLater says why a plan shows less than it could.
func (m model) warnOfLater(why error) (diags diag.Diagnostics) {
	switch {
	case errors.Is(why, connection.ErrUnknown), errors.Is(why, errNoKeys) && awaited(why) && !errors.Is(why, errNoAccount):
	case errors.Is(why, errNoKeys):
		diags.AddWarning(fmt.Sprintf("pgbackup_schedule (%s): what will be deployed is only known after apply", m.Name.ValueString()),
			"What the role of the job may read depends on the repository. "+valid.Sentence(why))
	default:
		diags.AddWarning(fmt.Sprintf("pgbackup_schedule (%s): what will be deployed is only known after apply", m.Name.ValueString()),
			"The names of what is made in AWS hold the number of the account. "+valid.Sentence(why))
	}
	return diags
}
