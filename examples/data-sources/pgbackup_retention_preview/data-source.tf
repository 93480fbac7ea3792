# What the next rotation under the policy in force deletes.
data "pgbackup_retention_preview" "prod" {
  policy = "s3://acme-pg-backups/prod?region=eu-west-1#prod"
}

output "next_rotation_deletes" {
  value = { for point in data.pgbackup_retention_preview.prod.delete : point.id => point.reasons }
}

# What other rules would leave, before anybody applies them.
data "pgbackup_retention_preview" "shorter" {
  repository = "s3://acme-pg-backups/prod?region=eu-west-1"
  retention  = { keep_daily = 14, keep_monthly = 12 }
  timezone   = "Europe/Berlin"
  source     = "app@db.example.org"
}

output "with_shorter_rules" {
  value = {
    points            = data.pgbackup_retention_preview.shorter.keep_count
    oldest_restorable = data.pgbackup_retention_preview.shorter.oldest_restorable
    usd_a_month       = try(data.pgbackup_retention_preview.shorter.estimated_monthly_cost_usd.after, null)
  }
}
