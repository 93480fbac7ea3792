# When the nightly backup runs next. plantimestamp() makes the result part of the
# plan: an apply of tomorrow shows the same.
output "next_backups" {
  value = provider::pgbackup::next_runs("0 2 * * *", "Europe/Berlin", 3, plantimestamp())
}

# A test of a schedule: it runs on the day after clocks go forward.
output "runs_after_the_change" {
  value = provider::pgbackup::next_runs("30 3 * * *", "Europe/Berlin", 1, "2026-03-29T12:00:00Z")[0] == "2026-03-30T01:30:00Z"
}
