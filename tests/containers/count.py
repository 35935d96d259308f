#!/usr/bin/env python3
"""Sends events through a collector, and counts what became of them, by their ids.

    count.py send COLLECTOR FILE N          sends N events; adds their ids to FILE
    count.py arrive ENDPOINT FILE           waits until all of FILE are in the stream
    count.py compare ENDPOINT FILE          waits until all of FILE are in stream and bucket, and both
                                            have the same ids"""

import concurrent.futures
import pathlib
import sys
import time
import urllib.parse
import urllib.request
import uuid

WAIT_SECONDS = 60


def send(collector, file, count):
    def one(event):
        query = urllib.parse.urlencode({"e": "pv", "p": "web", "tv": "count", "eid": event})
        with urllib.request.urlopen(f"http://{collector}/i?{query}") as answer:
            assert answer.status == 200

    ids = [str(uuid.uuid4()) for _ in range(int(count))]
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        list(pool.map(one, ids))
    with open(file, "a") as out:
        out.writelines(f"{event}\n" for event in ids)


def arrive(endpoint, file):
    compare(endpoint, file, bucket_too=False)


def compare(endpoint, file, bucket_too=True):
    import boto3
    import zstandard

    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    where = {"endpoint_url": f"http://{endpoint}", "region_name": "eu-west-1", **keys}
    kinesis, s3 = boto3.client("kinesis", **where), boto3.client("s3", **where)

    def streamed(name):
        for shard in kinesis.list_shards(StreamName=name)["Shards"]:
            at = kinesis.get_shard_iterator(
                StreamName=name, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while at:
                answer = kinesis.get_records(ShardIterator=at, Limit=10_000)
                yield from (record["Data"].decode() for record in answer["Records"])
                at = answer.get("NextShardIterator") if answer["MillisBehindLatest"] else None

    def stored(prefix):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="snowmelt", Prefix=prefix):
            for item in page.get("Contents", []):
                if "/_manifests/" in item["Key"] or item["Key"].endswith("/_writable"):
                    continue
                body = s3.get_object(Bucket="snowmelt", Key=item["Key"])["Body"].read()
                frames = zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True)
                yield from frames.read().decode().splitlines()

    def ids(lines):
        return [line.split("\t")[6] for line in lines]

    sent = set(pathlib.Path(file).read_text().split())
    until = time.monotonic() + WAIT_SECONDS
    while True:
        stream = ids(streamed("enriched"))
        bucket = ids(stored("enriched/")) if bucket_too else stream
        if sent <= set(stream) and set(stream) == set(bucket):
            break
        if time.monotonic() > until:
            missing = len(sent - set(stream)), len(sent - set(bucket))
            apart = len(set(stream) ^ set(bucket))
            sys.exit(f"of {len(sent)} events {missing} are missing in stream and bucket, {apart} are in one of them alone")
        time.sleep(1)
    if not bucket_too:
        return
    bad = sum(1 for _ in streamed("bad"))
    print(
        f"{len(sent)} events sent, {len(set(stream))} in stream and bucket alike, "
        f"{len(stream) - len(set(stream))} of the stream and {len(bucket) - len(set(bucket))} of the bucket "
        f"twice, {bad} bad"
    )


if __name__ == "__main__":
    {"send": send, "arrive": arrive, "compare": compare}[sys.argv[1]](*sys.argv[2:])
