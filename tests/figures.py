#!/usr/bin/env python3
"""Figures of `snowmelt local` on this machine, as BENCHMARKS.md gives them: how soon it answers, what it
occupies, and how many events a second it takes over HTTP and enriches. For a quiet machine, and the
build that ships:

    tests/figures.py target/dist/snowmelt

wrk sends; where it is not installed, Debian's package is unpacked below target/tools."""

import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

TOOLS = pathlib.Path(__file__).resolve().parent.parent / "target/tools/wrk"
SECONDS = 10
CONNECTIONS = 32
STARTS = 11

# An event in a body, and ten, as trackers batch them.
POST = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local event = '{"e":"pv","p":"web","tv":"wrk","aid":"figures","url":"https://shop.test/cart?step=2",'
  .. '"page":"Cart","refr":"https://news.test/","dtm":"1795295431442","res":"1920x1080","cs":"UTF-8"}'
wrk.body = '{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":['
  .. event .. string.rep("," .. event, %d - 1) .. "]}"
"""


def main(binary):
    binary = pathlib.Path(binary).resolve()
    starts = [start(binary) for _ in range(STARTS)]
    print(f"start to first answer, median of {STARTS}: {statistics.median(starts) * 1000:.0f} ms")
    with tempfile.TemporaryDirectory() as folder, Local(binary, folder) as local:
        time.sleep(SECONDS)
        print(f"resident after {SECONDS} s without an event: {local.resident():.1f} MB")
        print(f"requests that ask nothing (/health): {wrk(local, '/health'):,.0f} a second")
        for events in (1, 10):
            before, began = local.total(), time.monotonic()
            rate = wrk(local, "/com.snowplowanalytics.snowplow/tp2", POST % events)
            while local.behind():
                pass
            came, seconds = local.total() - before, time.monotonic() - began
            print(
                f"requests with {events} events each: {rate:,.0f} a second answered, durable; "
                f"{came:,} events enriched, {came / seconds:,.0f} a second"
            )
        print(f"resident after that: {local.resident():.1f} MB")


class Local:
    """A run in a folder, on a free port."""

    def __init__(self, binary, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        command = [binary, "local", "--port", self.address.split(":")[1], "--dir", f"{folder}/run"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, **quiet)

    def __enter__(self):
        until = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://{self.address}/health"):
                    return self
            except OSError:
                assert time.monotonic() < until, "it does not answer"
                time.sleep(0.002)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()

    def resident(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1000

    def total(self):
        """Events that were worked, after a while for those that were not."""
        with urllib.request.urlopen(f"http://{self.address}/micro/all") as answer:
            return json.load(answer)["total"]

    def behind(self):
        """Whether the last answer had to be given before all was worked."""
        before = self.total()
        return self.total() != before


def start(binary):
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        with Local(binary, folder):
            return time.monotonic() - began


def wrk(local, path, script=None):
    """Requests a second that were answered well."""
    program, libraries = wrk_program()
    command = [program, "-t2", f"-c{CONNECTIONS}", f"-d{SECONDS}s"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        if script:
            file.write(script)
            file.flush()
            command += ["-s", file.name]
        command.append(f"http://{local.address}{path}")
        said = subprocess.run(
            command, env={**os.environ, **libraries}, check=True, capture_output=True, text=True
        ).stdout
    assert "Non-2xx" not in said and "Socket errors" not in said, said
    return float(next(line.split()[1] for line in said.splitlines() if "Requests/sec" in line))


def wrk_program():
    if found := shutil.which("wrk"):
        return found, {}
    program = TOOLS / "usr/bin/wrk"
    if not program.exists():
        TOOLS.mkdir(parents=True, exist_ok=True)
        packages = ["wrk", "libluajit-5.1-2", "libluajit-5.1-common"]
        subprocess.run(["apt-get", "-qq", "download", *packages], cwd=TOOLS, check=True)
        for package in TOOLS.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, TOOLS], check=True)
    libraries = next(TOOLS.glob("usr/lib/*-linux-gnu"))
    return program, {"LD_LIBRARY_PATH": str(libraries)}


if __name__ == "__main__":
    main(*sys.argv[1:])
