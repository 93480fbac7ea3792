variable "folder" {
  description = "Absolute path of the folder that takes the place of this host's /usr/local, /etc and /var."
  type        = string
}

variable "database" {
  description = "Name of the database to back up."
  type        = string
}

variable "database_host" {
  description = "Name or address of its server."
  type        = string
}

variable "database_port" {
  description = "Port of its server."
  type        = number
  default     = 5432
}

variable "database_user" {
  description = "Role that reads everything; `pgbackup-runner doctor` prints the rights it needs."
  type        = string
}

variable "password_variable" {
  description = "Name of the environment variable in which the runner finds the password."
  type        = string
  default     = "APP_DB_PASSWORD"
}

variable "keep_daily" {
  description = "For how many days one backup a day is kept."
  type        = number
  default     = 30
}
