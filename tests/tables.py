#!/usr/bin/env python3
"""Reads the tables that `snowmelt enrich --format parquet` writes, with PyArrow and with DuckDB, and
compares them, column by column and value by value, with the TSV of the same input.

    tests/tables.py PROGRAM [INPUT...]

Without inputs they are the payloads of the recorded cases, and generated traffic."""

import base64
import datetime
import decimal
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOW = "2024-05-01T10:11:12.345Z"
ENVELOPES = [("contexts", "contexts_"), ("unstruct_event", "unstruct_event_"), ("derived_contexts", "contexts_")]


def main(program, *inputs):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if inputs:
            return compare(program, folder, inputs, [])
        cases = folder / "cases.txt"
        cases.write_text("\n".join(recorded()) + "\n")
        vectors = ["--resolver", str(ROOT / "tests/vectors/resolver.json")]
        traffic = folder / "traffic.bin"
        run(program, "generate", "--events", "20000", "--output", traffic)
        return compare(program, folder / "1", [cases], vectors) or compare(program, folder / "2", [traffic], [])


def recorded():
    """The payloads of all recorded cases, as lines of Base64."""
    for file in sorted((ROOT / "tests/vectors/cases").glob("*.jsonl")):
        for line in filter(None, file.read_text().split("\n")):
            yield json.loads(line)["thrift_b64"]


def run(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{program} {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stderr


def compare(program, folder, inputs, options):
    common = ["enrich", "--input", *inputs, "--now", NOW, "--processor", "test-1.0.0", *options]
    lines, tables, again = folder / "tsv", folder / "tables", folder / "again"
    run(program, *common, "--incomplete", "--output", lines)
    told = run(program, *common, "--format", "parquet", "--output", tables)
    run(program, *common, "--format", "parquet", "--output", again, "--threads", "3")
    names = fields()
    faults, misfits = [], 0
    for route, table in [("enriched", "events"), ("incomplete", "failed")]:
        text = lines / f"{route}.tsv"
        rows = [row.split("\t") for row in text.read_text().split("\n")[:-1]] if text.exists() else []
        read = rows_of(tables / table)
        faults += same_rows(table, read, rows_of(again / table))
        faults += by_duckdb(tables / table, len(rows))
        if len(read) != len(rows):
            faults.append(f"{table}: {len(rows)} lines, {len(read)} rows")
            continue
        for number, (row, line) in enumerate(zip(read, rows)):
            found = list(of_row(row, dict(zip(names, line))))
            faults += [f"{table}, row {number}: {fault}" for fault in found]
            misfits += len(json.loads(row["_misfits"] or "[]"))
    bad = [row for row in (lines / "bad.jsonl").read_text().split("\n") if row]
    read = rows_of(tables / "bad")
    faults += by_duckdb(tables / "bad", len(bad))
    faults += [f"bad, row {n}: {fault}" for n, (row, line) in enumerate(zip(read, bad)) for fault in of_bad(row, line)]
    if len(read) != len(bad):
        faults.append(f"bad: {len(bad)} lines, {len(read)} rows")
    counted = re.search(r"values in no column\s+(\d+)", told)
    if int(counted.group(1) if counted else 0) != misfits:
        faults.append(f"{misfits} misfits, and {counted and counted.group(1)} were told of")
    print("\n".join(faults[:20]) or f"{len(rows_of(tables / 'events'))} events, {len(bad)} bad rows, {misfits} misfits")
    return 1 if faults else 0


def fields():
    """The columns of a line, from the table in the source."""
    text = (ROOT / "event/src/fields.rs").read_text()
    names = re.findall(r'^    \w+, "(\w+)", \w+, \d+;$', text, re.M)
    assert len(names) == 131, len(names)
    return names


def files(table):
    return sorted(table.glob("load_date=2024-05-01/*.parquet")) if table.exists() else []


def rows_of(table):
    parts = [pq.ParquetFile(file).read() for file in files(table)]
    return [row for part in parts for row in part.to_pylist()]


def same_rows(table, one, other):
    # Repr, since a number that is none equals nothing.
    return [] if repr(one) == repr(other) else [f"{table}: three threads make other rows"]


def by_duckdb(table, expected):
    """DuckDB reads the same values as PyArrow, and as many rows as there are lines."""
    faults = []
    if not files(table):
        return [f"{table.name}: no file, {expected} lines"] if expected else []
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    count = "SELECT count(*) FROM read_parquet(?, hive_partitioning = true, union_by_name = true)"
    found = connection.execute(count, [str(table / "**/*.parquet")]).fetchone()[0]
    if found != expected:
        faults.append(f"{table.name}: DuckDB counts {found} rows of {expected}")
    for file in files(table):
        theirs = connection.execute("SELECT * FROM read_parquet(?, hive_partitioning = false)", [str(file)])
        theirs, ours = theirs.to_arrow_table(), pq.ParquetFile(file).read()
        for name in ours.column_names:
            one, other = plain(ours.column(name)), plain(theirs.column(name))
            if one != other:
                faults.append(f"{file.name}: PyArrow and DuckDB read another {name}")
        filtered = connection.execute(
            "SELECT count(*) FROM parquet_metadata(?) WHERE path_in_schema = 'event_id' "
            "AND bloom_filter_offset IS NOT NULL AND compression = 'ZSTD'", [str(file)])
        groups = pq.ParquetFile(file).metadata.num_row_groups
        if "processor" not in ours.column_names and filtered.fetchone()[0] != groups:
            faults.append(f"{file.name}: no bloom filter of event_id in each of {groups} row groups")
    return faults


def plain(column):
    return repr(column.to_pylist())


def of_bad(row, line):
    told = json.loads(line)
    # Which moment a registry was asked at differs from run to run.
    attempt = r'"lastAttempt":"[^"]*"'
    if re.sub(attempt, "", row["row"]) != re.sub(attempt, "", line):
        yield "the row is another"
    if row["schema"] != told["schema"] or row["kind"] != told["schema"].split("/")[1]:
        yield f"schema {row['schema']}, kind {row['kind']}"
    if row["failure_tstamp"] != moment(told["data"]["failure"]["timestamp"]):
        yield f"time {row['failure_tstamp']}"
    if row["processor"] != "test-1.0.0":
        yield f"processor {row['processor']}"
    if not row["reason"]:
        yield "no reason"


def of_row(row, line):
    """What is wrong with a row that was made of a line."""
    misfits = json.loads(row["_misfits"] or "[]")
    if row["load_tstamp"] != moment(NOW):
        yield f"load_tstamp {row['load_tstamp']}"
    for name, text in line.items():
        if name in dict(ENVELOPES):
            continue
        if text and row[name] is None:
            entry = {"column": name, "schema": None, "data": text}
            if not any(entry.items() <= misfit.items() for misfit in misfits):
                yield f"{name} {text!r} is lost"
        elif not same_text(text, row[name]):
            yield f"{name} is {row[name]!r}, not {text!r}"
    expected = {}
    for name, prefix in ENVELOPES:
        if line[name]:
            try:
                data = json.loads(line[name], parse_float=decimal.Decimal)["data"]
            except (ValueError, KeyError, TypeError):
                if not any(misfit["data"] == line[name] for misfit in misfits):
                    yield f"{name} is lost"
                continue
            for entity in data if isinstance(data, list) else [data]:
                expected.setdefault(column(prefix, entity["schema"]), []).append(entity)
    found = {}
    for name, value in row.items():
        if name.startswith(("contexts_", "unstruct_event_")) and value is not None:
            entities = value if name.startswith("contexts_") else [value]
            found.setdefault(normal(re.sub(r"_recovered_.*", "", name)), []).extend(entities)
    for name in expected.keys() | found.keys():
        yield from same_entities(name, expected.get(name, []), found.get(name, []), misfits)


def column(prefix, uri):
    vendor, name, _, version = uri.removeprefix("iglu:").split("/")
    return normal(f"{prefix}{vendor}_{name}_{version.split('-')[0]}")


def normal(name):
    """What is left of a name whatever its case and its symbols."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def same_entities(name, expected, found, misfits):
    found = list(found)
    for entity in expected:
        data, version = entity["data"], entity["schema"].rsplit("/", 1)[1]
        fits = [it for it in found if told_version(it) in (None, version) and same(data, it)]
        kept = [it for it in misfits if it["schema"] == entity["schema"] and it["data"] == plain_json(data)]
        if fits:
            found.remove(fits[0])
        elif kept:
            misfits.remove(kept[0])
        elif data not in ({}, None):
            yield f"{name}: {json.dumps(data, default=str)[:300]} is neither in {str(found)[:300]} nor kept"
    more = [it for it in found if not any(same(told["data"], it, True) for told in expected)]
    if more:
        yield f"{name}: nobody sent {str(more)[:300]}"


def told_version(entity):
    return entity.get("_schema_version") if isinstance(entity, dict) else None


def plain_json(value):
    return json.loads(json.dumps(value, default=float))


def same(sent, read, less=False):
    """Whether a value of JSON is what a column has; with `less` the column may have no room for some."""
    if sent is None or read is None:
        return sent is None and read is None
    if isinstance(read, dict):
        if not isinstance(sent, dict):
            return False
        members = {normal(name): value for name, value in read.items() if name != "_schema_version"}
        keys = {normal(key) for key in sent}
        told = all(
            same(value, members.get(normal(key)), less) or (less and members.get(normal(key)) is None)
            or (value == {} and normal(key) not in members)
            for key, value in sent.items())
        return told and all(value is None or name in keys for name, value in members.items())
    if isinstance(read, list):
        return isinstance(sent, list) and len(sent) == len(read) and all(map(same, sent, read, [less] * len(read)))
    if isinstance(read, datetime.datetime):
        return isinstance(sent, str) and moment(sent) == read
    if isinstance(read, datetime.date):
        return isinstance(sent, str) and datetime.date.fromisoformat(sent) == read
    if isinstance(read, bool) or isinstance(sent, bool):
        return read is sent or read == json.dumps(sent)
    if isinstance(read, (int, float, decimal.Decimal)):
        number = isinstance(sent, (int, float, decimal.Decimal))
        return number and (float(sent) == read if isinstance(read, float) else sent == read)
    if read == sent:
        return True
    try:
        # A column of JSON.
        return plain_json(json.loads(read)) == plain_json(sent)
    except ValueError:
        return False


def same_text(text, value):
    if not text or value is None:
        return not text and value is None
    if isinstance(value, bool):
        return text == str(int(value))
    if isinstance(value, datetime.datetime):
        return moment(text.replace(" ", "T") + "Z") == value
    if isinstance(value, float):
        return float(text) == value
    if isinstance(value, (int, decimal.Decimal)):
        return decimal.Decimal(text) == value
    return text == value


def moment(text):
    """An instant, cut off behind the microseconds."""
    text = re.sub(r"(\.\d{6})\d+", r"\1", text.upper().replace("Z", "+00:00"))
    text = re.sub(r"\.(\d{1,5})(?=[+-])", lambda it: "." + it.group(1).ljust(6, "0"), text)
    return datetime.datetime.fromisoformat(text).astimezone(datetime.timezone.utc)


if __name__ == "__main__":
    assert pa.__version__ and base64
    sys.exit(main(*sys.argv[1:]))
