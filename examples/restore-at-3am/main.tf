# A database whose policy is production: whatever creates or overwrites a database
# in its name asks for the day's code.

terraform {
  required_version = ">= 1.11"
  required_providers {
    pgbackup = {
      source = "pgbackup/pgbackup"
    }
  }
}

variable "folder" { type = string }
variable "host" { type = string }
variable "port" { type = number }
variable "user" { type = string }

resource "pgbackup_repository" "main" {
  directory  = { path = "${var.folder}/repository" }
  encryption = { key_ref = "file:${var.folder}/repository.key" }
}

resource "pgbackup_policy" "shop" {
  name        = "shop"
  repository  = pgbackup_repository.main.id
  environment = "production"
  objectives  = { rpo = "24h", rto = "1h" }
  retention   = { keep_last = 3, keep_daily = 30 }
}

resource "pgbackup_runner" "host" {
  install_dir = "${var.folder}/bin"
}

resource "pgbackup_schedule" "nightly" {
  name   = "nightly"
  policy = pgbackup_policy.shop.id
  runner = pgbackup_runner.host.release
  source = "db1"
  cron   = "0 2 * * *"

  job = {
    logical = {
      databases = ["app"]
      server    = { host = var.host, port = var.port, user = var.user, password_ref = "env:DB_PASSWORD" }
    }
  }

  run_on = {
    host = { directory = "${var.folder}/etc", systemd_directory = "${var.folder}/units" }
  }
}
