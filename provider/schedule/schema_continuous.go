package schedule

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/job"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/deployment"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/valid"
)

func physicalAttribute() schema.SingleNestedAttribute {
	own := deployment.ReachesServer("`server`")
	maps.Copy(own, map[string]schema.Attribute{
		"checkpoint": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "How the checkpoint is done that a base backup begins with. `fast`: at once, with a moment of many writes. `spread`: as slowly as the server's own, for minutes. Defaults to `fast`.",
			Validators:          []validator.String{stringvalidator.OneOf(job.CheckpointFast, job.CheckpointSpread)},
		},
		"max_rate": schema.Int64Attribute{
			Optional:            true,
			MarkdownDescription: "Most bytes a second that the server sends, `32768` to `1073741824`. Defaults to no limit.",
			Validators:          []validator.Int64{int64validator.Between(32<<10, 1<<30)},
		},
		"compression": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "How the server compresses what it sends, for a network that is the limit: `zstd`, `lz4` or `gzip`. It costs the server's CPU; what is stored is compressed by the runner in any case. Defaults to none.",
			Validators:          []validator.String{stringvalidator.OneOf("zstd", "lz4", "gzip")},
		},
		"incremental": schema.SingleNestedAttribute{
			Optional:            true,
			MarkdownDescription: "Back up what changed since the base backup before, on PostgreSQL 17 and newer with `summarize_wal = on`. Where the server has no summaries of that time, the backup is a full one, and ends with a warning (exit code 3). Written as `incremental = {}`; left out, every base backup is a full one.",
			Attributes: map[string]schema.Attribute{
				"full_every": deployment.Length("How old the last full base backup may be before the next one is a full one again, such as `3d`. Defaults to `7d`."),
			},
		},
		"wal_timeout": deployment.Length("How long to wait until the WAL that the base backup needs is in the repository; without it there is no recovery point. Defaults to `10m`."),
	})
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "A base backup of a whole server, PostgreSQL 15 or newer, over the replication protocol: data directory and tablespaces in one pass, each file held against the server's manifest. Together with `wal` of the same `source` it is recovered to any moment since (`pgbackup-runner restore --target-time`). " +
			"The role needs `REPLICATION`, and `pg_hba.conf` a line for `replication`. Not for RDS and Aurora, which let nobody stream from them.",
		Attributes: makesPoints(own),
	}
}

func walAttribute() schema.SingleNestedAttribute {
	own := deployment.ReachesServer("`server`")
	size := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Optional: true, MarkdownDescription: description, Validators: []validator.Int64{int64validator.AtLeast(1)}}
	}
	maps.Copy(own, map[string]schema.Attribute{
		"mode": schema.StringAttribute{
			Required: true,
			MarkdownDescription: "`receive`: the runner streams from the server and stores the unfinished segment again and again, so that seconds are lost with a machine; a service that runs all the time, on a host or in Kubernetes. " +
				"`push`: the server hands over each finished segment by its `archive_command`, on its own machine; what `cron` starts there is `pgbackup-runner wal status`, which publishes lag and gaps: every five minutes (`*/5 * * * *`) where a `pgbackup_alarm` watches `wal_lag`.",
			Validators: []validator.String{stringvalidator.OneOf(job.WALPush, job.WALReceive)},
		},
		"data_directory": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "For `push`: absolute path of the server's data directory, such as `/var/lib/postgresql/17/main`. Defaults to the folder that the server calls `archive_command` in, which is that.",
			Validators:          []validator.String{valid.AbsolutePath("/var/lib/postgresql/17/main")},
		},
		"ahead": schema.Int64Attribute{
			Optional:            true,
			MarkdownDescription: "For `push`: how many finished segments one call also takes along, in parallel, whose own calls are then answered at once; 1 to 10000. Defaults to `64`.",
			Validators:          []validator.Int64{int64validator.Between(1, 10_000)},
		},
		"jobs": schema.Int64Attribute{
			Optional:            true,
			MarkdownDescription: "For `push`: how many segments are stored at once, 1 to 64. Defaults to `2`.",
			Validators:          []validator.Int64{int64validator.Between(1, 64)},
		},
		"slot": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "For `receive`: name of the replication slot, which is made when it is not there, such as `pgbackup_shop`: lower-case letters, digits and `_`. Defaults to one made of the source's name. When the job is given up, `pgbackup-runner wal receive --job FILE --drop-slot` drops it; a slot that nobody reads from fills the server's disk.",
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"every": deployment.Length("For `receive`: how often the unfinished segment is stored, `1s` to `1h`: about as much is lost with server and receiver together. Defaults to `3s`."),
		"confirm": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "For `receive`: what the server is told it may remove. `stored`: what is in the repository. `spooled`: what is on the receiver's own disk, in `spool`. Defaults to `stored`.",
			Validators:          []validator.String{stringvalidator.OneOf(job.ConfirmStored, job.ConfirmSpooled)},
		},
		"slot_limit":  size("For `receive`: bytes that the server may keep for the slot before it is a warning, such as `8589934592`. Defaults to `4294967296`. The server's own limit is `max_slot_wal_keep_size`."),
		"spool_limit": size("For `receive`: most bytes to keep in `spool` while the repository is out of reach; what comes then stays on the server. Defaults to `1073741824`."),
		"heartbeat": schema.SingleNestedAttribute{
			Optional:            true,
			MarkdownDescription: "For `receive`: write a row into the table `pgbackup.heartbeat` again and again, by which a restore drill proves the moment that it recovered to. The role needs the rights to make that table, or to write to it. Written as `heartbeat = {}`. Defaults to none.",
			Attributes: map[string]schema.Attribute{
				"database": deployment.Text("Database of the table, such as `app`. Defaults to `postgres`."),
				"every":    deployment.Length("How often, `1s` to `24h`. Defaults to `10s`."),
			},
		},
		"spool": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "Absolute path of a folder on the runner's machine, such as `/var/spool/pgbackup/shop`, for what was received and is not stored yet, and for what a push took along. It belongs to the user of the job. In Kubernetes it is an empty volume, unless one of `volumes` has it. Defaults to a folder of that user.",
			Validators:          []validator.String{valid.AbsolutePath("/var/spool/pgbackup/shop")},
		},
	})
	return schema.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Archive the write-ahead log of a server, PostgreSQL 13 or newer, so that base backups (`physical`) of the same `source` are recovered to any moment since. The policy's `retention.wal` says how far back that has to be possible. " +
			"Not for RDS and Aurora, and not on Fargate, Lambda or GitHub Actions, where nothing runs all the time.",
		Attributes: own,
	}
}
