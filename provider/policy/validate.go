package policy

import (
	"context"
	"errors"
	"strconv"
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
	d, known, diags := m.document(ctx)
	resp.Diagnostics.Append(diags...)
	if known && !diags.HasError() {
		resp.Diagnostics.Append(faults(d)...)
	}
}

// faults are the errors of a document, each at its attribute. What a validator
// of the attribute itself says already is left out.
func faults(d policy.Document) (diags diag.Diagnostics) {
	for _, err := range split(errors.Unwrap(d.Validate())) {
		word, _, _ := strings.Cut(err.Error(), " ")
		switch word = strings.TrimSuffix(word, ":"); {
		case word == "policy", word == "environment", word == "timezone":
		case strings.HasPrefix(word, "storage."):
			diags.AddAttributeError(attribute(word), "Invalid policy", valid.Sentence(err))
		case word == "expire_after":
			diags.AddAttributeError(path.Root("storage").AtName(word), "Invalid policy", valid.Sentence(err))
		default:
			diags.AddAttributeError(path.Root("retention"), "Invalid policy", valid.Sentence(err))
		}
	}
	return diags
}

// attribute reads a path as documents write it: storage.transitions[1].after.
func attribute(text string) path.Path {
	at := path.Empty()
	for step := range strings.SplitSeq(text, ".") {
		name, index, indexed := strings.Cut(strings.TrimSuffix(step, "]"), "[")
		at = at.AtName(name)
		if n, err := strconv.Atoi(index); indexed && err == nil {
			at = at.AtListIndex(n)
		}
	}
	return at
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
