package datasource

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/secretref"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

var kmsKey = stringvalidator.RegexMatches(regexp.MustCompile(`^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/[\w-]+$`), "must be the ARN of a KMS key, such as arn:aws:kms:us-east-1:111122223333:key/…")

// Schema of pgbackup_iam_policy.
func (d *IAMPolicy) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	optional := func(description string, validators ...validator.String) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, Validators: validators, MarkdownDescription: description}
	}
	required := func(description string, validators ...validator.String) schema.StringAttribute {
		return schema.StringAttribute{Required: true, Validators: validators, MarkdownDescription: description}
	}
	list := func(description string, validators ...validator.String) schema.SetAttribute {
		return schema.SetAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: description, Validators: []validator.Set{setvalidator.ValueStringsAre(validators...)}}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The least that a job needs to be allowed in AWS, as a policy for the role it runs with, and who may take on that role. A job of backups may not write the runner, the keys, the policies or the files of jobs, nor delete versions of objects.\n\n" +
			"Schedules on `fargate` and `lambda` make their roles themselves; this is for the roles you bring, for hosts, Kubernetes and GitHub Actions. It reads nothing but the account of the provider's credentials.",
		Attributes: map[string]schema.Attribute{
			"job":  optional("The job, as the `job_json` of a `pgbackup_schedule` or `pgbackup_restore_drill`: the policy then has exactly the secrets it names, and the replica or the RDS instance of a drill. Instead of `kind` and `repository`."),
			"kind": optional("Kind of the jobs the policy is for, such as `logical`, `rotate` or `drill`.", stringvalidator.OneOf(job.Kinds()...)),
			"repository": optional("The `id` of a `pgbackup_repository`, or its URL, such as `s3://acme-pg-backups/prod?region=eu-west-1`.",
				valid.Repository()),
			"policy":       optional("The `id` or name of the policy that the jobs go by. With one, backups rotate what they made and put points into tiers."),
			"references":   list("References to secrets and keys that the jobs read, such as `secretsmanager:acme/db` or `kms:arn:aws:kms:…`.", reference{}),
			"rds_instance": optional("Identifier of the DB instance, such as `acme-prod`, that jobs of kind `rds_snapshot` or `config` are about."),
			"rds_cluster":  optional("Identifier of the DB cluster, such as `acme-aurora`, that jobs of kind `rds_snapshot` or `config` are about."),
			"metrics":      optional("`cloudwatch` where the jobs call PutMetricData; `emf` needs no permission.", stringvalidator.OneOf(string(job.MetricsEMF), string(job.MetricsCloudWatch))),
			"target":       required("Where the job runs: `fargate`, `lambda`, `host`, `kubernetes` or `github_actions`.", stringvalidator.OneOf(iampolicy.Targets()...)),
			"account_id": optional("The account it runs in, such as `111122223333`. Defaults to that of the provider's credentials.",
				stringvalidator.RegexMatches(regexp.MustCompile(`^\d{12}$`), "must have twelve digits")),
			"region":              optional("The region it runs in, such as `eu-west-1`. Defaults to that of the repository, then to the provider's."),
			"bucket_kms_key_arn":  optional("ARN of the KMS key the bucket encrypts with, such as `arn:aws:kms:us-east-1:111122223333:key/…`. None for SSE-S3.", kmsKey),
			"secret_kms_key_arns": list("ARNs of the KMS keys that the secrets and parameters are encrypted with, such as `arn:aws:kms:us-east-1:111122223333:key/…`, where those are your own.", kmsKey),
			"object_lock":         schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether points are written locked: `true` where the repository has `object_lock`. Defaults to `false`."},
			"kubernetes": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "Who may take on the role, with the target `kubernetes`.",
				Attributes: map[string]schema.Attribute{
					"oidc_issuer":     optional("OIDC issuer of the cluster, such as `https://oidc.eks.us-east-1.amazonaws.com/id/…`, for IRSA. EKS Pod Identity where it is not given."),
					"namespace":       required("Namespace of the service account, such as `shop`."),
					"service_account": required("Name of the service account, such as `pgbackup-nightly`."),
				},
			},
			"github_actions": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "Who may take on the role, with the target `github_actions`.",
				Attributes: map[string]schema.Attribute{
					"repository": required("The repository of the workflow, such as `acme/infrastructure`.",
						stringvalidator.RegexMatches(regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$`), "must be a repository such as acme/infrastructure")),
					"branch": optional("Its default branch, such as `trunk`, from which alone the role can be taken on. Defaults to `main`."),
				},
			},
			"json":       text("The policy, as JSON."),
			"trust_json": text("The trust policy of the role, as JSON; null where it is not said who takes on the role."),
		},
	}
}

// reference accepts every reference to a secret. The error does not repeat what may
// be the secret itself, and is not tied to the attribute, whose line Terraform would
// print.
type reference struct{}

func (reference) Description(context.Context) string {
	return "a reference to a secret or key, such as secretsmanager:NAME"
}
func (v reference) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (reference) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if _, err := secretref.Parse(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddError("Invalid reference to a secret in references", valid.Sentence(err))
	}
}
