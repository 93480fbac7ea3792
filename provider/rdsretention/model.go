package rdsretention

import (
	"context"
	"fmt"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/told"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

var (
	identifier = regexp.MustCompile(`^[a-z](-?[a-z0-9]){0,62}$`)
	region     = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]+$`)
	keyARN     = regexp.MustCompile(`^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/.+$`)
)

type model struct {
	Instance           types.String  `tfsdk:"instance"`
	Cluster            types.String  `tfsdk:"cluster"`
	Region             types.String  `tfsdk:"region"`
	RetentionDays      types.Int64   `tfsdk:"retention_days"`
	Acknowledge        types.Bool    `tfsdk:"acknowledge_no_backups"`
	Window             types.String  `tfsdk:"window"`
	CopyTags           types.Bool    `tfsdk:"copy_tags_to_snapshots"`
	DeletionProtection types.Bool    `tfsdk:"deletion_protection"`
	KMSKeyID           types.String  `tfsdk:"kms_key_id"`
	ReplicateTo        *replicaModel `tfsdk:"replicate_to"`
	OnDestroy          types.String  `tfsdk:"on_destroy"`
	ID                 types.String  `tfsdk:"id"`
	Engine             types.String  `tfsdk:"engine"`
	EngineVersion      types.String  `tfsdk:"engine_version"`
	Encrypted          types.Bool    `tfsdk:"encrypted"`
	EncryptionKey      types.String  `tfsdk:"encryption_key"`
	Public             types.Bool    `tfsdk:"publicly_accessible"`
	MaintenanceWindow  types.String  `tfsdk:"maintenance_window"`
	AWSBackup          types.String  `tfsdk:"aws_backup"`
	ReplicaARN         types.String  `tfsdk:"replica_arn"`
	PendingMaintenance types.List    `tfsdk:"pending_maintenance"`
	Impact             types.List    `tfsdk:"impact"`
	Previous           types.Object  `tfsdk:"previous"`
}

type replicaModel struct {
	Region        types.String `tfsdk:"region"`
	RetentionDays types.Int64  `tfsdk:"retention_days"`
	KMSKeyID      types.String `tfsdk:"kms_key_id"`
}

type previousModel struct {
	RetentionDays      types.Int64  `tfsdk:"retention_days"`
	Window             types.String `tfsdk:"window"`
	CopyTags           types.Bool   `tfsdk:"copy_tags_to_snapshots"`
	DeletionProtection types.Bool   `tfsdk:"deletion_protection"`
}

var previousTypes = map[string]attr.Type{"retention_days": types.Int64Type, "window": types.StringType, "copy_tags_to_snapshots": types.BoolType, "deletion_protection": types.BoolType}

// target is what is named; known is false while that is not known.
func (m model) target() (t rds.Target, known bool) {
	if m.Instance.IsUnknown() || m.Cluster.IsUnknown() || m.Region.IsUnknown() {
		return t, false
	}
	if !m.Cluster.IsNull() {
		return rds.Target{ID: m.Cluster.ValueString(), Cluster: true}, true
	}
	return rds.Target{ID: m.Instance.ValueString()}, true
}

func (m model) name() string {
	t, _ := m.target()
	return t.ID
}

func summary(verb string, m model) string {
	return fmt.Sprintf("%s pgbackup_rds_retention (%s)", verb, m.name())
}

// settings are those of the model; what is not given is what now has.
func (m model) settings(now rds.Settings) rds.Settings {
	s := now
	s.RetentionDays = int(m.RetentionDays.ValueInt64())
	if given(m.Window) {
		s.Window = m.Window.ValueString()
	}
	if given(m.CopyTags) {
		s.CopyTags = m.CopyTags.ValueBool()
	}
	if given(m.DeletionProtection) {
		s.DeletionProtection = m.DeletionProtection.ValueBool()
	}
	return s
}

func given(v attr.Value) bool { return !v.IsNull() && !v.IsUnknown() }

// change is how to get from one to the other.
func change(from, to rds.Settings) (c rds.Change) {
	if from.RetentionDays != to.RetentionDays {
		c.RetentionDays = &to.RetentionDays
	}
	if from.Window != to.Window {
		c.Window = &to.Window
	}
	if from.CopyTags != to.CopyTags {
		c.CopyTags = &to.CopyTags
	}
	if from.DeletionProtection != to.DeletionProtection {
		c.DeletionProtection = &to.DeletionProtection
	}
	return c
}

// show takes over what RDS says of the database.
func (m *model) show(db rds.Database) {
	m.RetentionDays, m.Window = told.Number(db.RetentionDays), some(db.Window)
	m.CopyTags, m.DeletionProtection = types.BoolValue(db.CopyTags), types.BoolValue(db.DeletionProtection)
	m.ID, m.Engine, m.EngineVersion = types.StringValue(db.ARN), types.StringValue(db.Engine), types.StringValue(db.EngineVersion)
	m.Encrypted, m.EncryptionKey, m.Public = types.BoolValue(db.Encrypted), some(db.KMSKey), types.BoolValue(db.Public)
	m.MaintenanceWindow, m.AWSBackup = some(db.MaintenanceWindow), some(db.AWSBackup)
}

// facts are what the state knows of the database, as Read stored it.
func (m model) facts() rds.Database {
	t, _ := m.target()
	return rds.Database{
		Target: t, ARN: m.ID.ValueString(), Encrypted: m.Encrypted.ValueBool(), KMSKey: m.EncryptionKey.ValueString(), Public: m.Public.ValueBool(),
		MaintenanceWindow: m.MaintenanceWindow.ValueString(), AWSBackup: m.AWSBackup.ValueString(),
		Settings: rds.Settings{
			RetentionDays: int(m.RetentionDays.ValueInt64()), Window: m.Window.ValueString(),
			CopyTags: m.CopyTags.ValueBool(), DeletionProtection: m.DeletionProtection.ValueBool(),
		},
	}
}

func (m *model) setPrevious(s rds.Settings) (diags diag.Diagnostics) {
	m.Previous, diags = types.ObjectValueFrom(context.Background(), previousTypes, previousModel{
		told.Number(s.RetentionDays), some(s.Window), types.BoolValue(s.CopyTags), types.BoolValue(s.DeletionProtection),
	})
	return diags
}

// previous are the settings to restore; ok is false when they are not known.
func (m model) previous(ctx context.Context) (s rds.Settings, ok bool, diags diag.Diagnostics) {
	if !given(m.Previous) {
		return s, false, nil
	}
	var p previousModel
	diags = m.Previous.As(ctx, &p, asIs)
	return rds.Settings{
		RetentionDays: int(p.RetentionDays.ValueInt64()), Window: p.Window.ValueString(),
		CopyTags: p.CopyTags.ValueBool(), DeletionProtection: p.DeletionProtection.ValueBool(),
	}, !diags.HasError(), diags
}

func some(text string) types.String {
	if text == "" {
		return types.StringNull()
	}
	return types.StringValue(text)
}

func lines(texts []string) types.List {
	values := make([]attr.Value, len(texts))
	for i, t := range texts {
		values[i] = types.StringValue(t)
	}
	return types.ListValueMust(types.StringType, values)
}

// window accepts a backup window.
type window struct{}

func (window) Description(context.Context) string               { return "a window in UTC such as 02:00-03:00" }
func (v window) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (window) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !given(req.ConfigValue) {
		return
	}
	if err := rds.CheckBackupWindow(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid value for "+req.Path.String(), valid.Sentence(err))
	}
}

// ValidateConfig holds what the attributes mean together.
func (r *Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m model
	var replica types.Object
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("replicate_to"), &replica)...)
	if resp.Diagnostics.HasError() || replica.IsUnknown() {
		return // a model cannot hold a whole block that is not known
	}
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	bad := func(at, what string) {
		resp.Diagnostics.AddAttributeError(path.Root(at), "Invalid value for "+at, what)
	}
	if given(m.RetentionDays) && m.RetentionDays.ValueInt64() == 0 {
		switch {
		case given(m.Cluster):
			bad("retention_days", "Automated backups of a cluster cannot be switched off: give 1 to 35.")
		case !m.Acknowledge.IsUnknown() && !m.Acknowledge.ValueBool():
			bad("retention_days", "0 deletes all automated backups at once and ends point-in-time recovery. If that is meant, set acknowledge_no_backups = true.")
		}
		if m.ReplicateTo != nil {
			bad("replicate_to", "There is nothing to copy without automated backups: give retention_days of 1 or more, or leave replicate_to out.")
		}
	}
	if m.ReplicateTo != nil && given(m.Cluster) {
		bad("replicate_to", "RDS copies automated backups of instances only. For a cluster, take recovery points (pgbackup_schedule with rds_snapshot), or use an Aurora global database.")
	}
	if m.ReplicateTo != nil && given(m.Region) && m.ReplicateTo.Region.Equal(m.Region) {
		bad("replicate_to", "It names the region the database is in: give another one.")
	}
}
