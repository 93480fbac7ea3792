terraform {
  required_providers {
    pgbackup = {
      source = "pgbackup/pgbackup"
    }
  }
}

# Repositories in directories need no configuration at all. What is in AWS uses the
# usual chain of credentials, unless something else is said here.
provider "pgbackup" {
  region = "eu-west-1"

  assume_role = {
    role_arn = "arn:aws:iam::111122223333:role/backup-admin"
  }

  default_tags = {
    tags = { team = "dba" }
  }
}
