"""This project, by its command line. Parameters are cached before anything is timed, as EZKL's SRS is."""

import json

from steps import Broken, keep, size


class Zkonnx:
    """`zkonnx` is with the model's own recipe, `zkonnx:16` with activations of 16 bits."""

    def __init__(self, name, options):
        self.name = name
        self.binary = options.zkonnx
        self.bits = int(name.partition(":")[2] or 0)
        self.env = {"ZKONNX_PARAMS": str(options.params)}

    def title(self, model):
        return f"zkonnx, {self.bits or model.bits} bits"

    def command(self, run, step, *arguments):
        measured = run(step, [self.binary, step, *arguments, "--json"], env=self.env)
        lines = [line for line in measured["log"].splitlines() if line.startswith("{")]
        if not lines:
            raise Broken(f"{step}: no JSON")
        return measured, json.loads(lines[-1])

    def setup(self, run, model):
        samples = model.fixture.with_name(f"{model.fixture.stem}_calibration.npz")
        bits = str(self.bits or model.bits)
        arguments = [model.fixture, "-o", "m.zkq", "--calibrate", samples, "--bits", bits]
        # Twice: the first may derive parameters, and so may the first proof.
        self.command(run, "quantize", *arguments)
        measured, said = self.command(run, "quantize", *arguments)
        self.prove(run, 0)
        self.verify(run, 0)
        return {
            "steps": {"quantize": keep(measured, inner_seconds=said["seconds"])},
            "key_bytes": size(run.work / "m.zkq", run.work / "m.zkv"),
            "details": {"k": said["k"], "limb_bits": said["limb_bits"], "gates": said["gates"], "bits": int(bits)},
        }

    def prove(self, run, index):
        (run.work / "job.proof").unlink(missing_ok=True)
        measured, said = self.command(run, "prove", "m.zkq", "--input", f"input{index}.npz", "-o", "job.proof")
        return {"prove": keep(measured, inner_seconds=said["prove_seconds"]), "proof_bytes": said["proof_bytes"]}

    def verify(self, run, index):
        measured, said = self.command(run, "verify", "--model", "m.zkv", "job.proof")
        if said["verdict"] != "accepted":
            raise Broken(f"verify: {said['verdict']}")
        (output,) = said["outputs"].values()
        return {"verify": keep(measured, inner_seconds=said["seconds"]), "outputs": output["data"]}
