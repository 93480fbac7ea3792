package recoverypoint

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/resourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// What destroying the resource does to the point.
const (
	release   = "release"
	deleteToo = "delete"
)

// The states of a point.
const (
	present = "present"
	expired = "expired"
	missing = "missing"
)

var (
	identifier = regexp.MustCompile(`^[a-z](-?[a-z0-9]){0,62}$`)
	region     = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]+$`)
)

func (r *Resource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	// What an import cannot know is no reason to take another one.
	replaced := []planmodifier.String{stringplanmodifier.RequiresReplaceIf(func(_ context.Context, req planmodifier.StringRequest, resp *stringplanmodifier.RequiresReplaceIfFuncResponse) {
		resp.RequiresReplace = !req.StateValue.IsNull()
	}, "Another value takes another recovery point.", "Another value takes another recovery point.")}
	resp.Schema = schema.Schema{
		MarkdownDescription: "One recovery point, taken when this resource is created: just before a release, for instance. Either a manual snapshot of an RDS instance or cluster, or a backup by a `pgbackup_schedule` that runs on Fargate, which is started once and waited for.\n\n" +
			"The point belongs to its policy from then on. Destroying or replacing the resource *releases* it: a hold ends and the policy decides when it goes. A point that retention removed stays in state with `status = \"expired\"` and is not taken again.",
		Attributes: map[string]schema.Attribute{
			"rds_instance": schema.StringAttribute{
				Optional: true, PlanModifiers: replaced, Validators: []validator.String{stringvalidator.RegexMatches(identifier, "must be the identifier of an RDS instance, in lower case")},
				MarkdownDescription: "Identifier of an RDS instance to take a manual snapshot of, such as `acme-prod`. Exactly one of `rds_instance`, `rds_cluster` and `schedule` is given.",
			},
			"rds_cluster": schema.StringAttribute{
				Optional: true, PlanModifiers: replaced, Validators: []validator.String{stringvalidator.RegexMatches(identifier, "must be the identifier of an RDS cluster, in lower case")},
				MarkdownDescription: "Identifier of an Aurora or Multi-AZ cluster to take a manual snapshot of, such as `acme-aurora`.",
			},
			"schedule": schema.StringAttribute{
				Optional: true, PlanModifiers: replaced, Validators: []validator.String{scheduleID{}},
				MarkdownDescription: "The `id` of a `pgbackup_schedule` that runs on Fargate. Its task is started once, outside its times, and has to end well.",
			},
			"policy": schema.StringAttribute{
				Optional: true, Validators: []validator.String{valid.Policy()},
				MarkdownDescription: "The `id` of the `pgbackup_policy` that the point is taken under, and which names the repository. At least one of `policy` and `repository` is given. A change does not reach a point that was taken.",
			},
			"repository": schema.StringAttribute{
				Optional: true, Computed: true, Validators: []validator.String{valid.Repository()}, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown(), stringplanmodifier.RequiresReplace()},
				MarkdownDescription: "The `id` of the `pgbackup_repository` that holds the point. Defaults to that of `policy`.",
			},
			"key_ref": schema.StringAttribute{
				Optional: true, Validators: []validator.String{valid.Secret()},
				MarkdownDescription: "Reference of the repository's encryption key, such as `secretsmanager:acme/backup-key`. Defaults to the one that the repository names. A point of RDS in an encrypted repository cannot be made without its key.",
			},
			"region": schema.StringAttribute{
				Optional: true, PlanModifiers: replaced, Validators: []validator.String{stringvalidator.RegexMatches(region, "must be a region such as us-east-1")},
				MarkdownDescription: "AWS region of the instance, cluster or schedule, such as `eu-west-1`. Defaults to the provider's; a schedule's ARN says it.",
			},
			"source": schema.StringAttribute{
				Optional: true, Computed: true, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown(), stringplanmodifier.RequiresReplace()},
				MarkdownDescription: "Name of what is backed up, by which the policy rotates. Defaults to `identifier@region` for RDS. Of a schedule with several databases it says whose point this is, such as `app@db.example.org`.",
			},
			"triggers": schema.MapAttribute{
				Optional: true, ElementType: types.StringType,
				PlanModifiers: []planmodifier.Map{mapplanmodifier.RequiresReplaceIf(func(_ context.Context, req planmodifier.MapRequest, resp *mapplanmodifier.RequiresReplaceIfFuncResponse) {
					resp.RequiresReplace = !req.StateValue.IsNull()
				}, "A change takes another recovery point.", "A change takes another recovery point.")},
				MarkdownDescription: "Values whose change takes another recovery point, such as `{ release = \"v2.0.0\" }`. The one before is released. Adding triggers where there were none changes nothing.",
			},
			"hold": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
				MarkdownDescription: "Whether the point is kept from every rule of the policy for as long as this resource says so. Defaults to `false`.",
			},
			"on_destroy": schema.StringAttribute{
				Optional: true, Computed: true, Default: stringdefault.StaticString(release), Validators: []validator.String{stringvalidator.OneOf(release, deleteToo)},
				MarkdownDescription: "What becomes of the point when the resource is destroyed or replaced: `release` leaves it to its policy, `delete` deletes it and its snapshot, unless it is the newest good one of its source. Defaults to `release`.",
			},
			"tags": schema.MapAttribute{
				Validators: []validator.Map{valid.Tags()},
				Optional:   true, ElementType: types.StringType,
				MarkdownDescription: "More tags of the snapshot, such as `{ release = \"v2\" }`, beside the provider's `default_tags`. Those that are taken away here stay on a snapshot that is there.",
			},
			"timeouts": timeoutsAttribute(ctx),

			"id":           computed("Repository and point, such as `s3://acme-pg-backups/prod#20260301T020000Z-abcdefgh`."),
			"point":        computed("Identifier of the recovery point, as `pgbackup-runner show` takes it."),
			"kind":         computed("Kind of the point: `rds_snapshot`, or what the schedule makes."),
			"start":        computed("When it was begun, RFC 3339 in UTC."),
			"end":          computed("When it was complete, RFC 3339 in UTC."),
			"snapshot":     computed("Name of the snapshot in RDS; null for a schedule's point."),
			"snapshot_arn": computed("ARN of the snapshot in RDS; null for a schedule's point."),
			"status":       computed("`present`; `expired` when retention or somebody deleted the point; `missing` when it, or its snapshot in RDS, is gone without that."),
		},
	}
}

func computed(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()}, MarkdownDescription: description}
}

// ConfigValidators holds that one thing is backed up, to one place.
func (r *Resource) ConfigValidators(context.Context) []resource.ConfigValidator {
	return []resource.ConfigValidator{
		resourcevalidator.ExactlyOneOf(path.MatchRoot("rds_instance"), path.MatchRoot("rds_cluster"), path.MatchRoot("schedule")),
		resourcevalidator.AtLeastOneOf(path.MatchRoot("policy"), path.MatchRoot("repository")),
	}
}

// timeoutsAttribute is the library's, which has no description of its own.
func timeoutsAttribute(ctx context.Context) schema.Attribute {
	a := timeouts.Attributes(ctx, timeouts.Opts{Create: true, CreateDescription: "How long to wait for the snapshot or backup, such as `2h`. Defaults to `6h`."})
	if block, ok := a.(schema.SingleNestedAttribute); ok {
		block.MarkdownDescription = "How long to wait, such as `{ create = \"2h\" }`."
		return block
	}
	return a
}
