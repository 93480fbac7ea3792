// Package schedule is the resource pgbackup_schedule: a job, when it runs, and
// where it is deployed to.
//
// What must not live here: what a job file means (package job) and how the texts
// for a platform look (packages below deploy).
package schedule

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
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

func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A job on a schedule: what is backed up, rotated or verified, when, and where that runs. " +
			"On a host the job file, and the systemd units or the line for cron, are files that Terraform writes on the machine it runs on; editing or deleting one of them is drift and is put right by the next apply.\n\n" +
			"No secret is ever part of it: passwords and keys are named by where the runner finds them.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Name of the job: lower-case letters, digits and hyphens, at most 63. The files are named after it. Changing it replaces the schedule.",
				Validators:          []validator.String{valid.Name()},
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"policy": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "The `id` of the `pgbackup_policy` the job runs under, which also says which repository it writes to.",
				Validators:          []validator.String{valid.Policy()},
			},
			"runner": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "The `release` of the `pgbackup_runner` that does the job. On a host it is one with `install_dir`, unless `runner_path` says where the program is.",
				Validators:          []validator.String{valid.Release()},
			},
			"cron": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "When it runs, as five cron fields (minute, hour, day of month, month, day of week) such as `0 2 * * *`, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.",
				Validators:          []validator.String{valid.Cron()},
			},
			"timezone": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "IANA time zone of `cron`, such as `Europe/Berlin`. Defaults to UTC. systemd timers know every zone; cron knows the host's alone.",
				Validators:          []validator.String{valid.Timezone()},
			},
			"source": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Name of what is backed up, such as `shop`; the recovery points of each database are listed, kept and rotated as `<database>@shop`. Defaults to the name of the server's host: `<database>@<host>`.",
			},
			"key_ref": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Where the runner finds the key of an encrypted repository: `env:NAME` or `file:/path`. Defaults to the references that the repository has in store.",
				Validators:          []validator.String{valid.Secret()},
			},
			"job":    jobAttribute(),
			"run_on": runOnAttribute(),
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Path of the job file.",
			},
			"job_path": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Path of the job file, `<directory>/<name>.job.json`, as `pgbackup-runner --job` takes it.",
			},
			"job_json": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Content of the job file.",
			},
			"job_digest": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "SHA-256 of the job and everything it is deployed with, the runner included, hexadecimal.",
			},
			"systemd_service": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Content of `pgbackup-<name>.service`.",
			},
			"systemd_timer": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Content of `pgbackup-<name>.timer`.",
			},
			"cron_line": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Content of `/etc/cron.d/pgbackup-<name>`. Null where cron cannot run the job, such as in a time zone that is not the host's.",
			},
		},
	}
}

// kinds of job; exactly one of them is given.
func jobAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Required:            true,
		MarkdownDescription: "What is done. Exactly one of `logical`, `rotate` and `verify` is given.",
		Attributes: map[string]schema.Attribute{
			"logical": logicalAttribute(),
			"rotate": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Apply the policy to the repository: delete the recovery points it no longer keeps. A `logical` job does that for its own source anyway. Written as `rotate = {}`.",
				Attributes:          map[string]schema.Attribute{},
			},
			"verify": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Read every stored recovery point again and hold it against its hashes. Written as `verify = {}`.",
				Attributes:          map[string]schema.Attribute{},
			},
			"max_duration": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long a run may take before it is stopped, such as `6h`. Defaults to no limit.",
				Validators:          []validator.String{valid.ExactDuration()}, PlanModifiers: []planmodifier.String{planmod.SameDuration()},
			},
			"stall_timeout": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How long a run may make no progress before it is stopped, because a dump that hangs holds locks. Defaults to `10m`.",
				Validators:          []validator.String{valid.ExactDuration()}, PlanModifiers: []planmodifier.String{planmod.SameDuration()},
			},
			"upload_rate": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "Most bytes a second to send to the repository, such as `10000000`. Defaults to no limit.",
				Validators:          []validator.Int64{int64validator.AtLeast(1)},
			},
		},
	}
}

func logicalAttribute() schema.SingleNestedAttribute {
	patterns := func(description string) schema.ListAttribute {
		return schema.ListAttribute{
			ElementType: types.StringType, Optional: true, MarkdownDescription: description,
			Validators: []validator.List{listvalidator.SizeAtLeast(1), listvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(1))},
		}
	}
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: []validator.String{stringvalidator.LengthAtLeast(1)}}
	}
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "A logical backup: `pg_dump` of one or more databases in one snapshot each, read to its end before it becomes visible.",
		Attributes: map[string]schema.Attribute{
			"databases": patterns("Names of the databases, such as `[\"app\"]`. Defaults to every database of the server that takes connections."),
			"database_url_ref": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Where the runner finds a libpq URI (`env:DATABASE_URL` or `file:/path`), instead of `databases` and `server`.",
				Validators:          []validator.String{valid.Secret()},
			},
			"server": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "How the runner reaches PostgreSQL. What is not given follows libpq: `PGHOST` and so on in the runner's environment, then its defaults.",
				Attributes: map[string]schema.Attribute{
					"host": text("Name or address of the server, or the directory of its Unix socket, such as `db.example.org` or `/var/run/postgresql`."),
					"port": schema.Int64Attribute{
						Optional:            true,
						MarkdownDescription: "Port, 1 to 65535. Defaults to `5432`.",
						Validators:          []validator.Int64{int64validator.Between(1, 65535)},
					},
					"user": text("Role to connect as, such as `backup`. `pgbackup-runner doctor` prints the rights it needs."),
					"password_ref": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "Where the runner finds the password, never the password itself: `env:NAME` or `file:/path`, with `#field` behind it for a field of a JSON secret. Defaults to what libpq does, such as `~/.pgpass`.",
						Validators:          []validator.String{valid.Secret()},
					},
					"sslmode": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "`disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`. Defaults to `prefer`, as in libpq.",
						Validators:          []validator.String{stringvalidator.OneOf("disable", "allow", "prefer", "require", "verify-ca", "verify-full")},
					},
					"sslrootcert":          text("Absolute path, on the runner's machine, of the certificates that the server's is checked against; or `system`."),
					"sslcert":              text("Absolute path of the client's certificate, such as `/etc/pgbackup/client.crt`. Given together with `sslkey`."),
					"sslkey":               text("Absolute path of the key of the client's certificate, such as `/etc/pgbackup/client.key`."),
					"maintenance_database": text("Database to connect to for the list of databases and the roles. Defaults to `postgres`."),
				},
			},
			"include_tables":  patterns("Dump only the tables that match one of these patterns, as `pg_dump --table` reads them, such as `[\"public.orders*\"]`."),
			"exclude_tables":  patterns("Leave out the tables that match one of these patterns, as `pg_dump --exclude-table` reads them."),
			"include_schemas": patterns("Dump only the schemas that match one of these patterns, as `pg_dump --schema` reads them."),
			"exclude_schemas": patterns("Leave out the schemas that match one of these patterns, as `pg_dump --exclude-schema` reads them."),
			"globals": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Whether roles and tablespaces are backed up beside the dump. Defaults to `true`.",
			},
			"rotate_after": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Whether the policy is applied to this source after a successful backup. Defaults to `true`.",
			},
			"verification": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "How far a backup is verified before it becomes visible. `streamed`: the archive is parsed to its end and the checksums of the store agree. `stored`: the compressed and encrypted output is also decoded again. Defaults to `streamed`.",
				Validators:          []validator.String{stringvalidator.OneOf("streamed", "stored")},
			},
		},
	}
}

func runOnAttribute() schema.SingleNestedAttribute {
	directory := func(required bool, example, description string) schema.StringAttribute {
		return schema.StringAttribute{Required: required, Optional: !required, MarkdownDescription: description, Validators: []validator.String{valid.AbsolutePath(example)}}
	}
	systemd := directory(false, "/etc/systemd/system", "Folder to write the systemd service and timer to, such as `/etc/systemd/system`. Made, with mode 0755, when it is not there. They start with `systemctl daemon-reload` and `systemctl enable --now pgbackup-<name>.timer`. Defaults to none: the texts are attributes only. Not together with `cron_directory`, or the job would run twice.")
	systemd.Validators = append(systemd.Validators, stringvalidator.ConflictsWith(path.MatchRelative().AtParent().AtName("cron_directory")))
	return schema.SingleNestedAttribute{
		Required:            true,
		MarkdownDescription: "Where the job runs.",
		Attributes: map[string]schema.Attribute{
			"host": schema.SingleNestedAttribute{
				Required:            true,
				MarkdownDescription: "On the host that runs Terraform, by systemd or cron.",
				Attributes: map[string]schema.Attribute{
					"directory":         directory(true, "/etc/pgbackup", "Folder for the job file, such as `/etc/pgbackup`. Made, with mode 0755, when it is not there. With another folder the new files are written before the old ones are removed."),
					"systemd_directory": systemd,
					"cron_directory":    directory(false, "/etc/cron.d", "Folder to write a file for cron to, such as `/etc/cron.d`. Made, with mode 0755, when it is not there. It counts at once. Defaults to none."),
					"user": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "User of the host who runs the job, such as `postgres`. Defaults to root. A repository in a directory, with everything in it, must belong to this user, and the key file must be readable for it; a warning of the plan says what is not, and `sudo -u postgres pgbackup-runner doctor --job FILE` looks at the same.",
						Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
					},
					"environment_file": directory(false, "/etc/pgbackup/passwords", "File of the host with `NAME=value` lines for the runner's environment, where `env:` references point to; readable by the job's user alone. It may be missing when this is applied."),
					"runner_path":      directory(false, "/usr/local/bin/pgbackup-runner", "Path of the program `pgbackup-runner` on the host. Defaults to that of `runner`."),
					"randomized_delay": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "Start up to this much later, by chance, so that many hosts do not start at once; such as `15m`. systemd only. Defaults to none.",
						Validators:          []validator.String{valid.ExactDuration()}, PlanModifiers: []planmodifier.String{planmod.SameDuration()},
					},
				},
			},
		},
	}
}
