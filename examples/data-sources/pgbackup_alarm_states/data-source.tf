data "pgbackup_alarm_states" "prod" {
  alarm = pgbackup_alarm.prod.id
  topic = pgbackup_alarm.prod.topic
}

output "not_confirmed" {
  value = data.pgbackup_alarm_states.prod.pending_email
}
