# Beside an enricher that runs on the same stream: nothing of what is there is made again. The workers take
# their shards from the lease table of the running application of the Kinesis Client Library, in turn
# with its workers, each shard by one of them at a time.
#
# Two fleets, blue and green, share the table as well. A release goes to the one that is small: give it workers,
# look, and take them from the other one.
#
#   terraform apply … -var 'workers={blue=0,green=2}'

terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "region" {
  description = "Region of the fleet."
  type        = string
  default     = "eu-west-1"
}

variable "vpc_id" {
  description = "The VPC of the workers."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets in two zones."
  type        = list(string)
}

variable "lease_table_name" {
  description = "Lease table of the running enricher: the name of its application."
  type        = string
}

variable "in_stream_name" {
  description = "Stream that the collector writes."
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

variable "bucket" {
  description = "Bucket that is there."
  type        = string
}

variable "resolver_json" {
  description = "The resolver of the running enricher, as it is: file(\"resolver.json\")."
  type        = string
}

variable "enrichments" {
  description = "The enrichments of the running enricher, as they are, by names of files."
  type        = map(string)
  default     = {}
}

variable "workers" {
  description = "How many workers each of the two fleets has at least; one with 0 runs none."
  type        = object({ blue = number, green = number })
  default     = { blue = 2, green = 0 }
}

variable "binaries" {
  description = "Where the binary of each fleet lies, and its SHA-256."
  type = map(object({
    bucket = string
    key    = string
    sha256 = string
  }))
}

module "fleet" {
  source   = "../../modules/fleet"
  for_each = var.workers

  name                 = "snowmelt-${each.key}"
  vpc_id               = var.vpc_id
  subnet_ids           = var.subnet_ids
  binary               = var.binaries[each.key]
  bucket               = var.bucket
  bucket_prefix        = "snowmelt/"
  in_stream_name       = var.in_stream_name
  enriched_stream_name = var.enriched_stream_name
  bad_stream_name      = var.bad_stream_name
  create_lease_table   = false
  lease_table_name     = var.lease_table_name
  resolver_json        = var.resolver_json
  enrichments          = var.enrichments
  min_size             = each.value
  max_size             = each.value == 0 ? 0 : 4
  enable_auto_scaling  = each.value > 0
}

output "asg_names" {
  description = "The groups that run the workers."
  value       = { for color, fleet in module.fleet : color => fleet.asg_name }
}
