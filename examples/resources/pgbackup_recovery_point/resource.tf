# A manual snapshot before each release, kept until the next one is taken, then
# left to the policy.
resource "pgbackup_recovery_point" "release" {
  rds_instance = "acme-prod"
  policy       = pgbackup_policy.prod.id
  hold         = true

  triggers = {
    release = var.release
  }

  timeouts = {
    create = "2h"
  }
}

# A dump by a schedule on Fargate, now.
resource "pgbackup_recovery_point" "before_migration" {
  schedule = pgbackup_schedule.nightly.id
  policy   = pgbackup_policy.prod.id
  source   = "app@db.example.org"

  triggers = {
    migration = var.migration
  }
}
