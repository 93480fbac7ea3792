package datasource

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/told"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// DrillReports is pgbackup_drill_reports.
type DrillReports struct{ reader }

var _ datasource.DataSourceWithConfigure = (*DrillReports)(nil)

// NewDrillReports makes the data source.
func NewDrillReports() datasource.DataSource { return &DrillReports{} }

type drillReportsModel struct {
	Repository types.String       `tfsdk:"repository"`
	Drill      types.String       `tfsdk:"drill"`
	Source     types.String       `tfsdk:"source"`
	Limit      types.Int64        `tfsdk:"limit"`
	Reports    []drillReportModel `tfsdk:"reports"`
	Latest     []drillReportModel `tfsdk:"latest"`
	AllProven  types.Bool         `tfsdk:"all_proven"`
}

type drillReportModel struct {
	ID         types.String  `tfsdk:"id"`
	Drill      types.String  `tfsdk:"drill"`
	Source     types.String  `tfsdk:"source"`
	Kind       types.String  `tfsdk:"kind"`
	Point      types.String  `tfsdk:"point"`
	From       types.String  `tfsdk:"from"`
	Start      types.String  `tfsdk:"start"`
	Seconds    types.Float64 `tfsdk:"seconds"`
	Outcome    types.String  `tfsdk:"outcome"`
	Reason     types.String  `tfsdk:"reason"`
	RTOSeconds types.Float64 `tfsdk:"rto_seconds"`
	RTOKept    types.Bool    `tfsdk:"rto_kept"`
	Tables     types.Int64   `tfsdk:"tables"`
	Rows       types.Int64   `tfsdk:"rows"`
	Bytes      types.Int64   `tfsdk:"bytes"`
	Failed     []string      `tfsdk:"failed_checks"`
	Problem    types.String  `tfsdk:"problem"`
}

func (d *DrillReports) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_drill_reports"
}

// defaultReports is how many reports of each drill and source are read.
const defaultReports = 10

func (d *DrillReports) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	report := schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
		"id":            text("Identifier of the drill, such as `20260301T040000Z-abcdefgh`."),
		"drill":         text("Name of the drill; `manual` for one that was not run by a job."),
		"source":        text("What was restored."),
		"kind":          text("Kind of the recovery point, such as `logical`; null where none could be chosen."),
		"point":         text("Identifier of the recovery point; null where none could be chosen."),
		"from":          text("Where it was read from: `primary` or `replica`."),
		"start":         text("When the drill began, RFC 3339 in UTC."),
		"seconds":       schema.Float64Attribute{Computed: true, MarkdownDescription: "How long the whole drill took."},
		"outcome":       text("`proven`: the backup was restored and everything checked is right; `bad_backup`: it is not what it should be; `could_not_run`: the drill says nothing about the backup."),
		"reason":        text("Why the outcome is not `proven`; null where it is."),
		"rto_seconds":   schema.Float64Attribute{Computed: true, MarkdownDescription: "How long it took until the database could be used; null where nothing was restored."},
		"rto_kept":      flag("Whether that is within the policy's `objectives.rto`; null without one, and where nothing was restored."),
		"tables":        whole("How many tables were held against the backup's hashes."),
		"rows":          whole("How many rows they have."),
		"bytes":         whole("How many bytes of table data they have."),
		"failed_checks": words("Names of the checks that did not find what they expect."),
		"problem":       text("Why the report cannot be read; null where it can."),
	}}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The reports of restore drills in a repository, newest first. They are read without the repository's key, so that their seal is not checked: `pgbackup-runner drills` does that.",
		Attributes: map[string]schema.Attribute{
			"repository": schema.StringAttribute{
				Required: true, Validators: []validator.String{valid.Repository()},
				MarkdownDescription: "The `id` of a `pgbackup_repository`, or its URL, such as `s3://acme-pg-backups/prod?region=eu-west-1`.",
			},
			"drill":  schema.StringAttribute{Optional: true, MarkdownDescription: "Only reports of this drill, such as `weekly`. All drills where it is not given."},
			"source": sourceFilter(),
			"limit": schema.Int64Attribute{
				Optional: true, Validators: []validator.Int64{int64validator.Between(1, 1000)},
				MarkdownDescription: "The most reports of each drill and source, 1 to 1000. Defaults to `10`.",
			},
			"reports":    schema.ListNestedAttribute{Computed: true, NestedObject: report, MarkdownDescription: "The reports, newest first."},
			"latest":     schema.ListNestedAttribute{Computed: true, NestedObject: report, MarkdownDescription: "The newest report of each drill and source."},
			"all_proven": flag("Whether there is a report, and the newest of every drill and source is `proven`: for a `check` block."),
		},
	}
}

func (d *DrillReports) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m drillReportsModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := d.read(ctx, &m); err != nil {
		resp.Diagnostics.Append(failed("pgbackup_drill_reports", "repository", err))
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (d *DrillReports) read(ctx context.Context, m *drillReportsModel) error {
	place, err := location.Parse(m.Repository.ValueString())
	if err != nil {
		return err
	}
	limit := defaultReports
	if n := m.Limit.ValueInt64(); n > 0 {
		limit = int(n)
	}
	return within(ctx, readTime, place, func(ctx context.Context) error {
		opened, err := d.conn.OpenRepository(ctx, place, "")
		if err != nil {
			return err
		}
		listed, err := opened.DrillReports(ctx, repo.DrillFilter{Drill: m.Drill.ValueString(), Source: m.Source.ValueString(), Newest: limit})
		if err != nil {
			return err
		}
		m.show(listed)
		return nil
	})
}

func (m *drillReportsModel) show(listed []repo.DrillListed) {
	m.Reports, m.Latest = make([]drillReportModel, len(listed)), []drillReportModel{}
	proven := len(listed) > 0
	seen := map[[2]string]bool{}
	for i, l := range listed { // newest first
		shown := showDrill(l)
		m.Reports[i] = shown
		if lane := [2]string{l.Drill, l.Source}; !seen[lane] {
			seen[lane] = true
			m.Latest = append(m.Latest, shown)
			proven = proven && l.Report != nil && l.Report.Outcome == drillreport.Proven
		}
	}
	m.AllProven = types.BoolValue(proven)
}

func showDrill(l repo.DrillListed) drillReportModel {
	m := drillReportModel{ID: types.StringValue(l.ID), Drill: types.StringValue(l.Drill), Source: types.StringValue(l.Source)}
	if l.Problem != nil {
		m.Problem = types.StringValue(l.Problem.Error())
	}
	r := l.Report
	if r == nil {
		return m
	}
	m.Kind, m.Point, m.From = some(r.Point.Kind), some(r.Point.ID), some(r.Point.From)
	m.Start, m.Seconds = told.Moment(r.Start), types.Float64Value(r.End.Sub(r.Start).Seconds())
	m.Outcome, m.Reason = types.StringValue(string(r.Outcome)), some(r.Reason)
	if r.RTO.Seconds > 0 {
		m.RTOSeconds = types.Float64Value(r.RTO.Seconds)
	}
	m.RTOKept = types.BoolPointerValue(r.RTO.Kept)
	m.Tables, m.Rows, m.Bytes = types.Int64Value(r.Contents.Tables), types.Int64Value(r.Contents.Rows), types.Int64Value(r.Contents.Bytes)
	m.Failed = []string{}
	for _, c := range r.Checks {
		if !c.Passed {
			m.Failed = append(m.Failed, c.Name)
		}
	}
	return m
}
