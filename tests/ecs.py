#!/usr/bin/env python3
"""Reads docker/ecs-task.json as ECS would: by the model that the AWS clients have of RegisterTaskDefinition, which
knows the names, the types and the words that are allowed, and by what Fargate asks of a task beside it.

    ecs.py"""

import json
import pathlib

import botocore.session
from botocore.validate import ParamValidator

# Units of CPU, and the MiB of memory that Fargate has with them: from, to, step.
FARGATE = {
    256: (512, 2048, 512),
    512: (1024, 4096, 1024),
    1024: (2048, 8192, 1024),
    2048: (4096, 16384, 1024),
    4096: (8192, 30720, 1024),
}


def main():
    task = json.loads(pathlib.Path("docker/ecs-task.json").read_text())
    model = botocore.session.get_session().get_service_model("ecs")
    shape = model.operation_model("RegisterTaskDefinition").input_shape
    read(task, shape)
    fargate(task)
    wrong(task, shape)
    print("the task is one that ECS takes; what it does not know is refused")


def read(task, shape):
    report = ParamValidator().validate(task, shape)
    assert not report.has_errors(), report.generate_report()
    strange = list(words(task, shape, "task"))
    assert not strange, strange


def words(value, shape, where):
    """Words that are not among those that the model allows there; the client's own validator does not look."""
    if shape.type_name == "structure":
        for name, part in value.items():
            yield from words(part, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        for number, part in enumerate(value):
            yield from words(part, shape.member, f"{where}[{number}]")
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        yield f"{where}: {value} is none of {shape.enum}"


def fargate(task):
    least, most, step = FARGATE[int(task["cpu"])]
    assert least <= int(task["memory"]) <= most and int(task["memory"]) % step == 0, task["memory"]
    assert task["networkMode"] == "awsvpc" and task["executionRoleArn"] and task["taskRoleArn"]
    volumes = {volume["name"] for volume in task["volumes"]}
    containers = {container["name"]: container for container in task["containerDefinitions"]}
    for container in containers.values():
        assert {mount["sourceVolume"] for mount in container["mountPoints"]} <= volumes
        assert container.get("stopTimeout", 30) <= 120, "Fargate waits no longer"
        for other in container.get("dependsOn", []):
            needed = containers[other["containerName"]]
            assert not needed["essential"] or other["condition"] not in ("SUCCESS", "COMPLETE")
    worker = containers["worker"]
    assert worker["user"] == "65532:65532" and worker["readonlyRootFilesystem"]
    assert worker["stopTimeout"] > 60, "a worker gives up draining by itself, after [worker] grace"


def wrong(task, shape):
    for change in ({"memry": "2048"}, {"cpu": 1024}, {"networkMode": "vpc"}, {"family": None}):
        try:
            read(task | change, shape)
        except AssertionError:
            continue
        raise SystemExit(f"{change} is not found")


if __name__ == "__main__":
    main()
