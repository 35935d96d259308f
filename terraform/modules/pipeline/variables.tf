variable "name" {
  description = "Name of the database and of the workgroup."
  type        = string
}

variable "tags" {
  description = "Tags on everything."
  type        = map(string)
  default     = {}
}

variable "create_in_stream" {
  description = "Whether the module makes the stream of payloads, or it is there."
  type        = bool
  default     = true
}

variable "create_enriched_stream" {
  description = "Whether the module makes the stream of enriched events, or it is there."
  type        = bool
  default     = true
}

variable "create_bad_stream" {
  description = "Whether the module makes the stream of bad rows, or it is there."
  type        = bool
  default     = true
}

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

variable "in_stream_shards" {
  description = "Shards of the stream of payloads; null: on demand. `modules/sizing` tells how many."
  type        = number
  default     = null
}

variable "enriched_stream_shards" {
  description = "Shards of the stream of enriched events; null: on demand."
  type        = number
  default     = null
}

variable "bad_stream_shards" {
  description = "Shards of the stream of bad rows; null: on demand."
  type        = number
  default     = null
}

variable "stream_retention_hours" {
  description = "How long the streams keep records."
  type        = number
  default     = 72
}

variable "create_bucket" {
  description = "Whether the module makes the bucket, or it is there."
  type        = bool
  default     = true
}

variable "bucket" {
  description = "Bucket of enriched events and bad rows; bucket names are global."
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

variable "routes" {
  description = "Folders of the bucket, and after how many days what is in them is stored as infrequently read, or deleted; null: never."
  type = map(object({
    infrequent_after_days = optional(number)
    expires_after_days    = optional(number)
  }))
  default = {
    enriched  = { infrequent_after_days = 90 }
    bad       = { expires_after_days = 90 }
    parked    = { expires_after_days = 365 }
    oversized = { expires_after_days = 90 }
    athena    = { expires_after_days = 7 }
  }
}

variable "kms_key_arn" {
  description = <<-EOT
    Customer key for streams, bucket and answers. Null: streams have the key alias/aws/kinesis, which AWS manages
    in this account (readers in other accounts cannot use it), and objects keys of S3's own (SSE-S3).
  EOT
  type        = string
  default     = null
}

variable "create_tables" {
  description = "Whether there are a database of Glue with the tables events, failed and bad, and a workgroup of Athena."
  type        = bool
  default     = true
}

variable "tables_json" {
  description = <<-EOT
    Tables as `snowmelt ddl --for glue` prints them, with columns for your own schemas or for Parquet. Null: tables of
    lines, with the columns that every event has.
  EOT
  type        = string
  default     = null
}

variable "tables_begin" {
  description = "The first date that is in the bucket, as in 2026-01-31: earlier partitions are not looked for."
  type        = string
  default     = "2026-01-01"
}

variable "query_limit_gib" {
  description = "A query of the workgroup reads no more than this."
  type        = number
  default     = 100
}
