#!/usr/bin/env python3
"""Reads a compose file as an engine would and checks what can be checked without one: images are
pinned, services depend on services that exist, what is mounted is there, and no port is open to
the network."""

import pathlib
import sys

import yaml


def main(path):
    file = pathlib.Path(path)
    compose = yaml.safe_load(file.read_text())
    services = compose["services"]
    faults = []
    for name, service in services.items():
        for fault in check(service, services, compose.get("volumes") or {}, file.parent):
            faults.append(f"{name}: {fault}")
    localstack = services.get("localstack", {}).get("image", "localstack/localstack:4.14.0")
    if localstack != "localstack/localstack:4.14.0":
        faults.append("localstack: 4.14.0 is the last image that starts without an account")
    print("\n".join(faults) or f"{len(services)} services: {', '.join(services)}")
    return 1 if faults else 0


def check(service, services, volumes, folder):
    image = service.get("image", "")
    if ":" not in image or image.endswith(":latest"):
        yield f"image {image!r} is not pinned"
    build = service.get("build")
    if build and not (folder / build["context"] / build["dockerfile"]).is_file():
        yield f"no Dockerfile at {build}"
    for other, wish in (service.get("depends_on") or {}).items():
        if other not in services:
            yield f"depends on {other}, which does not exist"
        elif wish["condition"] == "service_healthy" and "healthcheck" not in services[other]:
            yield f"waits for {other} to be healthy, which has no health check"
    for volume in service.get("volumes") or []:
        source = volume.split(":")[0]
        if source.startswith("."):
            if not (folder / source).is_file():
                yield f"mounts {source}, which is not there"
        elif source not in volumes:
            yield f"mounts the volume {source}, which is not declared"
    if build and service.get("restart") == "on-failure" and service["command"][0] == "worker":
        if "check" not in (service.get("depends_on") or {}):
            yield "a mistake in its configuration starts it again and again: it does not wait for check"
    for port in service.get("ports") or []:
        if not port.startswith("127.0.0.1:"):
            yield f"port {port} is open to the network"
    for value in (service.get("environment") or {}).values():
        if not isinstance(value, str):
            yield f"environment value {value!r} is not a text"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
