package ephemeral_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	fwdatasource "github.com/hashicorp/terraform-plugin-framework/datasource"
	fwprovider "github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secret"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/providertest"
)

// keeper stands for the AWS provider: it has one resource, which keeps a write-only
// text in Secrets Manager as aws_secretsmanager_secret_version does.
type keeper struct{ cfg aws.Config }

func (keeper) Metadata(_ context.Context, _ fwprovider.MetadataRequest, resp *fwprovider.MetadataResponse) {
	resp.TypeName = "keeper"
}
func (keeper) Schema(context.Context, fwprovider.SchemaRequest, *fwprovider.SchemaResponse) {}
func (keeper) Configure(context.Context, fwprovider.ConfigureRequest, *fwprovider.ConfigureResponse) {
}
func (keeper) DataSources(context.Context) []func() fwdatasource.DataSource { return nil }
func (k keeper) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{func() resource.Resource { return kept{secretsmanager.NewFromConfig(k.cfg)} }}
}

type kept struct{ client *secretsmanager.Client }

type keptModel struct {
	Name    types.String `tfsdk:"name"`
	Value   types.String `tfsdk:"value_wo"`
	Version types.Int64  `tfsdk:"value_wo_version"`
	ARN     types.String `tfsdk:"arn"`
}

func (kept) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "keeper_secret"
}

func (kept) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"name":             schema.StringAttribute{Required: true},
		"value_wo":         schema.StringAttribute{Optional: true, WriteOnly: true},
		"value_wo_version": schema.Int64Attribute{Optional: true},
		"arn":              schema.StringAttribute{Computed: true, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()}},
	}}
}

func (k kept) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var given, m keptModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &given)...)
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	out, err := k.client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: given.Name.ValueStringPointer(), SecretString: given.Value.ValueStringPointer()})
	if err != nil {
		resp.Diagnostics.AddError("creating the secret", err.Error())
		return
	}
	m.ARN = types.StringPointerValue(out.ARN)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (kept) Read(context.Context, resource.ReadRequest, *resource.ReadResponse) {}
func (kept) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	resp.State.Raw = req.Plan.Raw
}
func (kept) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}

// C1, P6
func TestAccEncryptionKey_fromNothingToAnEncryptedRepositoryWithoutAKeyInState(t *testing.T) {
	srv := testenv.AWS(t)
	for _, e := range srv.Env() {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	client := secretsmanager.NewFromConfig(srv.Config())
	dir := filepath.Join(t.TempDir(), "repository")
	config := `
ephemeral "pgbackup_encryption_key" "backups" {}

resource "keeper_secret" "backups" {
  name             = "acme/backup-key"
  value_wo         = ephemeral.pgbackup_encryption_key.backups.key
  value_wo_version = 1
}

` + providertest.Repository(dir, "encryption = {\n    key_ref = \"secretsmanager:${keeper_secret.backups.arn}\"\n  }")
	w := providertest.NewWorkspace(t, config, providertest.Beside{Name: "keeper", Server: func() tfprotov6.ProviderServer {
		return providerserver.NewProtocol6(keeper{srv.Config()})()
	}})
	if r := w.Plan(); r.Failed {
		t.Fatalf("plan:\n%s", r)
	}
	if r := w.ApplySaved(); r.Failed {
		t.Fatalf("apply:\n%s", r)
	}
	stored, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("acme/backup-key")})
	if err != nil {
		t.Fatal(err)
	}
	key := aws.ToString(stored.SecretString)
	if len(key) != 44 {
		t.Fatalf("the secret has %d characters", len(key))
	}

	// Another run draws another key, and nothing takes it over.
	if r := w.Plan("-detailed-exitcode"); r.Failed {
		t.Fatalf("a second plan is not empty:\n%s", r)
	}
	w.MustApply()
	again, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("acme/backup-key")})
	if err != nil || aws.ToString(again.SecretString) != key {
		t.Errorf("the key changed: %v", err)
	}

	// The repository opens with it, and no file of Terraform's has it.
	at, err := location.Parse("file://" + dir)
	if err != nil {
		t.Fatal(err)
	}
	store, err := location.Open(t.Context(), at, location.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	source := secret.Source{AWS: func(context.Context, string) (aws.Config, error) { return srv.Config(), nil }}
	r, err := repo.Open(t.Context(), store, repo.OpenOptions{Key: source.KeySource("", nil)})
	if err != nil || !r.Sealed() || !r.HasKey() {
		t.Errorf("open: %v", err)
	}
	files := 0
	err = filepath.WalkDir(w.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		files++
		if strings.Contains(string(data), key) || strings.Contains(unzipped(data), key) {
			t.Errorf("%s has the key", path)
		}
		return err
	})
	if err != nil || files < 3 { // main.tf, the state, the saved plan
		t.Errorf("%d files, %v", files, err)
	}
}
