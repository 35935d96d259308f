#!/usr/bin/env bash
# Makes what the workers read and write. Running it again changes nothing.
set -euo pipefail

stream() {
    awslocal kinesis describe-stream-summary --stream-name "$1" >/dev/null 2>&1 ||
        awslocal kinesis create-stream --stream-name "$1" --shard-count "$2"
    awslocal kinesis wait stream-exists --stream-name "$1"
}

stream payloads 4
stream enriched 2
stream bad 1
awslocal s3api head-bucket --bucket snowmelt >/dev/null 2>&1 || awslocal s3 mb s3://snowmelt
