// Package alarm is the resource pgbackup_alarm: who is told when backups stop,
// fail or look wrong.
//
// What must not live here: which alarms that takes (package alarm) and the calls
// that make them (awsapi/alarms).
package alarm

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/planmod"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

type model struct {
	ID           types.String `tfsdk:"id"`
	Name         types.String `tfsdk:"name"`
	Policy       types.String `tfsdk:"policy"`
	Region       types.String `tfsdk:"region"`
	Jobs         types.Set    `tfsdk:"jobs"`
	OverdueAfter types.String `tfsdk:"overdue_after"`
	Failed       types.Bool   `tfsdk:"failed"`
	Size         types.Object `tfsdk:"size"`
	Storage      types.Object `tfsdk:"storage"`
	WALLag       types.String `tfsdk:"wal_lag"`
	WALGap       types.Bool   `tfsdk:"wal_gap"`
	Drill        types.Object `tfsdk:"drill"`
	Email        types.Set    `tfsdk:"email"`
	TopicARN     types.String `tfsdk:"topic_arn"`
	TopicKMSKey  types.String `tfsdk:"topic_kms_key_id"`
	Actions      types.Set    `tfsdk:"actions"`
	TellOK       types.Bool   `tfsdk:"tell_ok"`
	Tags         types.Map    `tfsdk:"tags"`
	Topic        types.String `tfsdk:"topic"`
	Definition   types.String `tfsdk:"definition"`
}

type sizeModel struct {
	Below types.Int64 `tfsdk:"below_percent"`
	Above types.Int64 `tfsdk:"above_percent"`
}

type storeModel struct {
	Above  types.Int64 `tfsdk:"above_bytes"`
	Growth types.Int64 `tfsdk:"growth_bytes_per_day"`
}

type drillModel struct {
	Jobs         types.Set    `tfsdk:"jobs"`
	OverdueAfter types.String `tfsdk:"overdue_after"`
	Failed       types.Bool   `tfsdk:"failed"`
}

var (
	emailPattern = regexp.MustCompile(`^[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+$`)
	topicPattern = regexp.MustCompile(`^arn:[a-z0-9-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$`)
	arnPattern   = regexp.MustCompile(`^arn:[a-z0-9-]+:[a-z0-9-]+:.+$`)
)

func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	span := func(description string) schema.StringAttribute {
		return schema.StringAttribute{
			Optional: true, MarkdownDescription: description,
			Validators: []validator.String{valid.ExactDuration()}, PlanModifiers: []planmodifier.String{planmod.SameDuration()},
		}
	}
	percent := func(least, most int64, description string) schema.Int64Attribute {
		return schema.Int64Attribute{Optional: true, MarkdownDescription: description, Validators: []validator.Int64{int64validator.Between(least, most)}}
	}
	bytes := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Optional: true, MarkdownDescription: description, Validators: []validator.Int64{int64validator.AtLeast(1)}}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "CloudWatch alarms over what the runs of a policy publish, and the topic and addresses they write to. Silence is an alarm: " +
			"a job that no longer starts publishes nothing, and that is what `overdue_after` notices.\n\n" +
			"Runs on Fargate and Lambda publish their numbers by themselves; elsewhere set `metrics = \"cloudwatch\"` in the schedule. " +
			"An alarm that waits for a success does not ring between its making and the first run: its making counts as a success once, as the metric `Armed`.",
		Attributes: map[string]schema.Attribute{
			"policy": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "The `id` of the `pgbackup_policy` whose runs are watched. Changing it replaces the alarms.",
				Validators:          []validator.String{valid.Policy()},
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"name": schema.StringAttribute{
				Optional: true, Computed: true,
				MarkdownDescription: "What the names of the alarms begin with, after `pgbackup-`. Two alarms of one policy need two. Defaults to the name of the policy. Changing it replaces the alarms.",
				Validators:          []validator.String{valid.Name()},
			},
			"region": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Region of the alarms, such as `eu-west-1`: the one the runs publish their numbers in. Defaults to the `region` of the provider. Changing it replaces the alarms.",
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"jobs": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Names of the schedules to watch, each by itself, such as `[pgbackup_schedule.nightly.name]`. Defaults to all runs under the policy together, where one job that works hides another that does not.",
				Validators:          []validator.Set{setvalidator.SizeAtLeast(1), setvalidator.ValueStringsAre(valid.Name())},
			},
			"overdue_after": span("Ring when there was no success for so long, such as `25h` for a nightly job. Defaults to not watching that. From `15m` on; up to `7d` the runs themselves are looked at. " +
				"For longer times a schedule with `job = { freshness = {} }` has to run daily: its report of the age is looked at, and its absence rings too."),
			"failed": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(true),
				MarkdownDescription: "Ring at each run that failed. Defaults to `true`.",
			},
			"size": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Ring when a backup is out of line with the median of the seven before it of its source. The first three of a source are not judged.",
				Attributes: map[string]schema.Attribute{
					"below_percent": percent(1, 99, "Ring below so many percent, such as `50`. Defaults to no limit."),
					"above_percent": percent(101, 100000, "Ring above so many percent, such as `200`. Defaults to no limit."),
				},
			},
			"storage": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Ring over how much all recovery points of the repository take.",
				Attributes: map[string]schema.Attribute{
					"above_bytes":          bytes("Ring when they take more bytes, such as `500000000000`. Defaults to no limit."),
					"growth_bytes_per_day": bytes("Ring when they take so many bytes more than a day before, such as `20000000000`. Defaults to no limit."),
				},
			},
			"wal_lag": span("Ring when the newest archived WAL is older than this for 15 minutes, such as `15m`, or when nothing says how old it is: a receiver says it by itself, a push by what its `cron` starts, which has to be every five minutes. Defaults to not watching that."),
			"wal_gap": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Ring when the archived WAL has a gap after the oldest base backup that is kept, for as long as it has. Defaults to `true` where `wal_lag` is given, and to `false` elsewhere.",
			},
			"drill": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Ring over restore drills.",
				Attributes: map[string]schema.Attribute{
					"jobs": schema.SetAttribute{
						Required: true, ElementType: types.StringType,
						MarkdownDescription: "Names of the drills to watch, each by itself, such as `[\"weekly-drill\"]`.",
						Validators:          []validator.Set{setvalidator.SizeAtLeast(1), setvalidator.ValueStringsAre(valid.Name())},
					},
					"overdue_after": span("Ring when none proved a backup for so long, such as `8d`; as `overdue_after` of backups. Defaults to not watching that."),
					"failed": schema.BoolAttribute{
						Optional: true, Computed: true, Default: booldefault.StaticBool(true),
						MarkdownDescription: "Ring at each drill that did not prove its backup. Defaults to `true`.",
					},
				},
			},
			"email": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Addresses to write to, such as `[\"ops@example.org\"]`. Each gets a message with a link, and is told nothing before somebody clicks it; who has not yet is said by a warning, and by the data source `pgbackup_alarm_states`.",
				Validators:          []validator.Set{setvalidator.SizeAtLeast(1), setvalidator.ValueStringsAre(stringvalidator.RegexMatches(emailPattern, "must be an address such as ops@example.org"))},
			},
			"topic_arn": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "ARN of an SNS topic to write to; its policy has to let `cloudwatch.amazonaws.com` publish. Defaults to a topic that is made, when there are addresses in `email` or no `actions`.",
				Validators:          []validator.String{stringvalidator.RegexMatches(topicPattern, "must be the ARN of an SNS topic, such as arn:aws:sns:eu-west-1:111122223333:backups")},
			},
			"topic_kms_key_id": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "ARN of a KMS key of yours to encrypt the made topic with, such as `arn:aws:kms:eu-west-1:111122223333:key/…`; its policy has to let `cloudwatch.amazonaws.com` use it (`alias/aws/sns` cannot be used by alarms). Defaults to no encryption.",
				Validators:          []validator.String{stringvalidator.NoneOf("alias/aws/sns"), stringvalidator.ConflictsWith(path.MatchRoot("topic_arn"))},
			},
			"actions": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "ARNs of what else is told, at most four, such as `[\"arn:aws:ssm-incidents::111122223333:response-plan/backups\"]`.",
				Validators:          []validator.Set{setvalidator.SizeBetween(1, 4), setvalidator.ValueStringsAre(stringvalidator.RegexMatches(arnPattern, "must be an ARN"))},
			},
			"tell_ok": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(true),
				MarkdownDescription: "Tell also when it is over. Defaults to `true`.",
			},
			"tags": schema.MapAttribute{
				Validators: []validator.Map{valid.Tags()},
				Optional:   true, ElementType: types.StringType,
				MarkdownDescription: "Tags of alarms and topic, such as `{ team = \"platform\" }`, besides the provider's `default_tags`.",
			},
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "The policy, the name and the region, as `terraform import` takes them.",
			},
			"topic": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "ARN of the topic that is written to, the one that was made or that of `topic_arn`. Null without one.",
			},
			"definition": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Alarms, topic and addresses as JSON: what the plan makes, and what was found. Somebody's change in AWS shows here and is put right by the next apply.",
			},
		},
	}
}
