# Told when the nightly backup did not succeed for 25 hours, when any run fails,
# when a backup is half or twice as large as usual, and when storage grows.
resource "pgbackup_alarm" "prod" {
  policy        = pgbackup_policy.prod.id
  jobs          = [pgbackup_schedule.nightly.name]
  overdue_after = "25h"

  size = {
    below_percent = 50
    above_percent = 200
  }

  storage = {
    above_bytes          = 500000000000
    growth_bytes_per_day = 20000000000
  }

  email = ["ops@example.org"]
}

# Told when what is archived of a server's log falls behind, or misses a part.
resource "pgbackup_alarm" "wal" {
  name    = "wal"
  policy  = pgbackup_policy.prod.id
  wal_lag = "5m"
  email   = ["ops@example.org"]
}
