// Package planmod holds the plan modifiers the resources share.
package planmod

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
)

// SameDuration keeps the spelling in state when the configuration means the
// same length of time: 24h and 1d are no change.
func SameDuration() planmodifier.String {
	return same{"24h and 1d are the same and plan no change.", func(a, b string) bool {
		x, errX := duration.Parse(a)
		y, errY := duration.Parse(b)
		return errX == nil && errY == nil && x.Equal(y)
	}}
}

type same struct {
	describes string
	equal     func(state, config string) bool
}

func (m same) Description(context.Context) string { return m.describes }

func (m same) MarkdownDescription(context.Context) string { return m.describes }

func (m same) PlanModifyString(_ context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	if req.StateValue.IsNull() || req.PlanValue.IsNull() || req.PlanValue.IsUnknown() {
		return
	}
	if m.equal(req.StateValue.ValueString(), req.PlanValue.ValueString()) {
		resp.PlanValue = req.StateValue
	}
}

// SamePlace reports whether two repository ids name the same directory, or the
// same bucket and prefix, however these are reached.
func SamePlace(a, b string) bool {
	x, errX := location.Parse(a)
	y, errY := location.Parse(b)
	return errX == nil && errY == nil && x.Directory == y.Directory && x.Bucket == y.Bucket && x.Prefix == y.Prefix
}
