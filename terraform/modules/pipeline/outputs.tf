output "in_stream_name" {
  description = "Stream of collector payloads, once it is there."
  value       = var.create_in_stream ? aws_kinesis_stream.this["in"].name : var.in_stream_name
}

output "enriched_stream_name" {
  description = "Stream of enriched events, once it is there."
  value       = var.create_enriched_stream ? aws_kinesis_stream.this["enriched"].name : var.enriched_stream_name
}

output "bad_stream_name" {
  description = "Stream of bad rows, once it is there."
  value       = var.create_bad_stream ? aws_kinesis_stream.this["bad"].name : var.bad_stream_name
}

output "bucket" {
  description = "The bucket, once it is there."
  value       = var.create_bucket ? module.bucket[0].name : var.bucket
}

output "in_stream_shards" {
  description = "Shards that the stream of payloads is made with; null where it is there already."
  value       = var.create_in_stream ? coalesce(var.in_stream_shards, local.shards_on_demand) : null
}

output "workgroup" {
  description = "Workgroup of Athena; null without tables."
  value       = var.create_tables ? aws_athena_workgroup.this[0].name : null
}
