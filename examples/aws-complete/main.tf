# Everything a team declares to have its PostgreSQL databases recoverable: where
# backups are, in two regions; how long they are kept; when they are taken and on
# what; the same for RDS; and who is told when something is wrong.

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

  default_tags = {
    tags = { service = "backup" }
  }

  endpoints = var.endpoint == null ? null : {
    for service in ["s3", "cloudwatch", "ecs", "iam", "kms", "lambda", "logs", "rds", "scheduler", "secretsmanager", "sns", "sqs", "ssm", "sts"] : service => var.endpoint
  }
}

# Two buckets, made and hardened: versions, encryption, no public access, TLS only,
# Object Lock; each object is copied to the other region.
resource "pgbackup_repository" "main" {
  s3 = {
    bucket = var.bucket
    prefix = "prod"

    object_lock = var.lock_days == null ? null : { mode = "GOVERNANCE", days = var.lock_days }

    replica = {
      bucket = "${var.bucket}-dr"
      region = var.replica_region
    }

    lifecycle = {
      noncurrent_after    = "30d"
      abort_uploads_after = "7d"
    }
  }

  encryption = {
    key_ref = var.key_ref
  }

  force_destroy = var.force_destroy
}

resource "pgbackup_policy" "prod" {
  name        = "prod"
  repository  = pgbackup_repository.main.id
  environment = "production"
  objectives  = { rpo = "24h", rto = "4h" }

  retention = {
    keep_last    = 3
    keep_daily   = 30
    keep_weekly  = 12
    keep_monthly = 12
    keep_yearly  = 7
  }
}

resource "pgbackup_runner" "main" {
  repository    = pgbackup_repository.main.id
  architectures = ["x86_64", "arm64"]
}

locals {
  fargate = {
    cluster         = var.cluster
    subnets         = var.subnets
    security_groups = var.security_groups
    object_lock     = var.lock_days != null
    environment     = var.runner_environment
  }
  lambda = {
    object_lock = var.lock_days != null
    environment = var.runner_environment
  }
}

# A verified dump of each database every night, on Fargate.
resource "pgbackup_schedule" "nightly" {
  for_each = var.databases

  name    = "nightly-${each.key}"
  policy  = pgbackup_policy.prod.id
  runner  = pgbackup_runner.main.release
  key_ref = var.key_ref
  cron    = each.value.cron
  source  = each.key

  job = {
    logical = {
      databases = [each.key]
      server = {
        host            = each.value.host
        port            = each.value.port
        user            = each.value.user
        password_ref    = each.value.password_ref
        sslmode         = each.value.sslmode
        sslrootcert_ref = each.value.ca_ref
      }
    }
    max_duration = "6h"
  }

  run_on = {
    fargate = local.fargate
  }
}

# What needs no PostgreSQL programs runs on Lambda: the stored backups are read
# again every week, and every day somebody asks how old the newest one is.
resource "pgbackup_schedule" "verify" {
  name    = "verify"
  policy  = pgbackup_policy.prod.id
  runner  = pgbackup_runner.main.release
  key_ref = var.key_ref
  cron    = "0 5 * * 0"
  job     = { verify = {} }
  run_on  = { lambda = local.lambda }
}

resource "pgbackup_schedule" "freshness" {
  name    = "freshness"
  policy  = pgbackup_policy.prod.id
  runner  = pgbackup_runner.main.release
  key_ref = var.key_ref
  cron    = "0 8 * * *"
  job     = { freshness = { max_age = "26h" } }
  run_on  = { lambda = local.lambda }
}

# Objects of the Kubernetes cluster, from inside it: `terraform output -raw
# kubernetes_manifest | kubectl apply -f -`. The service account in it needs a
# ClusterRole that may get and list them, which is the cluster's to grant.
resource "pgbackup_schedule" "cluster_objects" {
  name    = "cluster-objects"
  policy  = pgbackup_policy.prod.id
  runner  = pgbackup_runner.main.release
  key_ref = var.key_ref
  cron    = "30 1 * * *"

  job = {
    command = {
      argv      = ["kubectl", "get", "configmap,secret", "--all-namespaces", "-o", "yaml"]
      file_name = "cluster.yaml"
    }
  }

  run_on = {
    kubernetes = {
      namespace   = "backup"
      image       = "docker.io/alpine/k8s:1.33.1"
      role_arn    = "arn:aws:iam::111122223333:role/backup-cluster-objects"
      environment = var.runner_environment
    }
  }
}

# The policy is applied once more from GitHub, where somebody may also start it by
# hand: `terraform output -raw github_workflow > .github/workflows/backup.yaml`.
resource "pgbackup_schedule" "rotate" {
  name    = "rotate"
  policy  = pgbackup_policy.prod.id
  runner  = pgbackup_runner.main.release
  key_ref = var.key_ref
  cron    = "0 6 * * *"
  job     = { rotate = {} }

  run_on = {
    github_actions = {
      repository  = var.github_repository
      role_arn    = "arn:aws:iam::111122223333:role/backup-rotate"
      environment = var.runner_environment
    }
  }
}

# RDS: point-in-time recovery for thirty days, also from the other region, and a
# snapshot of our own every night under the same policy.
resource "pgbackup_rds_retention" "main" {
  for_each = var.rds_instances

  instance            = each.key
  retention_days      = 30
  window              = "02:00-03:00"
  deletion_protection = true
}

resource "pgbackup_schedule" "snapshot" {
  for_each = var.rds_instances

  name    = "snapshot-${each.key}"
  policy  = pgbackup_policy.prod.id
  runner  = pgbackup_runner.main.release
  key_ref = var.key_ref
  cron    = "0 3 * * *"
  job     = { rds_snapshot = { instance = each.key } }
  run_on  = { lambda = local.lambda }
}

# One more before each release, kept until it is let go.
resource "pgbackup_recovery_point" "release" {
  for_each = var.rds_instances

  rds_instance = each.key
  policy       = pgbackup_policy.prod.id
  key_ref      = var.key_ref
  triggers     = { release = var.release }
  hold         = true
}

# Silence is an alarm.
resource "pgbackup_alarm" "prod" {
  policy        = pgbackup_policy.prod.id
  jobs          = [for s in pgbackup_schedule.nightly : s.name]
  overdue_after = "25h"
  size          = { below_percent = 50, above_percent = 200 }
  email         = var.email
}
