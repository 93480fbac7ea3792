// Package repository is the resource pgbackup_repository: the place where
// recovery points are kept, in a directory or in a bucket, with the protections
// of the bucket and its replica.
//
// What must not live here: the layout of a repository (package repo).
package repository

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/resourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

type model struct {
	ID           types.String `tfsdk:"id"`
	RepositoryID types.String `tfsdk:"repository_id"`
	Sealed       types.Bool   `tfsdk:"sealed"`
	Created      types.String `tfsdk:"created"`
	Directory    types.Object `tfsdk:"directory"`
	S3           types.Object `tfsdk:"s3"`
	Encryption   types.Object `tfsdk:"encryption"`
	ForceDestroy types.Bool   `tfsdk:"force_destroy"`
	BucketARN    types.String `tfsdk:"bucket_arn"`
	ReplicaID    types.String `tfsdk:"replica_id"`
	Protections  types.Map    `tfsdk:"protections"`
	TagsAll      types.Map    `tfsdk:"tags_all"`
}

type directoryModel struct {
	Path types.String `tfsdk:"path"`
}

type encryptionModel struct {
	KeyRef types.String `tfsdk:"key_ref"`
}

func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A repository: the place where recovery points, policies and everything about them are kept. " +
			"It lives in a directory or below a prefix of a bucket, and its layout is documented, so that it can be read without pgbackup.",
		Attributes: map[string]schema.Attribute{
			"directory": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Keep the repository in a directory of the machine that runs Terraform and the runner, such as a disk or an NFS mount. Exactly one of `directory` and `s3` is given.",
				Attributes: map[string]schema.Attribute{
					"path": schema.StringAttribute{
						Required:            true,
						MarkdownDescription: "Absolute path, such as `/var/backups/pg`. Made, with mode 0700 and owned by the user who runs Terraform, when it is not there. The user who runs the jobs must own it and everything in it: with Terraform as root and `user = \"postgres\"` in a schedule, run `chown -R postgres: /var/backups/pg` after an apply that writes to it, or run Terraform as that user. Another path is another repository: changing it replaces this one.",
						Validators:          []validator.String{valid.AbsolutePath("/var/backups/pg")},
					},
				},
			},
			"s3": s3Attribute(),
			"encryption": schema.SingleNestedAttribute{
				Optional: true,
				MarkdownDescription: "Encrypt everything that is backed up, with AES-256-GCM, before it leaves the runner. Whoever has lost the key has lost the backups. " +
					"Adding or removing `encryption` replaces the repository.",
				Attributes: map[string]schema.Attribute{
					"key_ref": schema.StringAttribute{
						Required: true,
						MarkdownDescription: "Where the 256-bit key is, never the key itself: `kms:ARN`, `secretsmanager:NAME` or `ssm:NAME`; or `env:NAME` or `file:/path`, on the machine that runs Terraform and on the runner's. " +
							"`pgbackup-runner key generate` makes one. Another reference adds that key to the repository, so that both open it; the old one must be readable at that moment. Stored data is not written again.",
						Validators: []validator.String{valid.Secret()},
					},
				},
			},
			"force_destroy": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
				MarkdownDescription: "Let `terraform destroy` delete a repository that has recovery points, and the points with it. It only counts once it was applied: set it to `true`, apply, then destroy. Held points still have to be released first. In a bucket, every version of the repository's objects goes, in the replica too, but for what Object Lock protects; a bucket that was made here goes with them when nothing else is left in it. Defaults to `false`.",
			},
			"bucket_arn": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "ARN of the bucket. Null for a directory.",
			},
			"replica_id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "URL of the copy in the replica's bucket, such as `s3://acme-pg-backups-dr/prod?region=eu-west-1`, for policies, schedules and `pgbackup-runner --repository`. Known at plan. Null without `s3.replica`.",
			},
			"protections": schema.MapAttribute{
				Computed: true, ElementType: types.StringType,
				MarkdownDescription: "What protects the bucket, as it was found: `versioning`, `encryption`, `public_access`, `ownership`, `transport`, `other_encryption`, `object_lock`; with a replica also `replication`, `replication_role` and those of its bucket with `replica_` before the name. With `create_bucket` a difference shows in the plan and is put right.",
			},
			"tags_all": schema.MapAttribute{
				Computed: true, ElementType: types.StringType,
				MarkdownDescription: "Tags that are put on a bucket that is made here: `default_tags` of the provider, `s3.tags`, and `pgbackup:…`, by which pgbackup knows it again.",
			},
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Where the repository is, as a URL that other resources and `pgbackup-runner --repository` take: `file:///var/backups/pg` or `s3://bucket/prefix?region=eu-west-1`. Known at plan.",
			},
			"repository_id": schema.StringAttribute{
				Computed: true, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
				MarkdownDescription: "Identifies the repository for ever, wherever it is copied to: 32 hexadecimal digits.",
			},
			"sealed": schema.BoolAttribute{
				Computed: true, PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
				MarkdownDescription: "Whether the repository encrypts what it keeps.",
			},
			"created": schema.StringAttribute{
				Computed: true, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
				MarkdownDescription: "When the repository was made, RFC 3339 in UTC.",
			},
		},
	}
}

// ConfigValidators holds that a repository is in one place.
func (r *Resource) ConfigValidators(context.Context) []resource.ConfigValidator {
	return []resource.ConfigValidator{resourcevalidator.ExactlyOneOf(path.MatchRoot("directory"), path.MatchRoot("s3"))}
}
