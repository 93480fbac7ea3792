# By the id of its repository and its name there.
terraform import pgbackup_policy.prod 'file:///var/backups/pg#prod'
