#!/usr/bin/env python3
"""What analysts ask first, answered by snowmelt-query and by DuckDB over the same files.

    tests/queries.py PROGRAM SNOWMELT

DuckDB writes two files of events as two versions of a schema leave them, so that neither engine
reads what it wrote alone: a column, a member of a struct and one of a list's structs appear. And
what `snowmelt enrich` writes, in either form of tables, has the events that its lines have.
"""

import collections
import decimal
import datetime
import json
import pathlib
import subprocess
import sys
import tempfile

import duckdb

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


def alike(value):
    """A value as both can be held against one another."""
    if isinstance(value, datetime.datetime):
        utc = value.astimezone(datetime.timezone.utc) if value.tzinfo else value
        return utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03d}Z"
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: alike(part) for name, part in value.items()}
    if isinstance(value, list):
        return [alike(part) for part in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return value


def near(ours, theirs, statement):
    """Estimates may differ by a hundredth."""
    if "approx_" not in statement:
        return ours == theirs
    return all(abs(a[0] - b[0]) <= 0.01 * abs(b[0]) for a, b in zip(ours, theirs, strict=True))


def enriched(program, snowmelt, folder):
    """How many answers about enriched events are not what their lines say."""
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

        def rows(statement):
            asked = [program, "--data", folder / form, "--format", "json", "--quiet", statement]
            return json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)

        counted = rows(
            "SELECT event_name AS name, count(DISTINCT event_id) AS n FROM events GROUP BY 1"
        )
        refused = rows("SELECT count(*) AS n FROM bad")[0]["n"]
        if {row["name"]: row["n"] for row in counted} != names or refused != bad:
            failed += 1
            print(f"{form}: {counted}, {refused} bad; expected {names}, {bad}", file=sys.stderr)
        else:
            print(f"{form}: {len(lines)} events and {bad} bad rows, as the lines have them")
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
        other = enriched(program, snowmelt, data)
    print(f"{len(STATEMENTS) - failed} of {len(STATEMENTS)} statements have DuckDB's answers")
    return 1 if failed + other else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
