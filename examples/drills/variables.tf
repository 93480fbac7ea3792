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

variable "postgres_version" {
  description = "Major version of the servers that are backed up, or a newer one."
  type        = number
  default     = 17
}

variable "cluster" {
  description = "ARN of the ECS cluster that the drills run on."
  type        = string
}

variable "subnets" {
  description = "Subnets of the drills, with a way to S3 and to the image registry. None to the databases is needed, and better not given."
  type        = list(string)
}

variable "security_groups" {
  description = "Security groups of the drills."
  type        = list(string)
}

variable "email" {
  description = "Who is told."
  type        = list(string)
}

variable "force_destroy" {
  description = "Let `destroy` delete the backups too: for demonstrations."
  type        = bool
  default     = false
}

variable "endpoint" {
  description = "URL of an AWS emulator instead of AWS."
  type        = string
  default     = null
}

variable "runner_environment" {
  description = "Environment variables of the runner, such as the endpoint of an emulator."
  type        = map(string)
  default     = {}
}
