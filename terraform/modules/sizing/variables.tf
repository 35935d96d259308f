variable "events_per_second" {
  description = "Events a second on an average day."
  type        = number

  validation {
    condition     = var.events_per_second > 0
    error_message = "There must be events."
  }
}

variable "peak_factor" {
  description = "The busiest minute over the average."
  type        = number
  default     = 3

  validation {
    condition     = var.peak_factor >= 1
    error_message = "The peak is not below the average."
  }
}

variable "catch_up_factor" {
  description = "How much faster than the peak the fleet is to work when it is behind."
  type        = number
  default     = 1.5

  validation {
    condition     = var.catch_up_factor >= 1
    error_message = "A fleet that works slower than events come never catches up."
  }
}

variable "events_per_record" {
  description = "Events in one collector payload: more than one where trackers send batches."
  type        = number
  default     = 1

  validation {
    condition     = var.events_per_record >= 1
    error_message = "A record carries at least one event."
  }
}

variable "record_bytes" {
  description = "Size of one collector payload."
  type        = number
  default     = 1500
}

variable "enriched_event_bytes" {
  description = "Size of one enriched event."
  type        = number
  default     = 2500
}

variable "bad_share" {
  description = "Share of events that become bad rows."
  type        = number
  default     = 0.02

  validation {
    condition     = var.bad_share >= 0 && var.bad_share <= 1
    error_message = "A share lies between 0 and 1."
  }
}

variable "worker_cpus" {
  description = "CPUs of one worker."
  type        = number
  default     = 2
}

variable "cpu_utilisation" {
  description = "Share of its CPUs that a worker may use at the peak."
  type        = number
  default     = 0.6

  validation {
    condition     = var.cpu_utilisation > 0 && var.cpu_utilisation <= 1
    error_message = "A share lies between 0 and 1."
  }
}

variable "events_per_cpu_second" {
  description = <<-EOT
    Events that one CPU enriches in a second. Measure your own with `snowmelt bench`; the default
    leaves room for reading, writing and compressing.
  EOT
  type        = number
  default     = 15000
}

variable "bytes_in_flight" {
  description = "The worker's setting of that name."
  type        = number
  default     = 134217728
}

variable "object_bytes" {
  description = "Compressed size at which an S3 object is closed."
  type        = number
  default     = 67108864
}

variable "open_objects" {
  description = "S3 objects open at once: one for each route and partition."
  type        = number
  default     = 3
}

variable "renew_interval_seconds" {
  description = "Seconds between two renewals of a lease."
  type        = number
  default     = 3
}
