# By the path of the installed program, or the id of the repository.
terraform import pgbackup_runner.host /usr/local/bin/pgbackup-runner
terraform import pgbackup_runner.main 's3://acme-pg-backups/prod?region=us-east-1'
