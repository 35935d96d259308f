# The smallest fleet: two workers, streams on demand, a bucket, a lease table. Give it your own
# network and the place of your binary:
#
#   terraform apply -var vpc_id=vpc-… -var 'subnet_ids=["subnet-…","subnet-…"]' -var bucket=… \
#     -var 'binary={bucket="…",key="snowmelt",sha256="…"}'

terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60, < 7.0"
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

variable "bucket" {
  description = "Name of the bucket to make; bucket names are global."
  type        = string
}

variable "binary" {
  description = "Where the snowmelt binary lies, and its SHA-256."
  type = object({
    bucket = string
    key    = string
    sha256 = string
  })
}

module "sizing" {
  source = "../../modules/sizing"

  events_per_second = 500
}

module "fleet" {
  source = "../../modules/fleet"

  name            = "snowmelt"
  vpc_id          = var.vpc_id
  subnet_ids      = var.subnet_ids
  binary          = var.binary
  bucket          = var.bucket
  input_stream    = "snowmelt-payloads"
  enriched_stream = "snowmelt-enriched"
  bad_stream      = "snowmelt-bad"
  max_workers     = module.sizing.workers
}

output "autoscaling_group_name" {
  description = "The group that runs the workers."
  value       = module.fleet.autoscaling_group_name
}

output "shards" {
  description = "Shards that this load needs, should you prefer provisioned streams."
  value       = module.sizing.input_shards
}
