// Package schedule is the resource pgbackup_schedule: a job that makes, rotates or
// watches over recovery points, when it runs, and where it is deployed to.
//
// What is here is what the job does. What must not live here: the rest, which
// restore drills have in common with it (package deployment), and what a job file
// means (package job).
package schedule

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment"
)

// New makes the resource.
func New() resource.Resource {
	return deployment.New(deployment.Type{
		Name: "schedule", Schema: schemaOf, New: func() deployment.Declared { return &model{} }, FromJob: fromJob,
		Kinds: []job.Kind{
			job.KindLogical, job.KindPhysical, job.KindWAL, job.KindGlobals, job.KindConfig, job.KindFiles, job.KindCommand, job.KindRDSSnapshot, job.KindRotate, job.KindVerify, job.KindFreshness,
		},
		// The fields of the kinds are called the same.
		Wording: []string{"job.limits.", "job.", "job.source", "source"},
	})
}

type model struct {
	deployment.Model
	Source         types.String `tfsdk:"source"`
	Job            types.Object `tfsdk:"job"`
	ArchiveCommand types.String `tfsdk:"archive_command"`
}

// Own are the attributes besides those of every deployment.
func (m *model) Own() []attr.Value { return []attr.Value{m.Source, m.Job} }

// ArchivedBy is where the text for archive_command is shown.
func (m *model) ArchivedBy() *types.String { return &m.ArchiveCommand }

// Given reports whether there is a job.
func (m *model) Given() bool { return !m.Job.IsNull() }

// Work takes the block job into a job file's content.
func (m *model) Work(ctx context.Context, j *job.Job, errs *[]error) {
	var block jobModel
	if err := deployment.Block(ctx, m.Job, &block); err != nil {
		*errs = append(*errs, err)
		return
	}
	j.Source = m.Source.ValueString()
	j.Limits.MaxDuration = deployment.Span("job.max_duration", block.MaxDuration, errs)
	j.Limits.StallTimeout = deployment.Span("job.stall_timeout", block.StallTimeout, errs)
	j.Limits.UploadRate = block.UploadRate.ValueInt64()
	block.toJob(ctx, j, errs)
	if j.Receives() && (!block.MaxDuration.IsNull() || !block.StallTimeout.IsNull()) {
		*errs = append(*errs, errors.New("job.max_duration and job.stall_timeout have no meaning for a receiver of WAL, which runs all the time: leave them out"))
	}
}
