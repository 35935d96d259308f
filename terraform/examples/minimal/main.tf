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

module "pipeline" {
  source = "../../modules/pipeline"

  name                 = "snowmelt"
  bucket               = var.bucket
  in_stream_name       = "snowmelt-payloads"
  enriched_stream_name = "snowmelt-enriched"
  bad_stream_name      = "snowmelt-bad"
}

module "fleet" {
  source = "../../modules/fleet"

  name                 = "snowmelt"
  vpc_id               = var.vpc_id
  subnet_ids           = var.subnet_ids
  binary               = var.binary
  bucket               = module.pipeline.bucket
  in_stream_name       = module.pipeline.in_stream_name
  in_stream_shards     = module.pipeline.in_stream_shards
  enriched_stream_name = module.pipeline.enriched_stream_name
  bad_stream_name      = module.pipeline.bad_stream_name
  max_size             = module.sizing.workers
}

output "asg_name" {
  description = "The group that runs the workers."
  value       = module.fleet.asg_name
}

output "shards" {
  description = "Shards that this load needs, should you prefer provisioned streams."
  value       = module.sizing.input_shards
}
