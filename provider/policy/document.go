package policy

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

type model struct {
	ID          types.String  `tfsdk:"id"`
	Name        types.String  `tfsdk:"name"`
	Repository  types.String  `tfsdk:"repository"`
	Environment types.String  `tfsdk:"environment"`
	Timezone    types.String  `tfsdk:"timezone"`
	Objectives  types.Object  `tfsdk:"objectives"`
	Retention   types.Dynamic `tfsdk:"retention"`
	Storage     types.Object  `tfsdk:"storage"`
	Revision    types.Int64   `tfsdk:"revision"`
	Digest      types.String  `tfsdk:"digest"`
}

// setting is one length of time of a document and where it stands in the
// configuration. Reading and writing both go through this one table.
type setting struct {
	object *types.Object
	block  string
	name   string
	span   *duration.Duration
}

func settings(m *model, d *policy.Document) []setting {
	return []setting{
		{object: &m.Objectives, block: "objectives", name: "rpo", span: &d.Objectives.RPO},
		{object: &m.Objectives, block: "objectives", name: "rto", span: &d.Objectives.RTO},
		{object: &m.Storage, block: "storage", name: "expire_after", span: &d.Storage.ExpireAfter},
	}
}

// document builds the policy document. known is false while a value is not known
// yet; what is known is in the document then, for as much validation as can be.
func (m model) document() (d policy.Document, known bool, diags diag.Diagnostics) {
	d = policy.Document{Format: policy.Format, Name: m.Name.ValueString(), Environment: m.Environment.ValueString(), Timezone: m.Timezone.ValueString()}
	known = !m.Name.IsUnknown() && !m.Environment.IsUnknown() && !m.Timezone.IsUnknown()
	for _, s := range settings(&m, &d) {
		if s.object.IsNull() {
			continue
		}
		value, ok := s.object.Attributes()[s.name].(types.String)
		if !ok || value.IsUnknown() { // a block that is not known yet has no attributes
			known = false
			continue
		}
		if value.IsNull() {
			continue
		}
		parsed, err := duration.Parse(value.ValueString())
		if err != nil {
			at := path.Root(s.block).AtName(s.name)
			diags.AddAttributeError(at, "Invalid value for "+at.String(), valid.Sentence(err))
			continue
		}
		*s.span = parsed
	}
	keep, rulesKnown, errs := readRules(m.Retention)
	d.Retention = keep
	for _, err := range errs {
		diags.AddAttributeError(path.Root("retention"), "Invalid rule in retention", valid.Sentence(err))
	}
	return d, known && rulesKnown, diags
}

// take puts a document into the model. What means the same as the model says
// already keeps the user's spelling, also a 0 or an empty block that the
// document has no trace of.
func (m *model) take(ctx context.Context, d policy.Document) (diags diag.Diagnostics) {
	m.Name = types.StringValue(d.Name)
	text := func(into *types.String, value string) {
		if into.ValueString() != value {
			*into = types.StringValue(value)
			if value == "" {
				*into = types.StringNull()
			}
		}
	}
	text(&m.Environment, d.Environment)
	text(&m.Timezone, d.Timezone)
	for _, s := range settings(m, &d) {
		diags.Append(s.take(ctx)...)
	}
	if before, known, errs := readRules(m.Retention); !known || len(errs) > 0 || m.Retention.IsNull() || !sameRules(before, d.Retention) {
		m.Retention = writeRules(d.Retention)
	}
	return diags
}

func (s setting) take(ctx context.Context) (diags diag.Diagnostics) {
	attributes := s.object.Attributes()
	if s.object.IsNull() {
		if s.span.IsZero() {
			return nil
		}
		attributes = map[string]attr.Value{}
		for name := range s.object.AttributeTypes(ctx) {
			attributes[name] = types.StringNull()
		}
	}
	old, _ := attributes[s.name].(types.String)
	if before, err := duration.Parse(old.ValueString()); old.IsNull() || err != nil || !before.Equal(*s.span) {
		attributes[s.name] = types.StringNull()
		if !s.span.IsZero() {
			attributes[s.name] = types.StringValue(s.span.String())
		}
	}
	*s.object, diags = types.ObjectValue(s.object.AttributeTypes(ctx), attributes)
	return diags
}
