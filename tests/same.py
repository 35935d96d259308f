#!/usr/bin/env python3
"""Has two binaries enrich the payload of every vector, and compares what they make of each: for another
architecture, linker or compiler, where `cargo test` does not run.

    same.py ASSETS ONE OTHER      ASSETS is what tests/assets.py fetched; ONE and OTHER are commands, such as
                                  'qemu-aarch64-static -L /usr/aarch64-linux-gnu snowmelt'

Ends with 1 if an outcome is another one. Look-ups that need a server have none here, with both alike."""

import base64
import collections
import json
import pathlib
import re
import shlex
import struct
import subprocess
import sys
import tempfile

VECTORS = pathlib.Path(__file__).parent.resolve() / "vectors"
NOW = "2024-05-01T10:11:12.340Z"
MINUTES = 10


def main(assets, *binaries):
    assets = pathlib.Path(assets).resolve()
    binaries = [shlex.split(binary) for binary in binaries]
    for binary in binaries:
        print(subprocess.run([*binary, "--version"], capture_output=True, text=True, check=True).stdout)
    compared = other = refused = 0
    with tempfile.TemporaryDirectory() as scratch:
        records = pathlib.Path(scratch, "records")
        for profile, payloads in profiles().items():
            records.write_bytes(b"".join(struct.pack(">I", len(raw)) + raw for _, raw in payloads))
            one, two = (outcomes(binary, records, profile, assets) for binary in binaries)
            if one == two and isinstance(one, int):
                refused += len(payloads)  # a configuration that both refuse, as it should be
                continue
            compared += len(payloads)
            if one != two:
                other += 1
                print(f"{profile} ({len(payloads)} payloads): {first(one, two)}")
    print(f"{compared} payloads compared, {refused} under configurations that both refuse; {other} profiles differ")
    return 1 if other or not compared else 0


def profiles():
    """Payloads in the order of the files, by the configurations in force."""
    found = collections.defaultdict(list)
    for file in sorted((VECTORS / "cases").glob("*.jsonl")):
        for line in file.read_text().split("\n"):
            case = json.loads(line) if line else {}
            raw = case.get("thrift_b64") or case.get("raw_b64")
            if raw:
                found[case["profile"]].append((case["name"], base64.b64decode(raw)))
    return found


def outcomes(binary, records, profile, assets):
    """A line for each payload, or the exit code."""
    command = [*binary, "enrich", "--quiet", "--input", records, "--format", "outcomes", "--threads", "1"]
    command += ["--resolver", VECTORS / "resolver.json", "--assets", assets, "--now", NOW]
    folder = VECTORS / "profiles" / profile
    if folder.is_dir() and any(folder.glob("*.json")):
        command += ["--enrichments", folder]
    done = subprocess.run(command, capture_output=True, cwd=VECTORS, timeout=MINUTES * 60)
    # When a registry was asked, tells a clock.
    return done.returncode or re.sub(rb'"lastAttempt":"[^"]*"', b"", done.stdout).splitlines()


def first(one, two):
    if isinstance(one, int) or isinstance(two, int):
        return f"one ends with {one if isinstance(one, int) else 0}, the other with {two if isinstance(two, int) else 0}"
    pairs = [(a, b) for a, b in zip(one, two) if a != b] or [(len(one), len(two))]
    return f"{pairs[0][0]}\n    and not {pairs[0][1]}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
