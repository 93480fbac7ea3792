resource "pgbackup_repository" "main" {
  directory = {
    path = "/var/backups/pg"
  }
}

resource "pgbackup_policy" "prod" {
  name        = "prod"
  repository  = pgbackup_repository.main.id
  environment = "production"
  timezone    = "Europe/Berlin"

  # What is promised: at most a day of work lost, back within four hours.
  objectives = {
    rpo = "24h"
    rto = "4h"
  }

  # A recovery point stays if any of these keeps it.
  retention = {
    keep_last    = 3
    keep_daily   = 30
    keep_weekly  = 12
    keep_monthly = 12
    keep_yearly  = 7
  }

  # Nothing grows older than seven years, except the newest verified point.
  storage = {
    expire_after = "2555d"
  }
}
