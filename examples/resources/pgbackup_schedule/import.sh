# By the path of its job file; behind a "?" the folder its units are in.
terraform import pgbackup_schedule.nightly '/etc/pgbackup/nightly.job.json?systemd_directory=/etc/systemd/system'
terraform import pgbackup_schedule.verify '/etc/pgbackup/verify.job.json?cron_directory=/etc/cron.d'
