resource "pgbackup_repository" "main" {
  s3 = {
    bucket  = "acme-pg-backups"
    prefix  = "prod"
    replica = { bucket = "acme-pg-backups-dr", region = "eu-west-1" }
  }
}

resource "pgbackup_policy" "prod" {
  name       = "prod"
  repository = pgbackup_repository.main.id
  objectives = { rto = "4h" }
  retention  = { keep_daily = 30, keep_monthly = 12 }
}

resource "pgbackup_runner" "main" {
  repository    = pgbackup_repository.main.id
  architectures = ["x86_64"]
}

# Every Sunday the newest backup of every database is restored into a cluster that
# the task starts for itself, which nothing can reach and which reaches nothing.
# Every table's rows and content must be those of the backup; then the statements
# are run, and the time is held against the objective of the policy.
resource "pgbackup_restore_drill" "weekly" {
  name   = "weekly"
  policy = pgbackup_policy.prod.id
  runner = pgbackup_runner.main.release
  cron   = "0 4 * * 0"

  into = { scratch_cluster = {} }

  checks = {
    "recent orders" = {
      sql    = "select max(created_at) > current_setting('pgbackup.backup_time')::timestamptz - interval '2 days' from orders"
      expect = "true"
    }
    "customers" = {
      sql     = "select count(*) from customers"
      expect  = "> 1000"
      timeout = "30s"
    }
  }

  notifications = [{ channel = "slack", url_ref = "secretsmanager:acme/slack" }]

  run_on = {
    fargate = {
      cluster          = "arn:aws:ecs:us-east-1:111122223333:cluster/backups"
      subnets          = ["subnet-0a1b2c3d"]
      security_groups  = ["sg-0a1b2c3d"]
      postgres_version = 17
      cpu              = 2048
      memory           = 8192

      # The restored database lies here: half as much again as it has.
      storage = 100
    }
  }
}

# Every month a point picked by chance, all of it looked at by pg_amcheck, with an
# image that has the extensions of the database.
resource "pgbackup_restore_drill" "monthly" {
  name         = "monthly"
  policy       = pgbackup_policy.prod.id
  runner       = pgbackup_runner.main.release
  cron         = "0 3 1 * *"
  source       = "random"
  backups_of   = ["maps@db.example.org"]
  amcheck      = true
  max_duration = "12h"

  into = {
    scratch_cluster = {
      directory  = "/scratch"
      extensions = ["postgis"]
      settings   = { max_locks_per_transaction = "4096" }
    }
  }

  run_on = {
    kubernetes = {
      namespace = "backups"
      role_arn  = "arn:aws:iam::111122223333:role/backup-drills"
      image     = "registry.example.org/postgis:17"
    }
  }
}

# Every quarter from the copy in the other region, as if the first one were gone,
# into a scratch database of a server that is there for drills.
resource "pgbackup_restore_drill" "quarterly" {
  name           = "quarterly"
  policy         = pgbackup_policy.prod.id
  runner         = pgbackup_runner.main.release
  cron           = "0 2 1 1,4,7,10 *"
  source         = "oldest"
  from           = "replica"
  replica        = pgbackup_repository.main.replica_id
  allow_archived = true

  into = {
    database = {
      server = {
        host         = "drills.example.org"
        user         = "drill"
        password_ref = "secretsmanager:acme/drills#password"
        sslmode      = "verify-full"
      }
    }
  }

  run_on = {
    github_actions = {
      repository = "acme/infrastructure"
      role_arn   = "arn:aws:iam::111122223333:role/backup-drills"
      runs_on    = "inside-the-vpc"
      timeout    = "6h"
    }
  }
}

# Snapshots of RDS are restored into a temporary instance, which is deleted after
# the drill, also when the drill died.
resource "pgbackup_restore_drill" "rds" {
  name   = "rds"
  policy = pgbackup_policy.prod.id
  runner = pgbackup_runner.main.release
  cron   = "0 5 15 * *"

  into = {
    rds_instance = {
      class           = "db.t4g.large"
      subnet_group    = "drills"
      security_groups = ["sg-0a1b2c3d"]
      database        = "app"
      password_ref    = "secretsmanager:acme/db#password"
    }
  }

  checks = {
    "orders" = { sql = "select count(*) from orders", expect = "> 0" }
  }

  run_on = {
    fargate = {
      cluster = "arn:aws:ecs:us-east-1:111122223333:cluster/backups"
      subnets = ["subnet-0a1b2c3d"]
    }
  }
}
