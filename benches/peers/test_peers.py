"""Tests of the script itself, without the peers: `python benches/peers/test_peers.py`; numpy, onnx and onnxruntime are needed."""

import contextlib
import copy
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parent))
import models
import run
import steps
import system_ezkl
import table


def network(dilation=2, bias=True, kernel=3):
    """A dilated convolution and a dense layer, without names, and without attributes that have a default."""
    random = np.random.default_rng(7)
    weights = {"w": random.normal(size=(4, 2, kernel)), "b": random.normal(size=4), "m": random.normal(size=(36, 3)), "c": random.normal(size=3)}
    pad = dilation * (kernel - 1)
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"] if bias else ["x", "w"], ["h"], dilations=[dilation], pads=[pad, 0]),
        helper.make_node("Flatten", ["h"], ["f"]),
        helper.make_node("Gemm", ["f", "m", "c"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 9])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items() if bias or name != "b"],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def samples(count=6):
    return np.random.default_rng(1).normal(size=(count, 2, 9)).astype(np.float32)


class Rewriting(unittest.TestCase):
    def test_makes_names_and_attributes_explicit_and_keeps_the_function(self):
        model = network()
        model.graph.node[1].name = "gemm_2"
        rewritten = models.explicit(model)
        names = [node.name for node in rewritten.graph.node]
        self.assertEqual(len(set(names)), 3)
        self.assertNotIn("", names)
        conv, _, gemm = rewritten.graph.node
        self.assertEqual((models.attribute(gemm, "alpha"), models.attribute(gemm, "beta")), (1.0, 1.0))
        self.assertEqual((models.attribute(conv, "group"), models.attribute(conv, "strides")), (1, [1]))
        # What the model says itself stays.
        self.assertEqual((models.attribute(conv, "dilations"), models.attribute(conv, "pads")), ([2], [4, 0]))
        self.assertEqual(models.same_function(model, rewritten, samples()), 0)
        self.assertEqual(model.graph.node[0].name, "")

    def test_unfolds_dilations_and_keeps_the_function(self):
        for dilation, bias, kernel in ((2, True, 3), (3, False, 3), (4, True, 2)):
            model = models.explicit(network(dilation, bias, kernel))
            rewritten = models.undilated(model)
            self.assertNotIn("Conv", [node.op_type for node in rewritten.graph.node])
            self.assertLess(models.same_function(model, rewritten, samples()), models.SAME)
        self.assertIsNone(models.undilated(models.explicit(network(dilation=1))))

    def test_refuses_another_function(self):
        other = network()
        changed = numpy_helper.to_array(other.graph.initializer[0]).copy()
        changed[0, 0, 0] += 0.01
        other.graph.initializer[0].CopyFrom(numpy_helper.from_array(changed, "w"))
        with self.assertRaises(SystemExit):
            models.same_function(network(), other, samples())

    def test_prepares_every_model(self):
        for name in models.MODELS:
            with tempfile.TemporaryDirectory() as folder:
                models.prepare(name, Path(folder), 2, 3)
                said = json.loads((Path(folder) / "model.json").read_text())
                self.assertEqual(len(said["float_outputs"]), 2)
                self.assertGreater(said["output_range"], 0)
                self.assertEqual((Path(folder) / "undilated.onnx").exists(), name == "tcn")
                onnx.load(str(Path(folder) / "explicit.onnx"))
                archive = np.load(Path(folder) / "input1.npz")
                flat = json.loads((Path(folder) / "input1.jstprove.json").read_text())["input"]
                self.assertEqual(archive[said["input"]].ravel().tolist(), flat)
                calibration = json.loads((Path(folder) / "calibration.json").read_text())["input_data"]
                self.assertEqual([len(part) for part in calibration], [3 * len(flat)])


def measured(seconds, inner, peak=1e6):
    return {"seconds": seconds, "inner_seconds": inner, "peak_bytes": peak}


def report():
    def once(prove, inner, **more):
        return {"prove": measured(prove, inner, 5e7 * prove), "verify": measured(0.02, 0.01), "proof_bytes": 3500, "max_error": 0.002, "mean_error": 0.0005} | more

    ours = {
        "title": "zkonnx, 10 bits", "ours": True, "status": "measured", "steps": {"quantize": measured(0.2, 0.1)},
        "key_bytes": 832_000, "details": {}, "runs": [once(0.3, 0.1), once(0.5, 0.3), once(0.4, 0.2)],
    }
    witness = {"witness": measured(1.5, 0.25), "witness_bytes": 288_000}
    peer = {
        "title": "JSTprove", "ours": False, "status": "measured", "steps": {"a": measured(4.0, 1.0), "b": measured(1.0, 0.5)},
        "key_bytes": 8_300_000, "details": {"mpi_start_seconds": 0.75}, "runs": [once(8.0, 1.0, **witness)],
    }
    peer["runs"][0]["prove"]["inner_peak_bytes"] = 88e6
    refused = {"title": "EZKL", "ours": False, "status": "too large", "message": "2,764,868 rows", "runs": []}
    return {
        "environment": {"cpu": "A CPU", "cores": 2, "memory": 25_300_000_000, "system": "Linux x86_64"},
        "versions": {"zkonnx": "zkonnx 0.1.0 (commit abc)", "ezkl": "EZKL 1"},
        "options": {"runs": 3},
        "models": {"mlp": {"title": "MLP", "date": "2026-01-02T03:04:05", "systems": {"zkonnx": ours, "ezkl": refused, "jstprove": peer}}},
    }


class Table(unittest.TestCase):
    def test_numbers(self):
        self.assertEqual([table.seconds(s) for s in (0.0412, 0.25, 1.914, 12.97, 120.4)], ["0.041 s", "0.25 s", "1.91 s", "13.0 s", "120 s"])
        self.assertEqual([table.amount(b) for b in (12, 3456, 277e6, 4.6e9)], ["12 B", "3.5 kB", "277 MB", "4.6 GB"])
        self.assertEqual([table.share(s) for s in (0, 0.1, 0.002141, 0.000012, 4.1e-6)], ["0", "10.00 %", "0.21 %", "0.0012 %", "0.00041 %"])
        self.assertEqual([table.ratio(r) for r in (498.4, 10.0, 3.456)], ["498", "10", "3.5"])

    def test_errors_are_shares_of_the_range(self):
        largest, mean = table.errors([1.0, 2.5], [1.25, 2.0], 10)
        self.assertAlmostEqual(largest, 0.05)
        self.assertAlmostEqual(mean, 0.0375)
        with self.assertRaises(ValueError):
            table.errors([1.0], [1.0, 2.0], 1)

    def test_medians_and_spread(self):
        runs = report()["models"]["mlp"]["systems"]["zkonnx"]["runs"]
        self.assertAlmostEqual(table.median(runs, "prove"), 0.4)
        self.assertAlmostEqual(table.median(runs, "prove", "inner_seconds"), 0.2)
        self.assertAlmostEqual(table.spread(runs, "prove"), 0.25)
        self.assertIsNone(table.median(runs, "witness"))

    def test_rows(self):
        lines = table.markdown(report()).splitlines()
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
        self.assertEqual({len(row) for row in rows}, {len(table.COLUMNS)})
        self.assertEqual(rows[2][:9], ["MLP", "zkonnx, 10 bits", "0.20 s (0.10 s)", "in prove", "0.40 s (0.20 s)", "0.020 s (0.010 s)", "3.5 kB", "832 kB", "1.0 MB"])
        self.assertEqual(rows[2][9:], ["25.0 MB", "0.20 %", "0.050 %", ""])
        self.assertEqual(rows[3][1:4], ["EZKL", "too large [1]", ""])
        self.assertEqual(rows[4][2:7], ["5.00 s (1.50 s)", "1.50 s (0.25 s)", "8.00 s (1.00 s)", "0.020 s (0.010 s)", "3.5 kB and 288 kB of witness"])
        self.assertEqual(rows[4][9], "400 MB (88.0 MB)")
        self.assertEqual(rows[4][-1], "20 (5.0)")
        self.assertIn("1. MLP, EZKL: 2,764,868 rows", lines)
        self.assertTrue(any("MLP, zkonnx, 10 bits varied most: up to 25 %" in line for line in lines))

    def test_no_ratio_where_ours_is_missing(self):
        without = copy.deepcopy(report())
        without["models"]["mlp"]["systems"]["zkonnx"].update(status="error", message="verify: rejected")
        lines = table.markdown(without).splitlines()
        row = next(line for line in lines if "JSTprove" in line and line.startswith("|"))
        self.assertEqual(row.strip("|").split("|")[-1].strip(), "")
        self.assertIn("1. MLP, zkonnx, 10 bits: verify: rejected", lines)

    def test_goes_between_its_markers_and_nowhere_else(self):
        document = f"a\n{table.BEGIN}\nold\n{table.END}\nb\n"
        once = table.replace(document, "new\n")
        self.assertEqual(once, f"a\n{table.BEGIN}\n\nnew\n\n{table.END}\nb\n")
        self.assertEqual(table.replace(once, "new\n"), once)
        with self.assertRaises(ValueError):
            table.replace("a\n", "new\n")


class Ezkl(unittest.TestCase):
    def test_says_what_is_too_large_before_it_is_tried(self):
        self.assertEqual([system_ezkl.logrows_for(rows) for rows in (59_108, 65_536, 65_537, 2_764_868)], [16, 16, 17, 22])
        self.assertIsNone(system_ezkl.too_large(342_986, 19, 25e9, 20e9))
        self.assertIn("2,764,868 rows", system_ezkl.too_large(2_764_868, 22, 25e9, 200e9))
        self.assertIn("proving key", system_ezkl.too_large(342_986, 19, 25e9, 1e9))

    def test_decodes_instances(self):
        texts = [(value % system_ezkl.MODULUS).to_bytes(32, "little").hex() for value in (5, 8192, -4096)]
        self.assertEqual(system_ezkl.decode([texts], [1, 2], 13), [1.0, -0.5])


class Fake:
    """A system that proves, and does to verification what it is told."""

    name = "fake"

    def __init__(self, verified):
        self.verified = verified

    def prove(self, _run, _index):
        return {"prove": measured(1.0, 0.5), "proof_bytes": 100}

    def verify(self, _run, _index):
        if isinstance(self.verified, Exception):
            raise self.verified
        return {"verify": measured(0.1, 0.05), "outputs": self.verified}


class Runs(unittest.TestCase):
    def result(self, verified):
        found = {"status": "measured"}
        prepared = {"float_outputs": [[1.0, 2.0]], "output_range": 10.0}
        with contextlib.redirect_stderr(io.StringIO()):
            return run.attempt(Fake(verified), found, lambda: run.one_run(Fake(verified), None, prepared, 0)), found

    def test_a_verified_proof_is_a_measurement(self):
        once, found = self.result([1.0, 2.5])
        self.assertEqual(found["status"], "measured")
        self.assertAlmostEqual(once["max_error"], 0.05)
        self.assertNotIn("outputs", once)

    def test_a_proof_that_is_not_accepted_is_an_error_and_no_time(self):
        for verified in (steps.Refused("refused", "verify: no"), steps.Broken("verify: rejected"), [1.0]):
            once, found = self.result(verified)
            self.assertIsNone(once)
            self.assertEqual(found["status"], "error")

    def test_a_verifier_without_memory_is_a_result(self):
        _, found = self.result(steps.Refused("memory", "verify: stopped"))
        self.assertEqual((found["status"], found["message"]), ("memory", "verify: stopped"))


class Steps(unittest.TestCase):
    def run_in(self, folder, code, timeout=30, reserve=0):
        return steps.Runner(Path(folder), timeout, reserve)("step", [sys.executable, "-I", "-S", "-c", code])

    def test_measures_time_memory_and_children(self):
        code = "import subprocess, sys, time; print('said'); sys.stdout.flush(); time.sleep(0.2); subprocess.run([sys.executable, '-c', 'bytearray(200 << 20)'])"
        with tempfile.TemporaryDirectory() as folder:
            small = self.run_in(folder, "pass")
            large = self.run_in(folder, code)
        self.assertLess(small["peak_bytes"], 40 << 20)
        self.assertGreater(large["peak_bytes"], 200 << 20)
        self.assertGreater(large["seconds"], 0.2)
        self.assertEqual(large["log"], "said\n")

    def test_a_failure_is_quoted(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaises(steps.Refused) as refused:
            self.run_in(folder, "raise ValueError('no such | operator')")
        self.assertEqual((refused.exception.kind, str(refused.exception)), ("refused", "step: no such ¦ operator"))

    def test_nothing_hangs_and_no_child_is_left(self):
        code = "import os, subprocess, time; subprocess.Popen(['sleep', '600']); open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
        with tempfile.TemporaryDirectory() as folder:
            begin = time.monotonic()
            with self.assertRaises(steps.Refused) as refused:
                self.run_in(folder, code, timeout=1)
            self.assertLess(time.monotonic() - begin, 30)
            session = (Path(folder) / "pid").read_text()
        self.assertEqual(refused.exception.kind, "timeout")
        alive = subprocess.run(["ps", "-s", session, "-o", "stat="], capture_output=True, text=True, check=False).stdout.split()
        self.assertEqual([stat for stat in alive if not stat.startswith("Z")], [])

    def test_a_stopped_script_stops_its_step(self):
        code = "import sys; sys.path.insert(0, sys.argv[1]); import signal, steps, pathlib; signal.signal(15, lambda *_: sys.exit(143)); " \
            "steps.Runner(pathlib.Path(sys.argv[2]), 600, 0)('step', ['sh', '-c', 'echo $$ > pid; exec sleep 600'])"
        with tempfile.TemporaryDirectory() as folder:
            pid = Path(folder) / "pid"
            script = subprocess.Popen([sys.executable, "-c", code, str(Path(steps.__file__).parent), folder])
            for _ in range(600):
                if pid.exists() and pid.read_text().strip():
                    break
                time.sleep(0.05)
            script.terminate()
            self.assertEqual(script.wait(30), 143)
            self.assertFalse(Path(f"/proc/{pid.read_text().strip()}").exists())

    def test_stops_what_takes_the_machines_memory(self):
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        with tempfile.TemporaryDirectory() as folder, self.assertRaises(steps.Refused) as refused:
            self.run_in(folder, "import time; time.sleep(600)", reserve=2 * available)
        self.assertEqual(refused.exception.kind, "memory")

    def test_finds_what_a_log_says_went_wrong(self):
        cases = {
            "a\nthread 'main' panicked at src/x.rs:1:\nout of range\nnote": "thread 'main' panicked at src/x.rs:1: out of range",
            "Traceback\nRuntimeError: bad\n": "bad",
            "Error: long\nUnsupported op type: '{'Gather'}'.": "Unsupported op type: '{'Gather'}'.",
            "just this": "just this",
            "": "no message",
        }
        for log, message in cases.items():
            self.assertEqual(steps.last_error(log), message)


if __name__ == "__main__":
    unittest.main()
