# The id of the repository, a #, and the id of the recovery point.
terraform import pgbackup_recovery_point.release 's3://acme-pg-backups/prod?region=us-east-1#20260301T020000Z-abcdefgh'
