package policy

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
)

// asOfKey is where the private state keeps the moment of the last refresh.
//
// Terraform plans once more during the apply and wants the same values then,
// while the repository goes on changing. So what a plan shows is told as of this
// moment, which both plannings find in the private state.
const asOfKey = "as_of"

type privateReader interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}

type privateWriter interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// asOf is the moment of the last refresh, zero when there was none.
func asOf(ctx context.Context, private privateReader) time.Time {
	data, diags := private.GetKey(ctx, asOfKey)
	var at time.Time
	if diags.HasError() || json.Unmarshal(data, &at) != nil {
		return time.Time{} // then the apply tells what the plan cannot
	}
	return at
}

func stampAsOf(ctx context.Context, private privateWriter, now time.Time) diag.Diagnostics {
	data, err := json.Marshal(now.UTC().Format(time.RFC3339Nano))
	if err != nil {
		return diag.Diagnostics{diag.NewErrorDiagnostic("Stamping the refresh", err.Error())}
	}
	return private.SetKey(ctx, asOfKey, data)
}
