#!/usr/bin/env python3
"""What analysts ask first, answered by snowmelt-query and by DuckDB over the same files.

    tests/queries.py PROGRAM SNOWMELT

DuckDB writes two files of events as two versions of a schema leave them, so that neither engine
reads what it wrote alone: a column, a member of a struct and one of a list's structs appear. Of
what `snowmelt enrich` writes, in either form of tables, the same questions are asked: DuckDB answers
them over the files, over the Iceberg tables, and over what PyIceberg reads of those. The files are
asked once more in a bucket of an emulator of S3, whose answers are those of the folder.
"""

import collections
import decimal
import datetime
import importlib
import json
import logging
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import botocore.exceptions
import botocore.session
import duckdb
from pyiceberg.catalog.sql import SqlCatalog

LINK = "unstruct_event_com_acme_link_click_1"
USER = "contexts_com_acme_user_1"
# The place of event_name among the 131 columns of a line.
EVENT_NAME = 126

# Two versions; what is computed of i is arbitrary but the same in every run.
COMMON = f"""
    printf('%08x-0000-4000-8000-000000000000', i) AS event_id,
    ['page_view', 'link_click', 'page_ping'][1 + i % 3] AS event_name,
    ['shop', 'blog'][1 + i % 2] AS app_id,
    CASE WHEN i % 7 = 0 THEN NULL ELSE ['web', 'mob'][1 + (i // 2) % 2] END AS platform,
    TIMESTAMPTZ '2026-11-28 00:00:00+00' + to_seconds(i * 97) AS collector_tstamp,
    (i * 7919 % 1000) / 8.0 AS dvce_ratio,
    'a-' || (i % 5) || '-x' || (i % 11) AS mkt_source,
    i % 2 = 0 AS br_cookies,
    (i % 400)::DECIMAL(18, 2) / 4 AS tr_total,"""
FIRST = f"""SELECT {COMMON}
    CASE WHEN i % 3 = 1 THEN {{'target_url': 'u' || i % 13, 'cost': (i % 40) / 4.0}} END AS {LINK},
    CASE WHEN i % 4 = 0 THEN [{{'element_id': 'e' || i % 3}}] ELSE [] END AS {USER}
    FROM range(0, 4000) t(i)"""
SECOND = f"""SELECT {COMMON}
    CASE WHEN i % 3 = 1 THEN {{'target_url': 'u' || i % 13, 'cost': (i % 40) / 4.0,
        'campaign': 'c' || i % 2}} END AS {LINK},
    CASE WHEN i % 4 = 0 THEN [{{'element_id': 'e' || i % 3, 'level': i % 6}}, {{'element_id': NULL,
        'level': i}}] END AS {USER},
    'only here' AS added
    FROM range(4000, 9000) t(i)"""

# Each with the words in which DuckDB wants it, where they differ.
STATEMENTS = [
    ("SELECT count(*) AS n FROM events", {}),
    ("SELECT event_name, count(*) AS n FROM events GROUP BY 1 ORDER BY 2 DESC, 1", {}),
    ("""SELECT date_trunc('hour', collector_tstamp) AS h, count(*) AS n, count(DISTINCT app_id) AS a
        FROM events GROUP BY 1 ORDER BY 1""", {}),
    (f"""SELECT {LINK}['target_url'] AS u, sum({LINK}['cost']) AS s FROM events
        WHERE event_name = 'link_click' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10""", {}),
    (f"""SELECT events.{LINK}.campaign AS c, count(*) AS n FROM events GROUP BY 1
        ORDER BY 1 NULLS LAST""", {}),
    (f"""SELECT c['element_id'] AS e, sum(c['level']) AS l, count(*) AS n
        FROM (SELECT unnest({USER}) AS c FROM events) GROUP BY 1 ORDER BY 1 NULLS LAST""", {}),
    ("SELECT approx_percentile_cont(dvce_ratio, 0.5) AS p FROM events",
     {"approx_percentile_cont": "quantile_cont"}),
    ("""SELECT event_id, row_number() OVER (PARTITION BY event_id ORDER BY collector_tstamp) AS rn
        FROM events QUALIFY rn = 1 ORDER BY 1 LIMIT 5""", {}),
    ("""SELECT app_id, platform, count(*) AS n FROM events GROUP BY ROLLUP (app_id, platform)
        ORDER BY 1 NULLS LAST, 2 NULLS LAST, 3""", {}),
    ("""WITH s AS (SELECT app_id, collector_tstamp AS t, lag(collector_tstamp)
            OVER (PARTITION BY app_id, platform ORDER BY collector_tstamp) AS p FROM events)
        SELECT app_id, count(*) FILTER (WHERE p IS NULL OR t - p > INTERVAL '5 minutes') AS sessions
        FROM s GROUP BY 1 ORDER BY 1""", {}),
    ("""SELECT regexp_replace(mkt_source, '^.*-', '') AS x, count(*) AS n, sum(tr_total) AS t
        FROM events GROUP BY 1 ORDER BY 2 DESC, 1""", {}),
    ("SELECT * FROM events WHERE event_id = '00000fa4-0000-4000-8000-000000000000'", {}),
    ("SELECT count(added) AS a, max(collector_tstamp) AS m, count(platform) AS p FROM events", {}),
]

CLICK = "unstruct_event_com_snowplowanalytics_snowplow_link_click_1"
CART = "unstruct_event_com_snowplowanalytics_snowplow_add_to_cart_1"
PAGE = "contexts_com_snowplowanalytics_snowplow_web_page_1"
# The same questions of the columns that generated events have.
ENRICHED = [
    ("SELECT count(*) AS n FROM events", {}),
    ("SELECT event_name, count(*) AS n FROM events GROUP BY 1 ORDER BY 2 DESC, 1", {}),
    ("""SELECT date_trunc('hour', collector_tstamp) AS h, count(*) AS n, count(DISTINCT page_urlhost) AS a
        FROM events GROUP BY 1 ORDER BY 1""", {}),
    (f"""SELECT {CART}['category'] AS c, round(sum({CART}['quantity'] * {CART}['unit_price']), 2) AS s FROM events
        WHERE event_name = 'add_to_cart' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10""", {}),
    (f"""SELECT events.{CLICK}.target_url AS u, count(*) AS n FROM events GROUP BY 1
        ORDER BY 2 DESC, 1 NULLS LAST""", {}),
    (f"""SELECT p['id'] AS i, count(*) AS n FROM (SELECT unnest({PAGE}) AS p FROM events) GROUP BY 1
        ORDER BY 2 DESC, 1 LIMIT 50""", {}),
    ("SELECT approx_percentile_cont(dvce_screenwidth, 0.5) AS p FROM events",
     {"approx_percentile_cont": "quantile_cont"}),
    ("""SELECT domain_sessionid, event_id,
        row_number() OVER (PARTITION BY domain_sessionid ORDER BY derived_tstamp, event_id) AS rn
        FROM events QUALIFY rn = 1 ORDER BY 1 LIMIT 50""", {}),
    ("""SELECT app_id, page_urlhost, count(*) AS n FROM events GROUP BY ROLLUP (app_id, page_urlhost)
        ORDER BY 1 NULLS LAST, 2 NULLS LAST, 3""", {}),
    ("""WITH s AS (SELECT br_lang, derived_tstamp AS t, lag(derived_tstamp)
            OVER (PARTITION BY domain_userid ORDER BY derived_tstamp, event_id) AS p FROM events)
        SELECT br_lang, count(*) FILTER (WHERE p IS NULL OR t - p > INTERVAL '100 milliseconds') AS sessions
        FROM s GROUP BY 1 ORDER BY 1""", {}),
    ("""SELECT regexp_replace(page_urlpath, '^.*/', '') AS x, count(*) AS n, sum(se_value) AS v
        FROM events GROUP BY 1 ORDER BY 2 DESC, 1""", {}),
    ("SELECT * FROM events WHERE event_id = (SELECT min(event_id) FROM events)", {}),
    ("SELECT event_name, count(*) AS n, count(DISTINCT event_id) AS e FROM failed GROUP BY 1 ORDER BY 1", {}),
    ("""SELECT kind, reason, app_id, count(*) AS n, min(failure_tstamp) AS t FROM bad
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 NULLS LAST""", {}),
]


def alike(value):
    """A value as both can be held against one another."""
    if isinstance(value, datetime.datetime):
        utc = value.astimezone(datetime.timezone.utc) if value.tzinfo else value
        return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: alike(part) for name, part in value.items()}
    if isinstance(value, list):
        return [alike(part) for part in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return round(float(value), 9)
    return value


def without_empty(value):
    """Empty lists as none: PyIceberg 0.12 reads a list that is null as one that is empty."""
    if isinstance(value, dict):
        return {name: without_empty(part) for name, part in value.items()}
    if isinstance(value, list):
        return [without_empty(part) for part in value] or None
    return value


def near(ours, theirs, statement):
    """Estimates may differ by a hundredth."""
    if "approx_" not in statement:
        return ours == theirs
    return all(abs(a[0] - b[0]) <= 0.01 * abs(b[0]) for a, b in zip(ours, theirs, strict=True))


def judges(folder):
    """DuckDB over what was written, by what read it: a connection each with all three tables."""
    logging.getLogger("pyiceberg").setLevel(logging.ERROR)
    lake = folder / "iceberg"
    catalog = SqlCatalog("snowmelt", uri=f"sqlite:///{lake}/catalog.db", warehouse=str(lake))
    of_files, of_iceberg, of_pyiceberg = (
        duckdb.connect(config={"allow_unsigned_extensions": "true"}) for _ in range(3)
    )
    for name in ("avro", "iceberg"):
        module = importlib.import_module(f"duckdb_extension_{name}")
        extension = next(pathlib.Path(module.__file__).parent.rglob("*.duckdb_extension"))
        of_iceberg.execute(f"LOAD '{extension}'")
    for table in ("events", "failed", "bad"):
        files = f"{folder}/parquet/{table}/**/*.parquet"
        of_files.execute(
            f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{files}', "
            "union_by_name = true, hive_partitioning = true)"
        )
        known = catalog.load_table(f"snowmelt.{table}")
        of_iceberg.execute(f"CREATE VIEW {table} AS SELECT * FROM iceberg_scan('{known.metadata_location}')")
        of_pyiceberg.register(table, known.scan().to_arrow())
    found = [("parquet", of_files), ("iceberg", of_iceberg), ("PyIceberg", of_pyiceberg)]
    for _, judge in found:
        judge.execute("SET TimeZone = 'UTC'")
    return found


def rows_of(program, place, statement):
    asked = [program, "--data", place, "--format", "json", "--quiet", statement]
    return json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)


def bucket(folder):
    """An emulator of S3 with a bucket, and what its programs are told of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = pathlib.Path(sys.executable).parent / "ministack"
    environment = {**os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SERVICES": "s3", "TMPDIR": str(folder)}
    with open(folder / "s3.log", "w") as log:
        emulator = subprocess.Popen([program], env=environment, stdout=log, stderr=log)
    told = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-central-1"}
    client = botocore.session.get_session().create_client(
        "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name=told["AWS_REGION"],
        aws_access_key_id="test", aws_secret_access_key="test",
    )
    until = time.monotonic() + 60
    while True:
        try:
            client.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
            return emulator, client, {**told, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        except botocore.exceptions.EndpointConnectionError:
            assert emulator.poll() is None and time.monotonic() < until, "the emulator does not answer"
            time.sleep(0.1)


def in_bucket(program, folder):
    """How many answers over objects are not those over files, or not what is to be said."""
    emulator, client, told = bucket(folder)
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    bare["AWS_EC2_METADATA_DISABLED"] = "true"
    failed = 0

    def ask(place, statement, environment):
        asked = [program, "--data", place, "--format", "json", "--quiet", statement]
        return subprocess.run(asked, capture_output=True, text=True, env=environment)

    try:
        files = [file for file in (folder / "parquet").rglob("*") if file.suffix == ".parquet"]
        # More than one page of a list, of what is no table.
        for number in range(1001):
            client.put_object(Bucket="lake", Key=f"web/tables/events/_log/{number}.parquet", Body=b"")
        for file in files:
            key = f"web/tables/{file.relative_to(folder / 'parquet')}"
            client.put_object(Bucket="lake", Key=key, Body=file.read_bytes())
        for statement, _ in ENRICHED:
            answer = ask("s3://lake/web/tables", statement, {**bare, **told})
            if answer.stdout != ask(folder / "parquet", statement, bare).stdout or not answer.stdout:
                failed += 1
                print(f"s3: {statement}\n  {answer.stderr} {answer.stdout[:300]}", file=sys.stderr)
        count = "SELECT count(*) FROM events"
        for place, environment, said in [
            ("s3://lake/elsewhere", told, "holds nothing to ask yet"),
            ("s3://nowhere/x", told, "NoSuchBucket"),
            ("s3://lake/web/tables", {}, "no AWS region"),
            ("s3:///x", told, "expected s3://BUCKET/PREFIX"),
            ("gs://lake", told, "gs:// is not read"),
        ]:
            answer = ask(place, count, {**bare, **environment})
            if answer.returncode == 0 or said not in answer.stderr:
                failed += 1
                print(f"{place}: expected {said}, found {answer.stderr}", file=sys.stderr)
    finally:
        emulator.kill()
        emulator.wait()
    print(f"{len(ENRICHED)} statements over {len(files)} objects, as over files")
    return failed


def differing(ours, theirs):
    """The first values that differ, ours first."""
    if len(ours) != len(theirs) or not ours or len(ours[0]) != len(theirs[0]):
        return f"{len(ours)} rows, {len(theirs)} rows: {ours[:1]} {theirs[:1]}"
    pairs = (pair for rows in zip(ours, theirs) for pair in zip(*rows))
    return next((pair for pair in pairs if pair[0] != pair[1]), None)


def enriched(program, snowmelt, folder):
    """How many answers about enriched events are not what their lines and other engines say."""
    payloads = folder / "payloads.bin"
    quiet = [snowmelt, "--quiet"]
    generate = [*quiet, "generate", "--events", "900", "--bad", "0.1", "--output", payloads]
    subprocess.run(generate, check=True)
    enrich = [*quiet, "enrich", "--input", payloads, "--incomplete", "--output"]
    subprocess.run([*enrich, folder / "lines"], check=True)
    lines = (folder / "lines/enriched.tsv").read_text().splitlines()
    names = collections.Counter(line.split("\t")[EVENT_NAME] for line in lines)
    bad = len((folder / "lines/bad.jsonl").read_text().splitlines())
    failed = 0
    for form in ("parquet", "iceberg"):
        subprocess.run([*enrich[:-2], "--format", form, "--output", folder / form], check=True)
        counted = "SELECT event_name AS name, count(DISTINCT event_id) AS n FROM events GROUP BY 1"
        counted = {row["name"]: row["n"] for row in rows_of(program, folder / form, counted)}
        refused = rows_of(program, folder / form, "SELECT count(*) AS n FROM bad")[0]["n"]
        if counted != names or refused != bad:
            failed += 1
            print(f"{form}: {counted}, {refused} bad; expected {names}, {bad}", file=sys.stderr)
    for judge, base in judges(folder):
        form = "parquet" if judge == "parquet" else "iceberg"
        for statement, words in ENRICHED:
            ours = [[alike(value) for value in row.values()] for row in rows_of(program, folder / form, statement)]
            for word, theirs in words.items():
                statement = statement.replace(word, theirs)
            theirs = base.execute(statement).to_arrow_table().to_pylist()
            theirs = [[alike(value) for value in row.values()] for row in theirs]
            if judge == "PyIceberg":
                ours, theirs = without_empty(ours), without_empty(theirs)
            near_enough = near(ours, theirs, "approx_" if words else "")
            if not theirs or not near_enough:
                failed += 1
                print(f"{judge}: {statement}\n  {differing(ours, theirs)}", file=sys.stderr)
        print(f"{len(ENRICHED)} statements over {len(lines)} events, beside DuckDB over {judge}")
    return failed


def main(program, snowmelt):
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder)
        duck = duckdb.connect()
        duck.execute("SET TimeZone = 'UTC'")
        for day, rows in (("2026-11-28", FIRST), ("2026-11-29", SECOND)):
            place = data / "events" / f"load_date={day}"
            place.mkdir(parents=True)
            duck.execute(f"COPY ({rows}) TO '{place}/a.parquet' (FORMAT parquet, COMPRESSION zstd)")
        duck.execute(
            # Without a zone, since Python wants one more package for those that have one.
            "CREATE VIEW events AS SELECT * "
            "REPLACE (collector_tstamp AT TIME ZONE 'UTC' AS collector_tstamp) "
            f"FROM read_parquet('{data}/events/**/*.parquet', "
            "union_by_name = true, hive_partitioning = true)"
        )
        for statement, words in STATEMENTS:
            asked = [program, "--data", folder, "--format", "json", "--quiet", statement]
            answer = subprocess.run(asked, capture_output=True, text=True)
            if answer.returncode != 0:
                failed += 1
                print(f"{statement}\n  {answer.stderr}", file=sys.stderr)
                continue
            rows = json.loads(answer.stdout, parse_float=float)
            theirs = statement
            for ours, word in words.items():
                theirs = theirs.replace(ours, word)
            found = duck.execute(theirs)
            names = [column[0] for column in found.description]
            expected = [[alike(value) for value in row] for row in found.fetchall()]
            got = [[alike(row[name]) for name in names if name != "load_date"] for row in rows]
            if "load_date" in names:
                at = names.index("load_date")
                expected = [row[:at] + row[at + 1 :] for row in expected]
            if not expected or not near(got, expected, statement):
                failed += 1
                print(f"{statement}\n  ours:     {got[:5]}\n  DuckDB's: {expected[:5]}", file=sys.stderr)
        other = enriched(program, snowmelt, data) + in_bucket(program, data)
    print(f"{len(STATEMENTS) - failed} of {len(STATEMENTS)} statements have DuckDB's answers")
    return 1 if failed + other else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
