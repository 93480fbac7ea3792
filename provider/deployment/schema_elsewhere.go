package deployment

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Kubernetes and GitHub get a text that something else applies.

func kubernetesAttribute(w Words) schema.SingleNestedAttribute {
	secretKeys := func(description string) schema.MapNestedAttribute {
		secret, key := Text("Name of the Secret."), Text("Key in it.")
		for _, a := range []*schema.StringAttribute{&secret, &key} {
			a.Required, a.Optional = true, false
		}
		return schema.MapNestedAttribute{
			Optional: true, MarkdownDescription: description,
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{"secret": secret, "key": key}},
		}
	}
	claim := Text("Name of the PersistentVolumeClaim.")
	claim.Required, claim.Optional = true, false
	textMap := func(description string) schema.MapAttribute {
		return schema.MapAttribute{ElementType: types.StringType, Optional: true, MarkdownDescription: description}
	}
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "In a Kubernetes cluster, 1.27 or newer: as a CronJob, or, what runs all the time, as a Deployment of one pod. The YAML is the attribute `kubernetes_manifest`; apply it with kubectl, GitOps, or Terraform's `kubernetes_manifest`. " +
			"The runners of earlier manifests stay in the repository, because the cluster may still use them, until the " + w.Noun + " is destroyed.",
		Attributes: map[string]schema.Attribute{
			"namespace":              Text("Namespace of all objects. Defaults to `default`."),
			"service_account":        Text("Name of the ServiceAccount the job runs as. Defaults to the name of the job's objects, `pgbackup-<name>`."),
			"create_service_account": schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether the ServiceAccount is a part of the manifest. Defaults to `true` unless `service_account` is given."},
			"role_arn":               Text("ARN of the IAM role of the service account (IRSA), such as `arn:aws:iam::111122223333:role/backup`: its annotation is written to the ServiceAccount of the manifest."),
			"pod_identity":           schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether the role comes by an EKS Pod Identity association, which you make, instead of `role_arn`. Defaults to `false`."},
			"postgres_version":       postgresVersionAttribute("Major version of the stock PostgreSQL image, "+w.Programs, w.Older),
			"image":                  Text("Image to use instead of the stock one. " + w.Image),
			"fetch_image":            Text("Image that fetches the runner, with `/bin/sh`, `aws` and `sha256sum`. Defaults to AWS's own image of its CLI, in a fixed version."),
			"architecture":           architectureAttribute("the nodes the job runs on"),
			"run_as_user":            schema.Int64Attribute{Optional: true, MarkdownDescription: "Number of the user who runs the job. Defaults to `999`, which is `postgres` in the stock image.", Validators: []validator.Int64{int64validator.AtLeast(1)}},
			"resources": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "What the job asks of a node, in Kubernetes' notation.",
				Attributes: map[string]schema.Attribute{
					"cpu_request":    Text("Such as `500m`. Defaults to `100m`."),
					"cpu_limit":      Text("Such as `2`. Defaults to none."),
					"memory_request": Text("Such as `512Mi`. Defaults to `256Mi`."),
					"memory_limit":   Text("Such as `1Gi`. Defaults to none. A limit below 256Mi may kill `pg_dump` of a database with many tables."),
				},
			},
			"node_selector": textMap("Labels of the nodes the job may run on, such as `{ pool = \"batch\" }`. Defaults to all."),
			"tolerations": schema.ListNestedAttribute{
				Optional: true, MarkdownDescription: "Taints of nodes that the job tolerates.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"key": Text("Key of the taint, such as `spot`."), "operator": Text("`Equal` or `Exists`."), "value": Text("Value of the taint, such as `true`."),
					"effect": Text("`NoSchedule`, `PreferNoSchedule` or `NoExecute`."),
				}},
			},
			"environment":  textMap("Variables of the runner's environment, such as `{ PGCONNECT_TIMEOUT = \"20\" }`; nothing secret."),
			"secret_env":   secretKeys("Variables of the runner's environment that come out of a Secret, by name, for `env:NAME` references: `{ PGPASSWORD = { secret = \"db\", key = \"password\" } }`."),
			"secret_files": secretKeys("Files that come out of a Secret, by absolute path, for `file:/path` references and certificates."),
			"volumes": schema.MapNestedAttribute{
				Optional: true, MarkdownDescription: "PersistentVolumeClaims to mount, by absolute path: for `files` jobs, `config.directory`, or a repository in a directory.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"claim":    claim,
					"writable": schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether the job may write there, as a repository needs. Defaults to `false`."},
				}},
			},
			"backoff_limit": schema.Int64Attribute{Optional: true, MarkdownDescription: "How often a failed run is tried again. Defaults to `0`: the next run is the next try. Not for what runs all the time.", Validators: []validator.Int64{int64validator.Between(0, 10)}},
			"deadline":      Length("How late a run may still start. Defaults to `1h`. Not for what runs all the time."),
		},
	}
}

func githubAttribute(w Words) schema.SingleNestedAttribute {
	repository, role := Text("The repository that the workflow is committed to, `org/name`; the trust policy lets in its runs alone."), Text("ARN of the role that a run takes on with OpenID Connect. `github_trust_policy` is its trust policy, `pgbackup_iam_policy` gives its permissions.")
	for _, a := range []*schema.StringAttribute{&repository, &role} {
		a.Required, a.Optional = true, false
	}
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "As a workflow of GitHub Actions. Its YAML is the attribute `github_workflow`, to be committed as `.github/workflows/pgbackup-<name>.yml` on the default branch. " +
			"GitHub starts schedules late, knows UTC alone, and stops them after 60 days without a commit in public repositories: give the policy a `pgbackup_alarm`.",
		Attributes: map[string]schema.Attribute{
			"repository":       repository,
			"branch":           Text("The default branch, the only one whose schedules run. Defaults to `main`."),
			"role_arn":         role,
			"region":           Text("Region of AWS that a run works in, such as `eu-west-1`. Defaults to that of the repository of backups."),
			"postgres_version": postgresVersionAttribute("Major version of the "+w.Packages+", which are installed from PostgreSQL's own packages", w.Older),
			"runs_on":          Text("Label of the machine, such as that of one of your own inside the VPC. Defaults to `ubuntu-24.04`, which reaches public databases alone."),
			"architecture":     architectureAttribute("the machine the workflow runs on"),
			"secrets":          schema.MapAttribute{ElementType: types.StringType, Optional: true, MarkdownDescription: "Variables of the runner's environment that come out of GitHub secrets: `{ PGPASSWORD = \"PROD_DB_PASSWORD\" }`, for `env:NAME` references."},
			"environment":      schema.MapAttribute{ElementType: types.StringType, Optional: true, MarkdownDescription: "Variables of the runner's environment, such as `{ PGCONNECT_TIMEOUT = \"20\" }`; nothing secret."},
			"slack_secret":     Text("Name of the GitHub secret that holds the URL of a Slack webhook, such as `SLACK_WEBHOOK_URL`, told when a run fails, also when the runner itself did not start. Defaults to nobody."),
			"timeout":          Length("How long a run, and its session in AWS, may take: whole minutes, `15m` to `6h`. The role's `max_session_duration` must not be shorter. Defaults to `1h`."),
		},
	}
}
