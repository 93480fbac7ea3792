# The database is somebody else's resource. That one must not set the same values.
resource "aws_db_instance" "prod" {
  identifier        = "acme-prod"
  engine            = "postgres"
  instance_class    = "db.m7g.large"
  storage_encrypted = true
  # …

  lifecycle {
    ignore_changes = [backup_retention_period, backup_window, copy_tags_to_snapshot, deletion_protection]
  }
}

resource "pgbackup_rds_retention" "prod" {
  instance               = aws_db_instance.prod.identifier
  retention_days         = 30
  window                 = "02:00-03:00"
  copy_tags_to_snapshots = true
  deletion_protection    = true

  replicate_to = {
    region         = "eu-west-1"
    retention_days = 14
    kms_key_id     = aws_kms_key.ireland.arn
  }
}

# An Aurora cluster; what was there before comes back with terraform destroy.
resource "pgbackup_rds_retention" "aurora" {
  cluster        = "acme-aurora"
  retention_days = 14
  on_destroy     = "restore"
}
