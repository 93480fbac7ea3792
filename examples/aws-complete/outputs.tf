output "repository" {
  description = "For `pgbackup-runner --repository`."
  value       = pgbackup_repository.main.id
}

output "replica" {
  description = "The same in the other region, to restore from when the first is gone."
  value       = pgbackup_repository.main.replica_id
}

output "schedules" {
  description = "EventBridge schedules of the nightly jobs."
  value       = { for name, s in pgbackup_schedule.nightly : name => s.id }
}

output "kubernetes_manifest" {
  value = pgbackup_schedule.cluster_objects.kubernetes_manifest
}

output "github_workflow" {
  value = pgbackup_schedule.rotate.github_workflow
}

output "github_trust_policy" {
  value = pgbackup_schedule.rotate.github_trust_policy
}
