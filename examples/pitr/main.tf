# One server under continuous protection: a base backup every night, its log as it is
# written, and a week of point-in-time recovery.

terraform {
  required_version = ">= 1.11"
  required_providers {
    pgbackup = {
      source = "pgbackup/pgbackup"
    }
  }
}

variable "folder" { type = string }
variable "host" { type = string } # address, name, or the folder of the socket
variable "port" { type = number }

resource "pgbackup_repository" "main" {
  directory  = { path = "${var.folder}/repository" }
  encryption = { key_ref = "file:${var.folder}/repository.key" }
}

resource "pgbackup_policy" "db1" {
  name       = "db1"
  repository = pgbackup_repository.main.id
  objectives = { rpo = "5m", rto = "1h" }
  retention  = { keep_last = 2, keep_daily = 14, wal = "7d" }
}

resource "pgbackup_runner" "host" {
  install_dir = "${var.folder}/bin"
}

resource "pgbackup_schedule" "base" {
  name   = "base"
  policy = pgbackup_policy.db1.id
  runner = pgbackup_runner.host.release
  source = "db1"
  cron   = "0 2 * * *"

  job = {
    physical = {
      server = { host = var.host, port = var.port, user = "backup" }
    }
  }

  run_on = {
    host = { directory = "${var.folder}/etc", systemd_directory = "${var.folder}/units" }
  }
}

# What the server's archive_command calls. Its timer looks after the archive.
resource "pgbackup_schedule" "log" {
  name   = "log"
  policy = pgbackup_policy.db1.id
  runner = pgbackup_runner.host.release
  source = "db1"
  cron   = "*/5 * * * *"

  job = {
    wal = {
      mode   = "push"
      server = { host = var.host, port = var.port, user = "backup" }
      spool  = "${var.folder}/spool"
    }
  }

  run_on = {
    host = { directory = "${var.folder}/etc", systemd_directory = "${var.folder}/units" }
  }
}

output "archive_command" {
  value = pgbackup_schedule.log.archive_command
}
