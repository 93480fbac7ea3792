resource "pgbackup_repository" "main" {
  directory = {
    path = "/var/backups/pg"
  }
}

resource "pgbackup_policy" "prod" {
  name       = "prod"
  repository = pgbackup_repository.main.id

  retention = {
    keep_daily  = 30
    keep_weekly = 12
  }
}

resource "pgbackup_runner" "host" {
  install_dir = "/usr/local/bin"
}

# Every night at two, by a systemd timer, as the user postgres. The directory of
# the repository must belong to that user with everything in it, and the key file
# of an encrypted one must be readable for it. When Terraform runs as root:
#   chown -R postgres: /var/backups/pg
# again after each apply that writes to the repository, such as a changed policy.
# To see whether the user can do the job:
#   sudo -u postgres pgbackup-runner doctor --job /etc/pgbackup/nightly.job.json
resource "pgbackup_schedule" "nightly" {
  name   = "nightly"
  policy = pgbackup_policy.prod.id
  runner = pgbackup_runner.host.release
  cron   = "0 2 * * *"

  job = {
    logical = {
      databases = ["app"]

      server = {
        host = "db.example.org"
        user = "backup"

        # Where the runner finds the password, never the password.
        password_ref = "env:APP_DB_PASSWORD"
        sslmode      = "verify-full"
      }

      exclude_tables = ["public.session*"]
    }

    max_duration = "6h"
  }

  run_on = {
    host = {
      directory         = "/etc/pgbackup"
      systemd_directory = "/etc/systemd/system"
      environment_file  = "/etc/pgbackup/passwords"
      user              = "postgres"
      randomized_delay  = "10m"
    }
  }
}

# Every stored point is read again on Sundays, by cron.
resource "pgbackup_schedule" "verify" {
  name   = "verify"
  policy = pgbackup_policy.prod.id
  runner = pgbackup_runner.host.release
  cron   = "0 5 * * 0"

  job = {
    verify = {}
  }

  run_on = {
    host = {
      directory      = "/etc/pgbackup"
      cron_directory = "/etc/cron.d"
    }
  }
}

# Recovery to any moment: the server's log as it is written, by a service that runs
# all the time and has no cron, and every week a base backup to begin from. Both have
# the same source. The role needs REPLICATION; the policy says with `wal` how far back.
resource "pgbackup_policy" "continuous" {
  name       = "continuous"
  repository = pgbackup_repository.main.id
  objectives = { rpo = "1m" }
  retention  = { wal = "7d", keep_weekly = 4 }
}

resource "pgbackup_schedule" "wal" {
  name   = "shop-wal"
  policy = pgbackup_policy.continuous.id
  runner = pgbackup_runner.host.release
  source = "shop"

  job = {
    wal = {
      mode      = "receive"
      server    = { host = "db.example.org", user = "backup", password_ref = "env:APP_DB_PASSWORD" }
      heartbeat = {}
    }
  }

  run_on = {
    host = {
      directory         = "/etc/pgbackup"
      systemd_directory = "/etc/systemd/system"
      environment_file  = "/etc/pgbackup/passwords"
      user              = "postgres"
    }
  }
}

resource "pgbackup_schedule" "base" {
  name   = "shop-base"
  policy = pgbackup_policy.continuous.id
  runner = pgbackup_runner.host.release
  source = "shop"
  cron   = "0 1 * * 0"

  job = {
    physical = {
      server   = { host = "db.example.org", user = "backup", password_ref = "env:APP_DB_PASSWORD" }
      max_rate = 104857600
    }
  }

  run_on = {
    host = {
      directory         = "/etc/pgbackup"
      systemd_directory = "/etc/systemd/system"
      environment_file  = "/etc/pgbackup/passwords"
      user              = "postgres"
    }
  }
}

# Where the server itself hands its log over, this runs on the server's machine: every
# five minutes it looks whether all of it arrives. What archive_command has to be is the
# attribute archive_command.
resource "pgbackup_schedule" "push" {
  name    = "crm-wal"
  policy  = pgbackup_policy.continuous.id
  runner  = pgbackup_runner.host.release
  source  = "crm"
  cron    = "*/5 * * * *"
  metrics = "cloudwatch"
  job     = { wal = { mode = "push" } }

  run_on = {
    host = {
      directory         = "/etc/pgbackup"
      systemd_directory = "/etc/systemd/system"
      user              = "postgres"
    }
  }
}

output "archive_command" {
  value = pgbackup_schedule.push.archive_command
}

# The same on AWS, for a repository in S3.
resource "pgbackup_repository" "aws" {
  s3 = {
    bucket = "acme-pg-backups"
    prefix = "prod"
  }
}

resource "pgbackup_policy" "aws" {
  name       = "prod"
  repository = pgbackup_repository.aws.id
  objectives = { rpo = "24h" }
  retention  = { keep_last = 3, keep_daily = 30 }
}

resource "pgbackup_runner" "aws" {
  repository = pgbackup_repository.aws.id
}

# A task on Fargate, started by EventBridge Scheduler. Everything it needs is made,
# with the least rights.
resource "pgbackup_schedule" "fargate" {
  name     = "nightly"
  policy   = pgbackup_policy.aws.id
  runner   = pgbackup_runner.aws.release # a new runner shows in the plan
  cron     = "0 2 * * *"
  timezone = "Europe/Berlin"

  job = {
    logical = {
      databases = ["app"]

      server = {
        host            = "app.abc123.us-east-1.rds.amazonaws.com"
        user            = "backup"
        password_ref    = "secretsmanager:acme/db#password"
        sslmode         = "verify-full"
        sslrootcert_ref = "ssm:/rds/ca-bundle"
      }
    }
  }

  notifications = [
    { channel = "slack", url_ref = "secretsmanager:acme/slack" },
    { channel = "ping", url_ref = "ssm:/pgbackup/ping" },
  ]

  run_on = {
    fargate = {
      cluster          = "arn:aws:ecs:us-east-1:111122223333:cluster/backups"
      subnets          = ["subnet-0a1b2c3d4e5f67890"]
      security_groups  = ["sg-0a1b2c3d4e5f67890"]
      postgres_version = 17
      flexible_window  = "15m"
    }
  }
}

# What needs no programs of PostgreSQL runs in a function: here, whether every
# source has a new enough backup.
resource "pgbackup_schedule" "freshness" {
  name   = "freshness"
  policy = pgbackup_policy.aws.id
  runner = pgbackup_runner.aws.release
  cron   = "30 8 * * *"
  job    = { freshness = { max_age = "26h" } }
  run_on = { lambda = {} }
}

# A database in a Kubernetes cluster, backed up by a CronJob beside it. The YAML is
# the attribute kubernetes_manifest.
resource "pgbackup_schedule" "cluster" {
  name   = "shop"
  policy = pgbackup_policy.aws.id
  runner = pgbackup_runner.aws.release
  cron   = "15 2 * * *"

  job = {
    logical = {
      server = { host = "db.shop.svc", user = "postgres", password_ref = "env:PGPASSWORD" }
    }
  }

  run_on = {
    kubernetes = {
      namespace  = "shop"
      role_arn   = "arn:aws:iam::111122223333:role/pgbackup-shop"
      secret_env = { PGPASSWORD = { secret = "db", key = "password" } }
    }
  }
}

# Its log, by a Deployment of one pod.
resource "pgbackup_schedule" "cluster_wal" {
  name   = "shop-wal"
  policy = pgbackup_policy.aws.id
  runner = pgbackup_runner.aws.release
  source = "shop"
  job    = { wal = { mode = "receive", server = { host = "db.shop.svc", user = "postgres", password_ref = "env:PGPASSWORD" } } }

  run_on = {
    kubernetes = {
      namespace  = "shop"
      role_arn   = "arn:aws:iam::111122223333:role/pgbackup-shop"
      secret_env = { PGPASSWORD = { secret = "db", key = "password" } }
    }
  }
}

# The Secrets of the cluster, by a workflow of GitHub Actions.
resource "pgbackup_schedule" "github" {
  name   = "secrets"
  policy = pgbackup_policy.aws.id
  runner = pgbackup_runner.aws.release
  cron   = "45 2 * * *"
  job    = { command = { argv = ["kubectl", "get", "configmap,secret", "-A", "-o", "yaml"], file_name = "cluster.yaml" } }

  run_on = {
    github_actions = {
      repository   = "acme/infrastructure"
      role_arn     = "arn:aws:iam::111122223333:role/pgbackup-github"
      slack_secret = "SLACK_WEBHOOK"
    }
  }
}

# A user-data document that sets up a machine of its own (cloud_init).
resource "pgbackup_schedule" "machine" {
  name   = "machine"
  policy = pgbackup_policy.aws.id
  runner = pgbackup_runner.aws.release
  cron   = "0 3 * * *"
  job    = { files = { paths = ["/srv/uploads"], exclude = ["*.tmp"] } }
  run_on = { host = { user = "root" } }
}
