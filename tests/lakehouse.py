#!/usr/bin/env python3
"""Kills `snowmelt enrich --format iceberg` again and again, lets it end, and has PyIceberg and DuckDB say
that every event is in the tables once; then renames, packs and lengthens the input, and adds columns.

    tests/lakehouse.py PROGRAM [SEED]

The seed decides when the program is killed; a failure names it."""

import collections
import gzip
import importlib
import json
import logging
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import urllib.parse

import base64
import duckdb
from pyiceberg.catalog.sql import SqlCatalog

TABLES = ["events", "failed", "bad"]
KILLS = 6
# It says of every catalog that its table has no column for views.
logging.getLogger("pyiceberg").setLevel(logging.ERROR)


def main(program, seed=None):
    seed = int(seed) if seed else random.randrange(1 << 32)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        try:
            once(program, folder, rng)
            columns(program, folder)
        except Wrong as wrong:
            sys.exit(f"seed {seed}: {wrong}")
    print(f"seed {seed}: every event is in the tables once")


class Wrong(Exception):
    pass


def check(holds, text):
    if not holds:
        raise Wrong(text)


def run(program, *arguments, **options):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, **options)
    check(done.returncode == 0, f"{arguments}: {done.stderr.decode()}")
    return done.stderr.decode()


def enrich(program, lake, inputs, *more, **options):
    return run(program, "enrich", "--input", *inputs, "--format", "iceberg", "--output", lake, *more, **options)


def once(program, folder, rng):
    parts = [folder / f"{name}.bin" for name in ("one", "two", "three")]
    for number, part in enumerate(parts):
        run(program, "generate", "--events", "2500", "--seed", str(number + 1), "--output", part)
    one, two, three = (part.read_bytes() for part in parts)
    lake, beside = folder / "lake", [folder / "one.bin", folder / "two.bin"]

    killed = 0
    while killed < KILLS:
        killed += kill(program, lake, beside, rng)
        check(killed or not ended(lake), "it was never killed before it had ended")
        agree(lake)
    said = enrich(program, lake, beside, "--commit-every", "150")
    check("the tables have" in said, f"it did not go on where the tables stood: {said}")
    expected = reference(program, folder / "1", beside)
    same(lake, expected, f"after {killed} deaths")

    enrich(program, lake, beside)
    same(lake, expected, "after it was run again")
    renamed = folder / "another.name.gz"
    renamed.write_bytes(gzip.compress(one))
    enrich(program, lake, [renamed, folder / "two.bin", renamed])
    same(lake, expected, "after a file was renamed and packed, and named twice")
    enrich(program, lake, ["-"], stdin=(folder / "two.bin").open())
    same(lake, expected, "after a file came by standard input")

    (folder / "two.bin").write_bytes(two + three)
    enrich(program, lake, beside, "--threads", "2")
    same(lake, reference(program, folder / "2", beside), "after a file had grown")
    check(not list(lake.glob(".input-*")), "what standard input was kept in is still there")


def kill(program, lake, inputs, rng):
    """Kills a run soon after it has written so many files; whether it was still running."""
    arguments = ["enrich", "--input", *inputs, "--format", "iceberg", "--output", lake, "--commit-every", "150"]
    before, enough = written(lake), rng.randrange(1, 25)
    running = subprocess.Popen([program, *map(str, arguments)], stderr=subprocess.DEVNULL)
    while running.poll() is None and written(lake) - before < enough:
        pass
    running.kill()
    return running.wait() == -9


def written(lake):
    return sum(1 for path in lake.rglob("*") if path.is_file())


def ended(lake):
    return (lake / "catalog.db").exists() and all(rows for rows in ids(lake).values())


def reference(program, folder, inputs):
    """The ids of all events, and how many bad rows there are, from the lines of the same input."""
    run(program, "enrich", "--input", *inputs, "--incomplete", "--output", folder)
    lines = {name: (folder / file) for name, file in
             [("events", "enriched.tsv"), ("failed", "incomplete.tsv"), ("bad", "bad.jsonl")]}
    text = {name: file.read_text().splitlines() if file.exists() else [] for name, file in lines.items()}
    columns = {name: sorted(line.split("\t")[6] for line in text[name]) for name in ("events", "failed")}
    return columns | {"bad": len(text["bad"])}


def tables(lake):
    catalog = SqlCatalog("snowmelt", uri=f"sqlite:///{lake}/catalog.db", warehouse=str(lake))
    return {table: catalog.load_table(("snowmelt", table)) for table in TABLES if catalog.table_exists(("snowmelt", table))}


def ids(lake):
    """By PyIceberg."""
    read = {name: table.scan(selected_fields=("event_id",)).to_arrow() for name, table in tables(lake).items()}
    return {name: rows["event_id"].to_pylist() for name, rows in read.items()}


def judge():
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in ("avro", "iceberg"):
        module = importlib.import_module(f"duckdb_extension_{name}")
        extension = next(pathlib.Path(module.__file__).parent.rglob("*.duckdb_extension"))
        connection.execute(f"LOAD '{extension}'")
    return connection


def agree(lake):
    """Both readers, on tables that a run has left behind: no event is there twice."""
    if not (lake / "catalog.db").exists():
        return
    connection = judge()
    for name, table in tables(lake).items():
        read = table.scan(selected_fields=("event_id",)).to_arrow()["event_id"].to_pylist()
        if table.current_snapshot() is None:
            continue
        statement = f"SELECT count(*) FROM iceberg_scan('{table.metadata_location}')"
        count = connection.execute(statement).fetchone()[0]
        check(count == len(read), f"{name}: {len(read)} rows by PyIceberg, {count} by DuckDB")
        twice = [event for event, n in collections.Counter(read).items() if n > 1 and name != "bad"]
        check(not twice, f"{name}: {len(twice)} events are there more than once")


def same(lake, expected, when):
    found = ids(lake)
    for name in ("events", "failed"):
        read = sorted(found[name])
        missing = sum((collections.Counter(expected[name]) - collections.Counter(read)).values())
        more = sum((collections.Counter(read) - collections.Counter(expected[name])).values())
        check(not missing and not more, f"{when}: {name}: {missing} events are missing, {more} too many")
    check(len(found["bad"]) == expected["bad"], f"{when}: bad: {expected['bad']} rows, found {len(found['bad'])}")
    agree(lake)


# An event and an entity whose schemas get more members, in tables that exist.

def columns(program, folder):
    registry, lake = folder / "registry", folder / "grown"
    schemas = registry / "schemas"
    publish(schemas, "press", "1-0-0", {"label": {"type": "string"}})
    publish(schemas, "user", "1-0-0", {"id": {"type": "integer"}, "home": place("city")})
    first = folder / "first.txt"
    first.write_text(payload(1, "1-0-0", {"label": "a"}, {"id": 7, "home": {"city": "Bern"}}))
    rules = ["--schemas", registry]
    enrich(program, lake, [first], *rules)
    publish(schemas, "press", "1-0-1", {"label": {"type": "string"}, "at": {"type": "string", "format": "date-time"}})
    publish(schemas, "user", "1-0-1", {"id": {"type": "integer"}, "home": place("city", "zip"), "tags": {"type": "array", "items": {"type": "string"}}})
    second = folder / "second.txt"
    more = {"id": 8, "home": {"city": "Basel", "zip": "4000"}, "tags": ["x", "y"]}
    second.write_text(payload(2, "1-0-1", {"label": "b", "at": "2026-01-02T03:04:05Z"}, more))
    enrich(program, lake, [second], *rules)

    table = tables(lake)["events"]
    press, user = "unstruct_event_com_acme_press_1", "contexts_com_acme_user_1"
    by_pyiceberg = {row["event_id"][-1]: (row[press], row[user]) for row in table.scan().to_arrow().to_pylist()}
    statement = f"SELECT event_id, {press}, {user} FROM iceberg_scan('{table.metadata_location}')"
    by_duckdb = {row["event_id"][-1]: (row[press], row[user]) for row in judge().execute(statement).to_arrow_table().to_pylist()}
    for name, read in [("PyIceberg", by_pyiceberg), ("DuckDB", by_duckdb)]:
        check(sorted(read) == ["1", "2"], f"{name}: expected two events, found {read}")
        (old, [old_user]), (new, [new_user]) = read["1"], read["2"]
        check((old["label"], old["at"]) == ("a", None), f"{name}: {old}")
        check((new["label"], new["at"].year) == ("b", 2026), f"{name}: {new}")
        found = [(u["id"], u["home"]["city"], u["home"]["zip"], u["tags"]) for u in (old_user, new_user)]
        check(found == [(7, "Bern", None, None), (8, "Basel", "4000", ["x", "y"])], f"{name}: {found}")
    check(len(table.metadata.schemas) > 1, "no column was added")


def place(*members):
    return {"type": "object", "properties": {name: {"type": "string"} for name in members}, "additionalProperties": False}


def publish(folder, name, version, members):
    file = folder / "com.acme" / name / "jsonschema" / version
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({
        "$schema": "http://iglucentral.com/schemas/com.snowplowanalytics.self-desc/schema/jsonschema/1-0-0#",
        "self": {"vendor": "com.acme", "name": name, "format": "jsonschema", "version": version},
        "type": "object", "properties": members, "additionalProperties": False,
    }))


def payload(number, version, event, user):
    """A collector payload as a line: one self-describing event with one entity."""
    snowplow = "iglu:com.snowplowanalytics.snowplow"
    envelope = lambda name, data: json.dumps({"schema": f"{snowplow}/{name}", "data": data})
    acme = lambda name, data: {"schema": f"iglu:com.acme/{name}/jsonschema/{version}", "data": data}
    query = urllib.parse.urlencode({
        "e": "ue", "p": "web", "tv": "test-1", "eid": f"5a1c0000-0000-4000-8000-00000000000{number}",
        "ue_pr": envelope("unstruct_event/jsonschema/1-0-0", acme("press", event)),
        "co": envelope("contexts/jsonschema/1-0-1", [acme("user", user)]),
    })
    text = lambda field, value: struct.pack(">bhi", 11, field, len(value)) + value.encode()
    thrift = b"".join([
        text(100, "192.0.2.1"), struct.pack(">bhq", 10, 200, 1_760_000_000_000), text(210, "UTF-8"),
        text(220, "test"), text(320, "/i"), text(330, query),
        text(31337, "iglu:com.snowplowanalytics.snowplow/CollectorPayload/thrift/1-0-0"), b"\0",
    ])
    return base64.b64encode(thrift).decode() + "\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
