// Package policy is the resource pgbackup_policy: what must be recoverable, how
// fast and for how long, written to a repository as numbered revisions.
//
// What must not live here: what the rules mean (package retention) and how
// revisions are stored (package repo).
package policy

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/planmod"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A policy: what must be recoverable, how fast and for how long. Every applied change is written to the repository as a numbered revision that is never changed afterwards; " +
			"the runner rotates by the newest one. Destroying a policy deletes no recovery point: it writes a revision marked as retired, and without a current revision nothing is rotated.\n\n" +
			"Lengths of time are written with `s` `m` `h` `d` `w` `mo` `y` (`m` is minutes, months and years go by the calendar), combined as `1y2mo3d`. `24h` and `1d` are the same and plan no change.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Name of the policy in its repository: lower-case letters, digits and hyphens, at most 63. Changing it retires the policy and declares another. A name is in force once in a repository, so a policy cannot be replaced with `create_before_destroy`.",
				Validators:          []validator.String{valid.Name()},
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"repository": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "The `id` of the `pgbackup_repository` the policy is for. Another place replaces the policy; another way to the same place does not.",
				Validators:          []validator.String{valid.Repository()},
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplaceIf(func(_ context.Context, req planmodifier.StringRequest, resp *stringplanmodifier.RequiresReplaceIfFuncResponse) {
					resp.RequiresReplace = req.PlanValue.IsUnknown() || !planmod.SamePlace(req.StateValue.ValueString(), req.PlanValue.ValueString())
				}, "Another place replaces the policy.", "Another place replaces the policy.")},
			},
			"environment": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "What the policy protects, in your own words, such as `production`. It is stored in the policy, for people who read it there; nothing else depends on it today. At most 64 characters.",
				Validators:          []validator.String{stringvalidator.LengthBetween(1, 64)},
			},
			"timezone": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "IANA time zone in which days, weeks, months and years begin for the `keep_*` rules, such as `Europe/Berlin`. Defaults to UTC.",
				Validators:          []validator.String{valid.Timezone()},
			},
			"objectives": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "What is promised to the business. It is stored in the policy, for people and programs that read it there; nothing is deleted because of it, and nothing raises an alarm yet.",
				Attributes: map[string]schema.Attribute{
					"rpo": span("How much work may be lost at most, such as `24h`: the age the newest recovery point may reach."),
					"rto": span("How long a restore may take at most, such as `4h`."),
				},
			},
			"retention": schema.DynamicAttribute{
				Required: true,
				MarkdownDescription: "Which recovery points are kept, for each source and kind, as an object of rules such as `{ keep_daily = 30, keep_weekly = 12 }`. A point stays when any of the rules keeps it; at least one rule is given. " +
					"The newest verified point is kept always, and so is what is held. A name that is no rule is an error. The rules are those of restic's `forget`; in a span a day is 24 hours, and a month back from the 31st ends on the last day of a shorter month:\n\n" + ruleList(),
			},
			"storage": storageSchema(),
			"approve_expiry": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Approves the loss of the recovery points that a change of the rules costs, by the code that the refused plan names, such as `EXPIRE-16-9c41d2`. It is good for that loss only, as it was at any moment of the last 7 days, " +
					"so that nightly backups between review and apply do not void it. A code that is not needed any more does no harm; a plan reminds of removing it, which writes no revision.",
				Validators: []validator.String{valid.Approval()},
			},
			"manage_lifecycle": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(true),
				MarkdownDescription: "Whether the transitions are written to the bucket as lifecycle rules of this policy, beside those of others, and repaired when somebody changes them. With `false` they are only shown in `lifecycle_rules`, " +
					"for another owner of the bucket's lifecycle such as `aws_s3_bucket_lifecycle_configuration`; rules that are in the bucket by then are left to that owner. Defaults to `true`.",
			},
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "The repository and the name, as other resources take it: `<repository id>#<name>`. Known at plan.",
			},
			"revision": schema.Int64Attribute{
				Computed:            true,
				MarkdownDescription: "Number of the revision in force, from 1.",
			},
			"digest": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "SHA-256 of the policy document in force, hexadecimal.",
			},
			"summary":                    summarySchema(),
			"impact":                     impactSchema(),
			"estimated_monthly_cost_usd": costSchema(),
			"lifecycle_rules": schema.ListAttribute{
				Computed: true, ElementType: types.StringType,
				MarkdownDescription: "The lifecycle rules that the transitions come down to, each as the JSON of one `Rules` element of S3's lifecycle configuration. Null when there are none, and for a directory.",
			},
		},
	}
}

func span(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional: true, MarkdownDescription: description,
		Validators: []validator.String{valid.Duration()}, PlanModifiers: []planmodifier.String{planmod.SameDuration()},
	}
}

// examples of the rules, for the documentation.
var examples = map[string]string{"keep_last": "3", "keep_hourly": "24", "keep_daily": "30", "keep_weekly": "12", "keep_monthly": "12", "keep_yearly": "7", "wal": `"7d"`}

// ruleList is made from the one table of rules, so that none can be missing.
func ruleList() string {
	var keep retention.Keep
	var lines []string
	for _, f := range keep.Fields() {
		example, unit := examples[f.Name], "`-1` is without limit."
		if f.Span != nil {
			unit = "A length of time."
			if example == "" {
				example = `"14d"`
			}
		}
		if f.Name == "wal" {
			unit += " It is about base backups and archived WAL (`job = { physical = {…} }` and `job = { wal = {…} }` of a schedule), and says nothing about logical backups: where it is the only rule, all of those are kept."
		}
		lines = append(lines, "    - `"+f.Name+"`: "+sentence(f.Help)+" "+unit+" For example `"+f.Name+" = "+example+"`. Off by default.")
	}
	return strings.Join(lines, "\n")
}

// sentence makes one of a line of help.
func sentence(help string) string {
	return string(help[0]-'a'+'A') + help[1:] + "."
}
