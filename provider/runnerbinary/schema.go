// Package runnerbinary is the resource pgbackup_runner: the program
// pgbackup-runner, taken from the provider to a repository or to this host.
//
// What must not live here: where the builds come from (package runnerdist).
package runnerbinary

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/resourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/planmod"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

type model struct {
	ID            types.String `tfsdk:"id"`
	Repository    types.String `tfsdk:"repository"`
	InstallDir    types.String `tfsdk:"install_dir"`
	Architectures types.Set    `tfsdk:"architectures"`
	SHA256        types.Map    `tfsdk:"sha256"`
	Release       types.String `tfsdk:"release"`
	Path          types.String `tfsdk:"path"`
	Keys          types.Map    `tfsdk:"keys"`
	LambdaKeys    types.Map    `tfsdk:"lambda_keys"`
}

func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The program that takes, verifies, rotates and restores backups, `pgbackup-runner`, carried by the provider to where it is needed: into a repository, from where deployments fetch it, or onto the host that runs Terraform. " +
			"The hashes are known at plan, so that a new version of the provider shows as a new runner, and in the plan of every schedule that uses `release`. A program that was changed or deleted is drift and is put right.",
		Attributes: map[string]schema.Attribute{
			"repository": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "The `id` of the `pgbackup_repository` to put the programs into, below `runner/`. In a bucket, earlier programs stay there while a schedule still uses them, and the one before the present one in any case; in a directory all of them do. Exactly one of `repository` and `install_dir` is given.",
				Validators:          []validator.String{valid.Repository()},
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplaceIf(func(_ context.Context, req planmodifier.StringRequest, resp *stringplanmodifier.RequiresReplaceIfFuncResponse) {
					resp.RequiresReplace = !req.PlanValue.IsUnknown() && !planmod.SamePlace(req.StateValue.ValueString(), req.PlanValue.ValueString())
				}, "Another place replaces the runner.", "Another place replaces the runner.")},
			},
			"install_dir": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Absolute path of a folder of this host to install the program to, such as `/usr/local/bin`. Made, with mode 0755, when it is not there.",
				Validators:          []validator.String{valid.AbsolutePath("/usr/local/bin")},
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"architectures": schema.SetAttribute{
				ElementType: types.StringType, Optional: true, Computed: true,
				MarkdownDescription: "Linux architectures to bring: `x86_64` (also `amd64`) and `arm64` (also `aarch64`). Defaults to both for a repository, and to that of this host for `install_dir`, which takes one.",
				Validators:          []validator.Set{setvalidator.SizeAtLeast(1), setvalidator.ValueStringsAre(valid.Architecture())},
			},
			"sha256": schema.MapAttribute{
				ElementType: types.StringType, Computed: true,
				MarkdownDescription: "SHA-256 of each program, hexadecimal, by architecture (`x86_64`, `arm64`). Known at plan.",
			},
			"release": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Where the programs are and what they are, as the `runner` of a schedule takes it. It holds the hashes, so that it changes with every program. Known at plan.",
			},
			"path": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Path of the installed program, `<install_dir>/pgbackup-runner`. Null for a repository.",
			},
			"keys": schema.MapAttribute{
				ElementType: types.StringType, Computed: true,
				MarkdownDescription: "Key of each program in the repository, by architecture: `runner/<sha256>/linux_<arch>/pgbackup-runner`. Null for `install_dir`.",
			},
			"lambda_keys": schema.MapAttribute{
				ElementType: types.StringType, Computed: true,
				MarkdownDescription: "Key of each program's archive for AWS Lambda in the repository, by architecture: `runner/<sha256>/lambda_<arch>.zip`. Null where the repository is not in S3.",
			},
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "The repository's `id`, or the path of the installed program.",
			},
		},
	}
}

// ConfigValidators holds that the program goes to one place.
func (r *Resource) ConfigValidators(context.Context) []resource.ConfigValidator {
	return []resource.ConfigValidator{resourcevalidator.ExactlyOneOf(path.MatchRoot("repository"), path.MatchRoot("install_dir"))}
}
