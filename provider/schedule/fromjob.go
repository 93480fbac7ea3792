package schedule

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
)

// fromJob gives the attributes of a job file, by name, as a configuration would
// say them. It is the reverse of toJob, for an import.
func fromJob(ctx context.Context, j job.Job, on hostModel) (attributes map[string]any, diags diag.Diagnostics) {
	at, err := location.Parse(j.Repository)
	if err != nil {
		diags.AddError("importing pgbackup_schedule ("+j.Name+")", err.Error())
		return nil, diags
	}
	block := jobModel{}
	if !j.Limits.MaxDuration.IsZero() {
		block.MaxDuration = types.StringValue(j.Limits.MaxDuration.String())
	}
	if !j.Limits.StallTimeout.IsZero() {
		block.StallTimeout = types.StringValue(j.Limits.StallTimeout.String())
	}
	if j.Limits.UploadRate > 0 {
		block.UploadRate = types.Int64Value(j.Limits.UploadRate)
	}
	switch j.Kind {
	case job.KindRotate:
		block.Rotate = &emptyModel{}
	case job.KindVerify:
		block.Verify = &emptyModel{}
	case job.KindLogical:
		block.Logical = &logicalModel{RotateAfter: types.BoolPointerValue(j.Rotate), Verification: optional(string(j.Verify))}
		diags.Append(block.Logical.fromJob(ctx, *j.Logical)...)
	}
	p := placesOf(j.Name, on)
	attributes = map[string]any{
		"id": p.job, "job_path": p.job, "name": j.Name,
		"policy": location.PolicyID{Repository: at, Name: j.Policy}.String(),
		"source": optional(j.Source), "key_ref": optional(j.KeyRef.String()),
		"job": block, "run_on": runOnModel{Host: &on},
	}
	if j.Schedule != nil {
		attributes["cron"], attributes["timezone"] = j.Schedule.Cron, optional(j.Schedule.Timezone)
	}
	return attributes, diags
}

func (l *logicalModel) fromJob(ctx context.Context, from job.Logical) (diags diag.Diagnostics) {
	list := func(into *types.List, items []string) {
		*into = types.ListNull(types.StringType)
		if len(items) > 0 {
			value, more := types.ListValueFrom(ctx, types.StringType, items)
			diags.Append(more...)
			*into = value
		}
	}
	list(&l.Databases, from.Databases)
	list(&l.IncludeTables, from.IncludeTables)
	list(&l.ExcludeTables, from.ExcludeTables)
	list(&l.IncludeSchemas, from.IncludeSchemas)
	list(&l.ExcludeSchemas, from.ExcludeSchemas)
	l.DatabaseURLRef = optional(from.DatabaseURLRef.String())
	l.Globals = types.BoolPointerValue(from.Globals)
	if s := from.Server; s != (job.Server{}) {
		l.Server = &serverModel{
			Host: optional(s.Host), User: optional(s.User), PasswordRef: optional(s.PasswordRef.String()), SSLMode: optional(s.SSLMode),
			SSLRootCert: optional(s.SSLRootCert), SSLCert: optional(s.SSLCert), SSLKey: optional(s.SSLKey), MaintenanceDatabase: optional(s.MaintenanceDatabase),
		}
		if s.Port > 0 {
			l.Server.Port = types.Int64Value(int64(s.Port))
		}
	}
	return diags
}

// optional is null for what was not given.
func optional(text string) types.String {
	if text == "" {
		return types.StringNull()
	}
	return types.StringValue(text)
}
