output "input_shards" {
  description = "Shards of the stream that collectors write to."
  value       = local.input_shards
}

output "enriched_shards" {
  description = "Shards of the stream of enriched events."
  value       = local.enriched_shards
}

output "bad_shards" {
  description = "Shards of the stream of bad rows."
  value       = local.bad_shards
}

output "workers" {
  description = "Workers at the peak."
  value       = local.workers
}

output "shards_of_a_worker" {
  description = "Shards that one worker holds after another one was lost."
  value       = local.shards_of_a_worker
}

output "worker_memory_mib" {
  description = "Memory that a worker needs."
  value       = local.worker_memory_mib
}

output "lease_writes_per_second" {
  description = "Write units a second of the lease table."
  value       = local.lease_writes_per_second
}

output "lease_reads_per_second" {
  description = "Items a second that the fleet reads from the lease table."
  value       = local.lease_reads_per_second
}
