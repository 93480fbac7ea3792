// Package told writes what a repository tells into attributes: numbers, moments
// and estimates, the same way in resources and in data sources, and the schemas of
// the computed attributes that hold them.
//
// What must not live here: anything about a single resource.
package told

import (
	"math"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Number is a count.
func Number(n int) types.Int64 { return types.Int64Value(int64(n)) }

// Seconds is a length of time in whole seconds.
func Seconds(d time.Duration) types.Int64 { return types.Int64Value(int64(d / time.Second)) }

// Moment is RFC 3339 in UTC, null for none.
func Moment(t time.Time) types.String {
	if t.IsZero() {
		return types.StringNull()
	}
	return types.StringValue(t.UTC().Format(time.RFC3339))
}

// Dollars rounds an estimate, so that a sum in another order gives the same. Small
// repositories cost less than a cent, which is not nothing.
func Dollars(usd float64) types.Float64 { return types.Float64Value(math.Round(usd*1e6) / 1e6) }
