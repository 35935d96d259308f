#!/usr/bin/env python3
"""Tries every alert of docker/alerts.yml with figures that raise it and with figures that do not, and looks
whether it has a paragraph in docs/operations.md and asks for figures that workers have. Has every question of the
dashboard read, too.

    alerts.py PROMTOOL"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

# For each alert: figures that raise it, those that do not, and minutes until it is looked at. Figures are one a
# minute, as promtool writes them: `begin+step x times`.
W = 'job="snowmelt"'
CASES = {
    "SnowmeltNoWorker": ({"up": "1x20"}, {f"snowmelt_build_info{{{W}}}": "1x20"}, 10),
    "SnowmeltRetentionRunsOut": (
        {f'snowmelt_retention_left_seconds{{{W},shard="a"}}': "86400x5", f'snowmelt_retention_left_seconds{{{W},shard="b"}}': "21000x5", f'snowmelt_retention_seconds{{{W},stream="s"}}': "86400x5"},
        {f'snowmelt_retention_left_seconds{{{W},shard="a"}}': "22000x5", f'snowmelt_retention_seconds{{{W},stream="s"}}': "86400x5"},
        4,
    ),
    "SnowmeltRecordsExpired": (
        {f'snowmelt_trimmed_positions_total{{{W},shard="a"}}': "0x5 1x5"},
        {f'snowmelt_trimmed_positions_total{{{W},shard="a"}}': "3x10"},
        8,
    ),
    "SnowmeltNotDurable": (
        {f'snowmelt_undurable_seconds{{{W},shard="a"}}': "601x20"},
        {f'snowmelt_undurable_seconds{{{W},shard="a"}}': "601x8 20x12"},
        15,
    ),
    "SnowmeltFallingBehind": (
        {f'snowmelt_catch_up_seconds{{{W},shard="a"}}': "Infx20", f'snowmelt_catch_up_seconds{{{W},shard="b"}}': "0x20"},
        {f'snowmelt_catch_up_seconds{{{W},shard="a"}}': "600x20"},
        15,
    ),
    "SnowmeltShardsFree": (
        {f'snowmelt_leases{{{W},instance="1",state="free"}}': "2x10", f'snowmelt_leases{{{W},instance="2",state="free"}}': "1x10"},
        {f'snowmelt_leases{{{W},instance="1",state="free"}}': "2x10", f'snowmelt_leases{{{W},instance="2",state="free"}}': "0x10"},
        8,
    ),
    "SnowmeltShardsPaused": (
        {f'snowmelt_leases{{{W},state="paused"}}': "1x10"},
        {f'snowmelt_leases{{{W},state="paused"}}': "1x2 0x8", f'snowmelt_leases{{{W},state="held"}}': "4x10"},
        8,
    ),
    "SnowmeltLeaseChurn": (
        {f'snowmelt_lease_events_total{{{W},event="lost"}}': "0+1x20"},
        {f'snowmelt_lease_events_total{{{W},event="lost"}}': "0x5 1x15", f'snowmelt_lease_events_total{{{W},event="renewed"}}': "0+100x20"},
        15,
    ),
    "SnowmeltForeignLeases": (
        {f'snowmelt_leases{{{W},state="foreign"}}': "3x20"},
        {f'snowmelt_leases{{{W},state="known"}}': "3x20", f'snowmelt_leases{{{W},state="foreign"}}': "0x20"},
        15,
    ),
    "SnowmeltBadShare": (
        {f'snowmelt_bad_rows_total{{{W},kind="a"}}': "0+200x40", f"snowmelt_events_enriched_total{{{W}}}": "0+1000x40"},
        {f'snowmelt_bad_rows_total{{{W},kind="a"}}': "0+20x40", f"snowmelt_events_enriched_total{{{W}}}": "0+1000x40"},
        30,
    ),
    "SnowmeltBadStep": (
        {f'snowmelt_bad_events_total{{{W},app_id="shop"}}': "0+1x120 120+600x40"},
        {f'snowmelt_bad_events_total{{{W},app_id="shop"}}': "0+600x160"},
        150,
    ),
    "SnowmeltParked": (
        {f"snowmelt_events_parked_total{{{W}}}": "0x5 7x5"},
        {f"snowmelt_events_parked_total{{{W}}}": "7x10"},
        8,
    ),
    "SnowmeltCompressedRecords": (
        {f"snowmelt_compressed_records_total{{{W}}}": "0x5 7x5"},
        {f"snowmelt_compressed_records_total{{{W}}}": "0x10"},
        8,
    ),
    "SnowmeltWriteErrors": (
        {f'snowmelt_write_errors_total{{{W},route="bad",sink="s3"}}': "0+1x30"},
        {f'snowmelt_write_errors_total{{{W},route="bad",sink="s3"}}': "0+1x3 3x27"},
        20,
    ),
    "SnowmeltOutputThrottled": (
        {f'snowmelt_retries_total{{{W},what="entries"}}': "0+1200x40"},
        {f'snowmelt_retries_total{{{W},what="entries"}}': "0+60x40", f'snowmelt_retries_total{{{W},what="requests"}}': "0+1200x40"},
        30,
    ),
    "SnowmeltManifestsRefused": (
        {f'snowmelt_retries_total{{{W},what="manifest"}}': "0+1x40"},
        {f'snowmelt_retries_total{{{W},what="manifest"}}': "0x10 1x30"},
        30,
    ),
    "SnowmeltIcebergLinksWait": (
        {f'snowmelt_iceberg_oldest_link_seconds{{{W},instance="1"}}': "0x20", f'snowmelt_iceberg_oldest_link_seconds{{{W},instance="2"}}': "0+60x40"},
        {f'snowmelt_iceberg_oldest_link_seconds{{{W},instance="1"}}': "0x20", f'snowmelt_iceberg_oldest_link_seconds{{{W},instance="2"}}': "0+60x18 0x22"},
        25,
    ),
    "SnowmeltIcebergLateLinks": (
        {f"snowmelt_iceberg_late_links_total{{{W}}}": "0x5 1x5"},
        {f"snowmelt_iceberg_late_links_total{{{W}}}": "1x10"},
        8,
    ),
    "SnowmeltLookupDown": (
        {f'snowmelt_lookup_circuit_open{{{W},lookup="sql_query"}}': "1x10"},
        {f'snowmelt_lookup_circuit_open{{{W},lookup="sql_query"}}': "1x3 0x7"},
        8,
    ),
    "SnowmeltAssetsMissing": (
        {f"snowmelt_assets_missing{{{W}}}": "1x10"},
        {f"snowmelt_assets_missing{{{W}}}": "0x10"},
        8,
    ),
    "SnowmeltAssetOld": (
        {f'snowmelt_asset_age_seconds{{{W},asset="geo"}}': "1300000x90"},
        {f'snowmelt_asset_age_seconds{{{W},asset="geo"}}': "600000x90"},
        80,
    ),
    "SnowmeltFanOutPolls": (
        {f'snowmelt_shards_read{{{W},by="polling"}}': "1x20"},
        {f'snowmelt_shards_read{{{W},by="fan_out"}}': "4x20", f'snowmelt_shards_read{{{W},by="polling"}}': "1x5 0x15"},
        15,
    ),
    "SnowmeltScriptsCutOff": (
        {f'snowmelt_scripts_cut_off_total{{{W},limit="steps"}}': "0x5 2x5"},
        {f'snowmelt_scripts_cut_off_total{{{W},limit="steps"}}': "2x10"},
        8,
    ),
    "SnowmeltVersionsMixed": (
        {f'snowmelt_build_info{{{W},version="1",instance="1"}}': "1x90", f'snowmelt_build_info{{{W},version="2",instance="2"}}': "1x90"},
        {f'snowmelt_build_info{{{W},version="2",instance="1"}}': "1x90", f'snowmelt_build_info{{{W},version="2",instance="2"}}': "1x90"},
        80,
    ),
}


def main(promtool):
    rules = pathlib.Path("docker/alerts.yml").resolve()
    alerts = {}
    for group in yaml.safe_load(rules.read_text())["groups"]:
        alerts |= {rule["alert"]: rule for rule in group["rules"]}
    assert set(alerts) == set(CASES), f"alerts without cases, or the other way: {set(alerts) ^ set(CASES)}"
    headings = set(re.findall(r"^### (\w+)$", pathlib.Path("docs/operations.md").read_text(), re.M))
    metrics = set(re.findall(r"^\| `(\w+)`", pathlib.Path("docs/metrics.md").read_text(), re.M))
    for name, rule in alerts.items():
        assert name in headings, f"{name} has no paragraph in docs/operations.md"
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
        asked = set(re.findall(r"\bsnowmelt_\w+", rule["expr"]))
        assert asked and asked <= metrics, f"{name}: workers have no {asked - metrics}"
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "cases.yml")
        cases = [*tests(alerts), read(list(questions()))]
        file.write_text(yaml.safe_dump({"rule_files": [str(rules)], "tests": cases}))
        subprocess.run([promtool, "check", "rules", str(rules)], check=True)
        subprocess.run([promtool, "test", "rules", str(file)], check=True)
    print(f"{len(alerts)} alerts, each raised and not raised; {len(list(questions()))} questions are read")


def questions():
    """What the dashboard asks, with its variables as Grafana would put them in."""
    dashboard = json.loads(pathlib.Path("docker/grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"].replace("$__rate_interval", "1m").replace("$job", ".*")


def read(questions):
    """A question that cannot be read is a mistake; where there are no figures no other has an answer."""
    asked = [{"expr": question, "eval_time": "1m", "exp_samples": []} for question in questions]
    return {"name": "dashboard", "interval": "1m", "promql_expr_test": asked}


def tests(alerts):
    for name, (raising, quiet, minutes) in CASES.items():
        for figures, raised in ((raising, True), (quiet, False)):
            yield {
                "name": f"{name} {'rises' if raised else 'does not rise'}",
                "interval": "1m",
                "input_series": [{"series": series, "values": values(text)} for series, text in figures.items()],
                # Only whether it rises: what it says is for people.
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)',
                        "eval_time": f"{minutes}m",
                        "exp_samples": [{"labels": "{}", "value": int(raised)}],
                    }
                ],
            }


def values(text):
    """`601x8` is 601 eight times more, which promtool writes `601+0x8`."""
    return re.sub(r"(^| )([\w.]+)x", r"\1\2+0x", text)


if __name__ == "__main__":
    main(sys.argv[1])
