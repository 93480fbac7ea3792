package datasource

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/runbook"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// Runbook is pgbackup_runbook.
type Runbook struct{ reader }

var _ datasource.DataSourceWithConfigure = (*Runbook)(nil)

// NewRunbook makes the data source.
func NewRunbook() datasource.DataSource { return &Runbook{} }

type runbookModel struct {
	Policy   types.String   `tfsdk:"policy"`
	Title    types.String   `tfsdk:"title"`
	Replica  types.String   `tfsdk:"replica"`
	KeyRef   types.String   `tfsdk:"key_ref"`
	Job      types.String   `tfsdk:"job"`
	Contacts []contactModel `tfsdk:"contacts"`
	Markdown types.String   `tfsdk:"markdown"`
}

type contactModel struct {
	Name  types.String `tfsdk:"name"`
	Role  types.String `tfsdk:"role"`
	Reach types.String `tfsdk:"reach"`
}

func (d *Runbook) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_runbook"
}

func (d *Runbook) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "What to do when data is lost, as a Markdown page: per disaster the commands with the ids of the newest recovery points, the policy's objectives, and how long the last proven drill took. Write it somewhere that is still there when the rest is not.",
		Attributes: map[string]schema.Attribute{
			"policy": schema.StringAttribute{
				Required: true, Validators: []validator.String{valid.Policy()},
				MarkdownDescription: "The `id` of a `pgbackup_policy`, such as `s3://acme-pg-backups/prod?region=eu-west-1#prod`.",
			},
			"title":   schema.StringAttribute{Optional: true, MarkdownDescription: "What is recovered, for the headline, such as `the shop`. Defaults to `PostgreSQL`."},
			"replica": schema.StringAttribute{Optional: true, Validators: []validator.String{valid.Repository()}, MarkdownDescription: "The copy of the repository in another region: the `replica_id` of a `pgbackup_repository`, or its URL, such as `s3://acme-pg-backups-dr/prod?region=us-west-2`."},
			"key_ref": schema.StringAttribute{Optional: true, MarkdownDescription: "Reference of the encryption key that the commands name, such as `secretsmanager:acme/backup-key`. Never the key."},
			"job":     schema.StringAttribute{Optional: true, MarkdownDescription: "The job file that the commands name, such as `/etc/pgbackup/nightly.job.json`. Without it they name the repository."},
			"contacts": schema.ListNestedAttribute{
				Optional: true, MarkdownDescription: "Who to call, in this order.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name":  schema.StringAttribute{Required: true, MarkdownDescription: "Who, such as `Database on call`."},
					"role":  schema.StringAttribute{Optional: true, MarkdownDescription: "What for, such as `decides about data loss`."},
					"reach": schema.StringAttribute{Required: true, MarkdownDescription: "How, such as `+49 30 1234567` or `#dba-oncall`."},
				}},
			},
			"markdown": text("The page."),
		},
	}
}

func (d *Runbook) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m runbookModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := d.read(ctx, &m); err != nil {
		resp.Diagnostics.Append(failed("pgbackup_runbook", "policy", err))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (d *Runbook) read(ctx context.Context, m *runbookModel) error {
	id, err := location.ParsePolicyID(m.Policy.ValueString())
	if err != nil {
		return err
	}
	declared := runbook.Declared{
		Title: m.Title.ValueString(), Repository: id.Repository.String(), Replica: m.Replica.ValueString(), Key: m.KeyRef.ValueString(), Job: m.Job.ValueString(),
	}
	for _, c := range m.Contacts {
		declared.Contacts = append(declared.Contacts, runbook.Contact{Name: c.Name.ValueString(), Role: c.Role.ValueString(), Reach: c.Reach.ValueString()})
	}
	return within(ctx, readTime, id.Repository, func(ctx context.Context) error {
		opened, err := d.conn.OpenRepository(ctx, id.Repository, "")
		if err != nil {
			return err
		}
		facts, err := runbook.Gather(ctx, opened.Repository, id.Name, declared, time.Now())
		if err != nil {
			return err
		}
		m.Markdown = types.StringValue(string(facts.Markdown()))
		return nil
	})
}
