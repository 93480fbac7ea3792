# By the id of the policy; name and region only where they are not the defaults.
terraform import pgbackup_alarm.prod 's3://acme-pg-backups/prod?region=us-east-1#prod'
terraform import pgbackup_alarm.prod 's3://acme-pg-backups/prod?region=us-east-1#prod?name=team-a&region=eu-west-1'
