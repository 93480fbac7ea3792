// Package ephemeral has the ephemeral resources: values that exist while Terraform
// runs and are written neither to state nor to a plan.
//
// What must not live here: anything that makes or changes something, for Terraform
// opens these at every plan.
package ephemeral

import (
	"context"

	fwephemeral "github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// NewEncryptionKey makes the ephemeral resource pgbackup_encryption_key.
func NewEncryptionKey() fwephemeral.EphemeralResource { return encryptionKey{} }

type encryptionKey struct{}

type encryptionKeyModel struct {
	Key         types.String `tfsdk:"key"`
	Fingerprint types.String `tfsdk:"fingerprint"`
}

// Metadata implements ephemeral.EphemeralResource.
func (encryptionKey) Metadata(_ context.Context, req fwephemeral.MetadataRequest, resp *fwephemeral.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_encryption_key"
}

// Schema implements ephemeral.EphemeralResource.
func (encryptionKey) Schema(_ context.Context, _ fwephemeral.SchemaRequest, resp *fwephemeral.SchemaResponse) {
	resp.Schema = schema.Schema{
		Description: "A new random 256-bit key that encrypts a repository, for a write-only attribute of the resource that keeps it.",
		MarkdownDescription: "A new random 256-bit key that encrypts a repository. Put it into the write-only attribute of the resource that keeps it, such as " +
			"`secret_string_wo` of `aws_secretsmanager_secret_version` or `value_wo` of `aws_ssm_parameter`, and let the repository refer to that: " +
			"the key is then in no state and in no plan.\n\n" +
			"**Another key is drawn every time Terraform runs.** The resource that keeps it takes one over when it is made, and again whenever its version argument " +
			"(`secret_string_wo_version`) changes. Never change that to rotate the key: the backups are sealed with the old one, and without it they can not be read by anybody. " +
			"To rotate, keep a new key in *another* secret and add it with `pgbackup-runner key rotate`, or by changing `key_ref` of the repository, while the old one is still there. " +
			"Give the secret `lifecycle { prevent_destroy = true }`.",
		Attributes: map[string]schema.Attribute{
			"key": schema.StringAttribute{
				Computed: true, Sensitive: true, Description: "The key in base64, as `pgbackup-runner key generate` prints it.",
				MarkdownDescription: "The key in base64, as `pgbackup-runner key generate` prints it.",
			},
			"fingerprint": schema.StringAttribute{
				Computed: true, Description: "Names the key without telling anything about it: 16 hex digits, as pgbackup-runner key list shows them.",
				MarkdownDescription: "Names the key without telling anything about it: 16 hex digits, as `pgbackup-runner key list` shows them.",
			},
		},
	}
}

// Open draws a key.
func (encryptionKey) Open(ctx context.Context, _ fwephemeral.OpenRequest, resp *fwephemeral.OpenResponse) {
	key := seal.NewKey()
	resp.Diagnostics.Append(resp.Result.Set(ctx, encryptionKeyModel{
		Key: types.StringValue(key.Encode()), Fingerprint: types.StringValue(key.Fingerprint()),
	})...)
}
