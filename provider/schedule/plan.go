package schedule

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource"
)

// ValidateConfig renders the deployment as soon as everything is known, which
// finds whatever is wrong with it.
func (r *Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !m.inputsKnown(ctx) || m.Job.IsNull() || m.RunOn.IsNull() {
		return
	}
	_, diags := m.deployment(ctx)
	resp.Diagnostics.Append(diags...)
}

// ModifyPlan shows what will be deployed. Rendering is pure, so that apply
// renders the same; a file that Read found changed differs from it and is
// planned to be put right.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return
	}
	var m model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !m.inputsKnown(ctx) {
		return
	}
	d, diags := m.deployment(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	m.describe(d)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, m)...)
}
