# On Fargate by the ARN of the EventBridge schedule. What only the roles tell
# (bucket_kms_key_arn, secret_kms_key_arns, object_lock) is set by the next plan.
terraform import pgbackup_restore_drill.weekly arn:aws:scheduler:us-east-1:111122223333:schedule/pgbackup-weekly-1f0c3a9e/pgbackup-weekly-1f0c3a9e

# On Kubernetes, with GitHub Actions and on other machines by the repository and the
# name of the drill; run_on is set by the next plan. On the host that runs Terraform
# by the path of the job file, as with a pgbackup_schedule.
terraform import pgbackup_restore_drill.monthly 's3://acme-pg-backups/prod?region=us-east-1#job/monthly'
