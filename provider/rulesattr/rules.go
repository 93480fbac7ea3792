// Package rulesattr is the attribute `retention` as resources, data sources and
// functions take it: an object of rules, read into retention.Keep and written
// back.
//
// What must not live here: what the rules mean (package retention).
package rulesattr

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/nearest"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// The rules are an attribute of dynamic type, not a nested one. Terraform and
// OpenTofu convert an object to the type of a nested attribute and drop what they
// do not know without a word: `keep_dialy = 30` would be no rule at all, and the
// next rotation would delete what it was to keep. A dynamic attribute arrives as
// it was written.

// Read reads an object or map of rules. known is false while one of them is
// not known yet. Each error names its rule.
func Read(value types.Dynamic) (keep retention.Keep, known bool, errs []error) {
	if value.IsUnknown() || value.IsUnderlyingValueUnknown() {
		return keep, false, nil
	}
	if value.IsNull() || value.IsUnderlyingValueNull() {
		return keep, true, nil
	}
	var given map[string]attr.Value
	switch v := value.UnderlyingValue().(type) {
	case basetypes.ObjectValue:
		given = v.Attributes()
	case basetypes.MapValue:
		given = v.Elements()
	default:
		return keep, true, []error{errors.New("give an object of rules, such as { keep_daily = 30 }")}
	}
	fields := keep.Fields()
	known = true
	for _, name := range slices.Sorted(maps.Keys(given)) {
		i := slices.IndexFunc(fields, func(f retention.Field) bool { return f.Name == name })
		if i < 0 {
			errs = append(errs, fmt.Errorf("%.60q is not a rule%s", name, nearest.Suggestion(name, ruleNames())))
			continue
		}
		rule := given[name]
		if inner, ok := rule.(basetypes.DynamicValue); ok && !inner.IsUnknown() && !inner.IsNull() {
			rule = inner.UnderlyingValue()
		}
		switch {
		case rule.IsUnknown():
			known = false
		case rule.IsNull():
		default:
			if err := readRule(fields[i], rule); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
	}
	return keep, known, errs
}

func ruleNames() []string {
	var keep retention.Keep
	var names []string
	for _, f := range keep.Fields() {
		names = append(names, f.Name)
	}
	return names
}

// readRule sets the field from a number, or from text: a length of time, or a
// number as Terraform's own conversions write it.
func readRule(f retention.Field, value attr.Value) error {
	if f.Span != nil {
		text, ok := value.(basetypes.StringValue)
		if !ok {
			return errors.New("give a length of time in quotes, such as \"14d\"")
		}
		d, err := duration.Parse(text.ValueString())
		if err != nil {
			return err
		}
		if d.IsZero() {
			return errors.New("is no time at all: leave the rule out instead")
		}
		*f.Span = d
		return nil
	}
	whole := errors.New("give a whole number, such as 30, or -1 for no limit")
	switch v := value.(type) {
	case basetypes.NumberValue:
		n, accuracy := v.ValueBigFloat().Int64()
		if accuracy != big.Exact {
			return whole
		}
		*f.Count = int(n)
	case basetypes.StringValue:
		n, err := strconv.Atoi(v.ValueString())
		if err != nil {
			return whole
		}
		*f.Count = n
	default:
		return whole
	}
	return nil
}

// Same compares by meaning: 7d and 1w are the same, and so are 0 and a rule
// that is not given.
func Same(a, b retention.Keep) bool {
	return len(policy.Diff(policy.Document{Retention: a}, policy.Document{Retention: b})) == 0
}

// Write writes the rules as a configuration would.
func Write(keep retention.Keep) types.Dynamic {
	kinds, values := map[string]attr.Type{}, map[string]attr.Value{}
	for _, f := range keep.Fields() {
		switch {
		case f.Count != nil && *f.Count != 0:
			kinds[f.Name], values[f.Name] = types.NumberType, types.NumberValue(big.NewFloat(float64(*f.Count)))
		case f.Span != nil && !f.Span.IsZero():
			kinds[f.Name], values[f.Name] = types.StringType, types.StringValue(f.Span.String())
		}
	}
	return types.DynamicValue(types.ObjectValueMust(kinds, values))
}
