"""EZKL from PyPI: public input and output, fixed parameters, its own calibration, a local SRS."""

import json
import math
import os
import re
import shutil
import sys

from steps import HERE, Broken, Refused, keep, size

# What EZKL 23.0.5 needs at least for a row of its circuit, that is of 2^logrows: measured with the MLP (2^16 rows; 675 MB to
# prove and a proving key of 277 MB). LeNet (2^19) takes twice as much. Only what exceeds the machine even so is not tried.
MEMORY_PER_ROW = 10_000
KEY_PER_ROW = 4_200
# Of the scalar field of BN254.
MODULUS = 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001


def logrows_for(rows):
    return max(1, math.ceil(math.log2(rows)))


def decode(instances, shape, scale):
    """The output, from the instances that the proof was verified with: inputs, then outputs, as little-endian field elements."""
    values = [int.from_bytes(bytes.fromhex(text), "little") for column in instances for text in column]
    values = values[len(values) - math.prod(shape) :]
    return [(value - MODULUS if value > MODULUS // 2 else value) / 2**scale for value in values]


def too_large(rows, logrows, memory, disk):
    """Why a circuit cannot be proven here, if so."""
    needed, key = MEMORY_PER_ROW << logrows, KEY_PER_ROW << logrows
    circuit = f"{rows:,} rows by its own settings, so a circuit of 2^{logrows}"
    if needed > memory:
        return f"{circuit}, which takes at least {needed / 1e9:.0f} GB of memory; {memory / 1e9:.0f} GB are there"
    if key > disk:
        return f"{circuit}, with a proving key of at least {key / 1e9:.0f} GB; {disk / 1e9:.0f} GB of disk are free"
    return None


class Ezkl:
    name = "ezkl"

    def __init__(self, options):
        self.srs = options.srs
        self.srs_timeout = options.srs_timeout
        self.memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self.gate = not options.try_all

    def title(self, _model):
        return "EZKL"

    def step(self, run, name, timeout=None, **arguments):
        # The cache of range check tables, ~/.ezkl, is as good as new for every model.
        arguments = {key: str(value) if not isinstance(value, int) else value for key, value in arguments.items()}
        command = [sys.executable, HERE / "ezkl_step.py", name, json.dumps(arguments)]
        measured = run(name, command, env={"HOME": str(run.work)}, timeout=timeout)
        said = json.loads(measured["log"].splitlines()[-1])
        if said["result"] is False:
            raise Broken(f"{name}: false")
        return measured, said

    def settings(self, run, model):
        """Settings, and what they say of the circuit; a refused dilation is written out and tried again."""
        notes, source = [], "explicit.onnx"
        try:
            measured, said = self.step(run, "gen_settings", model=source, settings="settings.json")
        except Refused as refused:
            if not (run.work / "undilated.onnx").exists() or "dilation" not in str(refused):
                raise
            notes.append(f"{refused}; with matrix products in their place")
            source = "undilated.onnx"
            measured, said = self.step(run, "gen_settings", model=source, settings="settings.json")
        return source, notes, keep(measured, inner_seconds=said["seconds"])

    def check(self, run, notes, calibrated):
        settings = json.loads((run.work / "settings.json").read_text())
        rows = settings["num_rows"]
        logrows = settings["run_args"]["logrows"] if calibrated else logrows_for(rows)
        why = too_large(rows, logrows, self.memory, shutil.disk_usage(run.work).free)
        if self.gate and why:
            refused = Refused("too large", "; ".join([*notes, why]))
            refused.details = {"rows": rows, "logrows": logrows}
            raise refused
        return {"rows": rows, "logrows": logrows}

    def setup(self, run, model):
        steps = {}
        source, notes, steps["gen_settings"] = self.settings(run, model)
        self.check(run, notes, calibrated=False)

        def timed(name, **arguments):
            measured, said = self.step(run, name, **arguments)
            steps[name] = keep(measured, inner_seconds=said["seconds"])

        timed("calibrate_settings", data="calibration.json", model=source, settings="settings.json", target="resources")
        details = self.check(run, notes, calibrated=True)
        timed("compile_circuit", model=source, compiled_circuit="net.ezkl", settings_path="settings.json")
        # The SRS serves all models of its size: not part of a model's setup.
        srs = self.srs / f"k{details['logrows']}.srs"
        if not srs.exists():
            part = srs.with_suffix(".part")
            measured, _ = self.step(run, "gen_srs", self.srs_timeout, srs_path=part, logrows=details["logrows"])
            part.rename(srs)
            details["srs_seconds"] = measured["seconds"]
        self.path = srs
        timed("setup", model="net.ezkl", vk_path="vk", pk_path="pk", srs_path=srs)
        keys = size(run.work / "pk", run.work / "vk", run.work / "net.ezkl")
        return {"steps": steps, "key_bytes": keys, "details": details | {"srs_bytes": size(srs)}, "notes": notes}

    def prove(self, run, index):
        (run.work / "proof.json").unlink(missing_ok=True)
        witness, said = self.step(run, "gen_witness", data=f"input{index}.ezkl.json", model="net.ezkl", output="witness.json")
        found = {"witness": keep(witness, inner_seconds=said["seconds"])}
        arguments = {"witness": "witness.json", "model": "net.ezkl", "pk_path": "pk", "proof_path": "proof.json"}
        measured, said = self.step(run, "prove", **arguments, srs_path=self.path)
        logged = re.search(r"proof took ([0-9.]+)", measured["log"])
        inner = float(logged[1]) if logged else said["seconds"]
        proof = json.loads((run.work / "proof.json").read_text())
        return found | {"prove": keep(measured, inner_seconds=inner), "proof_bytes": len(proof["proof"])}

    def verify(self, run, index):
        arguments = {"proof_path": "proof.json", "settings_path": "settings.json", "vk_path": "vk", "srs_path": self.path}
        measured, said = self.step(run, "verify", **arguments)
        if said["result"] is not True:
            raise Broken("verify: not true")
        settings = json.loads((run.work / "settings.json").read_text())
        instances = json.loads((run.work / "proof.json").read_text())["instances"]
        outputs = decode(instances, settings["model_instance_shapes"][-1], settings["model_output_scales"][0])
        return {"verify": keep(measured, inner_seconds=said["seconds"]), "outputs": outputs}
