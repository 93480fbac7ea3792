package datasource

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/told"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// RecoveryPoints is pgbackup_recovery_points.
type RecoveryPoints struct{ reader }

var _ datasource.DataSourceWithConfigure = (*RecoveryPoints)(nil)

// NewRecoveryPoints makes the data source.
func NewRecoveryPoints() datasource.DataSource { return &RecoveryPoints{} }

type recoveryPointsModel struct {
	Repository types.String `tfsdk:"repository"`
	Source     types.String `tfsdk:"source"`
	Kind       types.String `tfsdk:"kind"`
	Verified   types.Bool   `tfsdk:"verified"`
	Held       types.Bool   `tfsdk:"held"`
	Tier       types.String `tfsdk:"tier"`
	After      types.String `tfsdk:"after"`
	Before     types.String `tfsdk:"before"`
	Limit      types.Int64  `tfsdk:"limit"`
	Points     []pointModel `tfsdk:"points"`
	Total      types.Int64  `tfsdk:"total"`
	Bytes      types.Int64  `tfsdk:"bytes"`
}

type pointModel struct {
	ID             types.String `tfsdk:"id"`
	Source         types.String `tfsdk:"source"`
	Kind           types.String `tfsdk:"kind"`
	Start          types.String `tfsdk:"start"`
	End            types.String `tfsdk:"end"`
	Bytes          types.Int64  `tfsdk:"bytes"`
	Verified       types.Bool   `tfsdk:"verified"`
	Held           types.Bool   `tfsdk:"held"`
	Tier           types.String `tfsdk:"tier"`
	Policy         types.String `tfsdk:"policy"`
	PolicyRevision types.Int64  `tfsdk:"policy_revision"`
	Problem        types.String `tfsdk:"problem"`
}

func (d *RecoveryPoints) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_recovery_points"
}

func (d *RecoveryPoints) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The recovery points of a repository, newest first. Points are found by listing keys; of those that are returned the manifests are read, without the repository's key, so that their seal is not checked: `pgbackup-runner verify` does that.",
		Attributes: map[string]schema.Attribute{
			"repository": schema.StringAttribute{
				Required: true, Validators: []validator.String{valid.Repository()},
				MarkdownDescription: "The `id` of a `pgbackup_repository`, or its URL, such as `s3://acme-pg-backups/prod?region=eu-west-1`.",
			},
			"source":   sourceFilter(),
			"kind":     kindFilter(),
			"verified": schema.BoolAttribute{Optional: true, MarkdownDescription: "`true`: only points that are good; `false`: only those found bad by a verification or a drill, or named by a damaged key. Both where it is not given."},
			"held":     schema.BoolAttribute{Optional: true, MarkdownDescription: "`true`: only points that are held; `false`: only those that are not. Both where it is not given."},
			"tier": schema.StringAttribute{
				Optional: true, Validators: []validator.String{stringvalidator.OneOf(retention.Tiers()...)},
				MarkdownDescription: "Only points in this tier: `hourly`, `daily`, `weekly`, `monthly` or `yearly`. All where it is not given.",
			},
			"after": schema.StringAttribute{
				Optional: true, Validators: []validator.String{rfc3339{}},
				MarkdownDescription: "Only points that start at this moment or later, RFC 3339, such as `2026-03-01T00:00:00Z` or `timeadd(plantimestamp(), \"-720h\")`.",
			},
			"before": schema.StringAttribute{
				Optional: true, Validators: []validator.String{rfc3339{}},
				MarkdownDescription: "Only points that start before this moment, RFC 3339, such as `2026-03-01T00:00:00Z`.",
			},
			"limit": schema.Int64Attribute{
				Optional: true, Validators: []validator.Int64{int64validator.Between(1, maxLimit)},
				MarkdownDescription: "The most points to return, 1 to 10000. Defaults to `1000`.",
			},
			"total": whole("How many points there are that the filters let through, as far as keys tell, also beyond `limit`."),
			"bytes": whole("Stored size in bytes of the points that are returned."),
			"points": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The points, newest first.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"id":              text("Identifier of the point, such as `20260301T020000Z-abcdefgh`."),
					"source":          text("What was backed up."),
					"kind":            text("Kind of the point, such as `logical`."),
					"start":           text("When the backup began, RFC 3339 in UTC."),
					"end":             text("When the backup was complete, RFC 3339 in UTC; null where its manifest cannot be read."),
					"bytes":           whole("Stored size in bytes; null where its manifest cannot be read."),
					"verified":        flag("Whether the point is good: it was verified before it became visible, nothing was found wrong with it since, and its manifest can be read."),
					"held":            flag("Whether somebody said that the point is to be kept."),
					"tier":            text("The tier the point is in; null where none was ever noted."),
					"policy":          text("The policy the point was made under; null for none."),
					"policy_revision": whole("The revision of that policy; null for none."),
					"problem":         text("Why the point cannot be read; null where it can, as far as was looked at."),
				}},
			},
		},
	}
}

func (d *RecoveryPoints) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m recoveryPointsModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	strangers, warnings, err := d.read(ctx, &m)
	resp.Diagnostics.Append(warnings...)
	if err != nil {
		resp.Diagnostics.Append(failed("pgbackup_recovery_points", "repository", err))
		return
	}
	for _, problem := range strangers {
		resp.Diagnostics.AddWarning(fmt.Sprintf("pgbackup_recovery_points: a file of %s is not understood", m.Repository.ValueString()), valid.Sentence(problem))
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// read fills in the points. strangers are the problems of files that are no
// points of any source.
func (d *RecoveryPoints) read(ctx context.Context, m *recoveryPointsModel) (strangers []error, warnings diag.Diagnostics, err error) {
	place, err := location.Parse(m.Repository.ValueString())
	if err != nil {
		return nil, nil, err
	}
	err = within(ctx, readTime, place, func(ctx context.Context) error {
		opened, err := d.conn.OpenRepository(ctx, place, "")
		if err != nil {
			return err
		}
		listed, err := opened.List(ctx, repo.Filter{Source: m.Source.ValueString(), Kind: m.Kind.ValueString()})
		if err != nil {
			return err
		}
		if len(listed) == 0 {
			if warnings, err = unknownSource(ctx, "pgbackup_recovery_points", opened.Repository, m.Source); err != nil {
				return err
			}
		}
		for _, l := range listed {
			if l.ID == "" {
				strangers = append(strangers, l.Problem)
			}
		}
		found, total, err := m.choose(ctx, opened.Repository, listed)
		if err != nil {
			return err
		}
		m.show(found, total)
		return nil
	})
	return strangers, warnings, err
}

func (m *recoveryPointsModel) show(found []repo.Listed, total int) {
	bytes := int64(0)
	m.Points = make([]pointModel, len(found))
	for i, l := range found {
		p := pointModel{
			ID: types.StringValue(l.ID), Source: types.StringValue(l.Source), Kind: types.StringValue(l.Kind), Start: told.Moment(l.Start),
			Verified: types.BoolValue(l.Verified()), Held: types.BoolValue(l.Held), Tier: some(l.CurrentTier()),
		}
		if l.Problem != nil {
			p.Problem = types.StringValue(l.Problem.Error())
		}
		if l.Manifest != nil {
			p.End, p.Bytes, p.Policy = told.Moment(l.Manifest.End), types.Int64Value(l.Manifest.StoredSize()), some(l.Manifest.Policy)
			if l.Manifest.PolicyRevision > 0 {
				p.PolicyRevision = told.Number(l.Manifest.PolicyRevision)
			}
			bytes += l.Manifest.StoredSize()
		}
		m.Points[i] = p
	}
	m.Total, m.Bytes = told.Number(total), types.Int64Value(bytes)
}
