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
