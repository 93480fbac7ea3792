package restoredrill

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

// words are what the attributes of every deployment say of drills.
var words = deployment.Words{
	Noun:     "drill",
	Programs: "whose server and `pg_restore` are used",
	Older:    "It must not be older than the server that was backed up, and for base backups be just as old.",
	Image:    "It must have the server of PostgreSQL (`initdb`, `postgres`), `pg_restore`, and the extensions that the backups need; name those in `into.scratch_cluster.extensions`.",
	Packages: "programs, the server's included",
	Storage:  "A scratch cluster lies there with its data and indexes: half as much again as the database has is a good measure.",
	Lambda:   "Not for drills, which is refused with the reason: a function has no server of PostgreSQL, and 15 minutes.",
}

func schemaOf() schema.Schema {
	attributes := deployment.Attributes(words)
	maps.Copy(attributes, map[string]schema.Attribute{
		"kind": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "What is restored: `logical`, dumps; or `physical`, base backups, each recovered with the archived WAL to a moment, which the newest heartbeat in it proves. Snapshots of RDS are drilled with `into.rds_instance` and without `kind`. Defaults to `logical`.",
		},
		"database": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "With `kind = \"physical\"`, which restores a whole server: the database that `checks` and `amcheck` look at, such as `app`. Defaults to `postgres` for checks, and to all of them for `amcheck`.",
		},
		"source": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "Which recovery point of each source is restored: `latest`, the newest verified one; `oldest`; or `random`, any of them, whose seed is in the report. With `kind = \"physical\"` it is the moment that is chosen so, among all that base backups and WAL reach. Defaults to `latest`, of `physical` to `random`.",
		},
		"seed": schema.Int64Attribute{
			Optional:            true,
			MarkdownDescription: "Makes the choice of `source = \"random\"` repeatable: of the same points the same is chosen; such as `42`. Defaults to a new one for every drill.",
			Validators:          []validator.Int64{int64validator.AtLeast(1)},
		},
		"from": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "Where the recovery points are read: `primary`, or `replica`, the copy in the other region, as if the first one were gone. A bad copy does not condemn the primary's point. Defaults to `primary`.",
		},
		"replica": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "The `replica_id` of the `pgbackup_repository`, for `from = \"replica\"`.",
			Validators:          []validator.String{valid.Repository()},
		},
		"backups_of": deployment.TextList("Sources that are drilled, one after the other, as `pgbackup-runner list` names them, such as `[\"app@db.example.org\"]`. Defaults to every source with a recovery point under the policy."),
		"into":       intoAttribute(),
		"checks":     checksAttribute(),
		"amcheck": schema.BoolAttribute{
			Optional:            true,
			MarkdownDescription: "Whether tables and indexes are looked at with `pg_amcheck` too, which reads all of them. Defaults to `false`.",
		},
		"allow_archived": schema.BoolAttribute{
			Optional:            true,
			MarkdownDescription: "Whether points in an archive class (`GLACIER`, `DEEP_ARCHIVE`) are brought back for the drill, which costs money and hours. They are passed over otherwise. Defaults to `false`.",
		},
		"jobs": schema.Int64Attribute{
			Optional:            true,
			MarkdownDescription: "How many tables are loaded at once, `1` to `64`. Defaults to the number of processors, at most `8`.",
			Validators:          []validator.Int64{int64validator.Between(1, 64)},
		},
		"max_duration": deployment.Length("How long a drill of one source may take before it is stopped, such as `6h`. Defaults to `24h`."),
	})
	return schema.Schema{
		MarkdownDescription: "A restore on a schedule, which proves a backup before it is needed: a recovery point is restored into a place of its own, every table's rows and content are held against what the backup recorded, your own statements are run, and the time is held against the policy's `objectives.rto`. " +
			"With `kind = \"physical\"` a base backup is recovered to a moment, and how much would have been lost is held against `objectives.rpo`. The outcome is one of proven, bad backup and could not run; a bad one is marked and never counts as good again. Reports are in the repository: see `pgbackup_drill_reports`, and a plan warns when the last drill failed, is overdue or took too long.\n\n" +
			"What is restored can reach nothing: a scratch cluster listens on a socket alone, subscriptions, schedulers and passwords of foreign servers are left out. It is deployed as a `pgbackup_schedule` is; the two share names on a target.",
		Attributes: attributes,
	}
}

// intoAttribute has the places to restore to; exactly one of them is given.
func intoAttribute() schema.SingleNestedAttribute {
	server := deployment.ServerAttribute()
	server.MarkdownDescription = "How the runner reaches the server. Its `host` is needed: a drill must never end up on a server that is only in the environment. Its `user` makes and drops databases; extensions that need it, a superuser."
	return schema.SingleNestedAttribute{
		Required:            true,
		MarkdownDescription: "Where the point is restored to. Exactly one of `scratch_cluster`, `database` and `rds_instance` is given.",
		Attributes: map[string]schema.Attribute{
			"scratch_cluster": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "A server that the runner starts from the programs beside it, on a socket only, and removes again. Written as `scratch_cluster = {}` where nothing else is to be said.",
				Attributes: map[string]schema.Attribute{
					"directory": schema.StringAttribute{
						Optional:            true,
						MarkdownDescription: "Absolute path of a folder of the machine with room for the database, such as `/srv/drills`. On Kubernetes it becomes a volume of the pod; on Fargate leave it out: the disk of the task is there. Defaults to `/tmp`.",
						Validators:          []validator.String{valid.AbsolutePath("/srv/drills")},
					},
					"extensions": deployment.TextList("Extensions that the `image` of `run_on`, or the machine, has beyond what PostgreSQL brings, such as `[\"postgis\"]`. A plan names those that the backups need and that are neither."),
					"settings": schema.MapAttribute{
						ElementType: types.StringType, Optional: true,
						MarkdownDescription: "Settings of its `postgresql.conf`, such as `{ shared_preload_libraries = \"timescaledb\" }`. Those that keep it apart cannot be set.",
					},
				},
			},
			"database": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "A scratch database on a server that is there, dropped after the drill. Give it a server of its own: it is loaded as by any restore. Exactly one of `server` and `database_url_ref` is given.",
				Attributes: map[string]schema.Attribute{
					"server":           server,
					"database_url_ref": deployment.SecretRef("Where the runner finds a libpq URI, such as `secretsmanager:acme/drills#url`, `env:DRILL_URL` or `file:/path`, instead of `server`."),
				},
			},
			"rds_instance": rdsAttribute(),
		},
	}
}

func rdsAttribute() schema.SingleNestedAttribute {
	groups := deployment.TextList("Ids of its security groups, such as `[\"sg-0a1b2c3d\"]`. Defaults to the VPC's default group.")
	groups.Validators = append(groups.Validators, listvalidator.UniqueValues())
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "A temporary RDS instance, for the snapshots that `rds_snapshot` jobs take. It is tagged with when it expires, deleted after the drill, and by the next drill where one died.",
		Attributes: map[string]schema.Attribute{
			"class":           deployment.Text("Class of the instance, such as `db.t4g.large`. Defaults to that of the database the snapshot is of."),
			"subnet_group":    deployment.Text("DB subnet group it is in, such as `drills`. Defaults to that of the database."),
			"security_groups": groups,
			"region":          deployment.Text("Region of the snapshots, such as `eu-west-1`. Defaults to the runner's."),
			"database":        deployment.Text("Database that the `checks` are run in, such as `app`. Defaults to `postgres`."),
			"user":            deployment.Text("Role that the `checks` are run as, such as `drill`. Defaults to the master user."),
			"password_ref":    deployment.SecretRef("Where the runner finds that role's password, such as `secretsmanager:acme/db#password`; a snapshot keeps the passwords of its time. Needed for `checks`."),
			"sslmode": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "`disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`. Defaults to `require`.",
				Validators:          []validator.String{stringvalidator.OneOf("disable", "allow", "prefer", "require", "verify-ca", "verify-full")},
			},
		},
	}
}

func checksAttribute() schema.MapNestedAttribute {
	return schema.MapNestedAttribute{
		Optional:            true,
		MarkdownDescription: "Statements that are run in the restored database, by a name that says what they look for. One that finds something else makes the outcome a bad backup; one that is no valid SQL, reads a table that the backup does not have or takes too long says nothing about the backup: the drill then could not run.",
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"sql": schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "The statement, run in a transaction that only reads, such as `select count(*) from orders`. `current_setting('pgbackup.backup_time')::timestamptz` is when the backup was taken: hold what should be new against that and not against `now()`, by which an old backup that is drilled would be bad.",
			},
			"expect": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "What the first column of the first row must be: a value such as `true` or `42`, a comparison such as `> 100` or `!= 0`, or `non-empty` for at least one row. Defaults to `true`.",
			},
			"timeout": deployment.Length("How long the statement may take, such as `30s`. Defaults to `5m`."),
		}},
	}
}
