#!/usr/bin/env python3
"""Reads kubernetes/plain.yaml, and renders the chart, as a cluster would see them.

    check.py BINARY [HELM]

Resources of Kubernetes itself are compared with its schemas (PyPI's kubernetes-validate); those of KEDA and of
Prometheus' operator, whose schemas it has not, are only looked at. The worker's configuration is read by the
binary. Without Helm the chart is left out."""

import pathlib
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

OWN = {"v1", "apps/v1", "policy/v1"}
VERSIONS = ["1.28", "1.34"]
ENRICHMENT = """{"schema":"iglu:com.snowplowanalytics.snowplow/anon_ip/jsonschema/1-0-1","data":{"name":"anon_ip",
"vendor":"com.snowplowanalytics.snowplow","enabled":true,"parameters":{"anonOctets":1,"anonSegments":1}}}"""
RESOLVER = """{"schema":"iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-1",
"data":{"cacheSize":1,"repositories":[]}}"""
EVERYTHING = {
    "keda": {"enabled": True, "shards": 6},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/snowmelt"}},
    "resolver": RESOLVER,
    "enrichments": {"anon_ip.json": ENRICHMENT},
    "config": '[log]\nlevel = "debug"',
    "envFromSecrets": ["lookups"],
    "bucketPrefix": "web/",
    "imagePullSecrets": [{"name": "registry"}],
    "podAnnotations": {"a": "b"},
    "podLabels": {"team": "events"},
    "nodeSelector": {"kubernetes.io/arch": "arm64"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
}
NOTHING = {
    "serviceAccount": {"create": False},
    "spreadOver": [],
    "replicas": 1,
}
CHART = "kubernetes/snowmelt"


def main(binary, helm=None):
    plain = pathlib.Path("kubernetes/plain.yaml").read_text()
    looked_at(list(yaml.safe_load_all(plain)), binary)
    if not helm:
        return
    run([helm, "lint", "--strict", CHART])
    assert rendered(helm, {}) == after_head(plain), "plain.yaml is not what the chart makes: see its head"
    everything = looked_at(list(yaml.safe_load_all(rendered(helm, EVERYTHING))), binary)
    scaled = everything["ScaledObject"]["spec"]
    assert scaled["maxReplicaCount"] == 6 and "replicas" not in everything["Deployment"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == everything["Deployment"]["metadata"]["name"]
    query = scaled["triggers"][0]["metadata"]["query"]
    assert query == 'max(snowmelt_desired_workers{namespace="events"})', query
    monitor = everything["ServiceMonitor"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= everything["Service"]["metadata"]["labels"].items()
    looked_at(list(yaml.safe_load_all(rendered(helm, NOTHING))), binary)
    for wrong in ({"bucketPrefix": "web"}, {"replica": 3}):
        assert run(template(helm, wrong), ends=1), f"{wrong} is refused"
    print("the chart renders with its defaults, with everything and with nothing; what it has not is refused")


def looked_at(resources, binary):
    for version in VERSIONS:
        for resource in resources:
            if resource["apiVersion"] in OWN:
                kubernetes_validate.validate(resource, version, strict=True)
    kinds = {resource["kind"]: resource for resource in resources}
    deployment = kinds["Deployment"]["spec"]
    pod = deployment["template"]["spec"]
    [container] = pod["containers"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 65532
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/live", "being behind is no reason to start again"
    labels = deployment["template"]["metadata"]["labels"]
    for kind in ("PodDisruptionBudget", "Service"):
        selector = kinds[kind]["spec"]["selector"]
        assert selector.get("matchLabels", selector).items() <= labels.items(), kind
    with tempfile.TemporaryDirectory() as folder:
        files = kinds["ConfigMap"]["data"]
        [volume] = [volume["configMap"] for volume in pod["volumes"] if "configMap" in volume]
        assert volume["name"] == kinds["ConfigMap"]["metadata"]["name"]
        assert {item["key"] for item in volume["items"]} == set(files), "all of it is mounted"
        for item in volume["items"]:
            place = pathlib.Path(folder, item["path"])
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(files[item["key"]])
        run([binary, "check", "--config", f"{folder}/worker.toml"])
        grace = int(files["worker.toml"].split('grace = "')[1].split("s")[0])
        assert pod["terminationGracePeriodSeconds"] > grace, "a worker gives up draining by itself"
    return kinds


def template(helm, values):
    file = tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False)
    yaml.safe_dump(values, file)
    file.close()
    version = VERSIONS[-1] + ".0"
    return [helm, "template", "snowmelt", CHART, "-n", "events", "--kube-version", version, "-f", file.name]


def rendered(helm, values):
    return run(template(helm, values))


def after_head(text):
    return text[text.index("---\n"):]


def run(command, ends=0):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != ends:
        sys.exit(f"{command} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout or done.stderr


if __name__ == "__main__":
    main(*sys.argv[1:])
