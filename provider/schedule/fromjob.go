package schedule

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
)

// fromJob fills the model with what a job file says, as a configuration would
// say it. It is the reverse of toJob, for an import.
func (m *model) fromJob(ctx context.Context, j job.Job, on hostModel) (diags diag.Diagnostics) {
	m.Name = types.StringValue(j.Name)
	at, err := location.Parse(j.Repository)
	if err != nil {
		diags.AddError("importing pgbackup_schedule ("+j.Name+")", err.Error())
		return diags
	}
	m.Policy = types.StringValue(location.PolicyID{Repository: at, Name: j.Policy}.String())
	m.Source, m.KeyRef = optional(j.Source), optional(j.KeyRef.String())
	if j.Schedule != nil {
		m.Cron, m.Timezone = types.StringValue(j.Schedule.Cron), optional(j.Schedule.Timezone)
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
	var more diag.Diagnostics
	m.Job, more = types.ObjectValueFrom(ctx, m.Job.AttributeTypes(ctx), block)
	diags.Append(more...)
	m.RunOn, more = types.ObjectValueFrom(ctx, m.RunOn.AttributeTypes(ctx), runOnModel{Host: &on})
	diags.Append(more...)
	return diags
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
