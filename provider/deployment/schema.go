package deployment

import (
	"maps"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// Words are what descriptions say of a type of resource.
type Words struct {
	Noun     string // what users call one: schedule
	Programs string // of the stock image: whose `pg_dump` is used
	Older    string // why postgres_version must not be older than something
	Image    string // what an image of the user's must have
	Packages string // what GitHub's machine gets: client programs
	Storage  string // what the disk of a task is for
	Lambda   string // what a function is for
	// Always says which jobs run all the time, and have no cron; "" where none does.
	Always string
}

// Attributes are those of Model: when a job runs, where, who is told, and what was
// deployed.
func Attributes(w Words) map[string]schema.Attribute {
	attributes := map[string]schema.Attribute{
		"name": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "Name of the job: lower-case letters, digits and hyphens, at most 63. Everything that is made is named after it; one repository has one schedule of a name on a target. Changing it replaces the " + w.Noun + ".",
			Validators:          []validator.String{valid.Name()},
			PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
		},
		"policy": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "The `id` of the `pgbackup_policy` the job runs under, which also says which repository it writes to. Every target but a host needs one in S3.",
			Validators:          []validator.String{valid.Policy()},
		},
		"runner": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "The `release` of the `pgbackup_runner` that does the job. It holds the hashes of the programs, so that a new runner shows in the plan of every " + w.Noun + ". On a host it is one with `install_dir`, unless `runner_path` says where the program is; every other target needs one with `repository`.",
			Validators:          []validator.String{valid.Release()},
		},
		"cron": schema.StringAttribute{
			Required: w.Always == "", Optional: w.Always != "",
			MarkdownDescription: strings.TrimSpace("When it runs, as five cron fields (minute, hour, day of month, month, day of week) such as `0 2 * * *`, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. " + w.Always),
			Validators:          []validator.String{valid.Cron()},
		},
		"timezone": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "IANA time zone of `cron`, such as `Europe/Berlin`. Defaults to UTC. EventBridge, Kubernetes and systemd timers know every zone; cron knows the host's alone, GitHub UTC alone. In a zone with summer time a job between 01:00 and 03:00 has one day in the year without a run.",
			Validators:          []validator.String{valid.Timezone()},
		},
		"enabled": schema.BoolAttribute{
			Optional:            true,
			MarkdownDescription: "Whether the job runs when `cron` says. With `false` everything is there but what starts it: no timer and no line for cron on a host, a disabled schedule in AWS, a suspended CronJob, a workflow that is only started by hand; of what runs all the time no service, and no pod. Defaults to `true`.",
		},
		"key_ref": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "Where the runner finds the key of an encrypted repository: `kms:ARN`, `secretsmanager:NAME`, `ssm:NAME`, `env:NAME` or `file:/path`. Defaults to the references that the repository has in store; give it on Fargate and Lambda, whose role is made from what stands here.",
			Validators:          []validator.String{valid.Secret()},
		},
		"metrics":       metricsAttribute(),
		"notifications": notificationsAttribute(),
		"tags":          tagsAttribute(w),
		"run_on": schema.SingleNestedAttribute{
			Required:            true,
			MarkdownDescription: "Where the job runs. Exactly one of `fargate`, `lambda`, `host`, `kubernetes` and `github_actions` is given. With another one the new deployment is made, and looked at, before the old one is removed.",
			Attributes: map[string]schema.Attribute{
				"fargate":        fargateAttribute(w),
				"lambda":         lambdaAttribute(w),
				"host":           hostAttribute(),
				"kubernetes":     kubernetesAttribute(w),
				"github_actions": githubAttribute(w),
			},
		},
	}
	maps.Copy(attributes, shownAttributes(w))
	return attributes
}

// shownAttributes are computed: what was deployed.
func shownAttributes(w Words) map[string]schema.Attribute {
	shown := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	return map[string]schema.Attribute{
		"id":                    shown("On the host that runs Terraform the path of the job file; on Fargate and Lambda the ARN of the EventBridge schedule; elsewhere `<repository>#job/<name>`."),
		"job_path":              shown("Path of the job file on a host, `<directory>/<name>.job.json`, as `pgbackup-runner --job` takes it. Null elsewhere."),
		"job_url":               shown("Where the job file is in the repository, as `pgbackup-runner --job` takes it. Its name holds the hash of its content, and the runner refuses another content. On Kubernetes the manifest has the job too. Null where the job file is not in the repository: on the host that runs Terraform, and with a repository in a directory."),
		"job_json":              shown("Content of the job file."),
		"job_digest":            shown("SHA-256 of the job and everything it is deployed with, the runner included, hexadecimal."),
		"deployment":            shown("What is in AWS for this " + w.Noun + ", as one JSON document: task definition or function, roles with their policies, schedule, log group, dead-letter queue. A plan shows every change of it, and drift. Null where nothing is in AWS."),
		"role_arn":              shown("ARN of the role that the runner works with, on Fargate and Lambda: what the key policies of your own KMS keys have to allow. Null elsewhere."),
		"log_group":             shown("Name of the log group, on Fargate and Lambda. Null elsewhere."),
		"dead_letter_queue_arn": shown("ARN of the queue that is told of what could not be started, on Fargate and Lambda. Null elsewhere."),
		"kubernetes_manifest":   shown("YAML for a Kubernetes cluster, several documents. Null on other targets."),
		"github_workflow":       shown("YAML of the workflow for GitHub Actions. Null on other targets."),
		"github_trust_policy":   shown("JSON of the trust policy of the role that the workflow takes on. Null on other targets."),
		"cloud_init":            shown("A `#cloud-config` document that brings the runner and the job to another machine at its first boot, for `run_on.host` without `directory`. The machine needs a role that may do what `pgbackup_iam_policy` says. Null elsewhere."),
		"systemd_service":       shown("Content of `pgbackup-<name>.service`. Null on other targets than `host`."),
		"systemd_timer":         shown("Content of `pgbackup-<name>.timer`. Null on other targets than `host`, and for what runs all the time."),
		"cron_line":             shown("Content of `/etc/cron.d/pgbackup-<name>`. Null where cron cannot run the job, such as in a time zone that is not the host's."),
		"left_behind": schema.ListNestedAttribute{
			Computed:            true,
			MarkdownDescription: "Earlier deployments that could not be removed and may still run. Each apply tries again, and a plan shows a change of this attribute until they are gone. Usually empty.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"run_on":   shown("The target, such as `fargate`."),
				"id":       shown("The " + w.Noun + "'s `id` there."),
				"document": shown("What is there, as JSON."),
			}},
		},
	}
}

// emptyList is a left_behind that is empty.
func emptyList() types.List { return types.ListValueMust(leftType, nil) }
