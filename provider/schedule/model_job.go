package schedule

import (
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment"
)

// The models of the blocks are used once everything in them is known. Nil is a
// block that was not given.
type jobModel struct {
	Logical      *logicalModel     `tfsdk:"logical"`
	Physical     *physicalModel    `tfsdk:"physical"`
	WAL          *walModel         `tfsdk:"wal"`
	Globals      *globalsModel     `tfsdk:"globals"`
	Config       *configModel      `tfsdk:"config"`
	Files        *filesModel       `tfsdk:"files"`
	Command      *commandModel     `tfsdk:"command"`
	RDSSnapshot  *rdsSnapshotModel `tfsdk:"rds_snapshot"`
	Rotate       *emptyModel       `tfsdk:"rotate"`
	Verify       *emptyModel       `tfsdk:"verify"`
	Freshness    *freshnessModel   `tfsdk:"freshness"`
	MaxDuration  types.String      `tfsdk:"max_duration"`
	StallTimeout types.String      `tfsdk:"stall_timeout"`
	UploadRate   types.Int64       `tfsdk:"upload_rate"`
}

type emptyModel struct{}

// pointModel is what every kind has that makes recovery points of a stream.
type pointModel struct {
	RotateAfter  types.Bool   `tfsdk:"rotate_after"`
	Verification types.String `tfsdk:"verification"`
}

type logicalModel struct {
	pointModel
	deployment.Reach
	Databases      types.List `tfsdk:"databases"`
	IncludeTables  types.List `tfsdk:"include_tables"`
	ExcludeTables  types.List `tfsdk:"exclude_tables"`
	IncludeSchemas types.List `tfsdk:"include_schemas"`
	ExcludeSchemas types.List `tfsdk:"exclude_schemas"`
	Globals        types.Bool `tfsdk:"globals"`
}

type physicalModel struct {
	pointModel
	deployment.Reach
	Checkpoint  types.String      `tfsdk:"checkpoint"`
	MaxRate     types.Int64       `tfsdk:"max_rate"`
	Compression types.String      `tfsdk:"compression"`
	Incremental *incrementalModel `tfsdk:"incremental"`
	WALTimeout  types.String      `tfsdk:"wal_timeout"`
}

type incrementalModel struct {
	FullEvery types.String `tfsdk:"full_every"`
}

type walModel struct {
	deployment.Reach
	Mode          types.String    `tfsdk:"mode"`
	DataDirectory types.String    `tfsdk:"data_directory"`
	Ahead         types.Int64     `tfsdk:"ahead"`
	Jobs          types.Int64     `tfsdk:"jobs"`
	Slot          types.String    `tfsdk:"slot"`
	Every         types.String    `tfsdk:"every"`
	Confirm       types.String    `tfsdk:"confirm"`
	SlotLimit     types.Int64     `tfsdk:"slot_limit"`
	SpoolLimit    types.Int64     `tfsdk:"spool_limit"`
	Heartbeat     *heartbeatModel `tfsdk:"heartbeat"`
	Spool         types.String    `tfsdk:"spool"`
}

type heartbeatModel struct {
	Database types.String `tfsdk:"database"`
	Every    types.String `tfsdk:"every"`
}

type globalsModel struct {
	pointModel
	deployment.Reach
}

type configModel struct {
	pointModel
	deployment.Reach
	Directory   types.String `tfsdk:"directory"`
	RDSInstance types.String `tfsdk:"rds_instance"`
	RDSCluster  types.String `tfsdk:"rds_cluster"`
	Region      types.String `tfsdk:"region"`
}

type filesModel struct {
	pointModel
	Paths         types.List `tfsdk:"paths"`
	Exclude       types.List `tfsdk:"exclude"`
	OneFileSystem types.Bool `tfsdk:"one_file_system"`
}

type commandModel struct {
	pointModel
	Argv      types.List   `tfsdk:"argv"`
	TimeLimit types.String `tfsdk:"time_limit"`
	FileName  types.String `tfsdk:"file_name"`
}

type rdsSnapshotModel struct {
	Instance    types.String `tfsdk:"instance"`
	Cluster     types.String `tfsdk:"cluster"`
	Region      types.String `tfsdk:"region"`
	RotateAfter types.Bool   `tfsdk:"rotate_after"`
}

type freshnessModel struct {
	MaxAge types.String `tfsdk:"max_age"`
}
