# The ARN of the instance or cluster.
terraform import pgbackup_rds_retention.prod arn:aws:rds:us-east-1:111122223333:db:acme-prod
