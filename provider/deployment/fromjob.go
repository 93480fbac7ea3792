package deployment

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
)

// fromJob gives the attributes of a job file, by name, as a configuration would
// say them. It is the reverse of toJob, for an import.
func (r *Resource) fromJob(ctx context.Context, j job.Job) (attributes map[string]any, diags diag.Diagnostics) {
	failed := "importing " + r.typ.called() + " (" + j.Name + ")"
	if !slices.Contains(r.typ.Kinds, j.Kind) {
		diags.AddError(failed, fmt.Sprintf("It is a job of kind %q, which another type of resource declares.", j.Kind))
		return nil, diags
	}
	at, err := location.Parse(j.Repository)
	if err != nil {
		diags.AddError(failed, err.Error())
		return nil, diags
	}
	attributes, diags = r.typ.FromJob(ctx, j)
	if diags.HasError() {
		return nil, diags
	}
	maps.Copy(attributes, map[string]any{
		"name":    j.Name,
		"policy":  location.PolicyID{Repository: at, Name: j.Policy}.String(),
		"key_ref": Optional(j.KeyRef.String()), "metrics": Optional(string(j.Metrics)),
	})
	read := Reader{Context: ctx}
	if notifications := read.notifications(j.Notify); len(notifications) > 0 {
		attributes["notifications"] = notifications
	}
	if j.Schedule != nil {
		attributes["cron"], attributes["timezone"] = j.Schedule.Cron, Optional(j.Schedule.Timezone)
	}
	return attributes, append(diags, read.Diags...)
}

// Reader collects what is wrong on the way from a job file to attributes.
type Reader struct {
	Context context.Context // of one import
	Diags   diag.Diagnostics
}

// Texts are a list; null for none.
func (r *Reader) Texts(items []string) types.List {
	if len(items) == 0 {
		return types.ListNull(types.StringType)
	}
	value, diags := types.ListValueFrom(r.Context, types.StringType, items)
	r.Diags.Append(diags...)
	return value
}

// TextMap is a map; null for an empty one.
func (r *Reader) TextMap(items map[string]string) types.Map {
	if len(items) == 0 {
		return types.MapNull(types.StringType)
	}
	values := map[string]attr.Value{}
	for name, text := range items {
		values[name] = types.StringValue(text)
	}
	return types.MapValueMust(types.StringType, values)
}

func (r *Reader) notifications(told []job.Notification) (list []notificationModel) {
	for _, n := range told {
		var on []string
		for _, event := range n.On {
			on = append(on, string(event))
		}
		list = append(list, notificationModel{
			Channel: types.StringValue(string(n.Channel)), URLRef: Optional(n.URLRef.String()), SecretRef: Optional(n.SecretRef.String()), On: r.Texts(on),
		})
	}
	return list
}

// Optional is null for what was not given.
func Optional(text string) types.String {
	if text == "" {
		return types.StringNull()
	}
	return types.StringValue(text)
}
