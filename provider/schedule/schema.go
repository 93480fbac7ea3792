package schedule

import (
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment"
)

func schemaOf() schema.Schema {
	attributes := deployment.Attributes(deployment.Words{
		Noun:     "schedule",
		Programs: "whose `pg_dump` is used",
		Older:    "It must not be older than the server's: `pg_dump` refuses a newer server.",
		Image:    "It must have `pg_dump` and `pg_restore`.",
		Packages: "client programs",
		Storage:  "Backups are streamed and need none.",
		Always:   "Left out for `job.wal` with `mode = \"receive\"`, which runs all the time; needed for every other job.",
		Lambda:   "In an AWS Lambda function, started by EventBridge Scheduler, for jobs that need no programs of PostgreSQL, no files and no commands: `rotate`, `verify`, `rds_snapshot`, `freshness`, and `config`. A run has at most 15 minutes.",
	})
	attributes["job"] = jobAttribute()
	attributes["archive_command"] = schema.StringAttribute{
		Computed:            true,
		MarkdownDescription: "What `archive_command` of the server has to be for `job.wal` with `mode = \"push\"`, such as `/usr/local/bin/pgbackup-runner wal push --job /etc/pgbackup/shop-wal.job.json %p`. `pgbackup-runner wal settings --job FILE --apply` sets it, and whatever else the server needs, with `--environment-file` where `run_on.host.environment_file` is given. Null for other jobs.",
	}
	attributes["source"] = schema.StringAttribute{
		Optional:            true,
		MarkdownDescription: "Name of what is backed up, such as `shop`; the recovery points of each database are listed, kept and rotated as `<database>@shop`, those of a whole server (`physical`, `wal`, `globals`) as `shop`: base backups and WAL of one server need the same. Defaults to the name of the server's host (`<database>@<host>`; for a whole server `<host>`). What `files`, `command` and `config` with a `directory` read is of the machine that runs the job: there it defaults to `<name of the job>@<host>`, so that several hosts with one job keep their points apart, and where every run has a machine of another name (Fargate, Lambda, Kubernetes, GitHub Actions) to the name of the job.",
	}
	return schema.Schema{
		MarkdownDescription: "A job on a schedule: what is backed up, rotated, verified or watched, when, and where that runs. " +
			"On a host the job file, and the systemd units or the line for cron, are files that Terraform writes on the machine it runs on. On Fargate and Lambda they are objects in AWS, and the job file is in the repository. " +
			"Editing or deleting one of them is drift and is put right by the next apply.\n\n" +
			"No secret is ever part of it: passwords and keys are named by where the runner finds them.",
		Attributes: attributes,
	}
}
