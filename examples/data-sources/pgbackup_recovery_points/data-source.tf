# The newest good recovery point of a database.
data "pgbackup_recovery_points" "newest" {
  repository = "s3://acme-pg-backups/prod?region=eu-west-1"
  source     = "app@db.example.org"
  verified   = true
  limit      = 1
}

output "newest_backup" {
  value = one(data.pgbackup_recovery_points.newest.points[*].start)
}

# Everything of the last week, for a report.
data "pgbackup_recovery_points" "week" {
  repository = "s3://acme-pg-backups/prod?region=eu-west-1"
  after      = timeadd(plantimestamp(), "-168h")
}

output "week" {
  value = {
    for point in data.pgbackup_recovery_points.week.points :
    point.id => "${point.source}: ${point.bytes == null ? "unreadable" : "${floor(point.bytes / 1048576)} MB"}"
  }
}
