terraform {
  required_providers {
    pgbackup = {
      source = "pgbackup/pgbackup"
    }
  }
}

# Repositories in directories need no configuration at all. Those in S3 use the
# usual AWS chain, unless something else is said here.
provider "pgbackup" {
  region = "eu-west-1"
}
