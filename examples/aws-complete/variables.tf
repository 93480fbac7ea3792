variable "region" {
  description = "Where the databases and their backups are."
  type        = string
  default     = "us-east-1"
}

variable "replica_region" {
  description = "Where the second copy of every backup is."
  type        = string
  default     = "eu-west-1"
}

variable "bucket" {
  description = "Name of the bucket for backups; the copy's has \"-dr\" behind it. Both are made."
  type        = string
}

variable "key_ref" {
  description = "Where the 256-bit key is that backups are encrypted with before they leave the runner."
  type        = string
  default     = "secretsmanager:pgbackup/repository-key"
}

variable "databases" {
  description = "What is backed up: one nightly job for each."
  type = map(object({
    host         = string
    port         = optional(number, 5432)
    user         = optional(string, "backup")
    password_ref = string
    sslmode      = optional(string, "verify-full")
    ca_ref       = optional(string) # PEM of the certificates to trust, such as those of RDS
    cron         = optional(string, "0 2 * * *")
  }))
}

variable "rds_instances" {
  description = "RDS instances whose automated backups and snapshots are governed too."
  type        = set(string)
  default     = []
}

variable "cluster" {
  description = "ARN of the ECS cluster that the jobs run on."
  type        = string
}

variable "subnets" {
  description = "Subnets of the jobs, with a way to the databases, to S3 and to the image registry."
  type        = list(string)
}

variable "security_groups" {
  description = "Security groups of the jobs; the databases' have to let them in."
  type        = list(string)
}

variable "email" {
  description = "Who is told."
  type        = list(string)
}

variable "github_repository" {
  description = "Repository on GitHub whose workflow backs up the cluster's objects, such as \"acme/platform\"."
  type        = string
  default     = "acme/platform"
}

variable "release" {
  description = "The release that is about to be made: each has a recovery point of its own."
  type        = string
  default     = "v1"
}

variable "endpoint" {
  description = "URL of an emulator, to try this without an account. Null is AWS."
  type        = string
  default     = null
}

variable "runner_environment" {
  description = "Variables of the runner's environment on AWS; nothing secret."
  type        = map(string)
  default     = {}
}

variable "lock_days" {
  description = "For how many days nobody can delete a backup, with Object Lock. Null is no lock; it cannot be added later."
  type        = number
  default     = 7
}

variable "force_destroy" {
  description = "Let `terraform destroy` take the backups with it. Has to be applied before."
  type        = bool
  default     = false
}
