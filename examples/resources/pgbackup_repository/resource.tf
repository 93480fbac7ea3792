# In a directory, such as a disk or an NFS mount.
resource "pgbackup_repository" "local" {
  directory = {
    path = "/var/backups/pg"
  }
}

# Below a prefix of a bucket that is made and protected here, encrypted before
# anything is uploaded. The key is read from a file of the machine that runs
# Terraform and of the runner's; `pgbackup-runner key generate` makes one.
resource "pgbackup_repository" "main" {
  s3 = {
    bucket = "acme-pg-backups"
    prefix = "prod"
    region = "eu-west-1"
    tags   = { team = "dba" }

    # What is deleted can be brought back for a month.
    lifecycle = {
      noncurrent_after    = "30d"
      abort_uploads_after = "7d"
    }
  }

  encryption = {
    key_ref = "file:/etc/pgbackup/repository.key"
  }
}

# With a key of KMS, locked against deletion for a week, and copied to another
# region: pgbackup_repository.safe.replica_id is a repository like this one.
resource "pgbackup_repository" "safe" {
  s3 = {
    bucket           = "acme-pg-archive"
    region           = "eu-west-1"
    kms_key_id       = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    deny_unencrypted = true

    object_lock = {
      mode = "GOVERNANCE"
      days = 7
    }

    replica = {
      bucket        = "acme-pg-archive-dr"
      region        = "eu-central-1"
      kms_key_id    = "arn:aws:kms:eu-central-1:111122223333:key/5678abcd-12ab-34cd-56ef-1234567890ab"
      storage_class = "GLACIER_IR"
    }
  }
}

# In a bucket that exists, of a service compatible with S3.
resource "pgbackup_repository" "minio" {
  s3 = {
    bucket        = "pg-backups"
    create_bucket = false
    endpoint      = "https://minio.example.org"
  }
}
