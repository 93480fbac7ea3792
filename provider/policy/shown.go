package policy

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/impact"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/told"
)

type impactModel struct {
	AsOf    types.String  `tfsdk:"as_of"`
	Points  types.Int64   `tfsdk:"points"`
	Bytes   types.Int64   `tfsdk:"bytes"`
	Spared  types.Int64   `tfsdk:"spared"`
	Waiting types.Int64   `tfsdk:"waiting"`
	Gained  types.Int64   `tfsdk:"gained"`
	Groups  []groupModel  `tfsdk:"groups"`
	Windows []windowModel `tfsdk:"windows"`
}

type windowModel struct {
	Source     types.String `tfsdk:"source"`
	System     types.String `tfsdk:"system_identifier"`
	FromBefore types.String `tfsdk:"from_before"`
	FromAfter  types.String `tfsdk:"from_after"`
	Lost       types.Bool   `tfsdk:"lost"`
}

type groupModel struct {
	Source       types.String `tfsdk:"source"`
	Kind         types.String `tfsdk:"kind"`
	KeptBefore   types.Int64  `tfsdk:"kept_before"`
	KeptAfter    types.Int64  `tfsdk:"kept_after"`
	Lost         types.Int64  `tfsdk:"lost"`
	LostBytes    types.Int64  `tfsdk:"lost_bytes"`
	Gained       types.Int64  `tfsdk:"gained"`
	OldestBefore types.String `tfsdk:"oldest_before"`
	OldestAfter  types.String `tfsdk:"oldest_after"`
	GapBefore    types.Int64  `tfsdk:"gap_before_seconds"`
	GapAfter     types.Int64  `tfsdk:"gap_after_seconds"`
}

type costModel struct {
	Before types.Float64 `tfsdk:"before"`
	After  types.Float64 `tfsdk:"after"`
	Prices types.String  `tfsdk:"prices"`
}

// show puts an impact into the attributes that tell of it. The same impact gives
// the same values always: Terraform compares those of the plan with those of the
// apply.
func (m *model) show(ctx context.Context, i impact.Impact) (diags diag.Diagnostics) {
	var d diag.Diagnostics
	m.Summary, d = types.ListValueFrom(ctx, types.StringType, append([]string{}, i.Sentences...))
	diags.Append(d...)
	shown := impactModel{
		AsOf: told.Moment(i.AsOf), Points: told.Number(i.Points), Bytes: types.Int64Value(i.Bytes),
		Spared: told.Number(i.Spared), Waiting: told.Number(i.Waiting), Gained: told.Number(i.Gained), Groups: []groupModel{},
		Windows: []windowModel{},
	}
	for _, g := range i.Groups {
		shown.Groups = append(shown.Groups, groupModel{
			Source: types.StringValue(g.Source), Kind: types.StringValue(g.Kind),
			KeptBefore: told.Number(g.Before), KeptAfter: told.Number(g.After),
			Lost: told.Number(g.Lost), LostBytes: types.Int64Value(g.LostBytes), Gained: told.Number(g.Gained),
			OldestBefore: told.Moment(g.OldestBefore), OldestAfter: told.Moment(g.OldestAfter),
			GapBefore: told.Seconds(g.GapBefore), GapAfter: told.Seconds(g.GapAfter),
		})
	}
	for _, w := range i.Windows {
		shown.Windows = append(shown.Windows, windowModel{
			Source: types.StringValue(w.Source), System: types.StringValue(w.System),
			FromBefore: told.Moment(w.Before), FromAfter: told.Moment(w.After), Lost: types.BoolValue(w.Lost),
		})
	}
	m.Impact, d = types.ObjectValueFrom(ctx, m.Impact.AttributeTypes(ctx), shown)
	diags.Append(d...)
	m.Cost = types.ObjectNull(m.Cost.AttributeTypes(ctx))
	if i.Cost != nil {
		m.Cost, d = types.ObjectValueFrom(ctx, m.Cost.AttributeTypes(ctx), costModel{Before: told.Dollars(i.Cost.Before), After: told.Dollars(i.Cost.After), Prices: types.StringValue(i.Cost.Prices)})
		diags.Append(d...)
	}
	return diags
}

// showNothing is what a policy shows that never changed.
func (m *model) showNothing(ctx context.Context) {
	m.Summary = types.ListNull(types.StringType)
	m.Impact = types.ObjectNull(m.Impact.AttributeTypes(ctx))
	m.Cost = types.ObjectNull(m.Cost.AttributeTypes(ctx))
}

// showUnknown leaves to the apply what cannot be told yet.
func (m *model) showUnknown(ctx context.Context) {
	m.Summary = types.ListUnknown(types.StringType)
	m.Impact = types.ObjectUnknown(m.Impact.AttributeTypes(ctx))
	m.Cost = types.ObjectUnknown(m.Cost.AttributeTypes(ctx))
}

// showAsBefore keeps what the state shows of the change before.
func (m *model) showAsBefore(state *model) {
	m.Summary, m.Impact, m.Cost = state.Summary, state.Impact, state.Cost
}

// untold reports whether the plan left the impact to the apply.
func (m *model) untold() bool {
	return m.Summary.IsUnknown() || m.Impact.IsUnknown() || m.Cost.IsUnknown()
}
