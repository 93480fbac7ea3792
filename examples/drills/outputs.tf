output "drills" {
  description = "The newest report of each drill and source."
  value       = data.pgbackup_drill_reports.all.latest
}

output "runbook" {
  description = "What to do when data is lost: terraform output -raw runbook > runbook.md"
  value       = data.pgbackup_runbook.prod.markdown
}
