package schedule

import (
	"context"
	"fmt"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment"
)

// toJob takes the one kind that is given into the job.
func (b jobModel) toJob(ctx context.Context, j *job.Job, errs *[]error) {
	given := 0
	kind := func(is bool, k job.Kind, take func()) {
		if is {
			given++
			j.Kind = k
			take()
		}
	}
	kind(b.Logical != nil, job.KindLogical, func() {
		b.Logical.take(j)
		j.Logical = b.Logical.toJob(ctx, errs)
	})
	kind(b.Physical != nil, job.KindPhysical, func() {
		b.Physical.take(j)
		j.Physical = b.Physical.toJob(errs)
	})
	kind(b.WAL != nil, job.KindWAL, func() { j.WAL = b.WAL.toJob(errs) })
	kind(b.Globals != nil, job.KindGlobals, func() {
		b.Globals.take(j)
		j.Globals = &job.Globals{Server: b.Globals.Server.ToJob("job.globals.server", errs), DatabaseURLRef: deployment.Reference("job.globals.database_url_ref", b.Globals.DatabaseURLRef, errs)}
	})
	kind(b.Config != nil, job.KindConfig, func() {
		c := b.Config
		c.take(j)
		j.Config = &job.Config{
			Server: c.Server.ToJob("job.config.server", errs), DatabaseURLRef: deployment.Reference("job.config.database_url_ref", c.DatabaseURLRef, errs),
			Directory: c.Directory.ValueString(), RDSInstance: c.RDSInstance.ValueString(), RDSCluster: c.RDSCluster.ValueString(), Region: c.Region.ValueString(),
		}
	})
	kind(b.Files != nil, job.KindFiles, func() {
		b.Files.take(j)
		j.Files = &job.Files{Paths: deployment.Texts(ctx, b.Files.Paths, errs), Exclude: deployment.Texts(ctx, b.Files.Exclude, errs), OneFileSystem: b.Files.OneFileSystem.ValueBool()}
	})
	kind(b.Command != nil, job.KindCommand, func() {
		b.Command.take(j)
		j.Command = &job.Command{Argv: deployment.Texts(ctx, b.Command.Argv, errs), TimeLimit: deployment.Span("job.command.time_limit", b.Command.TimeLimit, errs), FileName: b.Command.FileName.ValueString()}
	})
	kind(b.RDSSnapshot != nil, job.KindRDSSnapshot, func() {
		s := b.RDSSnapshot
		j.Rotate = s.RotateAfter.ValueBoolPointer()
		j.RDSSnapshot = &job.RDSSnapshot{Instance: s.Instance.ValueString(), Cluster: s.Cluster.ValueString(), Region: s.Region.ValueString()}
	})
	kind(b.Rotate != nil, job.KindRotate, func() {})
	kind(b.Verify != nil, job.KindVerify, func() {})
	kind(b.Freshness != nil, job.KindFreshness, func() {
		if age := deployment.Span("job.freshness.max_age", b.Freshness.MaxAge, errs); !age.IsZero() {
			j.Freshness = &job.Freshness{MaxAge: age}
		}
	})
	if given != 1 {
		*errs = append(*errs, fmt.Errorf("job: give exactly one of logical, physical, wal, globals, config, files, command, rds_snapshot, rotate, verify and freshness, not %d", given))
	}
}

func (p pointModel) take(j *job.Job) {
	j.Verify = job.Verification(p.Verification.ValueString())
	j.Rotate = p.RotateAfter.ValueBoolPointer()
}

func (l logicalModel) toJob(ctx context.Context, errs *[]error) *job.Logical {
	return &job.Logical{
		Databases:     deployment.Texts(ctx, l.Databases, errs),
		IncludeTables: deployment.Texts(ctx, l.IncludeTables, errs), ExcludeTables: deployment.Texts(ctx, l.ExcludeTables, errs),
		IncludeSchemas: deployment.Texts(ctx, l.IncludeSchemas, errs), ExcludeSchemas: deployment.Texts(ctx, l.ExcludeSchemas, errs),
		DatabaseURLRef: deployment.Reference("job.logical.database_url_ref", l.DatabaseURLRef, errs),
		Globals:        l.Globals.ValueBoolPointer(),
		Server:         l.Server.ToJob("job.logical.server", errs),
	}
}
