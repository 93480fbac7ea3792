// Package repository is the resource pgbackup_repository: the place where
// recovery points are kept, in a directory or in an existing bucket.
//
// What must not live here: the layout of a repository (package repo).
package repository

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/resourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
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
}

type directoryModel struct {
	Path types.String `tfsdk:"path"`
}

type s3Model struct {
	Bucket    types.String `tfsdk:"bucket"`
	Prefix    types.String `tfsdk:"prefix"`
	Region    types.String `tfsdk:"region"`
	Endpoint  types.String `tfsdk:"endpoint"`
	Lifecycle types.Object `tfsdk:"lifecycle"`
}

type encryptionModel struct {
	KeyRef types.String `tfsdk:"key_ref"`
}

var prefixPattern = regexp.MustCompile(`^[^/]+(/[^/]+)*$`)

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
			"s3": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Keep the repository in a bucket of Amazon S3 or of a service compatible with it. The bucket must exist. Exactly one of `directory` and `s3` is given.",
				Attributes: map[string]schema.Attribute{
					"bucket": schema.StringAttribute{
						Required:            true,
						MarkdownDescription: "Name of the bucket. Changing it replaces the repository.",
					},
					"prefix": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "What the keys of all objects begin with, without slashes at its ends, such as `prod`. Defaults to the whole bucket. Changing it replaces the repository.",
						Validators:          []validator.String{stringvalidator.RegexMatches(prefixPattern, "must not be empty, nor begin or end with a slash, nor hold two in a row")},
					},
					"region": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "Region of the bucket, such as `eu-west-1`. Defaults to the `region` of the provider, then to the usual AWS chain of whoever uses the repository.",
					},
					"endpoint": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "URL of an S3-compatible service, such as `https://minio.example.org`. Defaults to `endpoints.s3` of the provider, then to AWS.",
					},
					"lifecycle": lifecycleAttribute(),
				},
			},
			"encryption": schema.SingleNestedAttribute{
				Optional: true,
				MarkdownDescription: "Encrypt everything that is backed up, with AES-256-GCM, before it leaves the runner. Whoever has lost the key has lost the backups. " +
					"Adding or removing `encryption` replaces the repository.",
				Attributes: map[string]schema.Attribute{
					"key_ref": schema.StringAttribute{
						Required: true,
						MarkdownDescription: "Where the 256-bit key is, never the key itself: `env:NAME` or `file:/path`, on the machine that runs Terraform and on the runner's. " +
							"`pgbackup-runner key generate` makes one. Another reference adds that key to the repository, so that both open it; the old one must be readable at that moment. Stored data is not written again.",
						Validators: []validator.String{valid.Secret()},
					},
				},
			},
			"force_destroy": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
				MarkdownDescription: "Let `terraform destroy` delete a repository that has recovery points, and the points with it. It only counts once it was applied: set it to `true`, apply, then destroy. Held points still have to be released first. Defaults to `false`.",
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
