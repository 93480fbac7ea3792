package policy

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// ValidateConfig asks the policy document itself whether its rules make sense
// together, as soon as all of them are known.
func (r *Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d, known, diags := m.document()
	resp.Diagnostics.Append(diags...)
	if known && !diags.HasError() {
		resp.Diagnostics.Append(faults(d)...)
	}
}

// faults are the errors of a document's rules, each at its attribute.
func faults(d policy.Document) (diags diag.Diagnostics) {
	rules, err := d.Rules()
	if err != nil {
		return nil // the time zone has a validator of its own
	}
	for _, err := range split(rules.Validate()) {
		at := path.Root("retention")
		word, _, _ := strings.Cut(err.Error(), " ")
		for _, s := range settings(&model{}, &d) {
			if s.name == word {
				at = path.Root(s.block).AtName(s.name)
			}
		}
		diags.AddAttributeError(at, "Invalid policy", valid.Sentence(err))
	}
	return diags
}

// split takes joined errors apart.
func split(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, split(e)...)
	}
	return all
}
