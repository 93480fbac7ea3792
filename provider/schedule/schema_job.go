package schedule

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

// jobAttribute has the kinds of job; exactly one of them is given.
func jobAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Required:            true,
		MarkdownDescription: "What is done. Exactly one of `logical`, `physical`, `wal`, `globals`, `config`, `files`, `command`, `rds_snapshot`, `rotate`, `verify` and `freshness` is given.",
		Attributes: map[string]schema.Attribute{
			"logical":      logicalAttribute(),
			"physical":     physicalAttribute(),
			"wal":          walAttribute(),
			"globals":      globalsAttribute(),
			"config":       configAttribute(),
			"files":        filesAttribute(),
			"command":      commandAttribute(),
			"rds_snapshot": rdsSnapshotAttribute(),
			"rotate": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Apply the policy to the repository: delete the recovery points it no longer keeps. A job that makes recovery points does that for its own source anyway. Written as `rotate = {}`.",
				Attributes:          map[string]schema.Attribute{},
			},
			"verify": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Read every stored recovery point again and hold it against its hashes. Written as `verify = {}`. What is read costs time and, from a bucket, requests and traffic.",
				Attributes:          map[string]schema.Attribute{},
			},
			"freshness": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Look whether every source of the policy has a new enough verified recovery point, and fail when one has not. Written as `freshness = {}`. It notices a backup that was never started, which no failed run tells; give it another target or at least another time than the backup.",
				Attributes: map[string]schema.Attribute{
					"max_age": deployment.Length("How old the newest verified recovery point of each source may be, such as `26h`. Defaults to `objectives.rpo` of the policy."),
				},
			},
			"max_duration":  deployment.Length("How long a run may take before it is stopped, such as `6h`. Defaults to no limit. Lambda stops a run after its own `timeout` in any case."),
			"stall_timeout": deployment.Length("How long a run may make no progress before it is stopped, because a dump that hangs holds locks. Defaults to `10m`."),
			"upload_rate": schema.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "Most bytes a second to send to the repository, such as `10000000`. Defaults to no limit.",
				Validators:          []validator.Int64{int64validator.AtLeast(1)},
			},
		},
	}
}

// makesPoints adds what every kind has that makes recovery points of a stream.
func makesPoints(own map[string]schema.Attribute) map[string]schema.Attribute {
	own["rotate_after"] = rotateAfter()
	own["verification"] = schema.StringAttribute{
		Optional:            true,
		MarkdownDescription: "How far a backup is verified before it becomes visible. `streamed`: what was read is parsed to its end and the checksums of the store agree. `stored`: the compressed and encrypted output is also decoded again. Defaults to `streamed`.",
		Validators:          []validator.String{stringvalidator.OneOf("streamed", "stored")},
	}
	return own
}

func rotateAfter() schema.BoolAttribute {
	return schema.BoolAttribute{
		Optional:            true,
		MarkdownDescription: "Whether the policy is applied to this source after a successful backup. Defaults to `true`.",
	}
}

func logicalAttribute() schema.SingleNestedAttribute {
	own := deployment.ReachesServer("`databases` and `server`")
	maps.Copy(own, map[string]schema.Attribute{
		"databases":       deployment.TextList("Names of the databases, such as `[\"app\"]`. Defaults to every database of the server that takes connections."),
		"include_tables":  deployment.TextList("Dump only the tables that match one of these patterns, as `pg_dump --table` reads them, such as `[\"public.orders*\"]`."),
		"exclude_tables":  deployment.TextList("Leave out the tables that match one of these patterns, as `pg_dump --exclude-table` reads them."),
		"include_schemas": deployment.TextList("Dump only the schemas that match one of these patterns, as `pg_dump --schema` reads them."),
		"exclude_schemas": deployment.TextList("Leave out the schemas that match one of these patterns, as `pg_dump --exclude-schema` reads them."),
		"globals": schema.BoolAttribute{
			Optional:            true,
			MarkdownDescription: "Whether roles and tablespaces are backed up beside the dump. Defaults to `true`.",
		},
	})
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "A logical backup: `pg_dump` of one or more databases in one snapshot each, read to its end before it becomes visible.",
		Attributes:          makesPoints(own),
	}
}

func globalsAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "A backup of the roles and tablespaces of a server alone, as `pg_dumpall --globals-only` writes them. Without superuser rights, as on RDS, it holds no passwords, and says so.",
		Attributes:          makesPoints(deployment.ReachesServer("`server`")),
	}
}

func configAttribute() schema.SingleNestedAttribute {
	own := deployment.ReachesServer("`server`")
	maps.Copy(own, map[string]schema.Attribute{
		"directory": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "Absolute path, on the runner's machine, of the folder that holds `postgresql.conf`, such as `/etc/postgresql/17/main`. Instead of `server`.",
			Validators:          []validator.String{valid.AbsolutePath("/etc/postgresql/17/main")},
		},
		"rds_instance": deployment.Text("Identifier of an RDS instance, such as `acme-prod`, whose parameter group is backed up. Instead of `server`."),
		"rds_cluster":  deployment.Text("Identifier of an Aurora or Multi-AZ cluster, whose parameter group is backed up. Instead of `server`."),
		"region":       deployment.Text("Region of the RDS instance or cluster, such as `eu-west-1`. Defaults to the runner's."),
	})
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "A backup of a server's configuration: `postgresql.conf`, `pg_hba.conf`, `pg_ident.conf` and what they include. Through `server` they are read with SQL, which needs the rights of `pg_read_server_files` (`pg_read_all_settings` for the settings); or from a `directory`; or, on RDS, from the parameter group. `pgbackup-runner restore ID --diff` shows what is different today.",
		Attributes:          makesPoints(own),
	}
}

func filesAttribute() schema.SingleNestedAttribute {
	paths := deployment.TextList("Absolute paths, on the runner's machine, of directories or files, such as `[\"/etc/pgbouncer\", \"/srv/uploads\"]`. None below another.")
	paths.Required, paths.Optional = true, false
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "A backup of directories as one tar stream with owners, modes and links. A file that changes while it is read is a warning (exit code 3), and the manifest names it; for data directories of PostgreSQL that is no backup: use `logical`. Not on Lambda, which has no files of yours.",
		Attributes: makesPoints(map[string]schema.Attribute{
			"paths":   paths,
			"exclude": deployment.TextList("Patterns of what is left out, with `*`, `?` and `[a-z]`: one with a slash is held against the path, such as `/srv/uploads/tmp`, one without against every name on the way, such as `*.tmp`."),
			"one_file_system": schema.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Whether what is mounted below `paths` is left out. Defaults to `false`.",
			},
		}),
	}
}

func commandAttribute() schema.SingleNestedAttribute {
	argv := schema.ListAttribute{
		ElementType: types.StringType, Required: true,
		MarkdownDescription: "The program and its arguments, such as `[\"kubectl\", \"get\", \"configmap,secret\", \"-o\", \"yaml\"]`. No shell is between: for a pipe write `[\"sh\", \"-c\", \"…\"]`. The program must be on the runner's machine. Whatever stands here is in state, plan and job file: a password belongs into the runner's environment.",
		Validators:          []validator.List{listvalidator.SizeAtLeast(1)},
	}
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "A backup of what a program prints. One that ends with another status than 0, or prints nothing, is a failed backup.",
		Attributes: makesPoints(map[string]schema.Attribute{
			"argv":       argv,
			"time_limit": deployment.Length("How long the program may run before it is ended with everything it started, such as `30m`. Defaults to `10m`."),
			"file_name":  deployment.Text("What the output is called when it is restored, such as `cluster.yaml`; without folders. Defaults to `output`."),
		}),
	}
}

func rdsSnapshotAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "A manual snapshot of an RDS instance or Aurora cluster. It stays in RDS; the repository holds its manifest, so that the policy keeps and rotates it as any recovery point. Snapshots that RDS or somebody else made are never touched. Exactly one of `instance` and `cluster` is given.",
		Attributes: map[string]schema.Attribute{
			"instance":     deployment.Text("Identifier of the DB instance, such as `acme-prod`."),
			"cluster":      deployment.Text("Identifier of the Aurora or Multi-AZ cluster, such as `acme-aurora`."),
			"region":       deployment.Text("Region of the instance or cluster, such as `eu-west-1`. Defaults to the runner's."),
			"rotate_after": rotateAfter(),
		},
	}
}
