package rdsretention

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/resourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// What happens to the settings when the resource is destroyed.
const (
	leave   = "leave"
	restore = "restore"
)

func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	replace := []planmodifier.String{stringplanmodifier.RequiresReplace()}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The automated backups of an RDS instance or an Aurora cluster: how far back point-in-time recovery reaches, when the daily backup is taken, and a copy in another region. The plan says what a change gains or loses.\n\n" +
			"The database itself stays whose it is. Where it is an `aws_db_instance` or `aws_rds_cluster` of Terraform, two resources set the same values: tell that one to `ignore_changes` of `backup_retention_period`, `backup_window`, `copy_tags_to_snapshot` and `deletion_protection`, or the two undo each other at every apply.",
		Attributes: map[string]schema.Attribute{
			"instance": schema.StringAttribute{
				Optional: true, PlanModifiers: replace, Validators: []validator.String{stringvalidator.RegexMatches(identifier, "must be the identifier of an RDS instance, in lower case")},
				MarkdownDescription: "Identifier of an RDS instance, such as `acme-prod`. Exactly one of `instance` and `cluster` is given; an instance of a cluster has the backups of its cluster.",
			},
			"cluster": schema.StringAttribute{
				Optional: true, PlanModifiers: replace, Validators: []validator.String{stringvalidator.RegexMatches(identifier, "must be the identifier of an RDS cluster, in lower case")},
				MarkdownDescription: "Identifier of an Aurora or Multi-AZ cluster, such as `acme-aurora`.",
			},
			"region": schema.StringAttribute{
				Optional: true, PlanModifiers: replace, Validators: []validator.String{stringvalidator.RegexMatches(region, "must be a region such as us-east-1")},
				MarkdownDescription: "AWS region of the database, such as `eu-west-1`. Defaults to the provider's.",
			},
			"retention_days": schema.Int64Attribute{
				Required: true, Validators: []validator.Int64{int64validator.Between(0, 35)},
				MarkdownDescription: "How many days back point-in-time recovery reaches, such as `30`: 0 to 35, for a cluster 1 to 35. Lowering it deletes automated backups at once. Going from or to `0`, which is off, interrupts an instance.",
			},
			"acknowledge_no_backups": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Has to be `true` for `retention_days = 0`, which deletes all automated backups at once and ends point-in-time recovery. Defaults to `false`.",
			},
			"window": schema.StringAttribute{
				Optional: true, Computed: true, Validators: []validator.String{window{}}, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
				MarkdownDescription: "When the daily backup is taken, in UTC, such as `02:00-03:00`: half an hour or more, apart from the maintenance window. Left as it is where it is not given.",
			},
			"copy_tags_to_snapshots": schema.BoolAttribute{
				Optional: true, Computed: true, PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
				MarkdownDescription: "Whether snapshots get the tags of the database, `true` or `false`. Left as it is where it is not given.",
			},
			"deletion_protection": schema.BoolAttribute{
				Optional: true, Computed: true, PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
				MarkdownDescription: "Whether RDS refuses to delete the database, `true` or `false`. Left as it is where it is not given.",
			},
			"kms_key_id": schema.StringAttribute{
				Optional: true, Validators: []validator.String{stringvalidator.RegexMatches(keyARN, "must be the ARN of a KMS key")},
				MarkdownDescription: "ARN of the KMS key that the database has to be encrypted with, such as `arn:aws:kms:us-east-1:111122223333:key/…`. It is checked and never changed: RDS encrypts a database when it is created, or not at all.",
			},
			"replicate_to": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "Copies the automated backups of an instance to another region, so that it can be restored to a point in time there. RDS does not do that for clusters.",
				Attributes: map[string]schema.Attribute{
					"region": schema.StringAttribute{
						Required: true, Validators: []validator.String{stringvalidator.RegexMatches(region, "must be a region such as us-east-1")},
						MarkdownDescription: "The other region, such as `eu-west-1`.",
					},
					"retention_days": schema.Int64Attribute{
						Optional: true, Validators: []validator.Int64{int64validator.Between(1, 35)},
						MarkdownDescription: "How many days the copies are kept there, 1 to 35, such as `14`. Defaults to `retention_days` of the database when the copying begins. A change ends the copying and begins it anew.",
					},
					"kms_key_id": schema.StringAttribute{
						Optional: true, Validators: []validator.String{stringvalidator.RegexMatches(keyARN, "must be the ARN of a KMS key")},
						MarkdownDescription: "ARN of a KMS key of the other region, such as `arn:aws:kms:eu-west-1:111122223333:key/…`. Needed where the database is encrypted.",
					},
				},
			},
			"on_destroy": schema.StringAttribute{
				Optional: true, Computed: true, Default: stringdefault.StaticString(leave), Validators: []validator.String{stringvalidator.OneOf(leave, restore)},
				MarkdownDescription: "What destroying this resource does: `leave` all settings as they are, or `restore` those that were there before it. Restoring a shorter retention deletes automated backups. Defaults to `leave`.",
			},

			"id":             computed("ARN of the instance or cluster."),
			"engine":         computed("Engine, such as `postgres` or `aurora-postgresql`."),
			"engine_version": computed("Version of the engine, such as `17.5`."),
			"encrypted": schema.BoolAttribute{
				Computed: true, PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
				MarkdownDescription: "Whether the storage is encrypted, and with it every backup.",
			},
			"encryption_key": computed("ARN of the KMS key it is encrypted with; null where it is not."),
			"publicly_accessible": schema.BoolAttribute{
				Computed: true, PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
				MarkdownDescription: "Whether the database has a public address.",
			},
			"maintenance_window": computed("When RDS does maintenance, in UTC, such as `sun:04:00-sun:05:00`."),
			"aws_backup":         computed("ARN of the recovery point by which AWS Backup owns the automated backups; null where it does not."),
			"replica_arn": schema.StringAttribute{
				Computed: true, MarkdownDescription: "ARN of the copy of the automated backups in the other region; null without `replicate_to`.",
			},
			"pending_maintenance": schema.ListAttribute{
				Computed: true, ElementType: types.StringType, PlanModifiers: []planmodifier.List{listplanmodifier.UseStateForUnknown()},
				MarkdownDescription: "What RDS is about to do to the database, a line each.",
			},
			"impact": schema.ListAttribute{
				Computed: true, ElementType: types.StringType, PlanModifiers: []planmodifier.List{listplanmodifier.UseStateForUnknown()},
				MarkdownDescription: "What the last change gains and loses, in sentences. In the plan of a change: what it will.",
			},
			"previous": schema.SingleNestedAttribute{
				Computed: true, PlanModifiers: []planmodifier.Object{objectplanmodifier.UseStateForUnknown()},
				MarkdownDescription: "The settings as they were before this resource, or when it was imported: what `on_destroy = \"restore\"` restores.",
				Attributes: map[string]schema.Attribute{
					"retention_days":         schema.Int64Attribute{Computed: true, MarkdownDescription: "Days that point-in-time recovery reached back."},
					"window":                 schema.StringAttribute{Computed: true, MarkdownDescription: "The daily backup window, in UTC."},
					"copy_tags_to_snapshots": schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether snapshots got the tags of the database."},
					"deletion_protection":    schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether RDS refused to delete the database."},
				},
			},
		},
	}
}

func computed(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()}, MarkdownDescription: description}
}

// ConfigValidators holds that one database is named.
func (r *Resource) ConfigValidators(context.Context) []resource.ConfigValidator {
	return []resource.ConfigValidator{resourcevalidator.ExactlyOneOf(path.MatchRoot("instance"), path.MatchRoot("cluster"))}
}
