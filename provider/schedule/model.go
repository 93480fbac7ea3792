package schedule

import (
	"github.com/hashicorp/terraform-plugin-framework/types"
)

type model struct {
	ID             types.String `tfsdk:"id"`
	Name           types.String `tfsdk:"name"`
	Policy         types.String `tfsdk:"policy"`
	Runner         types.String `tfsdk:"runner"`
	Cron           types.String `tfsdk:"cron"`
	Timezone       types.String `tfsdk:"timezone"`
	Source         types.String `tfsdk:"source"`
	KeyRef         types.String `tfsdk:"key_ref"`
	Job            types.Object `tfsdk:"job"`
	RunOn          types.Object `tfsdk:"run_on"`
	JobPath        types.String `tfsdk:"job_path"`
	JobJSON        types.String `tfsdk:"job_json"`
	JobDigest      types.String `tfsdk:"job_digest"`
	SystemdService types.String `tfsdk:"systemd_service"`
	SystemdTimer   types.String `tfsdk:"systemd_timer"`
	CronLine       types.String `tfsdk:"cron_line"`
}

// The models of the blocks are used once everything in them is known. Nil is a
// block that was not given.
type jobModel struct {
	Logical      *logicalModel `tfsdk:"logical"`
	Rotate       *emptyModel   `tfsdk:"rotate"`
	Verify       *emptyModel   `tfsdk:"verify"`
	MaxDuration  types.String  `tfsdk:"max_duration"`
	StallTimeout types.String  `tfsdk:"stall_timeout"`
	UploadRate   types.Int64   `tfsdk:"upload_rate"`
}

type emptyModel struct{}

type logicalModel struct {
	Databases      types.List   `tfsdk:"databases"`
	DatabaseURLRef types.String `tfsdk:"database_url_ref"`
	Server         *serverModel `tfsdk:"server"`
	IncludeTables  types.List   `tfsdk:"include_tables"`
	ExcludeTables  types.List   `tfsdk:"exclude_tables"`
	IncludeSchemas types.List   `tfsdk:"include_schemas"`
	ExcludeSchemas types.List   `tfsdk:"exclude_schemas"`
	Globals        types.Bool   `tfsdk:"globals"`
	RotateAfter    types.Bool   `tfsdk:"rotate_after"`
	Verification   types.String `tfsdk:"verification"`
}

type serverModel struct {
	Host                types.String `tfsdk:"host"`
	Port                types.Int64  `tfsdk:"port"`
	User                types.String `tfsdk:"user"`
	PasswordRef         types.String `tfsdk:"password_ref"`
	SSLMode             types.String `tfsdk:"sslmode"`
	SSLRootCert         types.String `tfsdk:"sslrootcert"`
	SSLCert             types.String `tfsdk:"sslcert"`
	SSLKey              types.String `tfsdk:"sslkey"`
	MaintenanceDatabase types.String `tfsdk:"maintenance_database"`
}

type runOnModel struct {
	Host *hostModel `tfsdk:"host"`
}

type hostModel struct {
	Directory        types.String `tfsdk:"directory"`
	SystemdDirectory types.String `tfsdk:"systemd_directory"`
	CronDirectory    types.String `tfsdk:"cron_directory"`
	User             types.String `tfsdk:"user"`
	EnvironmentFile  types.String `tfsdk:"environment_file"`
	RunnerPath       types.String `tfsdk:"runner_path"`
	RandomizedDelay  types.String `tfsdk:"randomized_delay"`
}
