package schedule

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/identifier"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/timezone"
)

// ValidateConfig renders the deployment as soon as everything is known, which
// finds whatever is wrong with it.
func (r *Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !m.inputsKnown(ctx) || m.Job.IsNull() || m.RunOn.IsNull() || m.refused() {
		return
	}
	_, diags := m.deployment(ctx)
	resp.Diagnostics.Append(diags...)
}

// refused: a validator of an attribute has reported what rendering would report
// again.
func (m model) refused() bool {
	_, zoneErr := timezone.Load(m.Timezone.ValueString())
	_, cronErr := schedule.Parse(m.Cron.ValueString(), "")
	return zoneErr != nil || cronErr != nil || identifier.Check(m.Name.ValueString()) != nil
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
	resp.Diagnostics.Append(m.warnAboutAccess(ctx)...)
	m.describe(d)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, m)...)
}
