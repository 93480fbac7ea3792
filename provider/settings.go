package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/aws-sdk-go-base/v2/validation"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/connection"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

type model struct {
	Region       types.String `tfsdk:"region"`
	Profile      types.String `tfsdk:"profile"`
	AssumeRole   types.Object `tfsdk:"assume_role"`
	WebIdentity  types.Object `tfsdk:"assume_role_with_web_identity"`
	Endpoints    types.Object `tfsdk:"endpoints"`
	DefaultTags  types.Object `tfsdk:"default_tags"`
	PathStyle    types.Bool   `tfsdk:"s3_use_path_style"`
	RunnerPath   types.String `tfsdk:"runner_path"`
	Prices       types.Map    `tfsdk:"storage_prices_usd"`
	MaxRetries   types.Int64  `tfsdk:"max_retries"`
	RetryMode    types.String `tfsdk:"retry_mode"`
	Allowed      types.Set    `tfsdk:"allowed_account_ids"`
	Forbidden    types.Set    `tfsdk:"forbidden_account_ids"`
	UserAgent    types.List   `tfsdk:"user_agent"`
	ConfigFiles  types.List   `tfsdk:"shared_config_files"`
	Credentials  types.List   `tfsdk:"shared_credentials_files"`
	CABundle     types.String `tfsdk:"custom_ca_bundle"`
	HTTPProxy    types.String `tfsdk:"http_proxy"`
	HTTPSProxy   types.String `tfsdk:"https_proxy"`
	NoProxy      types.String `tfsdk:"no_proxy"`
	STSRegion    types.String `tfsdk:"sts_region"`
	SkipCreds    types.Bool   `tfsdk:"skip_credentials_validation"`
	SkipMetadata types.Bool   `tfsdk:"skip_metadata_api_check"`
	SkipRegion   types.Bool   `tfsdk:"skip_region_validation"`
	Insecure     types.Bool   `tfsdk:"insecure"`
	DualStack    types.Bool   `tfsdk:"use_dualstack_endpoint"`
	FIPS         types.Bool   `tfsdk:"use_fips_endpoint"`
}

type roleModel struct {
	RoleARN     types.String `tfsdk:"role_arn"`
	SessionName types.String `tfsdk:"session_name"`
	Duration    types.String `tfsdk:"duration"`
	Policy      types.String `tfsdk:"policy"`
	PolicyARNs  types.Set    `tfsdk:"policy_arns"`
}

type assumeModel struct {
	roleModel
	ExternalID     types.String `tfsdk:"external_id"`
	SourceIdentity types.String `tfsdk:"source_identity"`
	Tags           types.Map    `tfsdk:"tags"`
	TransitiveTags types.Set    `tfsdk:"transitive_tag_keys"`
}

type webIdentityModel struct {
	roleModel
	TokenFile types.String `tfsdk:"web_identity_token_file"`
}

// settings reads the provider block. What is not known yet makes all of it
// unknown: with half of it the wrong account could be reached.
func (m model) settings(ctx context.Context) (s connection.Settings, diags diag.Diagnostics) {
	for _, value := range []attr.Value{
		m.Region, m.Profile, m.AssumeRole, m.WebIdentity, m.Endpoints, m.DefaultTags, m.PathStyle, m.RunnerPath, m.Prices, m.MaxRetries, m.RetryMode, m.Allowed, m.Forbidden, m.UserAgent,
		m.ConfigFiles, m.Credentials, m.CABundle, m.HTTPProxy, m.HTTPSProxy, m.NoProxy, m.STSRegion, m.SkipCreds, m.SkipMetadata, m.SkipRegion, m.Insecure, m.DualStack, m.FIPS,
	} {
		if tf, err := value.ToTerraformValue(ctx); err != nil || !tf.IsFullyKnown() {
			s.Unknown = true
		}
	}
	s.Region, s.Profile, s.RunnerPath, s.PathStyle = m.Region.ValueString(), m.Profile.ValueString(), m.RunnerPath.ValueString(), m.PathStyle.ValueBool()
	s.MaxRetries, s.RetryMode = int(m.MaxRetries.ValueInt64()), m.RetryMode.ValueString()
	s.CABundle, s.HTTPProxy, s.HTTPSProxy, s.NoProxy = m.CABundle.ValueString(), m.HTTPProxy.ValueString(), m.HTTPSProxy.ValueString(), m.NoProxy.ValueString()
	s.STSRegion, s.Insecure, s.DualStack, s.FIPS = m.STSRegion.ValueString(), m.Insecure.ValueBool(), m.DualStack.ValueBool(), m.FIPS.ValueBool()
	s.SkipCredentialsValidation, s.SkipMetadata = m.SkipCreds.ValueBool(), m.SkipMetadata.ValueBool()
	s.AllowedAccounts, s.ForbiddenAccounts = read[[]string](ctx, m.Allowed, &diags), read[[]string](ctx, m.Forbidden, &diags)
	s.UserAgent = read[[]string](ctx, m.UserAgent, &diags)
	s.SharedConfigFiles, s.SharedCredentialsFiles = read[[]string](ctx, m.ConfigFiles, &diags), read[[]string](ctx, m.Credentials, &diags)
	s.StoragePrices = m.prices(ctx, &diags)
	s.Endpoints = map[string]string{}
	if !m.Endpoints.IsUnknown() {
		given := m.Endpoints.Attributes()
		s.S3Endpoint = textOf(given["s3"])
		for _, service := range services {
			if url := textOf(given[service.attribute]); url != "" {
				s.Endpoints[service.id] = url
			}
		}
	}
	if tags, ok := m.DefaultTags.Attributes()["tags"].(types.Map); ok {
		s.DefaultTags = read[map[string]string](ctx, tags, &diags)
	}
	s.Role, s.WebIdentity = m.assumeRole(ctx, &diags), m.webIdentity(ctx, &diags)
	m.checkRegion(s, &diags)
	return s, diags
}

// checkRegion finds a mistyped region before a host name of it is looked for. Of
// other services than AWS nobody knows the regions.
func (m model) checkRegion(s connection.Settings, diags *diag.Diagnostics) {
	if s.Region == "" || m.SkipRegion.ValueBool() || s.S3Endpoint != "" || s.Unknown {
		return
	}
	if err := validation.SupportedRegion(s.Region); err != nil {
		diags.AddAttributeError(path.Root("region"), "Invalid value for region", fmt.Sprintf("%q is no region of AWS that this provider knows. If it is a new one, set skip_region_validation = true.", s.Region))
	}
}

func (m model) assumeRole(ctx context.Context, diags *diag.Diagnostics) *connection.Role {
	if m.AssumeRole.IsNull() || m.AssumeRole.IsUnknown() {
		return nil
	}
	var r assumeModel
	diags.Append(m.AssumeRole.As(ctx, &r, lenient)...)
	role := r.role(ctx, "assume_role", diags)
	role.ExternalID, role.SourceIdentity = r.ExternalID.ValueString(), r.SourceIdentity.ValueString()
	role.Tags, role.TransitiveTagKeys = read[map[string]string](ctx, r.Tags, diags), read[[]string](ctx, r.TransitiveTags, diags)
	return role
}

func (m model) webIdentity(ctx context.Context, diags *diag.Diagnostics) *connection.Role {
	if m.WebIdentity.IsNull() || m.WebIdentity.IsUnknown() {
		return nil
	}
	var r webIdentityModel
	diags.Append(m.WebIdentity.As(ctx, &r, lenient)...)
	role := r.role(ctx, "assume_role_with_web_identity", diags)
	role.TokenFile = r.TokenFile.ValueString()
	return role
}

func (r roleModel) role(ctx context.Context, block string, diags *diag.Diagnostics) *connection.Role {
	role := &connection.Role{ARN: r.RoleARN.ValueString(), SessionName: r.SessionName.ValueString(), Policy: r.Policy.ValueString(), PolicyARNs: read[[]string](ctx, r.PolicyARNs, diags)}
	if text := r.Duration.ValueString(); text != "" {
		d, err := duration.Parse(text)
		exact, ok := d.Exact()
		if err != nil || !ok || exact < 15*time.Minute || exact > 12*time.Hour {
			diags.AddAttributeError(path.Root(block).AtName("duration"), "Invalid value for "+block+".duration", "Give a length of time from 15m to 12h.")
		}
		role.Duration = exact
	}
	return role
}

var lenient = basetypes.ObjectAsOptions{UnhandledNullAsEmpty: true, UnhandledUnknownAsEmpty: true}

// read takes what is known out of a list, set or map of texts.
func read[T any](ctx context.Context, value attr.Value, diags *diag.Diagnostics) (out T) {
	tf, err := value.ToTerraformValue(ctx)
	if err != nil || !tf.IsFullyKnown() || value.IsNull() {
		return out
	}
	switch v := value.(type) {
	case types.List:
		diags.Append(v.ElementsAs(ctx, &out, false)...)
	case types.Set:
		diags.Append(v.ElementsAs(ctx, &out, false)...)
	case types.Map:
		diags.Append(v.ElementsAs(ctx, &out, false)...)
	}
	return out
}

func textOf(value attr.Value) string {
	if text, ok := value.(types.String); ok {
		return text.ValueString()
	}
	return ""
}

// prices reads the prices that are known; what is wrong with one is said at the
// attribute.
func (m model) prices(ctx context.Context, diags *diag.Diagnostics) map[string]float64 {
	known := map[string]float64{}
	values := map[string]types.Float64{}
	if !m.Prices.IsUnknown() {
		diags.Append(m.Prices.ElementsAs(ctx, &values, false)...)
	}
	for class, usd := range values {
		if !usd.IsUnknown() && !usd.IsNull() {
			known[class] = usd.ValueFloat64()
		}
	}
	if _, err := cost.Prices("").With(known); err != nil {
		diags.AddAttributeError(path.Root("storage_prices_usd"), "Invalid value for storage_prices_usd", valid.Sentence(err))
	}
	return known
}
