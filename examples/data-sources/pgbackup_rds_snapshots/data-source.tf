# The newest snapshot that can be restored, whoever took it.
data "pgbackup_rds_snapshots" "prod" {
  instance  = "acme-prod"
  available = true
  limit     = 1
}

output "newest_snapshot" {
  value = one(data.pgbackup_rds_snapshots.prod.snapshots[*].name)
}

# What the manual ones cost at most.
data "pgbackup_rds_snapshots" "manual" {
  instance = "acme-prod"
  type     = "manual"
}

output "manual_snapshots_usd_a_month" {
  value = data.pgbackup_rds_snapshots.manual.monthly_cost_usd_at_most
}
