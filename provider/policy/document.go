package policy

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/rulesattr"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

type model struct {
	ID              types.String  `tfsdk:"id"`
	Name            types.String  `tfsdk:"name"`
	Repository      types.String  `tfsdk:"repository"`
	Environment     types.String  `tfsdk:"environment"`
	Timezone        types.String  `tfsdk:"timezone"`
	Objectives      types.Object  `tfsdk:"objectives"`
	Retention       types.Dynamic `tfsdk:"retention"`
	Storage         types.Object  `tfsdk:"storage"`
	ApproveExpiry   types.String  `tfsdk:"approve_expiry"`
	ManageLifecycle types.Bool    `tfsdk:"manage_lifecycle"`
	Revision        types.Int64   `tfsdk:"revision"`
	Digest          types.String  `tfsdk:"digest"`
	Summary         types.List    `tfsdk:"summary"`
	Impact          types.Object  `tfsdk:"impact"`
	Cost            types.Object  `tfsdk:"estimated_monthly_cost_usd"`
	LifecycleRules  types.List    `tfsdk:"lifecycle_rules"`
}

type objectivesModel struct {
	RPO types.String `tfsdk:"rpo"`
	RTO types.String `tfsdk:"rto"`
}

// reader collects what goes wrong, and whether everything is known yet, while
// parts of a document are read.
type reader struct {
	unknown bool
	diags   diag.Diagnostics
}

func (r *reader) text(value types.String) string {
	r.unknown = r.unknown || value.IsUnknown()
	return value.ValueString()
}

func (r *reader) span(value types.String, at path.Path) duration.Duration {
	if r.text(value) == "" {
		return duration.Duration{}
	}
	d, err := duration.Parse(value.ValueString())
	if err != nil {
		r.diags.AddAttributeError(at, "Invalid value for "+at.String(), valid.Sentence(err))
	}
	return d
}

// into reads a block into a struct; false when there is none to be read.
func (r *reader) into(ctx context.Context, block types.Object, target any) bool {
	if r.unknown = r.unknown || block.IsUnknown(); block.IsNull() || block.IsUnknown() {
		return false
	}
	r.diags.Append(block.As(ctx, target, basetypes.ObjectAsOptions{})...)
	return true
}

// document builds the policy document. known is false while a value is not known
// yet; what is known is in the document then, for as much validation as can be.
func (m model) document(ctx context.Context) (d policy.Document, known bool, diags diag.Diagnostics) {
	var r reader
	d = policy.Document{Format: policy.Format, Name: r.text(m.Name), Environment: r.text(m.Environment), Timezone: r.text(m.Timezone)}
	var o objectivesModel
	if r.into(ctx, m.Objectives, &o) {
		at := path.Root("objectives")
		d.Objectives = policy.Objectives{RPO: r.span(o.RPO, at.AtName("rpo")), RTO: r.span(o.RTO, at.AtName("rto"))}
	}
	d.Storage = r.storage(ctx, m.Storage)
	keep, rulesKnown, errs := rulesattr.Read(m.Retention)
	d.Retention = keep
	for _, err := range errs {
		r.diags.AddAttributeError(path.Root("retention"), "Invalid rule in retention", valid.Sentence(err))
	}
	return d, rulesKnown && !r.unknown, r.diags
}

// known is the document of a state, nil when it cannot be read.
func (m model) known(ctx context.Context) *policy.Document {
	d, _, diags := m.document(ctx)
	if diags.HasError() {
		return nil
	}
	return &d
}

// take puts a document into the model. What means the same as the model says
// already keeps the user's spelling, also a 0 or an empty block that the
// document has no trace of.
func (m *model) take(ctx context.Context, d policy.Document) (diags diag.Diagnostics) {
	m.Name = types.StringValue(d.Name)
	if old, known, errs := m.document(ctx); known && !errs.HasError() && !m.Retention.IsNull() && len(policy.Diff(old, d)) == 0 {
		return nil
	}
	takeText(&m.Environment, d.Environment)
	takeText(&m.Timezone, d.Timezone)
	diags.Append(m.takeObjectives(ctx, d.Objectives)...)
	diags.Append(m.takeStorage(ctx, d.Storage)...)
	if before, known, errs := rulesattr.Read(m.Retention); !known || len(errs) > 0 || m.Retention.IsNull() || !rulesattr.Same(before, d.Retention) {
		m.Retention = rulesattr.Write(d.Retention)
	}
	return diags
}

func (m *model) takeObjectives(ctx context.Context, o policy.Objectives) (diags diag.Diagnostics) {
	if m.Objectives.IsNull() && o.RPO.IsZero() && o.RTO.IsZero() {
		return nil
	}
	var r reader
	var block objectivesModel
	r.into(ctx, m.Objectives, &block)
	takeSpan(&block.RPO, o.RPO)
	takeSpan(&block.RTO, o.RTO)
	m.Objectives, diags = types.ObjectValueFrom(ctx, m.Objectives.AttributeTypes(ctx), block)
	return append(r.diags, diags...)
}

func takeText(into *types.String, value string) {
	if into.ValueString() == value {
		return
	}
	*into = types.StringNull()
	if value != "" {
		*into = types.StringValue(value)
	}
}

func takeSpan(into *types.String, value duration.Duration) {
	if before, err := duration.Parse(into.ValueString()); !into.IsNull() && err == nil && before.Equal(value) {
		return
	}
	*into = types.StringNull()
	if !value.IsZero() {
		*into = types.StringValue(value.String())
	}
}
