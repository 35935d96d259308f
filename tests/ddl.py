"""Has engines and parsers read what `snowmelt ddl` prints.

DuckDB runs its statements on files that `snowmelt enrich` wrote, and has to find every event by its
id, with its columns and their descriptions. Statements for the others are parsed by sqlglot, which
knows their dialects; where it knows no better, it takes a statement as a command, which is told.
tests/run says with SNOWMELT_BINARY which program.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import sqlglot

SNOWMELT = os.environ.get("SNOWMELT_BINARY", "target/debug/snowmelt")
ENGINES = ["athena", "redshift", "snowflake", "bigquery", "spark", "duckdb"]
FORMS = ["tsv", "json", "parquet", "iceberg"]
# What `enrich --output` calls the files of events.
FILES = {"tsv": "enriched.tsv*", "json": "enriched.jsonl*"}
EVENTS = 300


def snowmelt(*arguments):
    done = subprocess.run([SNOWMELT, *arguments], capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"snowmelt {' '.join(arguments)}: {done.stderr.decode()}")
    return done.stdout.decode()


def ddl(engine, form, *more):
    return snowmelt("ddl", "--for", engine, "--tables", form, *more)


def read_by_parsers():
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    for engine in ENGINES:
        for form in FORMS:
            text = ddl(engine, form, "--location", "s3://bucket/it's/x")
            found = sqlglot.parse(text, dialect=engine, error_level=sqlglot.ErrorLevel.RAISE)
            kinds = [type(it).__name__ for it in found if it is not None]
            assert kinds, (engine, form)
            print(f"{engine:9} {form:7} {len(kinds)} statements, {kinds.count('Command')} as a command")
    for form in FORMS:
        tables = [it["TableInput"] for it in json.loads(ddl("glue", form))]
        assert [it["Name"] for it in tables] == ["events", "failed", "bad"], form
        for column in (it for table in tables for it in table["StorageDescriptor"]["Columns"]):
            # The bounds of the catalog.
            assert len(column["Comment"]) < 256 and len(column["Type"]) < 131072, column


def run_by_duckdb(folder):
    payloads, ids = folder / "payloads.bin", folder / "ids"
    snowmelt("generate", "--events", str(EVENTS), "--output", str(payloads), "--ids", str(ids))
    expected = sorted(ids.read_text().split())
    assert len(expected) > EVENTS / 2
    for form, files in FILES.items():
        output = folder / form
        snowmelt("enrich", "--input", str(payloads), "--format", form, "--output", str(output))
        text = ddl("duckdb", form, "--table", "events", "--name", "web.events", "--location", str(output / files))
        with duckdb.connect() as base:
            base.execute("SET TimeZone = 'UTC'")
            base.execute(text)
            rows = base.execute("SELECT event_id, collector_tstamp, v_etl FROM web.events").fetchall()
            assert sorted(row[0] for row in rows) == expected, form
            assert all(row[1].year > 2000 and row[2].startswith("snowmelt-") for row in rows), rows[0]
            described = "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'events' AND comment > ''"
            columns = base.execute(described).fetchone()[0]
            assert columns > 127, (form, columns)
            print(f"duckdb    {form:7} {len(rows)} events, {columns} columns with a description")


def join_days(folder):
    """A view over Parquet has the columns of every schema, those that no file has yet too."""
    days = {
        "2024-05-01": "[{'_schema_version': '1-0-0', 'id': 'p1'}] AS contexts_com_snowplowanalytics_snowplow_web_page_1",
        "2024-05-02": "{'target_url': 'u', 'later': 5} AS unstruct_event_com_snowplowanalytics_snowplow_link_click_1",
    }
    with duckdb.connect() as base:
        for day, column in days.items():
            below = folder / f"load_date={day}"
            below.mkdir(parents=True)
            row = f"SELECT '{day}' AS event_id, TIMESTAMPTZ '{day} 10:00:00Z' AS collector_tstamp, {column}"
            base.execute(f"COPY ({row}) TO '{below}/one.parquet' (FORMAT parquet)")
        base.execute(ddl("duckdb", "parquet", "--table", "events", "--name", "e", "--location", str(folder)))
        page, click = "contexts_com_snowplowanalytics_snowplow_web_page_1[1].id", (
            "unstruct_event_com_snowplowanalytics_snowplow_link_click_1.target_url"
        )
        rows = base.execute(
            f"SELECT load_date::varchar, {page}, {click}, tr_total, contexts_org_ietf_http_cookie_1[1].name"
            " FROM e ORDER BY 1"
        ).fetchall()
        assert rows == [("2024-05-01", "p1", None, None, None), ("2024-05-02", None, "u", None, None)], rows
        print(f"duckdb    parquet {len(rows)} days joined")


if __name__ == "__main__":
    read_by_parsers()
    with tempfile.TemporaryDirectory() as name:
        run_by_duckdb(Path(name))
        join_days(Path(name) / "days")
