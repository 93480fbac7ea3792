package alarm

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/alarm"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// ValidateConfig works the alarms out as soon as all is known, which finds
// whatever is wrong with them.
func (r *Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !m.known(ctx) {
		return
	}
	if m.Failed.IsNull() {
		m.Failed = types.BoolValue(true) // defaults come later
	}
	s, err := m.spec(ctx)
	if err == nil {
		_, err = alarm.Plan(s)
	}
	if err != nil {
		resp.Diagnostics.AddError("Invalid pgbackup_alarm", valid.Sentence(err))
	}
}

// ModifyPlan shows what will be made. It is known at plan, so that a change made
// in AWS differs from it and is put right.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return
	}
	var m, state model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	}
	if resp.Diagnostics.HasError() || r.conn == nil {
		return
	}
	var configured types.String
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("name"), &configured)...)
	if configured.IsNull() && !m.Policy.IsUnknown() {
		if id, err := location.ParsePolicyID(m.Policy.ValueString()); err == nil {
			m.Name = types.StringValue(id.Name)
		}
	}
	if !state.Name.IsNull() && !m.Name.Equal(state.Name) {
		resp.RequiresReplace = append(resp.RequiresReplace, path.Root("name"))
	}
	if !m.known(ctx) {
		resp.Diagnostics.Append(resp.Plan.Set(ctx, m.undefined())...)
		return
	}
	d, region, err := r.define(ctx, m)
	if err != nil {
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_alarm (%s): what will be made is only known at apply", m.Name.ValueString()), valid.Sentence(err))
		resp.Diagnostics.Append(resp.Plan.Set(ctx, m.undefined())...)
		return
	}
	m.describe(d, region)
	if d.Topic != nil && !state.Topic.IsNull() && !m.Topic.Equal(state.Topic) {
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_alarm (%s): every address has to be confirmed again", m.Name.ValueString()), "The alarms get another topic, and subscriptions do not move.")
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, m)...)
}

// undefined is the model before what it makes is known.
func (m model) undefined() model {
	m.ID, m.Topic, m.Definition = types.StringUnknown(), types.StringUnknown(), types.StringUnknown()
	return m
}

// same compares two policies of a topic by what they say.
func same(a, b string) bool { return iampolicy.Same([]byte(a), []byte(b)) }
