#!/usr/bin/env python3
"""Starts an instance's user data, as root in a name space of mounts of its own: what it does with a good
release, with one whose configuration is refused, and with one that never gets ready. And sends a worker's
figures, and finds a worker that does not answer.

    boot.py FOLDER      FOLDER is what provider.py made

AWS, systemd and the worker are small scripts here that write down what they are asked; the order of things,
and what the group is told, is what is looked at."""

import gzip
import hashlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import apply  # noqa: E402

METRICS = """# HELP snowmelt_desired_workers Workers
snowmelt_desired_workers 3
snowmelt_undurable_seconds{shard="shardId-000000000000"} 12.5
snowmelt_undurable_seconds{shard="shardId-000000000001"} 40
snowmelt_events_enriched_total %d
snowmelt_bad_rows_total{kind="schema_violations"} 7
snowmelt_bad_rows_total{kind="adapter_failures"} 3
snowmelt_lease_events_total{event="lost"} 2
snowmelt_lease_events_total{event="renewed"} 900
"""

# What the scripts call, in a folder that comes first in PATH. `aws` copies objects from a folder.
STANDINS = {
    "aws": """#!/bin/bash
echo "aws $*" >> "$BOOT/said"
case "$1 $2" in
  "s3 cp") cp "$BOOT/objects/${4#s3://}" "$5" ;;
  "s3api get-object") cp "$BOOT/objects/configuration" "${@: -1}" ;;
  "ssm get-parameter") echo "it's a \\"secret\\"" ;;
esac
""",
    "systemctl": '#!/bin/bash\necho "systemctl $*" >> "$BOOT/said"\n',
    "useradd": '#!/bin/bash\necho "useradd ${*: -1}" >> "$BOOT/said"\ngroupadd --system snowmelt\n'
    "/usr/sbin/useradd \"$@\" --gid snowmelt\n",
}
# The release: what `snowmelt check --online` comes to is in a file.
RELEASE = """#!/bin/bash
echo "snowmelt $* as $(id -un), $LOOKUP_PASSWORD" >> "$BOOT/said"
exit "$(cat "$BOOT/code")"
"""


class Instance(http.server.BaseHTTPRequestHandler):
    """The metadata service, and the worker's page."""

    ready, live, enriched = True, True, 100
    asked = 0

    def do_PUT(self):
        self.answer(200, "token")

    def do_GET(self):
        name = self.path.removeprefix("/latest/meta-data/")
        if name == "/ready":
            self.answer(200 if Instance.ready else 503, "the stream is not there")
        elif name == "/live":
            # One that answers now and then is not sick.
            Instance.asked += 1
            answers = Instance.asked % 4 == 0 if Instance.live == "now and then" else Instance.live
            self.answer(200 if answers else 500, "")
        elif name == "/asked":
            self.answer(200, str(Instance.asked))
        elif name == "/metrics":
            self.answer(200, METRICS % Instance.enriched)
        else:
            self.answer(200, {"instance-id": "i-0123456789abcdef0"}.get(name, ""))

    def answer(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def main(folder):
    apply.environment(folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Instance)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        state = apply.everything_applied(apply.copied(scratch))
        files, raw = apply.given(state, "module.fleet")
        release = gzip.compress(raw)
        boot = Boot(scratch, files, release, f"127.0.0.1:{server.server_port}")
        good(boot)
        refused(boot)
        never_ready(boot)
        changed_on_the_way(boot)
        figures(boot)
        watchdog(boot)
    print("started: a good release, a refused one, one that is never ready, one that is another; figures; watchdog")


class Boot:
    def __init__(self, scratch, files, release, here):
        self.scratch, self.files, self.release, self.here = scratch, files, release, here
        self.folder = scratch / "boot"
        (self.folder / "bin").mkdir(parents=True)
        for name, text in STANDINS.items():
            (self.folder / "bin" / name).write_text(text)
            (self.folder / "bin" / name).chmod(0o755)

    def run(self, code=0, seconds=0, binary=RELEASE, then=""):
        """What was said, in order, and how it ended."""
        objects = self.folder / "objects/artefacts"
        objects.mkdir(parents=True, exist_ok=True)
        (objects / "snowmelt").write_text(binary)
        (self.folder / "objects/acme-artefacts").mkdir(exist_ok=True)
        for name in ("schemas.bundle", "GeoLite2-City.mmdb"):
            (self.folder / "objects/acme-artefacts" / name).write_text(RELEASE)
        (self.folder / "objects/configuration").write_bytes(self.release)
        (self.folder / "code").write_text(str(code))
        (self.folder / "said").write_text("")
        # The release runs as a user of its own.
        for path in (self.scratch, self.folder):
            path.chmod(0o755)
        (self.folder / "said").chmod(0o666)
        script = self.files["user-data"]
        for old, new in [
            (apply.SUM, hashlib.sha256(RELEASE.encode()).hexdigest()),
            ("SNOWMELT_ADMIN='127.0.0.1:8000'", f"SNOWMELT_ADMIN='{self.here}'"),
            ("SNOWMELT_LAUNCH_SECONDS='300'", f"SNOWMELT_LAUNCH_SECONDS='{seconds}'"),
            ("exec /usr/local/bin/snowmelt-boot", f"/usr/local/bin/snowmelt-boot\n{then}"),
        ]:
            assert old in script, old
            script = script.replace(old, new)
        (self.folder / "user-data").write_text(script)
        # /etc and the rest of what is written are laid over, and gone with the name space.
        place = """
            set -e
            mount -t tmpfs none "$BOOT/over"
            for name in etc usr/local var; do
                mkdir -p "$BOOT/over/$name/up" "$BOOT/over/$name/work"
                mount -t overlay none "/$name" \\
                    -o "lowerdir=/$name,upperdir=$BOOT/over/$name/up,workdir=$BOOT/over/$name/work"
            done
            exec bash "$BOOT/user-data"
        """
        (self.folder / "over").mkdir(exist_ok=True)
        environment = os.environ | {
            "BOOT": str(self.folder),
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "SNOWMELT_METADATA": f"http://{self.here}",
        }
        done = subprocess.run(
            ["unshare", "--mount", "bash", "-c", place],
            env=environment, capture_output=True, text=True, timeout=60,
        )
        return (self.folder / "said").read_text(), done


def told(said):
    """What the group was told, of the instance that this is."""
    [line] = [line for line in said.splitlines() if "complete-lifecycle-action" in line]
    assert "--lifecycle-hook-name launch" in line and "--instance-id i-0123456789abcdef0" in line
    assert "--auto-scaling-group-name snowmelt " in line
    return line.split("--lifecycle-action-result ")[1].split()[0]


def good(boot):
    for code in (0, 69):
        said, done = boot.run(code, then='cat /etc/snowmelt/environment; ls -l /etc/snowmelt >> "$BOOT/said"')
        assert done.returncode == 0, (said, done.stderr)
        check = said.index("snowmelt check --online --config /etc/snowmelt/worker.toml as snowmelt")
        start = said.index("systemctl start --no-block snowmelt.service")
        assert check < start < said.index("complete-lifecycle-action"), said
        # Who takes a worker that never gets ready away, and who starts it after a restart of the machine.
        assert said.index("systemctl enable --now snowmelt-drain.service") < start
        assert "systemctl enable snowmelt.service" in said
        assert told(said) == "CONTINUE"
        assert 'it\'s a "secret"' in said, "secrets are in the worker's environment"
        assert "systemctl enable --now snowmelt-figures.timer" in said
        assert "--version-id" in said, "the configuration is the one of this template"


def refused(boot):
    for code in (64, 77, 1):
        said, done = boot.run(code)
        assert done.returncode != 0 and told(said) == "ABANDON", said
        assert "snowmelt.service" not in said, "a release that is refused does not start"


def never_ready(boot):
    Instance.ready = False
    said, done = boot.run()
    Instance.ready = True
    assert done.returncode != 0 and told(said) == "ABANDON", said
    assert "the stream is not there" in done.stderr, "why, in the instance's log"


def changed_on_the_way(boot):
    said, done = boot.run(binary=RELEASE + "# another\n")
    assert done.returncode != 0 and told(said) == "ABANDON", said
    assert "snowmelt check" not in said, "what has another sum is not run"
    release, boot.release = boot.release, gzip.compress(b"{}")
    said, done = boot.run()
    boot.release = release
    assert done.returncode != 0 and told(said) == "ABANDON" and "snowmelt check" not in said, said


def figures(boot):
    twice = f"""
        export STATE_DIRECTORY="$BOOT"
        rm -f "$BOOT/totals"
        snowmelt-figures
        snowmelt-figures
    """
    said, done = boot.run(then=twice)
    assert done.returncode == 0, done.stderr
    sent = [line for line in said.splitlines() if line.startswith("aws cloudwatch put-metric-data")]
    assert len(sent) == 2 and all("--namespace Snowmelt " in line for line in sent), said
    first, second = (json.loads(line.split("--metric-data ")[1]) for line in sent)
    assert values(first) == {
        "EventsEnriched": 100, "BadRows": 10, "LeasesLost": 2, "UndurableSeconds": 40, "DesiredWorkers": 3,
    }, first
    assert values(second) == values(first) | {"EventsEnriched": 0, "BadRows": 0, "LeasesLost": 0}
    assert all(figure["Dimensions"] == [{"Name": "Fleet", "Value": "snowmelt"}] for figure in first)


def values(sent):
    return {figure["MetricName"]: figure["Value"] for figure in sent}


def watchdog(boot):
    for live in (True, "now and then", False):
        Instance.live, Instance.asked = live, 0
        # Until it has said so, or has asked more often than it takes.
        then = f"""
            SNOWMELT_WATCHDOG_PAUSE=0.01 snowmelt-watchdog &
            until grep -q set-instance-health "$BOOT/said" ||
                [[ $(curl -s http://{boot.here}/asked) -ge 20 ]]; do sleep 0.1; done
            kill $!
        """
        said, _ = boot.run(then=then)
        sick = "set-instance-health --region eu-west-1 --instance-id i-0123456789abcdef0 --health-status Unhealthy"
        assert (sick in said) == (not live), said
    Instance.live = True


if __name__ == "__main__":
    if os.geteuid() or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        print("it takes root and a name space of mounts")
        sys.exit(69)
    main(*sys.argv[1:])
