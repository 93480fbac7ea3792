package policy

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
)

type storageModel struct {
	Class       types.String `tfsdk:"class"`
	Classes     types.Object `tfsdk:"classes"`
	Transitions types.List   `tfsdk:"transitions"`
	ExpireAfter types.String `tfsdk:"expire_after"`
}

type classesModel struct {
	Hourly  types.String `tfsdk:"hourly"`
	Daily   types.String `tfsdk:"daily"`
	Weekly  types.String `tfsdk:"weekly"`
	Monthly types.String `tfsdk:"monthly"`
	Yearly  types.String `tfsdk:"yearly"`
}

type transitionModel struct {
	After types.String `tfsdk:"after"`
	Class types.String `tfsdk:"class"`
	Tiers types.List   `tfsdk:"tiers"`
}

// storage reads the block of that name.
func (r *reader) storage(ctx context.Context, block types.Object) (s policy.Storage) {
	var m storageModel
	if !r.into(ctx, block, &m) {
		return s
	}
	at := path.Root("storage")
	s.Class = r.text(m.Class)
	s.ExpireAfter = r.span(m.ExpireAfter, at.AtName("expire_after"))
	var c classesModel
	if r.into(ctx, m.Classes, &c) {
		s.Classes = policy.TierClasses{Hourly: r.text(c.Hourly), Daily: r.text(c.Daily), Weekly: r.text(c.Weekly), Monthly: r.text(c.Monthly), Yearly: r.text(c.Yearly)}
	}
	s.Transitions = r.transitions(ctx, m.Transitions, at.AtName("transitions"))
	return s
}

func (r *reader) transitions(ctx context.Context, list types.List, at path.Path) (all []policy.Transition) {
	r.unknown = r.unknown || list.IsUnknown()
	for i, element := range list.Elements() {
		var m transitionModel
		block, ok := element.(types.Object)
		if !ok || !r.into(ctx, block, &m) {
			continue
		}
		t := policy.Transition{After: r.span(m.After, at.AtListIndex(i).AtName("after")), Class: r.text(m.Class)}
		r.unknown = r.unknown || m.Tiers.IsUnknown()
		if !m.Tiers.IsNull() {
			t.Tiers = []string{} // none at all is not every one
		}
		for _, tier := range m.Tiers.Elements() {
			if name, ok := tier.(types.String); ok {
				t.Tiers = append(t.Tiers, r.text(name))
			}
		}
		all = append(all, t)
	}
	return all
}

// takeStorage puts what a document says of storage into the model.
func (m *model) takeStorage(ctx context.Context, s policy.Storage) (diags diag.Diagnostics) {
	if m.Storage.IsNull() && sameStorage(policy.Storage{}, s) {
		return nil
	}
	var r reader
	before := r.storage(ctx, m.Storage)
	kinds := m.Storage.AttributeTypes(ctx)
	block := storageModel{
		Classes:     types.ObjectNull(kinds["classes"].(types.ObjectType).AttrTypes),
		Transitions: types.ListNull(kinds["transitions"].(types.ListType).ElemType),
	}
	r.into(ctx, m.Storage, &block)
	takeText(&block.Class, s.Class)
	takeSpan(&block.ExpireAfter, s.ExpireAfter)
	if !block.Classes.IsNull() || s.Classes != (policy.TierClasses{}) {
		var c classesModel
		r.into(ctx, block.Classes, &c)
		takeText(&c.Hourly, s.Classes.Hourly)
		takeText(&c.Daily, s.Classes.Daily)
		takeText(&c.Weekly, s.Classes.Weekly)
		takeText(&c.Monthly, s.Classes.Monthly)
		takeText(&c.Yearly, s.Classes.Yearly)
		block.Classes, diags = types.ObjectValueFrom(ctx, block.Classes.AttributeTypes(ctx), c)
		r.diags.Append(diags...)
	}
	if !sameStorage(policy.Storage{Transitions: before.Transitions}, policy.Storage{Transitions: s.Transitions}) {
		block.Transitions, diags = writeTransitions(ctx, block.Transitions.ElementType(ctx).(types.ObjectType), s.Transitions)
		r.diags.Append(diags...)
	}
	m.Storage, diags = types.ObjectValueFrom(ctx, kinds, block)
	return append(r.diags, diags...)
}

func writeTransitions(ctx context.Context, kind types.ObjectType, all []policy.Transition) (types.List, diag.Diagnostics) {
	if len(all) == 0 {
		return types.ListNull(kind), nil
	}
	var blocks []transitionModel
	for _, t := range all {
		block := transitionModel{After: types.StringValue(t.After.String()), Class: types.StringValue(t.Class), Tiers: types.ListNull(types.StringType)}
		if t.Tiers != nil {
			tiers, diags := types.ListValueFrom(ctx, types.StringType, t.Tiers)
			if diags.HasError() {
				return types.ListNull(kind), diags
			}
			block.Tiers = tiers
		}
		blocks = append(blocks, block)
	}
	return types.ListValueFrom(ctx, kind, blocks)
}

// sameStorage compares by meaning.
func sameStorage(a, b policy.Storage) bool {
	return len(policy.Diff(policy.Document{Storage: a}, policy.Document{Storage: b})) == 0
}
