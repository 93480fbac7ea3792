resource "pgbackup_repository" "main" {
  s3 = {
    bucket = "acme-pg-backups"
    prefix = "prod"
  }
}

# In a repository, from where deployments fetch it, for both architectures. In S3
# the archives for AWS Lambda lie beside the programs.
resource "pgbackup_runner" "main" {
  repository    = pgbackup_repository.main.id
  architectures = ["x86_64", "arm64"]
}

# On this host.
resource "pgbackup_runner" "host" {
  install_dir = "/usr/local/bin"
}
