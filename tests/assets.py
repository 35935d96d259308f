"""Fetches the third-party assets of the vectors into a folder, beside our own samples.

They are in packages of public registries, which their ordinary clients download: the MaxMind test
databases in the sources of the Python package maxminddb, the rules of uap-core in its npm package.
What is not exactly the file expected is refused.

    python tests/assets.py FOLDER
"""

import hashlib
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

SAMPLES = pathlib.Path(__file__).parent / "vectors" / "assets"

DATABASES = "tests/data/test-data/"

# File, its path in the package, and its SHA-256.
PYTHON_FILES = [
    (
        "GeoIP2-City.mmdb",
        DATABASES + "GeoIP2-City-Test.mmdb",
        "ed972738e4e03a3e56e12041a6af4d91592249d110f7e4a647e5f2fa0e639c09",
    ),
    (
        "GeoIP2-Connection-Type.mmdb",
        DATABASES + "GeoIP2-Connection-Type-Test.mmdb",
        "8c406e033cffaa9906b39804e4dcc52f5550dd5a0d3c0108aeee7b52587e8668",
    ),
    (
        "GeoIP2-Domain.mmdb",
        DATABASES + "GeoIP2-Domain-Test.mmdb",
        "433129738b0f92792c7c83bcc26ac2282d8825325f288ced8867ef384074bb12",
    ),
    (
        "GeoIP2-ISP.mmdb",
        DATABASES + "GeoIP2-ISP-Test.mmdb",
        "45eb7af92e3c7f458a255af0479110c87a66841918cd2dffed834e59634c4abe",
    ),
]
NPM_FILES = [
    (
        "regexes.yaml",
        "regexes.yaml",
        "274c3774ed0c6baca226197d2f978bfc0621720171895475a3775f0b9f9549ba",
    ),
]

# The jars that hold the rules of YAUAA, where Maven is installed: those with the published tests,
# and those of the peer that the vectors were recorded from.
JARS = ["7.31.0", "7.24.0"]
ARTIFACT = "nl.basjes.parse.useragent:yauaa"


def fetch_jars(folder):
    maven = shutil.which("mvn")
    if maven is None:
        print("YAUAA is not fetched, since there is no mvn: tests of its rules will not run")
        return
    for version in JARS:
        if not (folder / f"yauaa-{version}.jar").exists():
            artifact = f"-Dartifact={ARTIFACT}:{version}"
            copy = ["dependency:copy", artifact, f"-DoutputDirectory={folder}"]
            run([maven, "--quiet", "--batch-mode", *copy])


def main(folder):
    fetch_jars(folder)
    wanted = PYTHON_FILES + NPM_FILES
    if not all(digest(folder / name) == sha256 for name, _, sha256 in wanted):
        with tempfile.TemporaryDirectory() as temporary:
            temporary = pathlib.Path(temporary)
            sources = ["download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            sources += ["--no-binary", "maxminddb", "--dest", str(temporary), "maxminddb==3.2.0"]
            run([sys.executable, "-m", "pip", *sources])
            take(only(temporary, "maxminddb-*.tar.gz"), PYTHON_FILES, folder)
            run(["npm", "pack", "--silent", "--pack-destination", str(temporary), "uap-core@0.18.0"])
            take(only(temporary, "uap-core-*.tgz"), NPM_FILES, folder)
    for sample in SAMPLES.iterdir():
        shutil.copyfile(sample, folder / sample.name)
    print(f"{folder}: {len(wanted)} third-party assets and our samples")


def run(command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def only(folder, pattern):
    found = list(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"expected one {pattern}, found {len(found)}")
    return found[0]


def take(archive, files, folder):
    """Takes files out of an archive whose paths all start with one folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        members = {member.name.partition("/")[2]: member for member in tar if member.isfile()}
        for name, path, sha256 in files:
            if path not in members:
                sys.exit(f"{archive.name} has no {path}")
            content = tar.extractfile(members[path]).read()
            found = hashlib.sha256(content).hexdigest()
            if found != sha256:
                sys.exit(f"{archive.name}: {path} has SHA-256 {found}, expected {sha256}")
            (folder / name).write_bytes(content)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: assets.py FOLDER")
    main(pathlib.Path(sys.argv[1]))
