#!/usr/bin/env python3
"""What a fleet costs on AWS, a line for each thing that is paid for.

Prints the tables of cost.md; `docs/cost.py RATE...` does for other rates (events a second). Prices
are of us-east-1 by the public lists, in dollars; put your own in.
"""

import math
import sys

HOURS = 720
SECONDS = HOURS * 3600

# Prices, dollars.
SHARD_HOUR = 0.015
PUT_UNITS_MILLION = 0.014  # of 25 KB
S3_PUTS_MILLION = 5.0
S3_GB_MONTH = 0.023
DYNAMODB_WRITES_MILLION = 0.625
DYNAMODB_READS_MILLION = 0.125
WORKER_HOUR = 0.0725  # c7g.large: two processors, 4 GiB
ENDPOINT_HOUR = 0.01  # an interface endpoint, for each zone
ENDPOINT_GB = 0.01

# Measured on the benchmark corpus: BENCHMARKS.md, and the sizes of its files.
PAYLOAD_BYTES = 2_499  # of a record, for each event in it
RECORDS_PER_EVENT = 10_000 / 15_598
LINE_BYTES = 1_894  # an enriched line
STORED_BYTES = 277  # the same in an object, by zstd
EVENTS_PER_CPU_SECOND = 85_500  # five enrichments

# How it is run.
PROCESSORS = 2  # of a worker
USED = 0.6 * 0.5  # processors are used to 60 %, and may be half as fast as those of the benchmark
SHARD_USED = 0.7
OBJECT_SECONDS = 60  # `object_age`
OBJECT_BYTES = 64 << 20  # `object_bytes`
ZONES = 2
LEASE_WRITE_SECONDS = 10 / 3


def shards(rate, record_bytes, records):
    """A shard takes 1 MB and 1,000 records a second."""
    return max(1, math.ceil(max(rate * record_bytes / 1e6, rate * records / 1000) / SHARD_USED))


def put_units(record_bytes):
    return math.ceil(record_bytes / 25_000)


def lines(rate):
    workers = max(2, math.ceil(rate / (EVENTS_PER_CPU_SECOND * PROCESSORS * USED)))
    inputs = shards(rate, PAYLOAD_BYTES, RECORDS_PER_EVENT)
    outputs = shards(rate, LINE_BYTES, 1)
    stored = rate * STORED_BYTES
    objects = max(workers / OBJECT_SECONDS, stored / OBJECT_BYTES)
    gb = rate * (PAYLOAD_BYTES + LINE_BYTES) * SECONDS / 1e9
    # Two workers look at the table every 2.5 s each, more of them less often: 0.4 to 1 a second.
    scans = min(1.0, 0.4 * workers) * max(0.5, inputs * 400 / 8192)
    return [
        ("input stream, shards", f"{inputs}", inputs * SHARD_HOUR * HOURS),
        (
            "input stream, writing (the collector's)",
            f"{rate * RECORDS_PER_EVENT:,.0f} records/s",
            rate * RECORDS_PER_EVENT * put_units(PAYLOAD_BYTES / RECORDS_PER_EVENT)
            * SECONDS / 1e6 * PUT_UNITS_MILLION,
        ),
        ("workers, c7g.large", f"{workers}", workers * WORKER_HOUR * HOURS),
        (
            "leases, DynamoDB",
            f"{inputs / LEASE_WRITE_SECONDS:.1f} writes/s",
            (inputs / LEASE_WRITE_SECONDS * DYNAMODB_WRITES_MILLION
             + scans * DYNAMODB_READS_MILLION) * SECONDS / 1e6,
        ),
        (
            "bucket, requests (object and manifest)",
            f"{2 * objects:.2f} a second",
            2 * objects * SECONDS / 1e6 * S3_PUTS_MILLION,
        ),
        (
            "bucket, a month's events kept for a month",
            f"{stored * SECONDS / 1e9:,.0f} GB",
            stored * SECONDS / 1e9 * S3_GB_MONTH,
        ),
        ("output stream, shards (if there is one)", f"{outputs}", outputs * SHARD_HOUR * HOURS),
        (
            "output stream, writing",
            f"{rate:,} records/s",
            rate * put_units(LINE_BYTES) * SECONDS / 1e6 * PUT_UNITS_MILLION,
        ),
        (
            "endpoint for Kinesis in the network",
            f"{ZONES} zones, {gb:,.0f} GB",
            ZONES * ENDPOINT_HOUR * HOURS + gb * ENDPOINT_GB,
        ),
    ]


def main():
    rates = [int(rate) for rate in sys.argv[1:]] or [100, 1_000, 10_000]
    for rate in rates:
        table = lines(rate)
        total = sum(dollars for _, _, dollars in table)
        print(f"### {rate:,} events a second\n")
        print("| | how much | $ in 30 days |\n|---|---|---:|")
        for name, amount, dollars in table:
            print(f"| {name} | {amount} | {dollars:,.2f} |")
        print(f"| together | | {total:,.2f} |")
        print(f"| **a million events** | | **{total / (rate * SECONDS / 1e6):.3f}** |\n")


if __name__ == "__main__":
    main()
