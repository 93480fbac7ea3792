# What must be recoverable, for how long, and from where: all of a team's backup
# scripts, cron lines and retention rules in one file that can be reviewed.

terraform {
  required_version = ">= 1.11"

  required_providers {
    pgbackup = {
      source = "pgbackup/pgbackup"
    }
  }
}

# Where backups are kept. A directory is enough to begin with; with
# s3 = { bucket = "…" } instead, everything below stays as it is.
resource "pgbackup_repository" "main" {
  directory = {
    path = "${var.folder}/repository"
  }

  # Everything is encrypted before it is written. Only the place of the key is
  # named here, so the key itself is in no plan and no state.
  encryption = {
    key_ref = "file:${var.folder}/repository.key"
  }
}

# What to keep. Every change becomes a numbered revision in the repository.
resource "pgbackup_policy" "app" {
  name       = "app"
  repository = pgbackup_repository.main.id

  # What is promised: at most a day of work lost, back within four hours.
  objectives = {
    rpo = "24h"
    rto = "4h"
  }

  # A backup stays if any of these rules keeps it. The newest verified one stays
  # whatever the rules say.
  retention = {
    keep_last    = 3
    keep_daily   = var.keep_daily
    keep_weekly  = 12
    keep_monthly = 12
    keep_yearly  = 7
  }
}

# The program that does the work. The provider carries it and puts it here; a new
# version of the provider shows in the plan as a change of this resource.
resource "pgbackup_runner" "this_host" {
  install_dir = "${var.folder}/bin" # on a real host: /usr/local/bin
}

# When, what, and where it runs.
resource "pgbackup_schedule" "nightly" {
  name   = "nightly"
  policy = pgbackup_policy.app.id
  runner = pgbackup_runner.this_host.release
  cron   = "0 2 * * *"

  job = {
    logical = {
      databases = [var.database]

      server = {
        host = var.database_host
        port = var.database_port
        user = var.database_user

        # The name of an environment variable, never the password.
        password_ref = "env:${var.password_variable}"
      }
    }
  }

  run_on = {
    host = {
      directory         = "${var.folder}/etc/pgbackup"           # /etc/pgbackup
      systemd_directory = "${var.folder}/etc/systemd/system"     # /etc/systemd/system
      environment_file  = "${var.folder}/etc/pgbackup/passwords" # sets the variable above for the timer
    }
  }
}

# Once a week the newest backup is restored for real, into a server that the runner
# starts for itself, and every row is held against the backup. A backup that nobody
# restored is a hope.
resource "pgbackup_restore_drill" "weekly" {
  name   = "weekly"
  policy = pgbackup_policy.app.id
  runner = pgbackup_runner.this_host.release
  cron   = "0 4 * * 0"
  into   = { scratch_cluster = {} }

  checks = {
    "every order has a customer" = {
      sql    = "select count(*) from shop.orders o left join shop.customers c on c.id = o.customer_id where c.id is null"
      expect = "0"
    }
    "reviews were written" = {
      sql    = "select count(*) from shop.reviews"
      expect = "> 0"
    }
  }

  run_on = {
    host = {
      directory         = "${var.folder}/etc/pgbackup"
      systemd_directory = "${var.folder}/etc/systemd/system"
    }
  }
}
