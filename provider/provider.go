// Package provider is Terraform's face of pgbackup: it turns the provider block
// into a connection and offers the resources, each of which has a folder of its
// own below this one, the data sources and the functions.
//
// What must not live here: dumps, restores and retention decisions. The provider
// declares and shows; the runner does.
package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	fwfunction "github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/path"
	fwprovider "github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	source "github.com/pgbackup/terraform-provider-pgbackup/provider/datasource"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/function"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/repository"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/runnerbinary"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// New makes a provider that reports version, such as "1.2.3".
func New(version string) func() fwprovider.Provider {
	return func() fwprovider.Provider { return &pgbackup{version: version} }
}

type pgbackup struct{ version string }

var _ fwprovider.ProviderWithFunctions = (*pgbackup)(nil)

type model struct {
	Region     types.String `tfsdk:"region"`
	Profile    types.String `tfsdk:"profile"`
	AssumeRole types.Object `tfsdk:"assume_role"`
	Endpoints  types.Object `tfsdk:"endpoints"`
	PathStyle  types.Bool   `tfsdk:"s3_use_path_style"`
	RunnerPath types.String `tfsdk:"runner_path"`
	Prices     types.Map    `tfsdk:"storage_prices_usd"`
}

type roleModel struct {
	RoleARN     types.String `tfsdk:"role_arn"`
	SessionName types.String `tfsdk:"session_name"`
	ExternalID  types.String `tfsdk:"external_id"`
	Duration    types.String `tfsdk:"duration"`
}

type endpointsModel struct {
	S3 types.String `tfsdk:"s3"`
}

func (p *pgbackup) Metadata(_ context.Context, _ fwprovider.MetadataRequest, resp *fwprovider.MetadataResponse) {
	resp.TypeName, resp.Version = "pgbackup", p.version
}

func (p *pgbackup) Schema(_ context.Context, _ fwprovider.SchemaRequest, resp *fwprovider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Declares what of PostgreSQL must be recoverable, for how long and from where, and carries the program that does the work, `pgbackup-runner`, to where it runs.",
		Attributes: map[string]schema.Attribute{
			"region": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "AWS region of buckets that name none themselves, such as `eu-west-1`. Without it the usual AWS chain decides: `AWS_REGION`, then the profile.",
			},
			"profile": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Profile of the shared AWS configuration (`~/.aws/config`) to use. Without it the usual AWS chain decides: environment, `AWS_PROFILE`, web identity, container and instance roles.",
			},
			"assume_role": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "IAM role to take on before anything in AWS is read or written. It is used by Terraform alone; a runner has credentials of its own.",
				Attributes: map[string]schema.Attribute{
					"role_arn": schema.StringAttribute{
						Required:            true,
						MarkdownDescription: "ARN of the role, such as `arn:aws:iam::111122223333:role/backup-admin`.",
					},
					"session_name": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "Name of the session as it appears in CloudTrail, such as `terraform`. Made up when not given.",
					},
					"external_id": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "External id that the role's trust policy asks for, such as `acme-backups`. Defaults to none.",
					},
					"duration": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "How long the credentials stay valid, `15m` to `12h`. Defaults to `1h`.",
						Validators:          []validator.String{valid.ExactDuration()},
					},
				},
			},
			"endpoints": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "URLs to use instead of those of AWS.",
				Attributes: map[string]schema.Attribute{
					"s3": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "URL of an S3-compatible service, such as `https://minio.example.org`. Used by repositories that name no `endpoint` themselves. Buckets then stand in the path of requests.",
						Validators:          []validator.String{stringvalidator.RegexMatches(httpURL, "must be a URL that begins with http:// or https://")},
					},
				},
			},
			"s3_use_path_style": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Put the name of the bucket into the path of requests instead of the host name. Defaults to `true` where an endpoint is given, `false` otherwise.",
			},
			"runner_path": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Program `pgbackup-runner` for Linux to use instead of the builds this provider carries, or a folder with one program `pgbackup-runner*` for each architecture. The architecture is read from the programs. Needed with a provider that was built without runners.",
			},
			"storage_prices_usd": schema.MapAttribute{
				Optional: true, ElementType: types.Float64Type,
				MarkdownDescription: "Prices to estimate the cost of storage with, in USD per GB and month by storage class, such as `{ STANDARD = 0.021 }`: what was agreed with AWS, or what another S3-compatible service charges. " +
					"Defaults to AWS's list prices, also for other services, where they are for comparison.",
			},
		},
	}
}

func (p *pgbackup) Configure(ctx context.Context, req fwprovider.ConfigureRequest, resp *fwprovider.ConfigureResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	s := connection.Settings{
		Version: p.version, Region: m.Region.ValueString(), Profile: m.Profile.ValueString(),
		PathStyle: m.PathStyle.ValueBool(), RunnerPath: m.RunnerPath.ValueString(),
		Unknown: m.Region.IsUnknown() || m.Profile.IsUnknown() || m.PathStyle.IsUnknown() || m.RunnerPath.IsUnknown() || m.AssumeRole.IsUnknown() || m.Endpoints.IsUnknown() || m.Prices.IsUnknown(),
	}
	s.StoragePrices = prices(ctx, m.Prices, &s.Unknown, resp)
	options := basetypes.ObjectAsOptions{UnhandledNullAsEmpty: true, UnhandledUnknownAsEmpty: true}
	var endpoints endpointsModel
	resp.Diagnostics.Append(m.Endpoints.As(ctx, &endpoints, options)...)
	s.S3Endpoint = endpoints.S3.ValueString()
	s.Unknown = s.Unknown || endpoints.S3.IsUnknown()
	if !m.AssumeRole.IsNull() && !m.AssumeRole.IsUnknown() {
		var role roleModel
		resp.Diagnostics.Append(m.AssumeRole.As(ctx, &role, options)...)
		s.Role = &connection.Role{ARN: role.RoleARN.ValueString(), SessionName: role.SessionName.ValueString(), ExternalID: role.ExternalID.ValueString()}
		s.Role.Duration = p.roleDuration(role.Duration, resp)
		s.Unknown = s.Unknown || role.RoleARN.IsUnknown() || role.SessionName.IsUnknown() || role.ExternalID.IsUnknown() || role.Duration.IsUnknown()
	}
	if resp.Diagnostics.HasError() {
		return
	}
	conn := connection.New(s)
	resp.ResourceData, resp.DataSourceData = conn, conn
}

// roleDuration reads a length of time that the schema has validated already,
// unless it was not known then.
func (p *pgbackup) roleDuration(text types.String, resp *fwprovider.ConfigureResponse) time.Duration {
	if text.ValueString() == "" {
		return 0
	}
	d, err := duration.Parse(text.ValueString())
	exact, ok := d.Exact()
	if err != nil || !ok {
		resp.Diagnostics.AddAttributeError(path.Root("assume_role").AtName("duration"), "Invalid value for assume_role.duration", "Give a length of time from 15m to 12h.")
	}
	return exact
}

// prices reads the prices that are known; what is wrong with one is said at the
// attribute.
func prices(ctx context.Context, given types.Map, unknown *bool, resp *fwprovider.ConfigureResponse) map[string]float64 {
	known := map[string]float64{}
	values := map[string]types.Float64{}
	if !given.IsUnknown() {
		resp.Diagnostics.Append(given.ElementsAs(ctx, &values, false)...)
	}
	for class, usd := range values {
		if usd.IsUnknown() {
			*unknown = true
		} else if !usd.IsNull() {
			known[class] = usd.ValueFloat64()
		}
	}
	if _, err := cost.Prices("").With(known); err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("storage_prices_usd"), "Invalid value for storage_prices_usd", valid.Sentence(err))
	}
	return known
}

func (p *pgbackup) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{repository.New, policy.New, runnerbinary.New, schedule.New}
}

func (p *pgbackup) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{source.NewRecoveryPoints, source.NewRetentionPreview}
}

func (p *pgbackup) Functions(context.Context) []func() fwfunction.Function {
	return []func() fwfunction.Function{function.NewNextRuns, function.NewKeptPoints}
}
