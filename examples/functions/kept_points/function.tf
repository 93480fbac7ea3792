locals {
  retention = { keep_last = 3, keep_daily = 30, keep_weekly = 12, keep_monthly = 12, keep_yearly = 7 }
  kept      = provider::pgbackup::kept_points(local.retention, "0 2 * * *", 3650)
}

# How many recovery points there are after ten years of nightly backups: 53.
output "points_after_ten_years" {
  value = local.kept.points
}

# How many of them are in which tier: { hourly = 0, daily = 26, weekly = 10, monthly = 11, yearly = 6 }.
output "tiers_after_ten_years" {
  value = local.kept.by_tier
}

# Rules are checked before they are applied: a point of at least a year ago is
# there after two years.
check "a_year_back" {
  assert {
    condition     = anytrue([for start in provider::pgbackup::kept_points(local.retention, "@daily", 730).starts : timecmp(start, "2025-01-01T00:00:00Z") <= 0])
    error_message = "The rules do not reach back a year."
  }
}
