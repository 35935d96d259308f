variable "name" {
  description = "Name of the fleet: prefix of everything the module makes, and of its lease table."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "Lower-case letters, digits and hyphens, at most 31 of them."
  }
}

variable "tags" {
  description = "Tags on everything."
  type        = map(string)
  default     = {}
}

# Where it runs.

variable "vpc_id" {
  description = "The VPC of the workers."
  type        = string
}

variable "subnet_ids" {
  description = <<-EOT
    Private subnets in two or more zones. They need a way to Kinesis, DynamoDB and S3: VPC endpoints
    or a NAT gateway. Workers have no public address.
  EOT
  type        = list(string)
}

variable "metrics_security_group_ids" {
  description = "Security groups that may read /metrics, /live and /ready. None by default."
  type        = list(string)
  default     = []
}

variable "instance_type" {
  description = "Instance type of a worker; its architecture decides which binary it needs."
  type        = string
  default     = "c7g.large"
}

variable "architecture" {
  description = "arm64 or x86_64, as the instance type has it."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "Either arm64 or x86_64."
  }
}

variable "ami_id" {
  description = "An image to use instead of the newest Amazon Linux 2023. It must have the AWS CLI."
  type        = string
  default     = null
}

variable "permissions_boundary_arn" {
  description = "Permissions boundary of the workers' role."
  type        = string
  default     = null
}

# How many.

variable "min_workers" {
  description = "The fleet never has fewer."
  type        = number
  default     = 2
}

variable "max_workers" {
  description = "The fleet never has more. A worker more than the stream has shards is idle."
  type        = number
  default     = 4
}

variable "target_cpu_percent" {
  description = "CPU use at which the fleet is kept by adding and removing workers."
  type        = number
  default     = 55
}

# What runs.

variable "binary" {
  description = <<-EOT
    The `snowmelt` binary in S3, and its SHA-256. Workers that start check it, so a changed object
    needs a changed sum: that is also what replaces the running workers.
  EOT
  type = object({
    bucket = string
    key    = string
    sha256 = string
  })

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.binary.sha256))
    error_message = "A SHA-256 has 64 hexadecimal digits."
  }
}

variable "config_toml" {
  description = <<-EOT
    More of the worker's configuration (TOML tables that the module does not write itself, such as
    [schemas], [enrichments] or [log]), appended to what the module writes.
  EOT
  type        = string
  default     = ""
}

variable "drain_seconds" {
  description = "How long a worker may take to write what it holds, release its leases and end."
  type        = number
  default     = 120

  validation {
    condition     = var.drain_seconds >= 30 && var.drain_seconds <= 3600
    error_message = "Between half a minute and an hour."
  }
}

# What it reads and writes.

variable "create_streams" {
  description = "Whether the module makes the three streams (on demand), or they exist already."
  type        = bool
  default     = true
}

variable "input_stream" {
  description = "Stream of collector payloads."
  type        = string
}

variable "enriched_stream" {
  description = "Stream of enriched events."
  type        = string
}

variable "bad_stream" {
  description = "Stream of bad rows."
  type        = string
}

variable "stream_retention_hours" {
  description = "Retention of the streams that the module makes, or that the given ones have: an alarm goes by it."
  type        = number
  default     = 72
}

variable "alarm_topics" {
  description = "ARNs of the topics of SNS that alarms are sent to; by default they only show."
  type        = list(string)
  default     = []
}

variable "create_bucket" {
  description = "Whether the module makes the bucket, or it exists already."
  type        = bool
  default     = true
}

variable "bucket" {
  description = "Bucket of enriched events and bad rows."
  type        = string
}

variable "bucket_prefix" {
  description = "Prefix of the fleet's objects in the bucket, with a slash at its end; or empty."
  type        = string
  default     = ""

  validation {
    condition     = var.bucket_prefix == "" || endswith(var.bucket_prefix, "/")
    error_message = "The prefix ends with a slash."
  }
}

variable "fan_out" {
  description = "Whether shards are read by enhanced fan-out, which costs by consumer, shard and volume."
  type        = bool
  default     = false
}

variable "more_policy_json" {
  description = <<-EOT
    A policy for what `config_toml` adds: other streams, buckets and keys, roles to assume.
    `snowmelt check --config worker.toml --iam` prints it. Absent: nothing more is allowed.
  EOT
  type        = string
  default     = null
}

variable "read_buckets" {
  description = "Buckets that schemas and enrichments' assets are read from; none by default."
  type        = list(string)
  default     = []
}

variable "bad_expires_after_days" {
  description = "Days that bad rows are kept in a bucket of the module; null keeps them for ever."
  type        = number
  default     = 90
}

variable "kms_key_arn" {
  description = "Customer key for streams, bucket and table; null uses the keys that AWS owns."
  type        = string
  default     = null
}
