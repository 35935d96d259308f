# What a fleet reads and writes: streams, a bucket, and tables over what is in the bucket. Each can be there
# already.

terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7.0"
    }
  }
}

locals {
  streams = merge(
    var.create_in_stream ? { in = { name = var.in_stream_name, shards = var.in_stream_shards } } : {},
    var.create_enriched_stream ? { enriched = { name = var.enriched_stream_name, shards = var.enriched_stream_shards } } : {},
    var.create_bad_stream ? { bad = { name = var.bad_stream_name, shards = var.bad_stream_shards } } : {},
  )

  # A stream on demand has so many shards when it is made.
  shards_on_demand = 4
}

resource "aws_kinesis_stream" "this" {
  for_each = local.streams

  name             = each.value.name
  shard_count      = each.value.shards
  retention_period = var.stream_retention_hours
  encryption_type  = "KMS"
  kms_key_id       = coalesce(var.kms_key_arn, "alias/aws/kinesis")
  tags             = var.tags

  stream_mode_details {
    stream_mode = each.value.shards == null ? "ON_DEMAND" : "PROVISIONED"
  }
}

module "bucket" {
  source = "../bucket"
  count  = var.create_bucket ? 1 : 0

  name        = var.bucket
  kms_key_arn = var.kms_key_arn
  tags        = var.tags
  rules = {
    for route, rule in var.routes : route => {
      prefix     = "${var.bucket_prefix}${route}/"
      infrequent = rule.infrequent_after_days
      expires    = rule.expires_after_days
    }
  }
}
