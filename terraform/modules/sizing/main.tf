# How many shards and workers a stream of events needs, and how much memory: arithmetic only, no
# provider. The limits of Kinesis are those of one shard: 1 MiB and 1,000 records a second in,
# 2 MiB a second out.

terraform {
  required_version = ">= 1.6"
}

locals {
  shard_bytes_in   = 1048576
  shard_records_in = 1000
  shard_bytes_out  = 2097152
  mebibyte         = 1048576
  shards_at_least  = 1
  workers_at_least = 2 # one may be replaced while the other works
  worker_base_mib  = 256

  peak_events = var.events_per_second * var.peak_factor

  # Written to by collectors, each event a record of its own unless they batch.
  peak_records  = local.peak_events / var.events_per_record
  peak_bytes_in = local.peak_records * var.record_bytes
  input_shards = max(
    local.shards_at_least,
    ceil(local.peak_bytes_in / local.shard_bytes_in),
    ceil(local.peak_records / local.shard_records_in),
    # Whoever falls behind reads faster than others write.
    ceil(local.peak_bytes_in * var.catch_up_factor / local.shard_bytes_out),
  )

  good_events = local.peak_events * (1 - var.bad_share)
  bad_events  = local.peak_events * var.bad_share
  enriched_shards = max(
    local.shards_at_least,
    ceil(local.good_events * var.enriched_event_bytes / local.shard_bytes_in),
    ceil(local.good_events / local.shard_records_in),
  )
  bad_shards = max(
    local.shards_at_least,
    # A bad row carries its payload: it is about as long as an enriched event.
    ceil(local.bad_events * var.enriched_event_bytes / local.shard_bytes_in),
    ceil(local.bad_events / local.shard_records_in),
  )

  # Catching up costs CPU time, too.
  cpus_wanted = local.peak_events * var.catch_up_factor / var.events_per_cpu_second
  workers_by_cpu = ceil(
    local.cpus_wanted / (var.worker_cpus * var.cpu_utilisation)
  )
  # A worker without a lease is idle, so shards bound the fleet, but never below two.
  workers = max(
    local.workers_at_least,
    min(local.workers_by_cpu, local.input_shards),
  )

  # After the loss of one worker the others hold its shards as well.
  shards_of_a_worker = ceil(local.input_shards / max(1, local.workers - 1))
  worker_memory_mib = (
    local.worker_base_mib
    + ceil(var.bytes_in_flight / local.mebibyte)
    + ceil(var.open_objects * var.object_bytes / local.mebibyte)
  )

  # One conditional write per lease and interval is both heartbeat and checkpoint.
  lease_writes_per_second = local.input_shards / var.renew_interval_seconds
  # Every worker reads the whole table once an interval; an item is far below a read unit's 4 KiB.
  lease_reads_per_second = local.workers * local.input_shards / var.renew_interval_seconds
}
