// Package provider is Terraform's face of pgbackup: it turns the provider block
// into a connection and offers the resources, each of which has a folder of its
// own below this one, the data sources and the functions.
//
// What must not live here: dumps, restores and retention decisions. The provider
// declares and shows; the runner does.
package provider

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	fwephemeral "github.com/hashicorp/terraform-plugin-framework/ephemeral"
	fwfunction "github.com/hashicorp/terraform-plugin-framework/function"
	fwprovider "github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/alarm"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	source "github.com/pgbackup/terraform-provider-pgbackup/provider/datasource"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/ephemeral"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/function"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/rdsretention"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/recoverypoint"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/repository"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/restoredrill"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/runnerbinary"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/schedule"
)

// New makes a provider that reports version, such as "1.2.3".
func New(version string) func() fwprovider.Provider {
	return func() fwprovider.Provider { return &pgbackup{version: version} }
}

// NewWith is New with another way to AWS than the configuration and the environment
// lead to, such as to a server that answers as AWS does.
func NewWith(version string, adjust func(aws.Config) aws.Config) func() fwprovider.Provider {
	return func() fwprovider.Provider { return &pgbackup{version: version, adjust: adjust} }
}

type pgbackup struct {
	version string
	adjust  func(aws.Config) aws.Config // nil is none
}

var (
	_ fwprovider.ProviderWithFunctions          = (*pgbackup)(nil)
	_ fwprovider.ProviderWithEphemeralResources = (*pgbackup)(nil)
)

func (p *pgbackup) Metadata(_ context.Context, _ fwprovider.MetadataRequest, resp *fwprovider.MetadataResponse) {
	resp.TypeName, resp.Version = "pgbackup", p.version
}

func (p *pgbackup) Configure(ctx context.Context, req fwprovider.ConfigureRequest, resp *fwprovider.ConfigureResponse) {
	var m model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	settings, diags := m.settings(ctx)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	settings.Version, settings.Adjust = p.version, p.adjust
	conn := connection.New(settings)
	resp.ResourceData, resp.DataSourceData, resp.EphemeralResourceData = conn, conn, conn
}

func (p *pgbackup) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{repository.New, policy.New, runnerbinary.New, schedule.New, restoredrill.New, alarm.New, rdsretention.New, recoverypoint.New}
}

func (p *pgbackup) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{source.NewRecoveryPoints, source.NewRetentionPreview, source.NewIAMPolicy, source.NewAlarmStates, source.NewRDSSnapshots, source.NewDrillReports, source.NewRunbook}
}

func (p *pgbackup) EphemeralResources(context.Context) []func() fwephemeral.EphemeralResource {
	return []func() fwephemeral.EphemeralResource{ephemeral.NewEncryptionKey}
}

func (p *pgbackup) Functions(context.Context) []func() fwfunction.Function {
	return []func() fwfunction.Function{function.NewNextRuns, function.NewKeptPoints}
}
