package datasource

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/deploy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/location"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// IAMPolicy is pgbackup_iam_policy.
type IAMPolicy struct{ reader }

var (
	_ datasource.DataSourceWithConfigure      = (*IAMPolicy)(nil)
	_ datasource.DataSourceWithValidateConfig = (*IAMPolicy)(nil)
)

// NewIAMPolicy makes the data source.
func NewIAMPolicy() datasource.DataSource { return &IAMPolicy{} }

type iamPolicyModel struct {
	Job         types.String `tfsdk:"job"`
	Kind        types.String `tfsdk:"kind"`
	Repository  types.String `tfsdk:"repository"`
	Policy      types.String `tfsdk:"policy"`
	References  []string     `tfsdk:"references"`
	RDSInstance types.String `tfsdk:"rds_instance"`
	RDSCluster  types.String `tfsdk:"rds_cluster"`
	Metrics     types.String `tfsdk:"metrics"`
	Target      types.String `tfsdk:"target"`

	Account       types.String `tfsdk:"account_id"`
	Region        types.String `tfsdk:"region"`
	BucketKMSKey  types.String `tfsdk:"bucket_kms_key_arn"`
	SecretKMSKeys []string     `tfsdk:"secret_kms_key_arns"`
	ObjectLock    types.Bool   `tfsdk:"object_lock"`

	Kubernetes *podTrustModel      `tfsdk:"kubernetes"`
	GitHub     *workflowTrustModel `tfsdk:"github_actions"`

	JSON      types.String `tfsdk:"json"`
	TrustJSON types.String `tfsdk:"trust_json"`
}

type podTrustModel struct {
	Issuer         types.String `tfsdk:"oidc_issuer"`
	Namespace      types.String `tfsdk:"namespace"`
	ServiceAccount types.String `tfsdk:"service_account"`
}

type workflowTrustModel struct {
	Repository types.String `tfsdk:"repository"`
	Branch     types.String `tfsdk:"branch"`
}

func (d *IAMPolicy) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_iam_policy"
}

// ValidateConfig holds that the job is said in one of the two ways.
func (d *IAMPolicy) ValidateConfig(ctx context.Context, req datasource.ValidateConfigRequest, resp *datasource.ValidateConfigResponse) {
	var job, kind, repository, target types.String
	var pods, workflow types.Object
	for name, into := range map[string]any{"job": &job, "kind": &kind, "repository": &repository, "target": &target, "kubernetes": &pods, "github_actions": &workflow} {
		resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root(name), into)...)
	}
	if resp.Diagnostics.HasError() || job.IsUnknown() || kind.IsUnknown() || repository.IsUnknown() || target.IsUnknown() {
		return
	}
	said := !kind.IsNull() && !repository.IsNull()
	switch {
	case job.IsNull() && !said:
		resp.Diagnostics.AddError("pgbackup_iam_policy: which job?", "Give job, the job_json of a pgbackup_schedule or pgbackup_restore_drill, or kind and repository.")
	case !job.IsNull() && (!kind.IsNull() || !repository.IsNull()):
		resp.Diagnostics.AddAttributeError(path.Root("job"), "pgbackup_iam_policy: two jobs", "The job says kind and repository itself: leave them out, or the job.")
	}
	for name, block := range map[string]types.Object{deploy.Kubernetes: pods, deploy.GitHub: workflow} {
		if !block.IsNull() && target.ValueString() != name {
			resp.Diagnostics.AddAttributeError(path.Root(name), "pgbackup_iam_policy: "+name+" has no meaning here", fmt.Sprintf("The target is %q: leave out %s, or set target = %q.", target.ValueString(), name, name))
		}
	}
}

func (d *IAMPolicy) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m iamPolicyModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	j, failed := m.job()
	if failed != nil {
		resp.Diagnostics.Append(failed)
		return
	}
	facts, err := d.facts(ctx, m, j)
	if err != nil {
		resp.Diagnostics.AddError("reading pgbackup_iam_policy", valid.Sentence(err))
		return
	}
	document, err := iampolicy.ForJob(j, m.Target.ValueString(), facts)
	if err != nil {
		resp.Diagnostics.AddError("reading pgbackup_iam_policy", valid.Sentence(err))
		return
	}
	m.JSON = types.StringValue(document.Indented())
	m.TrustJSON = types.StringNull()
	if trust, known := m.trust(facts); known {
		m.TrustJSON = types.StringValue(trust.Indented())
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// anyJob stands for the name of a job that is not said: a policy for all jobs of
// the kind.
const anyJob = "*"

// job is the one whose permissions are asked for.
func (m iamPolicyModel) job() (job.Job, diag.Diagnostic) {
	if !m.Job.IsNull() {
		j, err := job.Parse([]byte(m.Job.ValueString()))
		if err != nil {
			return j, diag.NewAttributeErrorDiagnostic(path.Root("job"), "pgbackup_iam_policy: the job cannot be read", valid.Sentence(err))
		}
		return j, nil
	}
	at, err := location.Parse(m.Repository.ValueString())
	if err != nil {
		return job.Job{}, diag.NewAttributeErrorDiagnostic(path.Root("repository"), "pgbackup_iam_policy: the repository", valid.Sentence(err))
	}
	j := job.Job{
		Format: job.Format, Name: anyJob, Kind: job.Kind(m.Kind.ValueString()), Repository: at.String(),
		Policy: m.Policy.ValueString(), Metrics: job.Metrics(m.Metrics.ValueString()),
	}
	instance, cluster := m.RDSInstance.ValueString(), m.RDSCluster.ValueString()
	switch {
	case j.Kind == job.KindConfig:
		j.Config = &job.Config{RDSInstance: instance, RDSCluster: cluster}
	case j.Kind == job.KindRDSSnapshot && instance == "" && cluster == "":
		return j, diag.NewAttributeErrorDiagnostic(path.Root("kind"), "pgbackup_iam_policy: a snapshot of what?", "Give rds_instance or rds_cluster.")
	case j.Kind == job.KindRDSSnapshot:
		j.RDSSnapshot = &job.RDSSnapshot{Instance: instance, Cluster: cluster}
	case instance != "" || cluster != "":
		return j, diag.NewAttributeErrorDiagnostic(path.Root("kind"), "pgbackup_iam_policy: RDS has no meaning here", fmt.Sprintf("Jobs of kind %q know nothing of RDS: leave out rds_instance and rds_cluster.", j.Kind))
	}
	return j, nil
}

// facts are those of the configuration, and of the account the provider works in.
func (d *IAMPolicy) facts(ctx context.Context, m iamPolicyModel, j job.Job) (iampolicy.Facts, error) {
	f := iampolicy.Facts{
		Account: m.Account.ValueString(), Region: m.Region.ValueString(),
		BucketKMSKey: m.BucketKMSKey.ValueString(), SecretKMSKeys: m.SecretKMSKeys, ObjectLock: m.ObjectLock.ValueBool(),
	}
	for _, text := range m.References {
		ref, err := secretref.Parse(text)
		if err != nil {
			return f, fmt.Errorf("references: %w", err)
		}
		f.References = append(f.References, ref)
	}
	if f.Region == "" {
		if at, err := job.ParseRepository(j.Repository); err == nil {
			f.Region = at.Region
		}
	}
	if f.Region == "" {
		cfg, err := d.conn.AWS("")
		if err != nil {
			return f, fmt.Errorf("where the job runs is not known, give region: %w", err)
		}
		f.Region = cfg.Region
	}
	who, err := d.conn.Identity(ctx)
	switch {
	case err == nil:
		f.Partition, f.Account = who.Partition, cmp.Or(f.Account, who.Account)
	case f.Account == "":
		return f, errors.Join(errors.New("which account the job runs in is not known: give account_id"), err)
	}
	return f, nil
}

// trust says who may take on the role; not known where the configuration does not
// say who that is.
func (m iamPolicyModel) trust(f iampolicy.Facts) (iampolicy.Document, bool) {
	switch m.Target.ValueString() {
	case deploy.Fargate:
		return iampolicy.TrustECSTasks(f), true
	case deploy.Lambda:
		return iampolicy.TrustLambda(), true
	case deploy.Host:
		return iampolicy.TrustEC2(), true
	case deploy.Kubernetes:
		if k := m.Kubernetes; k != nil && !k.Issuer.IsNull() {
			return iampolicy.TrustIRSA(f.Partition, f.Account, k.Issuer.ValueString(), k.Namespace.ValueString(), k.ServiceAccount.ValueString()), true
		} else if k != nil {
			return iampolicy.TrustPodIdentity(k.Namespace.ValueString(), k.ServiceAccount.ValueString()), true
		}
	case deploy.GitHub:
		if g := m.GitHub; g != nil {
			return iampolicy.TrustGitHub(f.Partition, f.Account, g.Repository.ValueString(), "refs/heads/"+cmp.Or(g.Branch.ValueString(), "main")), true
		}
	}
	return iampolicy.Document{}, false
}
