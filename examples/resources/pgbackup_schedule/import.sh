# By the path of its job file; behind a "?" the folder its units are in. user,
# environment_file and randomized_delay are read from the units. The next plan
# sets in place what no file says: runner and runner_path, and without a folder
# of units those three too.
terraform import pgbackup_schedule.nightly '/etc/pgbackup/nightly.job.json?systemd_directory=/etc/systemd/system'
terraform import pgbackup_schedule.verify '/etc/pgbackup/verify.job.json?cron_directory=/etc/cron.d'
