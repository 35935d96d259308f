#!/usr/bin/env python3
"""What docs/analysts.md and docker/notebook tell analysts, done on tables of generated events.

    tests/analysts.py SNOWMELT

The models run in DuckDB, over the views that `snowmelt ddl` makes, and what they count is held
against the tables; events that are in two files change none of it. For Athena, Redshift and
Snowflake the models are parsed by sqlglot. The notebook's cells are executed one behind the
other, without Jupyter.
"""

import contextlib
import io
import json
import logging
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import duckdb
import jinja2
import sqlglot
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ROOT / "docs/analysts/models"
NOTEBOOK = ROOT / "docker/notebook"
# As each refers to those before it.
ORDER = ["stg_events", "page_views", "sessions", "attribution", "failures"]
CAMPAIGNS = {
    "schema": "iglu:com.snowplowanalytics.snowplow/campaign_attribution/jsonschema/1-0-1",
    "data": {
        "vendor": "com.snowplowanalytics.snowplow",
        "name": "campaign_attribution",
        "enabled": True,
        "parameters": {
            "mapping": "static",
            "fields": {
                "mktMedium": ["utm_medium"],
                "mktSource": ["utm_source"],
                "mktTerm": ["utm_term"],
                "mktContent": ["utm_content"],
                "mktCampaign": ["utm_campaign"],
            },
        },
    },
}


class Target:
    def __init__(self, engine):
        self.type = engine


class Dbt:
    """The one macro of dbt's own that models use, as its adapters for these engines have it."""

    @staticmethod
    def datediff(first, second, part):
        return f"datediff('{part}', {first}, {second})"


class DbtOfAthena:
    @staticmethod
    def datediff(first, second, part):
        return f"date_diff('{part}', {first}, {second})"


def rendered(engine):
    """The models' statements, by their names."""
    settings = yaml.safe_load((ROOT / "docs/analysts/dbt_project.yml").read_text())["vars"]
    sources = yaml.safe_load((MODELS / "sources.yml").read_text())["sources"]
    known = {(source["name"], table["name"]) for source in sources for table in source["tables"]}

    def source(name, table):
        assert (name, table) in known, (name, table)
        return f"{name}.{table}"

    def ref(model):
        assert (MODELS / f"{model}.sql").is_file(), model
        return f"models.{model}"

    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    given = {
        "source": source,
        "ref": ref,
        "var": settings.__getitem__,
        "dbt": DbtOfAthena() if engine == "athena" else Dbt(),
        "target": Target(engine),
    }
    there = sorted(file.stem for file in MODELS.glob("*.sql"))
    assert there == sorted(ORDER), there
    return {name: environment.from_string((MODELS / f"{name}.sql").read_text()).render(given) for name in ORDER}


def snowmelt(program, *arguments):
    done = subprocess.run([program, "--quiet", *map(str, arguments)], capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"snowmelt {arguments}: {done.stderr.decode()}")
    return done.stdout.decode()


def modelled(program, tables):
    """The models in DuckDB over the tables of a folder."""
    base = duckdb.connect()
    base.execute("SET TimeZone = 'UTC'")
    base.execute(snowmelt(program, "ddl", "--for", "duckdb", "--tables", "parquet", "--location", tables))
    base.execute("CREATE SCHEMA models")
    for name, statement in rendered("duckdb").items():
        base.execute(f"CREATE TABLE models.{name} AS {statement}")
    return base


def check(base):
    """What the models count is what the tables have."""

    def one(statement):
        return base.execute(statement).fetchone()[0]

    page = "contexts_com_snowplowanalytics_snowplow_web_page_1[1].id"
    for ours, theirs in [
        ("SELECT count(*) FROM models.stg_events", "SELECT count(DISTINCT event_id) FROM snowmelt.events"),
        (
            "SELECT count(*) FROM models.page_views",
            f"SELECT count(DISTINCT {page}) FROM snowmelt.events WHERE event_name = 'page_view'",
        ),
        (
            "SELECT sum(engaged_seconds) FROM models.page_views",
            f"""SELECT 10 * count(DISTINCT event_id) FROM snowmelt.events WHERE event_name = 'page_ping'
                AND {page} IN (SELECT {page} FROM snowmelt.events WHERE event_name = 'page_view')""",
        ),
        (
            "SELECT count(*) FROM models.sessions",
            "SELECT count(DISTINCT domain_sessionid) FROM snowmelt.events",
        ),
        ("SELECT sum(page_views) FROM models.sessions", "SELECT count(*) FROM models.page_views"),
        ("SELECT sum(events) FROM models.sessions", "SELECT count(DISTINCT event_id) FROM snowmelt.events"),
        (
            "SELECT count(*) FROM models.attribution",
            "SELECT count(DISTINCT event_id) FROM snowmelt.events WHERE event_name = 'add_to_cart'",
        ),
        ("SELECT sum(failures) FROM models.failures", "SELECT count(*) FROM snowmelt.bad"),
    ]:
        found, expected = one(ours), one(theirs)
        assert found == expected and expected, (ours, found, expected)
    channels = dict(base.execute("SELECT channel, count(*) FROM models.sessions GROUP BY 1").fetchall())
    # Campaigns of addresses, and pages that others linked to.
    assert {"cpc", "email", "direct", "referral"} <= set(channels), channels
    lost = "SELECT count(*) FROM models.attribution WHERE first_channel = 'unknown'"
    assert one(lost) == 0, "every conversion is in a session"
    late = "SELECT count(*) FROM models.sessions WHERE ended_at < started_at OR page_views > events"
    assert one(late) == 0
    assert one("SELECT count(*) FROM models.page_views WHERE depth NOT BETWEEN 0 AND 1") == 0
    assert one("SELECT count(*) FROM models.failures WHERE share <= 0 OR share > 1") == 0
    return channels


def same_twice(program, tables, base):
    """Files that are there twice make no event count twice."""
    for file in list((tables / "events").rglob("*.parquet")):
        shutil.copy(file, file.with_name(f"again-{file.name}"))
    again = modelled(program, tables)
    for name in ORDER[:4]:
        rows = [base.execute(f"SELECT * FROM models.{name} ORDER BY ALL").to_arrow_table().to_pylist() for base in (base, again)]
        assert rows[0] == rows[1] and rows[0], name


def parsed():
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    for engine in ("athena", "redshift", "snowflake"):
        for name, statement in rendered(engine).items():
            tree = sqlglot.parse_one(statement, dialect=engine, error_level=sqlglot.ErrorLevel.RAISE)
            assert isinstance(tree, sqlglot.exp.Select), (engine, name)


def executed(data):
    """What the notebook says, with its data in a folder."""
    notebook = json.loads((NOTEBOOK / "events.ipynb").read_text())
    assert notebook["nbformat"] == 4
    os.environ["SNOWMELT_DATA"] = str(data)
    names, said = {}, io.StringIO()
    for number, cell in enumerate(notebook["cells"]):
        assert cell.get("outputs", []) == [], "a notebook is kept without what it said"
        if cell["cell_type"] == "code":
            text = "".join(cell["source"])
            with contextlib.redirect_stdout(said):
                exec(compile(text, f"events.ipynb, cell {number}", "exec"), names)  # noqa: S102
    return names, said.getvalue()


def pinned():
    """The notebook has the versions that tests have."""
    pins = [dict(line.split("==") for line in file.read_text().split() if "==" in line)
            for file in (ROOT / "tests/requirements.txt", NOTEBOOK / "requirements.txt")]
    differing = {name: version for name, version in pins[1].items() if name in pins[0] and pins[0][name] != version}
    assert not differing, differing
    shared = {"duckdb", "pandas", "pyarrow", "pyiceberg[sql-sqlite]"}
    assert shared <= set(pins[0]) & set(pins[1]), shared


def main(program):
    pinned()
    parsed()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        payloads, rules = folder / "payloads.bin", folder / "enrichments"
        rules.mkdir()
        (rules / "campaign_attribution.json").write_text(json.dumps(CAMPAIGNS))
        snowmelt(program, "generate", "--events", 2000, "--bad", 0.1, "--output", payloads)
        enrich = ["enrich", "--input", payloads, "--enrichments", rules, "--incomplete", "--format"]
        snowmelt(program, *enrich, "parquet", "--output", folder / "tables")
        snowmelt(program, *enrich, "iceberg", "--output", folder / "lake")
        base = modelled(program, folder / "tables")
        channels = check(base)
        names, said = executed(folder)
        events = base.execute("SELECT count(*) FROM models.stg_events").fetchone()[0]
        assert names["by_hour"]["events"].sum() == events, said
        assert len(names["frame"]) == events, said
        same_twice(program, folder / "tables", base)
    print(f"{len(ORDER)} models over {events} events; sessions by channel: {channels}")
    cells = len(re.findall(r"\S", said))
    print(f"the notebook ran, and said {cells} characters")


if __name__ == "__main__":
    main(sys.argv[1])
