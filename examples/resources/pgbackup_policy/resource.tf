resource "pgbackup_repository" "main" {
  s3 = {
    bucket = "acme-pg-backups"
    prefix = "prod"
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

  storage = {
    # New points are cheap to read back; what is kept for months and years is not
    # read often, and goes further down with age.
    class = "STANDARD_IA"
    transitions = [
      { after = "90d", class = "GLACIER", tiers = ["monthly"] },
      { after = "90d", class = "DEEP_ARCHIVE", tiers = ["yearly"] },
    ]

    # Nothing grows older than seven years, except the newest verified point.
    expire_after = "2555d"
  }

  # Only while a change loses recovery points, with the code that the plan which
  # was refused names:
  # approve_expiry = "EXPIRE-16-9c41d2"
}

# What the last change did, for a review tool that reads the plan as JSON.
output "last_change" {
  value = pgbackup_policy.prod.summary
}
