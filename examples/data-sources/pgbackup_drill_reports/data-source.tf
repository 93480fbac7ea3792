# Every plan and apply tells when a drill did not prove its backup.
data "pgbackup_drill_reports" "weekly" {
  repository = pgbackup_repository.main.id
  drill      = "weekly"
}

check "backups_are_proven" {
  assert {
    condition     = data.pgbackup_drill_reports.weekly.all_proven
    error_message = "The newest weekly drill did not prove its backup: ${jsonencode(data.pgbackup_drill_reports.weekly.latest[*].reason)}"
  }
}
