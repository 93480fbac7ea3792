package schedule

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
)

// fromJob gives the attributes of a job file, by name, as a configuration would
// say them. It is the reverse of toJob, for an import.
func fromJob(ctx context.Context, j job.Job) (attributes map[string]any, diags diag.Diagnostics) {
	at, err := location.Parse(j.Repository)
	if err != nil {
		diags.AddError("importing pgbackup_schedule ("+j.Name+")", err.Error())
		return nil, diags
	}
	read := reader{ctx: ctx}
	block := read.kind(j)
	if !j.Limits.MaxDuration.IsZero() {
		block.MaxDuration = types.StringValue(j.Limits.MaxDuration.String())
	}
	if !j.Limits.StallTimeout.IsZero() {
		block.StallTimeout = types.StringValue(j.Limits.StallTimeout.String())
	}
	if j.Limits.UploadRate > 0 {
		block.UploadRate = types.Int64Value(j.Limits.UploadRate)
	}
	attributes = map[string]any{
		"name":   j.Name,
		"policy": location.PolicyID{Repository: at, Name: j.Policy}.String(),
		"source": optional(j.Source), "key_ref": optional(j.KeyRef.String()), "metrics": optional(string(j.Metrics)),
		"job": block,
	}
	if notifications := read.notifications(j.Notify); len(notifications) > 0 {
		attributes["notifications"] = notifications
	}
	if j.Schedule != nil {
		attributes["cron"], attributes["timezone"] = j.Schedule.Cron, optional(j.Schedule.Timezone)
	}
	return attributes, read.diags
}

// reader collects what is wrong on the way from a job file to attributes.
type reader struct {
	ctx   context.Context
	diags diag.Diagnostics
}

func (r *reader) kind(j job.Job) (block jobModel) {
	point := pointModel{RotateAfter: types.BoolPointerValue(j.Rotate), Verification: optional(string(j.Verify))}
	switch j.Kind {
	case job.KindRotate:
		block.Rotate = &emptyModel{}
	case job.KindVerify:
		block.Verify = &emptyModel{}
	case job.KindFreshness:
		block.Freshness = &freshnessModel{}
		if j.Freshness != nil {
			block.Freshness.MaxAge = optional(j.Freshness.MaxAge.String())
		}
	case job.KindLogical:
		l := j.Logical
		block.Logical = &logicalModel{
			pointModel: point, reachModel: reach(l.Server, optional(l.DatabaseURLRef.String())),
			Databases: r.texts(l.Databases), IncludeTables: r.texts(l.IncludeTables), ExcludeTables: r.texts(l.ExcludeTables),
			IncludeSchemas: r.texts(l.IncludeSchemas), ExcludeSchemas: r.texts(l.ExcludeSchemas), Globals: types.BoolPointerValue(l.Globals),
		}
	case job.KindGlobals:
		block.Globals = &globalsModel{pointModel: point, reachModel: reach(j.Globals.Server, optional(j.Globals.DatabaseURLRef.String()))}
	case job.KindConfig:
		c := j.Config
		block.Config = &configModel{
			pointModel: point, reachModel: reach(c.Server, optional(c.DatabaseURLRef.String())),
			Directory: optional(c.Directory), RDSInstance: optional(c.RDSInstance), RDSCluster: optional(c.RDSCluster), Region: optional(c.Region),
		}
	case job.KindFiles:
		block.Files = &filesModel{pointModel: point, Paths: r.texts(j.Files.Paths), Exclude: r.texts(j.Files.Exclude)}
		if j.Files.OneFileSystem {
			block.Files.OneFileSystem = types.BoolValue(true)
		}
	case job.KindCommand:
		block.Command = &commandModel{pointModel: point, Argv: r.texts(j.Command.Argv), FileName: optional(j.Command.FileName)}
		if !j.Command.TimeLimit.IsZero() {
			block.Command.TimeLimit = types.StringValue(j.Command.TimeLimit.String())
		}
	case job.KindRDSSnapshot:
		s := j.RDSSnapshot
		block.RDSSnapshot = &rdsSnapshotModel{Instance: optional(s.Instance), Cluster: optional(s.Cluster), Region: optional(s.Region), RotateAfter: point.RotateAfter}
	}
	return block
}

func (r *reader) texts(items []string) types.List {
	if len(items) == 0 {
		return types.ListNull(types.StringType)
	}
	value, diags := types.ListValueFrom(r.ctx, types.StringType, items)
	r.diags.Append(diags...)
	return value
}

func (r *reader) textMap(items map[string]string) types.Map {
	if len(items) == 0 {
		return types.MapNull(types.StringType)
	}
	values := map[string]attr.Value{}
	for name, text := range items {
		values[name] = types.StringValue(text)
	}
	return types.MapValueMust(types.StringType, values)
}

func (r *reader) notifications(told []job.Notification) (list []notificationModel) {
	for _, n := range told {
		var on []string
		for _, event := range n.On {
			on = append(on, string(event))
		}
		list = append(list, notificationModel{
			Channel: types.StringValue(string(n.Channel)), URLRef: optional(n.URLRef.String()), SecretRef: optional(n.SecretRef.String()), On: r.texts(on),
		})
	}
	return list
}

func reach(s job.Server, url types.String) reachModel {
	m := reachModel{DatabaseURLRef: url}
	if s == (job.Server{}) {
		return m
	}
	m.Server = &serverModel{
		Host: optional(s.Host), User: optional(s.User), PasswordRef: optional(s.PasswordRef.String()), SSLMode: optional(s.SSLMode),
		SSLRootCert: optional(s.SSLRootCert), SSLRootCertRef: optional(s.SSLRootCertRef.String()), SSLCert: optional(s.SSLCert), SSLKey: optional(s.SSLKey),
		MaintenanceDatabase: optional(s.MaintenanceDatabase),
	}
	if s.Port > 0 {
		m.Server.Port = types.Int64Value(int64(s.Port))
	}
	return m
}

// optional is null for what was not given.
func optional(text string) types.String {
	if text == "" {
		return types.StringNull()
	}
	return types.StringValue(text)
}
