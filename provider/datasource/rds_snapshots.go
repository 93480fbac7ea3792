package datasource

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/datasourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	awsrds "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
)

// RDSSnapshots is pgbackup_rds_snapshots.
type RDSSnapshots struct{ reader }

var (
	_ datasource.DataSourceWithConfigure        = (*RDSSnapshots)(nil)
	_ datasource.DataSourceWithConfigValidators = (*RDSSnapshots)(nil)
)

// NewRDSSnapshots makes the data source.
func NewRDSSnapshots() datasource.DataSource { return &RDSSnapshots{} }

type rdsSnapshotsModel struct {
	Instance  types.String    `tfsdk:"instance"`
	Cluster   types.String    `tfsdk:"cluster"`
	Region    types.String    `tfsdk:"region"`
	Type      types.String    `tfsdk:"type"`
	Available types.Bool      `tfsdk:"available"`
	Limit     types.Int64     `tfsdk:"limit"`
	Snapshots []snapshotModel `tfsdk:"snapshots"`
	Total     types.Int64     `tfsdk:"total"`
	Cost      types.Float64   `tfsdk:"monthly_cost_usd_at_most"`
}

type snapshotModel struct {
	Name         types.String `tfsdk:"name"`
	ARN          types.String `tfsdk:"arn"`
	Type         types.String `tfsdk:"type"`
	Database     types.String `tfsdk:"database"`
	Status       types.String `tfsdk:"status"`
	Created      types.String `tfsdk:"created"`
	Engine       types.String `tfsdk:"engine"`
	Version      types.String `tfsdk:"engine_version"`
	AllocatedGiB types.Int64  `tfsdk:"allocated_gib"`
	Encrypted    types.Bool   `tfsdk:"encrypted"`
	KMSKey       types.String `tfsdk:"kms_key_id"`
	Point        types.String `tfsdk:"recovery_point"`
	Tags         types.Map    `tfsdk:"tags"`
}

func (d *RDSSnapshots) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_rds_snapshots"
}

func (d *RDSSnapshots) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The snapshots of an RDS instance or cluster, newest first: those that are recovery points of pgbackup, automated ones, and those that somebody took by hand.",
		Attributes: map[string]schema.Attribute{
			"instance":  schema.StringAttribute{Optional: true, MarkdownDescription: "Identifier of an RDS instance, such as `acme-prod`. Exactly one of `instance` and `cluster` is given."},
			"cluster":   schema.StringAttribute{Optional: true, MarkdownDescription: "Identifier of an Aurora or Multi-AZ cluster, such as `acme-aurora`."},
			"region":    schema.StringAttribute{Optional: true, MarkdownDescription: "AWS region of it, such as `eu-west-1`. Defaults to the provider's."},
			"type":      schema.StringAttribute{Optional: true, Validators: []validator.String{stringvalidator.OneOf(awsrds.Manual, awsrds.Automated, "awsbackup")}, MarkdownDescription: "Only snapshots of this type: `manual`, `automated` or `awsbackup`. All where it is not given."},
			"available": schema.BoolAttribute{Optional: true, MarkdownDescription: "`true`: only snapshots that can be restored; `false`: only those that cannot, yet or ever. Both where it is not given."},
			"limit":     schema.Int64Attribute{Optional: true, Validators: []validator.Int64{int64validator.Between(1, maxLimit)}, MarkdownDescription: "The most snapshots to return, 1 to 10000. Defaults to `1000`."},
			"total":     whole("How many snapshots the filters let through, also beyond `limit`."),
			"monthly_cost_usd_at_most": schema.Float64Attribute{
				Computed:            true,
				MarkdownDescription: fmt.Sprintf("What the manual snapshots that are returned cost in a month at most, in USD at %.3f per GB: as if each were as large as the storage of its database. They are incremental and cost less. AWS Backup's and automated ones are not counted.", snapshotPrice),
			},
			"snapshots": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "The snapshots, newest first.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name":           text("Name of the snapshot."),
					"arn":            text("ARN of the snapshot."),
					"type":           text("`manual`, `automated` or `awsbackup`."),
					"database":       text("Identifier of the instance or cluster."),
					"status":         text("Status in the words of RDS, such as `available` or `creating`."),
					"created":        text("When it was taken, RFC 3339 in UTC; null while it has not begun."),
					"engine":         text("Engine of the database, such as `postgres`."),
					"engine_version": text("Version of the engine."),
					"allocated_gib":  whole("Storage of the database in GiB; 0 for Aurora where AWS does not say."),
					"encrypted":      flag("Whether it is encrypted."),
					"kms_key_id":     text("ARN of the KMS key; null where it is not encrypted."),
					"recovery_point": text("Identifier of the recovery point it stands for; null for snapshots that pgbackup did not take."),
					"tags":           schema.MapAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Tags of the snapshot."},
				}},
			},
		},
	}
}

// ConfigValidators holds that one database is named.
func (d *RDSSnapshots) ConfigValidators(context.Context) []datasource.ConfigValidator {
	return []datasource.ConfigValidator{datasourcevalidator.ExactlyOneOf(path.MatchRoot("instance"), path.MatchRoot("cluster"))}
}

func (d *RDSSnapshots) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m rdsSnapshotsModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	t, attribute := awsrds.Target{ID: m.Instance.ValueString()}, "instance"
	if !m.Cluster.IsNull() {
		t, attribute = awsrds.Target{ID: m.Cluster.ValueString(), Cluster: true}, "cluster"
	}
	all, err := d.list(ctx, m, t)
	if err != nil {
		resp.Diagnostics.Append(failed("pgbackup_rds_snapshots", attribute, err))
		return
	}
	resp.Diagnostics.Append(m.show(ctx, all)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// list reads the snapshots that the filters let through.
func (d *RDSSnapshots) list(ctx context.Context, m rdsSnapshotsModel, t awsrds.Target) ([]awsrds.Snapshot, error) {
	cfg, err := d.conn.AWS(m.Region.ValueString())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, readTime, errors.New("RDS did not answer within "+readTime.Round(time.Second).String()))
	defer cancel()
	found, err := awsrds.New(cfg).Snapshots(ctx, awsrds.Query{Target: t, Type: m.Type.ValueString()})
	if err != nil {
		return nil, err
	}
	var all []awsrds.Snapshot
	for _, s := range found {
		if m.Available.IsNull() || m.Available.ValueBool() == s.Ready() {
			all = append(all, s)
		}
	}
	return all, nil
}
