# In a directory, such as a disk or an NFS mount.
resource "pgbackup_repository" "local" {
  directory = {
    path = "/var/backups/pg"
  }
}

# Below a prefix of a bucket that exists, encrypted before anything is uploaded.
# The key is read from a file of the machine that runs Terraform and of the
# runner's; `pgbackup-runner key generate` makes one.
resource "pgbackup_repository" "main" {
  s3 = {
    bucket = "acme-pg-backups"
    prefix = "prod"
    region = "eu-west-1"

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

# In a service compatible with S3.
resource "pgbackup_repository" "minio" {
  s3 = {
    bucket   = "pg-backups"
    endpoint = "https://minio.example.org"
  }
}
