# By the URL of its place.
terraform import pgbackup_repository.local file:///var/backups/pg
terraform import pgbackup_repository.main 's3://acme-pg-backups/prod?region=eu-west-1'
terraform import pgbackup_repository.minio 's3://pg-backups?endpoint=https%3A%2F%2Fminio.example.org'
