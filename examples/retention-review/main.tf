# One repository, one policy: all that a review of a retention change needs. In
# real use schedules make the backups; here run.sh makes thirty nights at once.

terraform {
  required_version = ">= 1.11"

  required_providers {
    pgbackup = {
      source = "pgbackup/pgbackup"
    }
  }
}

variable "folder" {
  type        = string
  description = "Where the repository is made."
}

variable "keep_daily" {
  type        = number
  default     = 30
  description = "How many daily recovery points are kept."
}

variable "approve_expiry" {
  type        = string
  default     = null
  description = "The code of a plan whose loss was reviewed. Taken out again once it was applied."
}

resource "pgbackup_repository" "main" {
  directory = {
    path = "${var.folder}/repository"
  }
}

resource "pgbackup_policy" "shop" {
  name       = "shop"
  repository = pgbackup_repository.main.id

  retention = {
    keep_daily = var.keep_daily
  }

  approve_expiry = var.approve_expiry
}

output "repository" {
  value = pgbackup_repository.main.id
}
