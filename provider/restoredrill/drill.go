// Package restoredrill is the resource pgbackup_restore_drill: a restore that is
// done on a schedule to prove the backups, when, where, and what is looked at.
//
// What is here is what the drill does, and what a plan says of the drills before.
// What must not live here: what schedules have in common with it (package
// deployment), doing a drill (package drill), and what a job file means (package
// job).
package restoredrill

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment"
)

// New makes the resource.
func New() resource.Resource {
	return deployment.New(deployment.Type{
		Name: "restore_drill", Kinds: []job.Kind{job.KindDrill}, Schema: schemaOf,
		New: func() deployment.Declared { return &model{} }, FromJob: fromJob, Warn: warn,
		Wording: []string{
			"job.drill.of[", "backups_of[", "job.drill.archived", "allow_archived", "job.drill.", "", "job.limits.", "", "job.replica", "replica",
		},
	})
}

type model struct {
	deployment.Model
	Kind          types.String `tfsdk:"kind"`
	Database      types.String `tfsdk:"database"`
	Source        types.String `tfsdk:"source"`
	Seed          types.Int64  `tfsdk:"seed"`
	From          types.String `tfsdk:"from"`
	Replica       types.String `tfsdk:"replica"`
	BackupsOf     types.List   `tfsdk:"backups_of"`
	Into          types.Object `tfsdk:"into"`
	Checks        types.Map    `tfsdk:"checks"`
	AmCheck       types.Bool   `tfsdk:"amcheck"`
	AllowArchived types.Bool   `tfsdk:"allow_archived"`
	Jobs          types.Int64  `tfsdk:"jobs"`
	MaxDuration   types.String `tfsdk:"max_duration"`
}

type intoModel struct {
	ScratchCluster *scratchModel     `tfsdk:"scratch_cluster"`
	Database       *deployment.Reach `tfsdk:"database"`
	RDSInstance    *rdsModel         `tfsdk:"rds_instance"`
}

type scratchModel struct {
	Directory  types.String `tfsdk:"directory"`
	Extensions types.List   `tfsdk:"extensions"`
	Settings   types.Map    `tfsdk:"settings"`
}

type rdsModel struct {
	Class          types.String `tfsdk:"class"`
	SubnetGroup    types.String `tfsdk:"subnet_group"`
	SecurityGroups types.List   `tfsdk:"security_groups"`
	Region         types.String `tfsdk:"region"`
	Database       types.String `tfsdk:"database"`
	User           types.String `tfsdk:"user"`
	PasswordRef    types.String `tfsdk:"password_ref"`
	SSLMode        types.String `tfsdk:"sslmode"`
}

type checkModel struct {
	SQL     types.String `tfsdk:"sql"`
	Expect  types.String `tfsdk:"expect"`
	Timeout types.String `tfsdk:"timeout"`
}

// Own are the attributes besides those of every deployment.
func (m *model) Own() []attr.Value {
	return []attr.Value{m.Kind, m.Database, m.Source, m.Seed, m.From, m.Replica, m.BackupsOf, m.Into, m.Checks, m.AmCheck, m.AllowArchived, m.Jobs, m.MaxDuration}
}

// Given reports whether there is a place to restore to.
func (m *model) Given() bool { return !m.Into.IsNull() }

// Work takes the drill into a job file's content.
func (m *model) Work(ctx context.Context, j *job.Job, errs *[]error) {
	j.Kind, j.Replica = job.KindDrill, m.replica(errs)
	j.Limits.MaxDuration = deployment.Span("max_duration", m.MaxDuration, errs)
	j.Drill = &job.Drill{
		Of: deployment.Texts(ctx, m.BackupsOf, errs), Kind: m.kind(errs), Database: m.Database.ValueString(),
		Source: word("source", m.Source, []string{job.DrillLatest, job.DrillOldest, job.DrillRandom}, errs), Seed: m.seed(errs),
		From: word("from", m.From, []string{job.FromPrimary, job.FromReplica}, errs),
		Into: m.into(ctx, errs), Checks: m.checks(ctx, errs),
		AmCheck: m.AmCheck.ValueBool(), Archived: m.AllowArchived.ValueBool(), Jobs: int(m.Jobs.ValueInt64()),
	}
	if j.Drill.Into.RDSInstance != nil {
		j.Drill.Kind = string(job.KindRDSSnapshot)
		m.checkSnapshot(errs)
	}
}
