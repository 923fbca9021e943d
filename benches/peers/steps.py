"""One step of one system: a command run under measure.py, and what came of it."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
# A peer's message is quoted up to here.
QUOTE = 200


class Refused(Exception):
    """A system that does not do a model: a result, with its own words."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class Broken(Exception):
    """Something that says nothing about the system, as a proof that its own verifier rejects does."""


def quote(text):
    """On one line, shortened, and of nothing that Markdown would take for a table."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r"\s+", " ", text.replace("|", "¦").replace("`", "'")).strip()
    return text if len(text) <= QUOTE else text[: QUOTE - 1].rstrip() + "…"


def last_error(log):
    """What a log says went wrong: the first of the lines that are usually it, or the last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    for pattern in (r"^Unsupported ", r"Rust backend error", r"panicked at", r"^\w*Error: ", r"^error: ", r"[Ee]rror"):
        for index, line in enumerate(lines):
            if re.search(pattern, line):
                # The message of a panic stands on the next line.
                return quote(re.sub(r"^\w*Error: ", "", line) if "panicked at" not in line else " ".join(lines[index : index + 2]))
    return quote(lines[-1]) if lines else "no message"


@dataclass
class Runner:
    """Runs the steps of one model in its folder."""

    work: Path
    timeout: float
    reserve: int
    env: dict = field(default_factory=dict)

    def __call__(self, name, command, *, env=None, timeout=None):
        """The measurement of a command that has to succeed; `log` is what it printed."""
        measured = self.attempt(name, command, env=env, timeout=timeout)
        if measured["stopped"] == "timeout":
            raise Refused("timeout", f"{name}: stopped after {timeout or self.timeout:.0f} s")
        peak = f"{measured['peak_bytes'] / 1e9:.1f} GB"
        if measured["stopped"] == "memory":
            raise Refused("memory", f"{name}: stopped at {peak}, with {self.reserve / 1e9:.1f} GB of the machine's memory left")
        if measured["exit"] == -9 or (measured["exit"] != 0 and re.search(r"SIGKILL|return code -9", measured["log"])):
            raise Refused("memory", f"{name}: killed by the kernel at {peak}")
        if measured["exit"] != 0:
            raise Refused("refused", f"{name}: {last_error(measured['log'])}")
        return measured

    def attempt(self, name, command, *, env=None, timeout=None):
        result, log = self.work / "step.json", self.work / "step.log"
        result.unlink(missing_ok=True)
        launcher = [sys.executable, "-I", "-S", str(HERE / "measure.py"), str(result), str(log)]
        limits = [str(timeout or self.timeout), str(self.reserve)]
        full = {**os.environ, **self.env, **(env or {})}
        process = subprocess.Popen(launcher + limits + [str(part) for part in command], cwd=self.work, env=full)
        try:
            process.wait()
        finally:
            # Where this script is stopped, the step is too.
            process.terminate()
            process.wait()
        if not result.exists():
            raise Broken(f"{name}: measure.py wrote nothing")
        measured = json.loads(result.read_text())
        measured["log"] = log.read_text(errors="replace")
        return measured


def keep(measured, **more):
    """What goes to the JSON file of a measurement."""
    return {name: measured[name] for name in ("seconds", "peak_bytes", "cpu_seconds")} | more


def size(*paths):
    return sum(path.stat().st_size for path in paths)
