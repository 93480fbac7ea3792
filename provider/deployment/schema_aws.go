package deployment

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// scheduledAttributes are what Fargate and Lambda have in common: EventBridge
// Scheduler starts both. The limits of the numbers are held by package scheduled,
// which names the field.
func scheduledAttributes(own map[string]schema.Attribute) map[string]schema.Attribute {
	maps.Copy(own, map[string]schema.Attribute{
		"scheduler_role_arn":    Text("ARN of a role that EventBridge Scheduler takes on to start the job, such as `arn:aws:iam::111122223333:role/start-backups`. Defaults to one that is made, which may do that and nothing else."),
		"permissions_boundary":  Text("ARN of a policy that bounds the roles that are made, such as `arn:aws:iam::111122223333:policy/boundary`. Defaults to none."),
		"log_group":             Text("Name of a log group that is there. Defaults to one that is made, `/pgbackup/<name>` with a suffix of the repository."),
		"log_retention_days":    schema.Int64Attribute{Optional: true, MarkdownDescription: "Days that the log group that is made keeps what it is told; one of those that CloudWatch Logs knows, such as 30, 90 or 365. Defaults to `90`.", Validators: []validator.Int64{int64validator.AtLeast(1)}},
		"log_kms_key_arn":       Text("ARN of the KMS key that encrypts the log group that is made, such as `arn:aws:kms:us-east-1:111122223333:key/…`. Its key policy has to allow CloudWatch Logs. Defaults to CloudWatch's own encryption."),
		"flexible_window":       Length("Start up to so much later than `cron` says, whenever AWS likes, which spreads many jobs; whole minutes from `1m` to `1440m`. Defaults to none."),
		"retry_attempts":        schema.Int64Attribute{Optional: true, MarkdownDescription: "How often AWS tries again to start a job that it could not start, 0 to 185. A job that started and failed is not started again: the next run, and the alarm, take care of that. Defaults to `5`.", Validators: []validator.Int64{int64validator.Between(0, 185)}},
		"retry_max_age":         Length("How late AWS may still start a job that it could not start in time, `60s` to `24h`. Defaults to `1h`."),
		"dead_letter_queue_arn": Text("ARN of an SQS queue (no FIFO) that is told of what could not be started, such as `arn:aws:sqs:us-east-1:111122223333:backups`. Defaults to one that is made."),
		"environment": schema.MapAttribute{
			ElementType: types.StringType, Optional: true,
			MarkdownDescription: "Variables of the runner's environment, such as `{ PGCONNECT_TIMEOUT = \"20\" }`. Everybody who may look at the deployment reads them: nothing secret, and names known for secrets are refused.",
		},
		"bucket_kms_key_arn": Text("ARN of the KMS key that the repository's bucket encrypts with (`s3.kms_key_id` of the `pgbackup_repository`), which the role that is made may then use. Without it, a run against such a bucket fails with `kms:GenerateDataKey` denied. Defaults to none."),
		"secret_kms_key_arns": schema.ListAttribute{
			ElementType: types.StringType, Optional: true,
			MarkdownDescription: "ARNs of your own KMS keys that the secrets and parameters the job refers to are encrypted with, which the role that is made may then decrypt with, such as `[\"arn:aws:kms:us-east-1:111122223333:key/…\"]`. Not needed for those under AWS's own keys. Defaults to none.",
			Validators:          []validator.List{listvalidator.SizeAtLeast(1), listvalidator.UniqueValues()},
		},
		"object_lock": schema.BoolAttribute{
			Optional:            true,
			MarkdownDescription: "Whether the repository has Object Lock (`s3.object_lock` of the `pgbackup_repository`), which the role that is made may then set on what it writes. Defaults to `false`.",
		},
	})
	return own
}

func architectureAttribute(what string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional:            true,
		MarkdownDescription: "`x86_64` or `arm64`, " + what + "; `runner` must have a program for it. Defaults to `x86_64`.",
		Validators:          []validator.String{stringvalidator.OneOf("x86_64", "arm64")},
	}
}

func idList(required bool, prefix, description string) schema.ListAttribute {
	return schema.ListAttribute{
		ElementType: types.StringType, Required: required, Optional: !required, MarkdownDescription: description,
		Validators: []validator.List{listvalidator.SizeAtLeast(1), listvalidator.UniqueValues(), listvalidator.ValueStringsAre(idRule(prefix))},
	}
}

func postgresVersionAttribute(what, older string) schema.Int64Attribute {
	return schema.Int64Attribute{
		Optional:            true,
		MarkdownDescription: what + ", 10 to 18. " + older + " Defaults to `17`.",
		Validators:          []validator.Int64{int64validator.Between(10, 18)},
	}
}

func fargateAttribute(w Words) schema.SingleNestedAttribute {
	cluster := Text("ARN of the ECS cluster, such as `arn:aws:ecs:us-east-1:111122223333:cluster/backups`.")
	cluster.Required, cluster.Optional = true, false
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "On Amazon ECS with Fargate, started by EventBridge Scheduler. A task fetches the runner from the repository, checks its hash, and runs it in the stock PostgreSQL image. Task definition, roles, schedule, log group and dead-letter queue are made unless given, each with the least rights. " +
			"Scheduler calls it a success when the task was accepted: whether the backup was good is told by metrics and `pgbackup_alarm`.",
		Attributes: scheduledAttributes(map[string]schema.Attribute{
			"cluster":            cluster,
			"subnets":            idList(true, "subnet-", "Ids of the subnets the task runs in, such as `[\"subnet-0a1b2c3d\"]`. They need a way to the database, to S3, and to the registry of the images (a NAT gateway, VPC endpoints, or `assign_public_ip`)."),
			"security_groups":    idList(false, "sg-", "Ids of the task's security groups, such as `[\"sg-0a1b2c3d\"]`. The database's must let one of them in. Defaults to the VPC's default group."),
			"assign_public_ip":   schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether the task gets a public address, for subnets whose way out is an internet gateway. Defaults to `false`; a task in a public subnet without one cannot fetch its images and never starts."},
			"postgres_version":   postgresVersionAttribute("Major version of the stock PostgreSQL image, "+w.Programs, w.Older),
			"image":              Text("Image to use instead of `public.ecr.aws/docker/library/postgres:<postgres_version>`, such as a mirror of it. " + w.Image),
			"fetch_image":        Text("Image that fetches the runner, with `/bin/sh`, `aws` and `sha256sum`. Defaults to AWS's own image of its CLI, in a fixed version."),
			"cpu":                schema.Int64Attribute{Optional: true, MarkdownDescription: "CPU units, 1024 are one vCPU: 256, 512, 1024, 2048, 4096, 8192 or 16384. Defaults to `1024`."},
			"memory":             schema.Int64Attribute{Optional: true, MarkdownDescription: "Memory in MiB, one of the sizes Fargate has for `cpu`. The runner itself stays below 128 MiB whatever the size of the database. Defaults to `2048`."},
			"storage":            schema.Int64Attribute{Optional: true, MarkdownDescription: "Ephemeral storage in GiB, `21` to `200`. " + w.Storage + " Defaults to the 20 GiB that every task has.", Validators: []validator.Int64{int64validator.Between(21, 200)}},
			"architecture":       architectureAttribute("the machine the task runs on"),
			"task_role_arn":      Text("ARN of a role that the runner works with; `pgbackup_iam_policy` gives the policy it needs. Defaults to one that is made."),
			"execution_role_arn": Text("ARN of a role that ECS starts the task with: fetch images, write the log; such as `arn:aws:iam::111122223333:role/start-tasks`. Defaults to one that is made."),
		}),
	}
}

func lambdaAttribute(w Words) schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: w.Lambda + " The function's code is in the repository's bucket, which must be in the region of the function.",
		Attributes: scheduledAttributes(map[string]schema.Attribute{
			"memory":          schema.Int64Attribute{Optional: true, MarkdownDescription: "Memory in MiB, 128 to 10240; CPU comes in proportion. Defaults to `512`.", Validators: []validator.Int64{int64validator.Between(128, 10240)}},
			"timeout":         Length("How long a run may take, `1s` to `15m`. Defaults to `15m`."),
			"architecture":    architectureAttribute("the machine the function runs on"),
			"subnets":         idList(false, "subnet-", "Ids of the subnets the function has an interface in, to reach what is not public. Given together with `security_groups`. Defaults to none: the function reaches public addresses alone."),
			"security_groups": idList(false, "sg-", "Ids of the function's security groups, such as `[\"sg-0a1b2c3d\"]`."),
			"role_arn":        Text("ARN of a role that the function works with; `pgbackup_iam_policy` gives the policy it needs. Defaults to one that is made."),
		}),
	}
}
