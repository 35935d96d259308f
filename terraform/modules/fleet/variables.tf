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
    Private subnets in two or more zones. They need a way to Kinesis, DynamoDB, S3, Auto Scaling and
    CloudWatch: VPC endpoints (`modules/endpoints`) or a NAT gateway. Workers have no public address.
  EOT
  type        = list(string)
}

variable "metrics_security_group_ids" {
  description = "Security groups that may read /metrics, /live and /ready. None by default."
  type        = list(string)
  default     = []
}

variable "egress_cidr_blocks" {
  description = <<-EOT
    Where workers may connect to, at port 443 and at the ports of `custom_iglu_resolvers`, `resolver_json` and
    `egress_ports`. Empty where everything is behind endpoints, and registries in a bucket or a bundle.
  EOT
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "egress_ports" {
  description = "More ports: of databases and APIs that enrichments ask."
  type        = list(number)
  default     = []
}

variable "egress_prefix_list_ids" {
  description = "Prefix lists that may be reached at port 443: those of the gateway endpoints."
  type        = list(string)
  default     = []
}

variable "egress_security_group_ids" {
  description = "Security groups that may be reached at port 443: those of interface endpoints."
  type        = list(string)
  default     = []
}

variable "instance_types" {
  description = <<-EOT
    Instance types of the workers, the first one preferred. All have the architecture that the binary has;
    several make it likelier that there is capacity, of spot above all.
  EOT
  type        = list(string)
  default     = ["c7g.large", "c6g.large", "m7g.large", "m6g.large"]

  validation {
    condition     = length(var.instance_types) > 0
    error_message = "At least one instance type."
  }
}

variable "architecture" {
  description = "arm64 or x86_64, as the instance types and the binary have it."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "Either arm64 or x86_64."
  }
}

variable "on_demand_base" {
  description = "So many instances are on demand, whatever spot_percent says."
  type        = number
  default     = 1
}

variable "spot_percent" {
  description = "Percentage of the instances above on_demand_base that are spot instances."
  type        = number
  default     = 0

  validation {
    condition     = var.spot_percent >= 0 && var.spot_percent <= 100
    error_message = "A percentage lies between 0 and 100."
  }
}

variable "max_instance_days" {
  description = "An instance is replaced after so many days, and gets the newest patches with that."
  type        = number
  default     = 30

  validation {
    condition     = var.max_instance_days >= 1 && var.max_instance_days <= 365
    error_message = "Between a day and a year."
  }
}

variable "ami_id" {
  description = "An image to use instead of the newest Amazon Linux 2023. It must have the AWS CLI and Python 3."
  type        = string
  default     = null
}

variable "iam_permissions_boundary" {
  description = "Permissions boundary of the workers' role, by its ARN."
  type        = string
  default     = null
}

# How many.

variable "min_size" {
  description = "The fleet never has fewer."
  type        = number
  default     = 2
}

variable "max_size" {
  description = "The fleet never has more, and never more than the stream has shards: such a worker would be idle."
  type        = number
  default     = 4
}

variable "in_stream_shards" {
  description = <<-EOT
    Shards of the stream, where it is made in the same run and cannot be asked yet; a stream on demand begins
    with 4. Null: as many as are open when Terraform runs.
  EOT
  type        = number
  default     = null
}

variable "enable_auto_scaling" {
  description = "Whether workers are added and removed as the load has it, between min_size and max_size."
  type        = bool
  default     = true
}

variable "scale_on" {
  description = <<-EOT
    incoming_bytes: what comes in for each worker, by figures that AWS has anyhow; or desired_workers: what
    workers ask for, by what they publish.
  EOT
  type        = string
  default     = "incoming_bytes"

  validation {
    condition     = contains(["incoming_bytes", "desired_workers"], var.scale_on)
    error_message = "Either incoming_bytes or desired_workers."
  }
}

variable "worker_bytes_per_second" {
  description = <<-EOT
    Bytes of records that one worker works in a second when it has nothing to wait for. Measure yours:
    `snowmelt bench transform` tells events a second, times the bytes of your records. It counts with
    scale_on = "incoming_bytes" alone.
  EOT
  type        = number
  default     = 8000000
}

variable "target_percent" {
  description = <<-EOT
    Percentage of worker_bytes_per_second at which the fleet is kept; the rest is for the loss of a worker and
    for catching up.
  EOT
  type        = number
  default     = 60
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

variable "iglu_central" {
  description = "Whether schemas of com.snowplowanalytics are looked for in Iglu Central."
  type        = bool
  default     = true
}

variable "custom_iglu_resolvers" {
  description = "Registries of schemas, beside Iglu Central."
  type = list(object({
    name            = string
    priority        = number
    uri             = string
    api_key         = optional(string)
    vendor_prefixes = optional(list(string), [])
  }))
  default = []
}

variable "resolver_json" {
  description = "An Iglu resolver configuration, in place of the two above."
  type        = string
  default     = null
}

variable "bundle" {
  description = <<-EOT
    A bundle of schemas in S3 that `snowmelt schemas pull` wrote: with it a worker needs no registry for what is
    in it.
  EOT
  type = object({
    bucket = string
    key    = string
    sha256 = string
  })
  default = null
}

variable "enrichments" {
  description = <<-EOT
    Configurations of enrichments: names of files, and what is in them. For a folder of them:
    `{ for name in fileset(folder, "*.json") : name => file("$${folder}/$${name}") }`.
  EOT
  type        = map(string)
  default     = {}
}

variable "assets" {
  description = "Files in S3 that are fetched to /etc/snowmelt/assets before the worker starts, by their names there."
  type = map(object({
    bucket = string
    key    = string
    sha256 = string
  }))
  default = {}
}

variable "assets_update_period" {
  description = "How often the sources of assets that enrichments name are asked for another edition."
  type        = string
  default     = "1h"
}

variable "initial_position" {
  description = "Where reading begins where no worker has read yet: trim_horizon, latest, or a time, as in 2026-11-22T04:00:00Z."
  type        = string
  default     = "trim_horizon"
}

variable "config_toml" {
  description = <<-EOT
    More of the worker's configuration: TOML tables that the module does not write itself, such as [lookups] or
    [log], appended to what the module writes.
  EOT
  type        = string
  default     = ""
}

variable "secrets" {
  description = <<-EOT
    Variables of the environment that the configuration takes as $${NAME}, and the names of the SSM parameters
    (SecureString) that have their values.
  EOT
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.secrets) : can(regex("^[A-Z_][A-Z0-9_]*$", name))])
    error_message = "Names of variables: capital letters, digits and underscores."
  }
}

variable "configuration_bucket" {
  description = "A bucket for the configuration, with versioning on. Null: the module makes one."
  type        = string
  default     = null
}

variable "launch_seconds" {
  description = "How long a worker may take from its start until it is ready; then its instance is given up."
  type        = number
  default     = 300

  validation {
    condition     = var.launch_seconds >= 60 && var.launch_seconds <= 3600
    error_message = "Between a minute and an hour."
  }
}

variable "drain_seconds" {
  description = <<-EOT
    How long a worker may take to write what it holds, release its leases and end. The spot market leaves
    it 120 seconds from the notice on.
  EOT
  type        = number
  default     = 90

  validation {
    condition     = var.drain_seconds >= 30 && var.drain_seconds <= 90
    error_message = "Between 30 and 90 seconds."
  }
}

# What it reads and writes.

variable "in_stream_name" {
  description = "Stream of collector payloads."
  type        = string
}

variable "enriched_stream_name" {
  description = "Stream of enriched events."
  type        = string
}

variable "bad_stream_name" {
  description = "Stream of bad rows."
  type        = string
}

variable "in_stream_retention_hours" {
  description = "Retention of the stream of payloads: an alarm goes by it."
  type        = number
  default     = 72
}

variable "bucket" {
  description = "Bucket of enriched events and bad rows."
  type        = string
}

variable "bucket_prefix" {
  description = <<-EOT
    Prefix of the fleet's objects in the bucket, with a slash at its end; or empty. All that a worker writes lies
    below it: enriched/, bad/, parked/ and oversized/, with their manifests.
  EOT
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

variable "create_lease_table" {
  description = "Whether the module makes the lease table, or it is there: of a fleet that this one works beside."
  type        = bool
  default     = true
}

variable "lease_table_name" {
  description = "The lease table; null: `name`."
  type        = string
  default     = null
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
  description = "Buckets that schemas and enrichments' assets are read from while a worker runs; none by default."
  type        = list(string)
  default     = []
}

variable "kms_key_arn" {
  description = <<-EOT
    Customer key for the lease table and the configuration, and what the role may use where streams and bucket
    have it, too. Null: the table has a key that DynamoDB owns, the configuration one of S3's own (SSE-S3).
    Volumes have the account's default key in either case.
  EOT
  type        = string
  default     = null
}

# Who is told.

variable "alarm_topics" {
  description = "ARNs of the topics of SNS that alarms are sent to; by default they only show."
  type        = list(string)
  default     = []
}

variable "publish_figures" {
  description = <<-EOT
    Whether each worker sends five figures a minute to CloudWatch (some 1.50 USD a month for the fleet and 0.44 USD
    for each worker, at the list price of us-east-1): a refresh is rolled back by alarms on them.
  EOT
  type        = bool
  default     = true
}

variable "alarm_undurable_seconds" {
  description = "The alarm `undurable` rises when the oldest record that is not durable is older for three of five minutes."
  type        = number
  default     = 900
}

variable "alarm_bad_percent" {
  description = "The alarm `bad-share` rises when more than this percentage of events are bad for three of five minutes."
  type        = number
  default     = 20
}

variable "alarm_leases_lost" {
  description = "The alarm `lease-churn` rises when workers lose or fail more leases in a minute, three times in five minutes."
  type        = number
  default     = 5
}
