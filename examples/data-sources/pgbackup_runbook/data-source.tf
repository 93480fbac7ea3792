# What to do when data is lost, written anew by every apply to a place that is not
# the one that may be lost.
data "pgbackup_runbook" "prod" {
  policy  = pgbackup_policy.prod.id
  title   = "the shop"
  key_ref = "secretsmanager:acme/backup-key"
  contacts = [
    { name = "Database on call", role = "restores", reach = "#dba-oncall" },
    { name = "Head of operations", role = "decides about data loss", reach = "+49 30 1234567" },
  ]
}

output "runbook" {
  value = data.pgbackup_runbook.prod.markdown
}
