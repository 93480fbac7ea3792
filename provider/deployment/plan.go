package deployment

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
func inputs(d Declared) []attr.Value {
	m := d.Base()
	return append([]attr.Value{m.Name, m.Policy, m.Runner, m.Cron, m.Timezone, m.Enabled, m.KeyRef, m.Metrics, m.Notifications, m.Tags, m.RunOn}, d.Own()...)
}

// ValidateConfig renders the deployment as soon as everything is known, which
// finds whatever is wrong with it.
func (r *Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	d, diags := r.declared(ctx, req.Config)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	_, diags = r.preview(ctx, d)
	resp.Diagnostics.Append(diags...)
}

// preview renders what is known. It gives nil while that is not enough, or when
// something is wrong with it.
func (r *Resource) preview(ctx context.Context, d Declared) (rendered *rendering, diags diag.Diagnostics) {
	m := d.Base()
	if !d.Given() || m.RunOn.IsNull() || m.refused() {
		return nil, nil
	}
	if !known(ctx, inputs(d)...) {
		return nil, previewJob(ctx, d)
	}
	rendered, diags = r.render(ctx, d)
	if diags.HasError() {
		return nil, diags
	}
	return rendered, diags
}

// somePolicy stands for a policy whose id is not known yet.
const somePolicy = "s3://not-known-yet#not-known-yet"

// previewJob finds what is wrong with a job before it is known which repository it
// goes to, which is the usual case of a first plan.
func previewJob(ctx context.Context, d Declared) diag.Diagnostics {
	m := d.Base()
	if !known(ctx, append(d.Own(), m.Name, m.Cron, m.Timezone, m.KeyRef, m.Metrics, m.Notifications)...) {
		return nil
	}
	policy := m.Policy
	m.Policy = types.StringValue(somePolicy)
	_, err := toJob(ctx, d)
	m.Policy = policy
	return m.invalidJob(err)
}

// refused: a validator of an attribute has reported what rendering would report
// again.
func (m *Model) refused() bool {
	_, zoneErr := timezone.Load(m.Timezone.ValueString())
	_, cronErr := schedule.Parse(m.Cron.ValueString(), "")
	return !m.Timezone.IsUnknown() && zoneErr != nil || !m.Cron.IsUnknown() && !m.Cron.IsNull() && cronErr != nil || !m.Name.IsUnknown() && identifier.Check(m.Name.ValueString()) != nil
}

// invalidJob is tied to an attribute only where the error is: Terraform would print
// all of a block, and a password that stands there instead of its reference with it.
func (m *Model) invalidJob(err error) (diags diag.Diagnostics) {
	var rest []error
	for _, e := range split(err) {
		if at := (AtAttribute{}); errors.As(e, &at) {
			diags.AddAttributeError(at.At, "Invalid value for "+at.At.String(), valid.Sentence(e))
			continue
		}
		rest = append(rest, e)
	}
	if err := errors.Join(rest...); err != nil {
		diags.AddError("Invalid job of "+m.Called(), valid.Sentence(err))
	}
	return diags
}

// rendering is what a model comes to.
type rendering struct {
	target
	deployment
	name  string // of the target
	input input
	later error // why not everything of it is known; nil when it is
}

// render makes the deployment of a model whose inputs are all known. Everything
// that is wrong with it is in the diagnostics.
func (r *Resource) render(ctx context.Context, d Declared) (*rendering, diag.Diagnostics) {
	m := d.Base()
	on, diags := m.runOn(ctx)
	if diags.HasError() {
		return nil, diags
	}
	if _, err := schedule.Parse(m.Cron.ValueString(), m.Timezone.ValueString()); err != nil && !m.Cron.IsNull() {
		diags.AddAttributeError(path.Root("cron"), "Invalid value for cron", valid.Sentence(err))
	}
	out := rendering{input: input{Model: m, on: on}}
	var err error
	if out.name, err = on.name(); err == nil {
		out.target, err = r.target(out.name)
	}
	if err != nil {
		diags.AddAttributeError(path.Root("run_on"), "Invalid value for run_on", valid.Sentence(err))
	}
	if out.input.job, err = toJob(ctx, d); err != nil && !diags.HasError() {
		diags.Append(m.invalidJob(err)...)
	}
	if m.Runner.ValueString() != "" {
		if out.input.release, err = runnerdist.ParseRelease(m.Runner.ValueString()); err != nil {
			diags.AddAttributeError(path.Root("runner"), "Invalid value for runner", valid.Sentence(err))
		}
	}
	if diags.HasError() {
		return nil, diags
	}
	var more diag.Diagnostics
	out.deployment, more, out.later = out.render(ctx, out.input)
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
	d, diags := r.declared(ctx, req.Plan)
	resp.Diagnostics.Append(diags...)
	var prior Declared
	if !req.State.Raw.IsNull() {
		prior, diags = r.declared(ctx, req.State)
		resp.Diagnostics.Append(diags...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	rendered, diags := r.preview(ctx, d)
	resp.Diagnostics.Append(diags...)
	if rendered == nil || resp.Diagnostics.HasError() {
		return
	}
	m := d.Base()
	if rendered.later != nil {
		resp.Diagnostics.Append(m.warnOfLater(rendered.later)...)
		switch m.Shown = unknownShown(); {
		case prior != nil && sameInputs(d, prior):
			m.Shown = prior.Base().Shown // a plan that nobody asked for would help nobody
		case !errors.Is(rendered.later, errNoAccount) && errors.Is(rendered.later, errNoKeys):
			// Only what the role may read is not known yet.
			rendered.show(d)
			m.Deployment, m.JobDigest = types.StringUnknown(), types.StringUnknown()
		}
	} else {
		rendered.show(d)
		if m.LeftBehind = emptyList(); prior != nil && r.ends(ctx, rendered, m, prior.Base()) {
			m.LeftBehind = types.ListUnknown(leftType)
		}
		resp.Diagnostics.Append(m.warnAboutAccess(ctx)...)
	}
	resp.Diagnostics.Append(r.warn(ctx, rendered, d, prior)...)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, d)...)
}

// warn lets the type of resource look at the plan.
func (r *Resource) warn(ctx context.Context, rendered *rendering, d, prior Declared) diag.Diagnostics {
	if r.typ.Warn == nil || r.conn == nil {
		return nil
	}
	return r.typ.Warn(ctx, Planned{Declared: d, Job: rendered.input.job, Conn: r.conn, Target: rendered.name, Machine: rendered.input.on.machine(), Before: prior})
}

// sameInputs reports whether two models say the same in everything that users say.
func sameInputs(one, other Declared) bool {
	a, b := inputs(one), inputs(other)
	for i := range a {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

// show sets every computed attribute but left_behind.
func (d rendering) show(declared Declared) {
	m := declared.Base()
	m.Shown, m.archiveCommand = nullShown(), types.StringNull()
	d.describe(m)
	if a, ok := declared.(Archives); ok {
		*a.ArchivedBy() = m.archiveCommand
	}
}

// ends reports whether the apply will remove a deployment, which may fail.
func (r *Resource) ends(ctx context.Context, d *rendering, m, prior *Model) bool {
	old, _ := prior.current(ctx, r)
	return len(prior.LeftBehind.Elements()) > 0 || d.movedFrom(old, m)
}

// warnOfLater says why a plan shows less than it could.
func (m *Model) warnOfLater(why error) (diags diag.Diagnostics) {
	switch {
	case errors.Is(why, connection.ErrUnknown), errors.Is(why, errNoKeys) && awaited(why) && !errors.Is(why, errNoAccount):
	case errors.Is(why, errNoKeys):
		diags.AddWarning(fmt.Sprintf("%s: what will be deployed is only known after apply", m.Called()),
			"What the role of the job may read depends on the repository. "+valid.Sentence(why))
	default:
		diags.AddWarning(fmt.Sprintf("%s: what will be deployed is only known after apply", m.Called()),
			"The names of what is made in AWS hold the number of the account. "+valid.Sentence(why))
	}
	return diags
}
