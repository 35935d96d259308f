#!/usr/bin/env python3
"""Analysts' questions over generated events, by snowmelt-query and by DuckDB on the same files.

    tests/query_figures.py QUERY SNOWMELT [EVENTS] [THREADS]

Both have so many threads and read Parquet that `snowmelt enrich` wrote. Each answer is taken three
times from each in turn, and the best counts: the files are in the page cache by then. Ours is a
process for each answer; what that costs is told apart, by a query of no table. Ten million events
take some 1 GB, and payloads of a part at a time another 300 MB; SNOWMELT_FIGURES keeps the files.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

from queries import ENRICHED

# Payloads that are enriched at a time: they are removed before the next.
PART = 250_000


def write(snowmelt, folder, events):
    """Tables of so many generated events."""
    for part in range(-(-events // PART)):
        tables, payloads = folder / f"part-{part}", folder / "payloads.bin"
        if tables.exists():
            continue
        count = str(min(PART, events - part * PART))
        generate = ["generate", "--events", count, "--bad", "0", "--seed", str(part), "--output"]
        subprocess.run([snowmelt, "--quiet", *generate, payloads], check=True)
        enrich = ["enrich", "--input", payloads, "--format", "parquet", "--output"]
        subprocess.run([snowmelt, "--quiet", *enrich, folder / "partly"], check=True)
        payloads.unlink()
        (folder / "partly").rename(tables)
        place = folder / "tables/events"
        place.mkdir(parents=True, exist_ok=True)
        for file in (tables / "events").rglob("*.parquet"):
            os.link(file, place / f"{part}-{file.name}")


def timed(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


def main(program, snowmelt, events=10_000_000, threads=2):
    kept = os.environ.get("SNOWMELT_FIGURES")
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(kept or scratch)
        write(snowmelt, folder, int(events))
        files = list((folder / "tables/events").glob("*.parquet"))
        size = sum(file.stat().st_size for file in files) / 1e6
        duck = duckdb.connect()
        duck.execute(f"SET threads = {threads}; SET TimeZone = 'UTC'")
        duck.execute(
            "CREATE VIEW events AS SELECT * FROM read_parquet("
            f"'{folder}/tables/events/*.parquet', union_by_name = true)"
        )
        count = duck.execute("SELECT count(*) FROM events").fetchone()[0]
        print(f"{count} events, {len(files)} files, {size:.0f} MB, {threads} threads")

        def ours(statement):
            asked = [program, "--data", folder / "tables", "--quiet", "--format", "csv", "--threads", str(threads)]
            subprocess.run([*asked, statement], check=True, stdout=subprocess.DEVNULL)

        print(f"a process that reads nothing: {min(timed(lambda: ours('SELECT 1')) for _ in range(3)):.3f} s")
        ratios = []
        print("| statement | ours s | DuckDB s | ratio |\n|---|---:|---:|---:|")
        for statement, words in ENRICHED:
            if "FROM events" not in statement:
                continue
            theirs = statement
            for word, other in words.items():
                theirs = theirs.replace(word, other)
            times = [
                (timed(lambda: ours(statement)), timed(lambda: duck.execute(theirs).to_arrow_table()))
                for _ in range(3)
            ]
            own, other = (min(column) for column in zip(*times))
            ratios.append(own / other)
            print(f"| {' '.join(statement.split())[:60]} | {own:.3f} | {other:.3f} | {own / other:.2f} |")
        print(f"ratio: median {statistics.median(ratios):.2f}, worst {max(ratios):.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
