output "repository" {
  description = "Where the backups are: pgbackup-runner list --repository URL."
  value       = pgbackup_repository.main.id
}

output "runner" {
  description = "The installed program."
  value       = pgbackup_runner.this_host.path
}

output "job_file" {
  description = "What the runner reads to know its work: pgbackup-runner backup --job FILE."
  value       = pgbackup_schedule.nightly.job_path
}

output "timer" {
  description = "The systemd timer, as it was written."
  value       = pgbackup_schedule.nightly.systemd_timer
}

output "cron_line" {
  description = "The same for hosts without systemd, to go into /etc/cron.d; null where this host's cron has another time zone than the schedule."
  value       = pgbackup_schedule.nightly.cron_line
}

output "drill_job_file" {
  description = "The same for the restore drill: pgbackup-runner drill --job FILE."
  value       = pgbackup_restore_drill.weekly.job_path
}
