package datasource

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/cost"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/duration"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/policy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/rotate"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/rulesattr"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// RetentionPreview is pgbackup_retention_preview.
type RetentionPreview struct{ reader }

var (
	_ datasource.DataSourceWithConfigure      = (*RetentionPreview)(nil)
	_ datasource.DataSourceWithValidateConfig = (*RetentionPreview)(nil)
)

// NewRetentionPreview makes the data source.
func NewRetentionPreview() datasource.DataSource { return &RetentionPreview{} }

func (d *RetentionPreview) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_retention_preview"
}

// ValidateConfig holds that a policy or a repository with rules is given, and
// that the rules make sense.
func (d *RetentionPreview) ValidateConfig(ctx context.Context, req datasource.ValidateConfigRequest, resp *datasource.ValidateConfigResponse) {
	var m previewModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	wrong := func(attribute, detail string) {
		resp.Diagnostics.AddAttributeError(path.Root(attribute), "Invalid value for "+attribute, detail)
	}
	switch {
	case m.Policy.IsNull() && m.Repository.IsNull():
		resp.Diagnostics.AddError("Invalid pgbackup_retention_preview", "Give the id of a policy, or a repository and retention.")
	case !m.Policy.IsNull() && !m.Repository.IsNull():
		wrong("repository", "The policy names its repository already: give one of the two.")
	case m.Policy.IsNull() && m.Retention.IsNull():
		wrong("retention", "Give the rules to try on the repository, such as { keep_daily = 14 }, or the id of a policy in place of the repository.")
	case !m.Policy.IsNull():
		for _, rule := range []struct {
			attribute string
			value     attr.Value
		}{{"retention", m.Retention}, {"timezone", m.Timezone}, {"expire_after", m.ExpireAfter}} {
			if !rule.value.IsNull() {
				wrong(rule.attribute, "The policy says it already. To try other rules, give repository and retention.")
			}
		}
	default:
		_, diags := m.document()
		resp.Diagnostics.Append(diags...)
	}
}

// document is the policy that the rules to try would make. Rules that are not
// known yet are left to the read.
func (m *previewModel) document() (policy.Document, diag.Diagnostics) {
	var diags diag.Diagnostics
	d := policy.Document{Format: policy.Format, Name: "preview", Timezone: m.Timezone.ValueString()}
	keep, known, errs := rulesattr.Read(m.Retention)
	d.Retention = keep
	for _, err := range errs {
		diags.AddAttributeError(path.Root("retention"), "Invalid rule in retention", valid.Sentence(err))
	}
	if text := m.ExpireAfter.ValueString(); text != "" {
		ceiling, err := duration.Parse(text)
		if err != nil {
			return d, diags // the attribute has a validator of its own
		}
		d.Storage.ExpireAfter = ceiling
	}
	rules, err := d.Rules()
	if err != nil || !known || m.ExpireAfter.IsUnknown() || diags.HasError() {
		return d, diags
	}
	if err := rules.Validate(); err != nil {
		diags.AddAttributeError(path.Root("retention"), "Invalid rules in retention", valid.Sentence(err))
	}
	return d, diags
}

func (d *RetentionPreview) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m previewModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(d.read(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	for _, warning := range m.Warnings {
		resp.Diagnostics.AddWarning("pgbackup_retention_preview: "+firstClause(warning), valid.Sentence(errors.New(warning)))
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// preview is what the data source decides by.
type preview struct {
	at       location.Location
	opened   *repo.Repository
	document policy.Document
	revision policy.Revision // of a policy; zero for rules to try
	prices   cost.Table
	now      time.Time
	warnings diag.Diagnostics
}

func (d *RetentionPreview) read(ctx context.Context, m *previewModel) diag.Diagnostics {
	p := preview{now: time.Now()}
	var diags diag.Diagnostics
	if m.Policy.IsNull() {
		if p.document, diags = m.document(); diags.HasError() {
			return diags
		}
	}
	attribute, err := d.readFrom(ctx, m, &p)
	if err != nil {
		diags.Append(failed("pgbackup_retention_preview", attribute, err))
	}
	return append(diags, p.warnings...)
}

// readFrom reads the place that the attribute it returns names.
func (d *RetentionPreview) readFrom(ctx context.Context, m *previewModel, p *preview) (attribute string, err error) {
	name := ""
	if m.Policy.IsNull() {
		attribute = "repository"
		p.at, err = location.Parse(m.Repository.ValueString())
	} else {
		attribute = "policy"
		var id location.PolicyID
		id, err = location.ParsePolicyID(m.Policy.ValueString())
		p.at, name = id.Repository, id.Name
	}
	if err != nil {
		return attribute, err
	}
	return attribute, within(ctx, readTime, p.at, func(ctx context.Context) error {
		if err := d.open(ctx, p, name); err != nil {
			return err
		}
		if err := m.fill(ctx, p); err != nil || m.KeepCount.ValueInt64()+m.DeleteCount.ValueInt64() > 0 {
			return err
		}
		p.warnings, err = unknownSource(ctx, "pgbackup_retention_preview", p.opened, m.Source)
		return err
	})
}

// open opens the repository and reads the policy, where one is named.
func (d *RetentionPreview) open(ctx context.Context, p *preview, name string) error {
	opened, err := d.conn.OpenRepository(ctx, p.at, "")
	if err != nil {
		return err
	}
	p.opened = opened.Repository
	if p.prices, err = d.conn.Prices(p.at); err != nil {
		return err
	}
	if name == "" {
		return nil
	}
	p.revision, err = opened.CurrentPolicy(ctx, name)
	p.document = p.revision.Document
	return err
}

// outcome is what a rotation would do now. Under a retired policy nothing is
// rotated.
func (p *preview) outcome(ctx context.Context, m *previewModel) (rotate.Outcome, error) {
	filter := repo.Filter{Source: m.Source.ValueString(), Kind: m.Kind.ValueString()}
	if p.revision.Envelope.Retired {
		return p.nothing(ctx, filter)
	}
	rules, err := p.document.Rules()
	if err != nil {
		return rotate.Outcome{}, err
	}
	opts := rotate.Options{
		Repo: p.opened, Rules: rules, Now: p.now, Filter: filter, Policy: p.revision.Document.Name, PolicyRevision: p.revision.Number,
	}
	if p.revision.Number > 0 {
		if opts.Restrict, err = rotate.Restrictions(ctx, p.opened, p.revision); err != nil {
			return rotate.Outcome{}, err
		}
	}
	return rotate.Plan(ctx, opts)
}

// nothing is the outcome under a policy that is retired.
func (p *preview) nothing(ctx context.Context, f repo.Filter) (rotate.Outcome, error) {
	listed, err := p.opened.List(ctx, f)
	if err != nil {
		return rotate.Outcome{}, err
	}
	sizes, err := p.opened.Sizes(ctx, f)
	if err != nil {
		return rotate.Outcome{}, err
	}
	out := rotate.Outcome{Warnings: []string{fmt.Sprintf("policy %q is retired: nothing is rotated", p.document.Name)}}
	for _, l := range listed {
		out.Keep = append(out.Keep, rotate.Decision{
			ID: l.ID, Source: l.Source, Kind: l.Kind, Start: l.Start, Bytes: sizes[l.String()], Tier: l.Tier,
			Restorable: l.Verified() && !l.Start.After(p.now.Add(retention.FutureSkew)), Reasons: []string{"the policy is retired: nothing is rotated"},
		})
	}
	return out, nil
}
