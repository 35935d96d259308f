#!/usr/bin/env python3
"""Applies the modules against the stand-in that provider.py makes, and looks at what comes of it.

    apply.py FOLDER BINARY      FOLDER is what provider.py made, BINARY is snowmelt

Each case is initialised, validated, planned and applied. Then what an instance would be given is taken out
of the state: its scripts are read by a shell, its configuration by the binary, and what the binary says
that it needs is compared with the role."""

import base64
import concurrent.futures
import fnmatch
import gzip
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ACCOUNT = "123456789012"
USER_DATA_BYTES = 16384  # the most that EC2 takes, before it is Base64
SUM = "0" * 64
ARTEFACT = f'{{bucket="artefacts",key="snowmelt",sha256="{SUM}"}}'
MINIMAL = {
    "vpc_id": "vpc-0123456789abcdef0",
    "subnet_ids": '["subnet-1","subnet-2"]',
    "bucket": "acme-events",
    "binary": ARTEFACT,
}
EVERYTHING = {
    "vpc_id": "vpc-0123456789abcdef0",
    "subnet_ids": '["subnet-1","subnet-2"]',
    "route_table_ids": '["rtb-1"]',
    "kms_key_arn": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "binary": ARTEFACT,
}
EXISTING = {
    "vpc_id": "vpc-0123456789abcdef0",
    "subnet_ids": '["subnet-1","subnet-2"]',
    "lease_table_name": "enrich",
    "in_stream_name": "good",
    "enriched_stream_name": "enriched",
    "bad_stream_name": "bad",
    "bucket": "events",
    "resolver_json": json.dumps(
        {
            "schema": "iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-1",
            "data": {"cacheSize": 1, "repositories": []},
        }
    ),
    "binaries": f"{{blue={ARTEFACT},green={ARTEFACT}}}",
}


def main(folder, binary):
    environment(folder)
    binary = pathlib.Path(binary).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        tree = copied(scratch)
        nothing = tree / "nothing"
        cases = [
            (minimal, Case(tree / "examples/minimal", MINIMAL)),
            (everything, Case(tree / "examples/everything", EVERYTHING)),
            (switched_off, Case(nothing, {})),
            (existing, Case(tree / "examples/existing-pipeline", EXISTING)),
        ]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(look, case, binary, scratch) for look, case in cases]:
                done.result()
        mistakes(tree)
    print("applied: minimal, everything, nothing, existing-pipeline; mistakes are refused")


def environment(folder):
    folder = pathlib.Path(folder).resolve()
    os.environ |= {
        "TF_CLI_CONFIG_FILE": str(folder / "cli.tfrc"),
        "SNOWMELT_STANDIN_SCHEMA": str(folder / "schema.json"),
        "CHECKPOINT_DISABLE": "1",
        "TF_IN_AUTOMATION": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def copied(scratch):
    """The modules where Terraform may leave what it needs."""
    tree = scratch / "terraform"
    shutil.copytree("terraform", tree, ignore=shutil.ignore_patterns(".terraform*"))
    (tree / "nothing").mkdir()
    shutil.copy("tests/terraform/nothing.tf", tree / "nothing/main.tf")
    (tree / "nothing/modules").symlink_to(tree / "modules")
    return tree


def everything_applied(tree):
    case = Case(tree / "examples/everything", EVERYTHING)
    case.plan()
    return case.apply()


def given(state, module):
    """The files that an instance of the fleet writes, and its configuration as JSON."""
    files = instance(state[f"{module}.aws_launch_template.worker"]["user_data"])
    packed = state[f"{module}.aws_s3_object.configuration"]["content_base64"]
    return files, gzip.decompress(base64.b64decode(packed))


class Case:
    """A root module with its variables, from init to apply."""

    def __init__(self, folder, variables):
        self.folder, self.variables = folder, variables

    def terraform(self, *arguments, check=True):
        command = ["terraform", f"-chdir={self.folder}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        if check and done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        return done

    def plan(self, **more):
        """The changes, by address: what is done, and what stands there after."""
        variables = [f"-var={name}={value}" for name, value in (self.variables | more).items()]
        if not (self.folder / ".terraform").exists():
            self.terraform("init", "-input=false", "-no-color")
            self.terraform("validate", "-no-color")
        self.terraform("plan", "-input=false", "-no-color", "-out=plan", *variables)
        plan = json.loads(self.terraform("show", "-json", "plan").stdout)
        return {change["address"]: change["change"] for change in plan["resource_changes"]}

    def apply(self):
        """What is there, by address."""
        self.terraform("apply", "-input=false", "-no-color", "plan")
        state = json.loads(self.terraform("show", "-json").stdout)
        self.outputs = {name: out["value"] for name, out in state["values"].get("outputs", {}).items()}
        return {found["address"]: found["values"] for found in resources(state["values"]["root_module"])}


def resources(module):
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from resources(child)


def minimal(case, binary, scratch):
    changes = case.plan()
    assert all(change["actions"] in (["create"], ["read"]) for change in changes.values())
    state = case.apply()
    worker = fleet(state, "module.fleet", binary, scratch / "minimal")
    assert case.outputs["asg_name"] == "snowmelt"
    group = state["module.fleet.aws_autoscaling_group.workers"]
    assert (group["min_size"], group["max_size"]) == (2, 2)
    assert kinds(state, "aws_kinesis_stream") == 3 and kinds(state, "aws_dynamodb_table") == 1
    for stream in of_kind(state, "aws_kinesis_stream"):
        assert stream["encryption_type"] == "KMS" and stream["kms_key_id"] == "alias/aws/kinesis"
        assert stream["stream_mode_details"] == [{"stream_mode": "ON_DEMAND"}]
    rules = state["module.pipeline.module.bucket[0].aws_s3_bucket_lifecycle_configuration.this"]["rule"]
    prefixes = {rule["filter"][0]["prefix"] for rule in rules if rule["filter"][0].get("prefix")}
    written = {name.split("/", 3)[3].split("/")[0] + "/" for name in worker["prefixes"]}
    assert written <= prefixes, f"no rule for what workers write: {written - prefixes}"
    assert kinds(state, "aws_vpc_security_group_ingress_rule") == 0, "no way in"
    assert [rule["from_port"] for rule in of_kind(state, "aws_vpc_security_group_egress_rule")] == [443]
    assert "iglucentral.com" in worker["files"]["resolver.json"]
    events = state['module.pipeline.aws_glue_catalog_table.this["events"]']
    assert len(events["storage_descriptor"][0]["columns"]) == 131
    printed = run([str(binary), "ddl", "--for", "glue", "--tables", "tsv"])
    kept = pathlib.Path("terraform/modules/pipeline/tables.json").read_text()
    assert printed == kept, "tables.json is what `snowmelt ddl --for glue --tables tsv` prints"
    again = case.plan()
    assert all(change["actions"] in (["no-op"], ["read"]) for change in again.values()), "settled"
    parquet(case, binary)


def parquet(case, binary):
    """Other tables, of the command that prints them, are taken as they are."""
    text = run([str(binary), "ddl", "--for", "glue", "--tables", "parquet"])
    main_tf = case.folder / "main.tf"
    (case.folder / "tables.json").write_text(text)
    name = 'bad_stream_name      = "snowmelt-bad"'
    assert name in main_tf.read_text()
    main_tf.write_text(
        main_tf.read_text().replace(name, f'{name}\n  tables_json = file("${{path.module}}/tables.json")', 1)
    )
    case.plan()
    events = case.apply()['module.pipeline.aws_glue_catalog_table.this["events"]']
    assert [key["name"] for key in events["partition_keys"]] == ["load_date"], events["partition_keys"]
    assert "projection.hour.type" not in events["parameters"]
    assert "parquet" in events["storage_descriptor"][0]["input_format"].lower()


def everything(case, binary, scratch):
    case.plan()
    state = case.apply()
    key = EVERYTHING["kms_key_arn"]
    worker = fleet(state, "module.fleet", binary, scratch / "everything")
    assert {stream["kms_key_id"] for stream in of_kind(state, "aws_kinesis_stream")} == {key}
    assert state["module.fleet.aws_dynamodb_table.leases[0]"]["server_side_encryption"][0]["kms_key_arn"] == key
    assert state["module.fleet.aws_s3_object.configuration"]["server_side_encryption"] == "aws:kms"
    assert state["module.fleet.aws_iam_role.worker"]["permissions_boundary"].endswith("policy/boundary")
    # What the configuration asks for, and what it does not.
    ways = {(rule["from_port"], rule["cidr_ipv4"]) for rule in of_kind(state, "aws_vpc_security_group_egress_rule") if rule["cidr_ipv4"]}
    assert ways == {(port, "10.0.0.0/16") for port in (443, 5432, 8080)}, ways
    assert kinds(state, "aws_vpc_endpoint") == 7
    group = state["module.fleet.aws_autoscaling_group.workers"]
    assert group["max_size"] == 6, "no more workers than shards, whatever max_size says"
    spread = group["mixed_instances_policy"][0]["instances_distribution"][0]
    assert spread["on_demand_base_capacity"] == 1 and spread["on_demand_percentage_above_base_capacity"] == 0
    overrides = group["mixed_instances_policy"][0]["launch_template"][0]["override"]
    assert [override["instance_type"] for override in overrides][0] == "c7g.large"
    policy = state["module.fleet.aws_autoscaling_policy.work[0]"]["target_tracking_configuration"][0]
    metrics = {metric["id"]: metric for metric in policy["customized_metric_specification"][0]["metrics"]}
    assert set(metrics) == {"load", "desired", "workers"}
    assert [id for id, metric in metrics.items() if metric["return_data"]] == ["load"]
    used = set(re.findall(r"[a-z_]+", metrics["load"]["expression"]))
    assert used == set(metrics) - {"load"}
    assert len(of_kind(state, "aws_cloudwatch_metric_alarm")) == 4 + 5
    for alarm in of_kind(state, "aws_cloudwatch_metric_alarm"):
        assert alarm["alarm_actions"], alarm["alarm_name"]
    assert "LOOKUP_PASSWORD" in worker["secrets"] and "/snowmelt/lookup-password" in worker["secrets"]
    assert "bundle = \"schemas.bundle\"" in worker["files"]["worker.toml"]
    rolls(case, state, worker)


def rolls(case, state, worker):
    """A change of the configuration is a rolling refresh, and what it is rolled back to is there."""
    changes = case.plan(log_level="debug")
    changed = {address: change["actions"] for address, change in changes.items() if change["actions"] not in (["no-op"], ["read"])}
    assert changed == {
        "module.fleet.aws_s3_object.configuration": ["update"],
        "module.fleet.aws_launch_template.worker": ["update"],
        "module.fleet.aws_autoscaling_group.workers": ["update"],
    }, changed
    after = case.apply()
    template = "module.fleet.aws_launch_template.worker"
    assert after[template]["latest_version"] == state[template]["latest_version"] + 1
    group = after["module.fleet.aws_autoscaling_group.workers"]["mixed_instances_policy"][0]
    version = group["launch_template"][0]["launch_template_specification"][0]["version"]
    assert version == str(after[template]["latest_version"]), "by its number: $Latest cannot be rolled back to"
    settings = instance(after[template]["user_data"])["/etc/snowmelt/fleet"]
    then = dict(re.findall(r"^(\w+)='(.*)'$", settings, re.M))
    now = dict(re.findall(r"^(\w+)='(.*)'$", worker["settings"], re.M))
    assert then["SNOWMELT_CONFIGURATION_KEY"] == now["SNOWMELT_CONFIGURATION_KEY"], "the object stays, with its versions"
    assert then["SNOWMELT_CONFIGURATION_VERSION"] != now["SNOWMELT_CONFIGURATION_VERSION"]
    bucket = after["module.fleet.module.configuration[0].aws_s3_bucket_versioning.this"]
    assert bucket["versioning_configuration"][0]["status"] == "Enabled"


def switched_off(case, binary, scratch):
    case.plan()
    state = case.apply()
    worker = fleet(state, "module.fleet", binary, scratch / "nothing")
    for kind in ("aws_kinesis_stream", "aws_dynamodb_table", "aws_s3_bucket", "aws_autoscaling_policy",
                 "aws_vpc_security_group_egress_rule", "aws_glue_catalog_table", "aws_athena_workgroup"):
        assert kinds(state, kind) == 0, kind
    assert state["module.fleet.aws_autoscaling_group.workers"]["max_size"] == 3, "the stream that is there has three shards"
    assert len(of_kind(state, "aws_cloudwatch_metric_alarm")) == 1
    assert set(worker["files"]) == {"worker.toml"} and 'table = "leases"' in worker["files"]["worker.toml"]
    assert "cloudwatch:PutMetricData" not in json.dumps(worker["policy"])


def existing(case, binary, scratch):
    case.plan()
    state = case.apply()
    for kind in ("aws_kinesis_stream", "aws_dynamodb_table"):
        assert kinds(state, kind) == 0, kind
    for color, size in (("blue", 2), ("green", 0)):
        worker = fleet(state, f'module.fleet["{color}"]', binary, scratch / color)
        assert 'table = "enrich"' in worker["files"]["worker.toml"], "both share the table that is there"
        assert state[f'module.fleet["{color}"].aws_autoscaling_group.workers']["min_size"] == size
    assert case.outputs["asg_names"] == {"blue": "snowmelt-blue", "green": "snowmelt-green"}


def fleet(state, module, binary, folder):
    """Looks at what every fleet has to be, and gives what its instances get."""
    template = state[f"{module}.aws_launch_template.worker"]
    [metadata] = template["metadata_options"]
    assert metadata["http_tokens"] == "required" and metadata["http_put_response_hop_limit"] == 1
    assert not template.get("key_name"), "nobody logs in"
    [network] = template["network_interfaces"]
    assert network["associate_public_ip_address"] == "false"
    assert all(device["ebs"][0]["encrypted"] == "true" for device in template["block_device_mappings"])
    group = state[f"{module}.aws_autoscaling_group.workers"]
    hooks = {hook["lifecycle_transition"]: hook for hook in group["initial_lifecycle_hook"]}
    launching, terminating = hooks["autoscaling:EC2_INSTANCE_LAUNCHING"], hooks["autoscaling:EC2_INSTANCE_TERMINATING"]
    assert (launching["name"], launching["default_result"]) == ("launch", "ABANDON")
    assert (terminating["name"], terminating["default_result"]) == ("drain", "CONTINUE")
    [preferences] = group["instance_refresh"][0]["preferences"]
    assert preferences["auto_rollback"] and preferences["min_healthy_percentage"] == 100
    alarms = {values["alarm_name"] for address, values in state.items() if address.startswith(module) and "metric_alarm" in address}
    watched = set(preferences["alarm_specification"][0]["alarms"])
    assert watched == alarms, f"the refresh looks at {watched}, there are {alarms}"
    assert group["max_size"] >= group["min_size"]

    files, raw = given(state, module)
    scripts(files, folder / "instance")
    drain = int(re.search(r"TimeoutStopSec=(\d+)", files["/etc/systemd/system/snowmelt.service"]).group(1))
    assert drain <= 90 and terminating["heartbeat_timeout"] > drain, "the spot market gives two minutes"
    assert "StateDirectory=snowmelt" in files["/etc/systemd/system/snowmelt.service"]
    settings = files["/etc/snowmelt/fleet"]
    assert f"SNOWMELT_CONFIGURATION_SHA256='{hashlib.sha256(raw).hexdigest()}'" in settings
    version = state[f"{module}.aws_s3_object.configuration"]["version_id"]
    assert f"SNOWMELT_CONFIGURATION_VERSION='{version}'" in settings
    configuration = json.loads(raw)
    policy = json.loads(state[f"{module}.aws_iam_role_policy.worker"]["policy"])["Statement"]
    prefixes = checked(configuration, policy, binary, folder / "configuration")
    return {
        "files": configuration,
        "policy": policy,
        "prefixes": prefixes,
        "secrets": files["/etc/snowmelt/secrets"],
        "settings": settings,
    }


def instance(user_data):
    """The files that an instance writes when it starts, by their paths."""
    packed = base64.b64decode(user_data)
    assert len(packed) <= USER_DATA_BYTES, f"{len(packed)} bytes of user data"
    text = gzip.decompress(packed).decode()
    found = re.findall(r"^cat > (\S+) <<'(\w+)'\n(.*?)^\2$", text, re.M | re.S)
    files = {path: inside for path, _, inside in found}
    files["user-data"] = text
    assert "%{" not in text
    return files


def scripts(files, folder):
    folder.mkdir(parents=True)
    shell = []
    for path, text in files.items():
        file = folder / path.rsplit("/", 1)[-1]
        file.write_text(text)
        if text.startswith("#!"):
            subprocess.run(["bash", "-n", str(file)], check=True)
            shell.append(str(file))
    assert len(shell) == 5, shell
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", *shell], check=True)


def checked(configuration, policy, binary, folder):
    """Has the binary read the configuration, and compares what it needs with the role."""
    for name, text in configuration.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    if "schemas.bundle" in configuration["worker.toml"]:
        pull = [str(binary), "schemas", "pull", "--output", str(folder / "schemas.bundle")]
        run([*pull, "iglu:com.snowplowanalytics.snowplow/add_to_cart/jsonschema/1-0-0"])
    command = [str(binary), "check", "--config", str(folder / "worker.toml")]
    said = run(command)
    needed = json.loads(run([*command, "--iam", "--account", ACCOUNT]))["Statement"]
    for statement in needed:
        for action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                assert allowed(policy, action, resource), f"the role does not allow {action} on {resource}"
    prefixes = re.findall(r"s3://\S+", said)
    assert len(prefixes) >= 4, said
    for prefix in prefixes:
        name = prefix.removeprefix("s3://")
        assert allowed(policy, "s3:PutObject", f"arn:aws:s3:::{name}/_writable"), prefix
        assert allowed(policy, "s3:PutObject", f"arn:aws:s3:::{name}/_manifests/x"), prefix
    return prefixes


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def allowed(policy, action, resource):
    return any(
        statement["Effect"] == "Allow"
        and any(fnmatch.fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
        for statement in policy
    )


def listed(value):
    return value if isinstance(value, list) else [value]


def of_kind(state, kind):
    return [values for address, values in state.items() if f"{kind}." in address and ".data." not in f".{address}"]


def kinds(state, kind):
    return len(of_kind(state, kind))


def mistakes(tree):
    """What is wrong is found before anything is made."""
    main_tf = tree / "nothing/main.tf"
    for right, wrong, said in [
        ('  ami_id ', '  ami_idd ', "An argument named"),
        ("publish_figures      = false", 'scale_on = "lag"', "Either incoming_bytes or desired_workers"),
        ("enable_auto_scaling  = false", 'scale_on = "desired_workers"', "publish_figures has to be true"),
        ("max_size             = 10", "drain_seconds = 120", "Between 30 and 90 seconds"),
    ]:
        text = main_tf.read_text()
        assert right in text, right
        main_tf.write_text(text.replace(right, wrong, 1))
        case = Case(main_tf.parent, {})
        refused = case.terraform("plan", "-input=false", "-no-color", check=False)
        assert refused.returncode and said in " ".join(refused.stderr.split()), refused.stderr
        main_tf.write_text(text)
    template = tree / "modules/fleet/main.tf"
    text = template.read_text()
    template.write_text(text.replace("ebs_optimized ", "ebs_optimised ", 1))
    refused = Case(main_tf.parent, {}).terraform("validate", "-no-color", check=False)
    assert "ebs_optimised" in refused.stderr, "the provider's names are known"
    template.write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
