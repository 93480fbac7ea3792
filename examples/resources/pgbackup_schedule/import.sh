# On the host that runs Terraform by the path of the job file; behind a "?" the
# folder its units are in. user, environment_file and randomized_delay are read from
# the units. The next plan sets in place what no file says: runner and runner_path,
# and without a folder of units those three too.
terraform import pgbackup_schedule.nightly '/etc/pgbackup/nightly.job.json?systemd_directory=/etc/systemd/system'
terraform import pgbackup_schedule.verify '/etc/pgbackup/verify.job.json?cron_directory=/etc/cron.d'

# On Fargate and Lambda by the ARN of the EventBridge schedule. What only the roles
# tell (bucket_kms_key_arn, secret_kms_key_arns, object_lock) is set by the next plan.
terraform import pgbackup_schedule.fargate arn:aws:scheduler:us-east-1:111122223333:schedule/pgbackup-nightly-1f0c3a9e/pgbackup-nightly-1f0c3a9e

# For GitHub Actions and other machines by the repository and the name of the job;
# run_on is set by the next plan.
terraform import pgbackup_schedule.github 's3://acme-pg-backups/prod?region=us-east-1#job/nightly'
