# Every setting of the modules that changes what is made, switched on: keys, spot, endpoints, registries,
# enrichments, secrets, alarms. To look things up in, and for the tests; not to begin with.

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
  region = "eu-west-1"
}

variable "vpc_id" {
  description = "The VPC of the workers."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets in two zones."
  type        = list(string)
}

variable "route_table_ids" {
  description = "Route tables of these subnets."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "Key of KMS for everything."
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

variable "log_level" {
  description = "What a change of the configuration looks like can be tried with this one."
  type        = string
  default     = "info"
}

locals {
  name   = "snowmelt"
  topics = ["arn:aws:sns:eu-west-1:123456789012:on-call"]
  tags   = { team = "events" }
}

module "endpoints" {
  source = "../../modules/endpoints"

  name            = local.name
  vpc_id          = var.vpc_id
  vpc_cidr        = "10.0.0.0/16"
  subnet_ids      = var.subnet_ids
  route_table_ids = var.route_table_ids
  tags            = local.tags
}

module "pipeline" {
  source = "../../modules/pipeline"

  name                   = local.name
  bucket                 = "acme-events"
  bucket_prefix          = "web/"
  in_stream_name         = "payloads"
  in_stream_shards       = 6
  enriched_stream_name   = "enriched"
  enriched_stream_shards = 8
  bad_stream_name        = "bad"
  bad_stream_shards      = 1
  kms_key_arn            = var.kms_key_arn
  tags                   = local.tags
}

module "fleet" {
  source = "../../modules/fleet"

  name                       = local.name
  tags                       = local.tags
  vpc_id                     = var.vpc_id
  subnet_ids                 = var.subnet_ids
  metrics_security_group_ids = ["sg-0123456789abcdef0"]
  egress_cidr_blocks         = ["10.0.0.0/16"]
  egress_ports               = [5432]
  egress_prefix_list_ids     = module.endpoints.prefix_list_ids
  egress_security_group_ids  = [module.endpoints.security_group_id]

  instance_types           = ["c7g.large", "c6g.large", "c7gd.large"]
  on_demand_base           = 1
  spot_percent             = 100
  iam_permissions_boundary = "arn:aws:iam::123456789012:policy/boundary"
  min_size                 = 2
  max_size                 = 20
  in_stream_shards         = module.pipeline.in_stream_shards
  scale_on                 = "desired_workers"

  binary       = var.binary
  bundle       = { bucket = "acme-artefacts", key = "schemas.bundle", sha256 = var.binary.sha256 }
  assets       = { "GeoLite2-City.mmdb" = { bucket = "acme-artefacts", key = "GeoLite2-City.mmdb", sha256 = var.binary.sha256 } }
  iglu_central = false
  custom_iglu_resolvers = [
    { name = "ours", priority = 0, uri = "http://iglu.internal:8080/api", vendor_prefixes = ["com.acme"] },
    { name = "theirs", priority = 1, uri = "https://iglu.acme.com" },
  ]
  enrichments = {
    "anon_ip.json" = jsonencode({
      schema = "iglu:com.snowplowanalytics.snowplow/anon_ip/jsonschema/1-0-1"
      data = {
        name       = "anon_ip"
        vendor     = "com.snowplowanalytics.snowplow"
        enabled    = true
        parameters = { anonOctets = 1, anonSegments = 1 }
      }
    })
  }
  config_toml = <<-EOT
    [log]
    level = "${var.log_level}"
  EOT
  secrets     = { LOOKUP_PASSWORD = "/snowmelt/lookup-password" }

  in_stream_name            = module.pipeline.in_stream_name
  enriched_stream_name      = module.pipeline.enriched_stream_name
  bad_stream_name           = module.pipeline.bad_stream_name
  in_stream_retention_hours = 72
  bucket                    = module.pipeline.bucket
  bucket_prefix             = "web/"
  fan_out                   = true
  read_buckets              = ["acme-schemas"]
  kms_key_arn               = var.kms_key_arn
  alarm_topics              = local.topics
}

module "observability" {
  source = "../../modules/observability"

  name                 = local.name
  tags                 = local.tags
  in_stream_name       = module.pipeline.in_stream_name
  enriched_stream_name = module.pipeline.enriched_stream_name
  bad_stream_name      = module.pipeline.bad_stream_name
  lease_table_name     = module.fleet.lease_table_name
  min_size             = 2
  alarm_topics         = local.topics
}
