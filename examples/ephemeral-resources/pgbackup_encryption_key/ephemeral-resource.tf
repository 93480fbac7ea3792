# From nothing to an encrypted repository, with the key in Secrets Manager and in
# neither state nor plan.

ephemeral "pgbackup_encryption_key" "backups" {}

resource "aws_secretsmanager_secret" "backups" {
  name = "acme/backup-key"

  lifecycle {
    prevent_destroy = true # without the key the backups can not be read
  }
}

resource "aws_secretsmanager_secret_version" "backups" {
  secret_id                = aws_secretsmanager_secret.backups.id
  secret_string_wo         = ephemeral.pgbackup_encryption_key.backups.key
  secret_string_wo_version = 1 # never change it: another key would take this one's place
}

resource "pgbackup_repository" "main" {
  s3 = {
    bucket = "acme-pg-backups"
    prefix = "prod"
  }
  encryption = {
    key_ref = "secretsmanager:${aws_secretsmanager_secret.backups.arn}"
  }

  depends_on = [aws_secretsmanager_secret_version.backups]
}
