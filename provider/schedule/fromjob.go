package schedule

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment"
)

// fromJob is the reverse of Work, for an import.
func fromJob(ctx context.Context, j job.Job) (map[string]any, diag.Diagnostics) {
	read := deployment.Reader{Context: ctx}
	block := kind(&read, j)
	if !j.Limits.MaxDuration.IsZero() {
		block.MaxDuration = types.StringValue(j.Limits.MaxDuration.String())
	}
	if !j.Limits.StallTimeout.IsZero() {
		block.StallTimeout = types.StringValue(j.Limits.StallTimeout.String())
	}
	if j.Limits.UploadRate > 0 {
		block.UploadRate = types.Int64Value(j.Limits.UploadRate)
	}
	return map[string]any{"job": block, "source": deployment.Optional(j.Source)}, read.Diags
}

// kind is the block of the one kind of a job.
func kind(r *deployment.Reader, j job.Job) (block jobModel) {
	point := pointModel{RotateAfter: types.BoolPointerValue(j.Rotate), Verification: deployment.Optional(string(j.Verify))}
	switch j.Kind {
	case job.KindRotate:
		block.Rotate = &emptyModel{}
	case job.KindVerify:
		block.Verify = &emptyModel{}
	case job.KindFreshness:
		block.Freshness = &freshnessModel{}
		if j.Freshness != nil {
			block.Freshness.MaxAge = deployment.Optional(j.Freshness.MaxAge.String())
		}
	case job.KindLogical:
		l := j.Logical
		block.Logical = &logicalModel{
			pointModel: point, Reach: deployment.ReadReach(l.Server, deployment.Optional(l.DatabaseURLRef.String())),
			Databases: r.Texts(l.Databases), IncludeTables: r.Texts(l.IncludeTables), ExcludeTables: r.Texts(l.ExcludeTables),
			IncludeSchemas: r.Texts(l.IncludeSchemas), ExcludeSchemas: r.Texts(l.ExcludeSchemas), Globals: types.BoolPointerValue(l.Globals),
		}
	case job.KindPhysical:
		block.Physical = fromPhysical(*j.Physical, point)
	case job.KindWAL:
		block.WAL = fromWAL(*j.WAL)
	case job.KindGlobals:
		block.Globals = &globalsModel{pointModel: point, Reach: deployment.ReadReach(j.Globals.Server, deployment.Optional(j.Globals.DatabaseURLRef.String()))}
	case job.KindConfig:
		c := j.Config
		block.Config = &configModel{
			pointModel: point, Reach: deployment.ReadReach(c.Server, deployment.Optional(c.DatabaseURLRef.String())),
			Directory: deployment.Optional(c.Directory), RDSInstance: deployment.Optional(c.RDSInstance), RDSCluster: deployment.Optional(c.RDSCluster), Region: deployment.Optional(c.Region),
		}
	case job.KindFiles:
		block.Files = &filesModel{pointModel: point, Paths: r.Texts(j.Files.Paths), Exclude: r.Texts(j.Files.Exclude)}
		if j.Files.OneFileSystem {
			block.Files.OneFileSystem = types.BoolValue(true)
		}
	case job.KindCommand:
		block.Command = &commandModel{pointModel: point, Argv: r.Texts(j.Command.Argv), FileName: deployment.Optional(j.Command.FileName)}
		if !j.Command.TimeLimit.IsZero() {
			block.Command.TimeLimit = types.StringValue(j.Command.TimeLimit.String())
		}
	case job.KindRDSSnapshot:
		s := j.RDSSnapshot
		block.RDSSnapshot = &rdsSnapshotModel{Instance: deployment.Optional(s.Instance), Cluster: deployment.Optional(s.Cluster), Region: deployment.Optional(s.Region), RotateAfter: point.RotateAfter}
	}
	return block
}
