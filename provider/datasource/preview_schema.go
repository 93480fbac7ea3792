package datasource

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

type previewModel struct {
	Policy      types.String  `tfsdk:"policy"`
	Repository  types.String  `tfsdk:"repository"`
	Retention   types.Dynamic `tfsdk:"retention"`
	Timezone    types.String  `tfsdk:"timezone"`
	ExpireAfter types.String  `tfsdk:"expire_after"`
	Source      types.String  `tfsdk:"source"`
	Kind        types.String  `tfsdk:"kind"`
	Limit       types.Int64   `tfsdk:"limit"`

	Revision    types.Int64     `tfsdk:"policy_revision"`
	Keep        []decisionModel `tfsdk:"keep"`
	Delete      []decisionModel `tfsdk:"delete"`
	KeepCount   types.Int64     `tfsdk:"keep_count"`
	KeepBytes   types.Int64     `tfsdk:"keep_bytes"`
	DeleteCount types.Int64     `tfsdk:"delete_count"`
	DeleteBytes types.Int64     `tfsdk:"delete_bytes"`
	Groups      []groupModel    `tfsdk:"groups"`
	Oldest      types.String    `tfsdk:"oldest_restorable"`
	Cost        *costModel      `tfsdk:"estimated_monthly_cost_usd"`
	Warnings    []string        `tfsdk:"warnings"`
}

type decisionModel struct {
	ID      types.String `tfsdk:"id"`
	Source  types.String `tfsdk:"source"`
	Kind    types.String `tfsdk:"kind"`
	Start   types.String `tfsdk:"start"`
	Bytes   types.Int64  `tfsdk:"bytes"`
	Reasons []string     `tfsdk:"reasons"`
	Tier    types.String `tfsdk:"tier"`
}

type groupModel struct {
	Source        types.String `tfsdk:"source"`
	Kind          types.String `tfsdk:"kind"`
	Keep          types.Int64  `tfsdk:"keep_count"`
	Delete        types.Int64  `tfsdk:"delete_count"`
	OldestNow     types.String `tfsdk:"oldest_restorable_now"`
	OldestAfter   types.String `tfsdk:"oldest_restorable_after"`
	GapNowSeconds types.Int64  `tfsdk:"gap_now_seconds"`
	GapSeconds    types.Int64  `tfsdk:"gap_after_seconds"`
}

type costModel struct {
	Now    types.Float64 `tfsdk:"now"`
	After  types.Float64 `tfsdk:"after"`
	Prices types.String  `tfsdk:"prices"`
}

func (d *RetentionPreview) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "What `pgbackup-runner rotate --dry-run` would say now: which recovery points a policy, or rules that are not applied yet, keep and delete, and why. Nothing is deleted. " +
			"Give either `policy`, or `repository` and `retention`.",
		Attributes: map[string]schema.Attribute{
			"policy": schema.StringAttribute{
				Optional: true, Validators: []validator.String{valid.Policy()},
				MarkdownDescription: "The `id` of a `pgbackup_policy`, such as `file:///var/backups/pg#prod`: its revision in force decides, with all that a rotation minds: points that another policy made and keeps, and a revision whose loss nobody approved.",
			},
			"repository": schema.StringAttribute{
				Optional: true, Validators: []validator.String{valid.Repository()},
				MarkdownDescription: "The `id` of a `pgbackup_repository`, such as `file:///var/backups/pg`, to try `retention` on. As with `rotate --keep-…` without a policy, what other policies want of the points does not count.",
			},
			"retention": schema.DynamicAttribute{
				Optional:            true,
				MarkdownDescription: "Rules to try, as `pgbackup_policy` takes them, such as `{ keep_daily = 14 }`.",
			},
			"timezone": schema.StringAttribute{
				Optional: true, Validators: []validator.String{valid.Timezone()},
				MarkdownDescription: "IANA time zone in which days, weeks, months and years begin for `retention`, such as `Europe/Berlin`. Defaults to `UTC`.",
			},
			"expire_after": schema.StringAttribute{
				Optional: true, Validators: []validator.String{valid.Duration()},
				MarkdownDescription: "Age beyond which no recovery point stays whatever `retention` says, except the newest verified one; such as `2555d`. Defaults to no ceiling.",
			},
			"source": sourceFilter(),
			"kind":   kindFilter(),
			"limit": schema.Int64Attribute{
				Optional: true, Validators: []validator.Int64{int64validator.Between(1, maxLimit)},
				MarkdownDescription: "The most points in each of the lists `keep` and `delete`, 1 to 10000; counts and bytes are of all. Defaults to `1000`.",
			},
			"policy_revision":   whole("The revision of the policy that decided; null without `policy`."),
			"keep":              decisions("The recovery points that stay, by source and kind, newest first."),
			"delete":            decisions("The recovery points that the next rotation deletes, by source and kind, newest first."),
			"keep_count":        whole("How many recovery points stay."),
			"keep_bytes":        whole("Their stored size in bytes, as far as it is known."),
			"delete_count":      whole("How many recovery points the next rotation deletes."),
			"delete_bytes":      whole("Their stored size in bytes."),
			"oldest_restorable": text("Start of the oldest good recovery point that stays, of whatever source, RFC 3339; null for none."),
			"warnings":          words("What a rotation would warn of, such as a manifest that cannot be read. They are shown as warnings of the plan too."),
			"groups": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The same for every source and kind.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"source":                  text("What is backed up."),
					"kind":                    text("Kind of its recovery points."),
					"keep_count":              whole("How many of its recovery points stay."),
					"delete_count":            whole("How many of its recovery points go."),
					"oldest_restorable_now":   text("Start of the oldest good recovery point there is, RFC 3339; null for none."),
					"oldest_restorable_after": text("Start of the oldest good recovery point that stays, RFC 3339; null for none."),
					"gap_now_seconds":         whole("Longest time between two neighbouring good recovery points there are, in seconds."),
					"gap_after_seconds":       whole("Longest time between two neighbouring good recovery points that stay, in seconds."),
				}},
			},
			"estimated_monthly_cost_usd": schema.SingleNestedAttribute{
				Computed: true,
				MarkdownDescription: "What storing the recovery points costs a month, in USD, from list prices: an estimate, not a bill. Each is priced in the storage class that the policy wants for its tier and age, without `policy` in STANDARD. " +
					"Null for directories. A bucket of another service than AWS is priced as if it were there, and `prices` says so; `storage_prices_usd` of the provider puts your own prices in the list's place.",
				Attributes: map[string]schema.Attribute{
					"now":    schema.Float64Attribute{Computed: true, MarkdownDescription: "With all that is there."},
					"after":  schema.Float64Attribute{Computed: true, MarkdownDescription: "With what stays."},
					"prices": text("The prices that were used: region and date."),
				},
			},
		},
	}
}

func decisions(description string) schema.ListNestedAttribute {
	return schema.ListNestedAttribute{
		Computed:            true,
		MarkdownDescription: description,
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"id":      text("Identifier of the point."),
			"source":  text("What was backed up."),
			"kind":    text("Kind of the point."),
			"start":   text("When the backup began, RFC 3339 in UTC."),
			"bytes":   whole("Stored size in bytes; null where it is not known."),
			"reasons": words("Why, in sentences."),
			"tier":    text("The tier that the rules make of a point that stays; of one that stays for another reason the tier it is in. Null for none."),
		}},
	}
}
