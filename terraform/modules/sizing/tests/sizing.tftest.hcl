# The arithmetic, on examples that can be followed by hand.

run "small_is_small" {
  command = plan

  variables {
    events_per_second = 20
  }

  assert {
    condition     = output.input_shards == 1 && output.enriched_shards == 1
    error_message = "60 events a second at the peak fit into one shard"
  }

  assert {
    condition     = output.workers == 2
    error_message = "two workers, so that one can be replaced"
  }

  assert {
    condition     = output.shards_of_a_worker == 1
    error_message = "the one that is left holds the shard"
  }

  assert {
    condition     = output.worker_memory_mib == 256 + 128 + 3 * 64
    error_message = "base, bytes in flight and three open objects"
  }
}

run "bytes_decide" {
  command = plan

  variables {
    events_per_second = 10000
    peak_factor       = 2
    record_bytes      = 1048576 / 100
    events_per_record = 10
  }

  # 20,000 events are 2,000 records of a hundredth of a MiB: 20 MiB a second.
  assert {
    condition     = output.input_shards == 20
    error_message = "20 MiB a second need 20 shards"
  }

  # 19,600 good events of 2,500 bytes are 46.7 MiB a second.
  assert {
    condition     = output.enriched_shards == 47
    error_message = "enriched events are longer than payloads"
  }
}

run "records_decide" {
  command = plan

  variables {
    events_per_second = 10000
    peak_factor       = 2
    record_bytes      = 100
  }

  assert {
    condition     = output.input_shards == 20
    error_message = "20,000 records a second need 20 shards, however small they are"
  }
}

run "catching_up_decides" {
  command = plan

  variables {
    events_per_second = 1000
    peak_factor       = 1
    record_bytes      = 1048576 / 1000
    catch_up_factor   = 4
  }

  # 1 MiB a second comes in, and is to be read at 4 MiB a second: two shards give it.
  assert {
    condition     = output.input_shards == 2
    error_message = "a shard is read at no more than 2 MiB a second"
  }
}

run "a_large_fleet" {
  command = plan

  variables {
    events_per_second     = 100000
    peak_factor           = 1
    catch_up_factor       = 1.5
    events_per_cpu_second = 15000
    worker_cpus           = 2
    cpu_utilisation       = 0.5
    bad_share             = 0.1
    enriched_event_bytes  = 500
  }

  # 150,000 events a second are 10 CPUs of work; a worker gives one of them.
  assert {
    condition     = output.workers == 10
    error_message = "10 workers of one CPU each"
  }

  assert {
    condition     = output.input_shards == 144 && output.shards_of_a_worker == 16
    error_message = "144 shards on the nine workers that are left"
  }

  assert {
    condition     = output.enriched_shards == 90 && output.bad_shards == 10
    error_message = "90,000 good and 10,000 bad events a second, 1,000 to a shard"
  }

  assert {
    condition     = output.lease_writes_per_second == 48
    error_message = "144 leases, one write each in three seconds"
  }
}

run "no_more_workers_than_shards" {
  command = plan

  variables {
    events_per_second     = 2500
    peak_factor           = 1
    events_per_cpu_second = 100
    record_bytes          = 100
  }

  assert {
    condition     = output.input_shards == 3 && output.workers == 3
    error_message = "a worker without a lease is idle"
  }
}

run "nonsense_is_refused" {
  command = plan

  variables {
    events_per_second = 0
    bad_share         = 2
  }

  expect_failures = [var.events_per_second, var.bad_share]
}
