# Proof that the backups can be restored, before it is needed: every day all that is
# stored is read again; every week the newest backup is restored; every month one
# picked at random, with everything looked at; every quarter one from the copy in
# the other region.

terraform {
  required_version = ">= 1.11"
  required_providers {
    pgbackup = {
      source = "pgbackup/pgbackup"
    }
  }
}

provider "pgbackup" {
  region = var.region

  endpoints = var.endpoint == null ? null : {
    for service in ["s3", "cloudwatch", "ecs", "iam", "kms", "lambda", "logs", "rds", "scheduler", "secretsmanager", "sns", "sqs", "ssm", "sts"] : service => var.endpoint
  }
}

resource "pgbackup_repository" "main" {
  s3 = {
    bucket = var.bucket
    prefix = "prod"

    replica = {
      bucket = "${var.bucket}-dr"
      region = var.replica_region
    }
  }

  encryption = {
    key_ref = var.key_ref
  }

  force_destroy = var.force_destroy
}

# Drills are held against these objectives.
resource "pgbackup_policy" "prod" {
  name       = "prod"
  repository = pgbackup_repository.main.id
  objectives = { rpo = "24h", rto = "4h" }
  retention  = { keep_last = 3, keep_daily = 30, keep_monthly = 12 }
}

resource "pgbackup_runner" "main" {
  repository    = pgbackup_repository.main.id
  architectures = ["x86_64"]
}

locals {
  # The stock image brings the server programs that a scratch cluster is made of;
  # `storage` holds the restored database.
  fargate = {
    cluster          = var.cluster
    subnets          = var.subnets
    security_groups  = var.security_groups
    postgres_version = var.postgres_version
    storage          = 100
    environment      = var.runner_environment
  }
}

# Every day: each stored byte is read again, decrypted, and held against the hashes.
resource "pgbackup_schedule" "daily_verify" {
  name    = "daily-verify"
  policy  = pgbackup_policy.prod.id
  runner  = pgbackup_runner.main.release
  key_ref = var.key_ref
  cron    = "0 5 * * *"
  job     = { verify = {} }
  run_on  = { lambda = { environment = var.runner_environment } }
}

# Every week: the newest backup of every database is restored into a cluster that
# the task starts for itself, which nothing can reach and which reaches nothing.
# Every table's rows and hash must be those of the backup.
resource "pgbackup_restore_drill" "weekly" {
  name    = "weekly"
  policy  = pgbackup_policy.prod.id
  runner  = pgbackup_runner.main.release
  key_ref = var.key_ref
  cron    = "0 4 * * 0"
  source  = "latest"
  into    = { scratch_cluster = {} }

  checks = {
    "orders were taken lately" = {
      sql    = "select max(created_at) > current_setting('pgbackup.backup_time')::timestamptz - interval '2 days' from public.orders"
      expect = "true"
    }
  }

  run_on = { fargate = local.fargate }
}

# Every month: one at random, so that old backups are looked at too, with all
# tables and indexes checked by pg_amcheck.
resource "pgbackup_restore_drill" "monthly" {
  name    = "monthly-full"
  policy  = pgbackup_policy.prod.id
  runner  = pgbackup_runner.main.release
  key_ref = var.key_ref
  cron    = "0 3 1 * *"
  source  = "random"
  amcheck = true
  into    = { scratch_cluster = {} }

  checks = {
    "no orphaned order lines" = {
      sql    = "select count(*) from public.order_lines l left join public.orders o on o.id = l.order_id where o.id is null"
      expect = "0"
    }
    "there are customers" = {
      sql    = "select count(*) from public.customers"
      expect = "> 0"
    }
  }

  run_on = { fargate = local.fargate }
}

# Every quarter: as if the first region were gone.
resource "pgbackup_restore_drill" "quarterly_replica" {
  name    = "quarterly-replica"
  policy  = pgbackup_policy.prod.id
  runner  = pgbackup_runner.main.release
  key_ref = var.key_ref
  cron    = "0 2 1 1,4,7,10 *"
  source  = "latest"
  from    = "replica"
  replica = pgbackup_repository.main.replica_id
  into    = { scratch_cluster = {} }
  run_on  = { fargate = local.fargate }
}

# Somebody is told of each drill that did not prove its backup, and when none did for
# longer than it should take.
resource "pgbackup_alarm" "prod" {
  policy = pgbackup_policy.prod.id
  failed = true
  email  = var.email

  drill = {
    jobs          = [pgbackup_restore_drill.weekly.name]
    overdue_after = "8d"
  }
}

# What the drills found, in every plan.
data "pgbackup_drill_reports" "all" {
  repository = pgbackup_repository.main.id
}

# What to do when it is needed, with today's ids.
data "pgbackup_runbook" "prod" {
  policy   = pgbackup_policy.prod.id
  replica  = pgbackup_repository.main.replica_id
  key_ref  = var.key_ref
  contacts = [{ name = "Database on call", role = "restores", reach = "#dba-oncall" }]
}
