resource "pgbackup_repository" "main" {
  directory = {
    path = "/var/backups/pg"
  }
}

# On this host.
resource "pgbackup_runner" "host" {
  install_dir = "/usr/local/bin"
}

# In a repository, from where deployments fetch it, for both architectures.
resource "pgbackup_runner" "main" {
  repository    = pgbackup_repository.main.id
  architectures = ["x86_64", "arm64"]
}
