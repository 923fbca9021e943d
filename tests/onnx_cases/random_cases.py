"""Writes random models with what ONNX Runtime says of them, for the runner of ONNX's own operator cases.

    pip install -r requirements.txt onnxruntime
    python random_cases.py DIRECTORY [--seed 0] [--each 20] [--graphs 20] [--only Conv]
    cargo run --release -p zkonnx-tests --example onnx_cases -- --cases DIRECTORY --expanded --wrong

One operator with random shapes, attributes and operator sets (the other files), and small graphs of several
(`random_graphs.py`). What ONNX Runtime refuses, or answers with something infinite, is left out. The format is that of
`dump.py`. Inputs of functions with steps (comparisons, rounding, indices of the largest) are on a dyadic grid: no
rounding decides between two answers.
"""

import argparse
import collections
import json
import pathlib
import shutil
import zlib

import onnx
import onnxruntime

import dump
import random_graphs
import random_functions  # noqa: F401
import random_layers  # noqa: F401
import random_movement  # noqa: F401
import random_sums  # noqa: F401
from random_model import MAKERS, Case, Skip


def write(name, operator, case, model, outputs, root):
    graph = model.graph
    defaults = {i.name for i in graph.initializer}
    inputs = [i for i in graph.input if i.name not in defaults]
    folder = root / "cases" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    dump.write_npz(folder / "inputs.npz", inputs, [case.inputs[i.name] for i in inputs])
    dump.write_npz(folder / "outputs.npz", graph.output, outputs)
    return {
        "name": name,
        "direct": operator != "graph",
        "operators": [operator],
        "opset": {o.domain: o.version for o in model.opset_import},
        "inputs": [{"name": i.name, "type": dump.kind(i), "role": i.name} for i in inputs],
        "outputs": [{"name": o.name, "type": dump.kind(o)} for o in graph.output],
        "nodes": dump.nodes(graph),
        "not_tensors": [],
    }


def make(makers, each, seed, root, kind):
    """Up to `each` cases of every maker; the entries of the index, and what was left out."""
    entries, dropped = [], collections.Counter()
    for operator, maker in makers.items():
        made, attempt = 0, 0
        while made < each and attempt < 4 * each:
            attempt += 1
            case = Case([seed, zlib.crc32(operator.encode()), attempt])
            try:
                maker(case)
            except (Skip, onnx.defs.SchemaError):
                continue
            result = case.run()
            if result is None:
                dropped[operator] += 1
                continue
            made += 1
            name = f"{operator}_{attempt:03}"
            entries.append(write(name, "graph" if kind == "graph" else operator, case, *result, root))
        print(f"{operator}: {made} cases, {dropped[operator]} that ONNX Runtime refuses", flush=True)
    return entries


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=20, help="cases of every operator")
    parser.add_argument("--graphs", type=int, default=20, help="cases of every kind of graph")
    parser.add_argument("--only", help="this operator or kind of graph")
    arguments = parser.parse_args()
    root = arguments.directory
    shutil.rmtree(root / "cases", ignore_errors=True)
    chosen = lambda makers: {k: v for k, v in makers.items() if arguments.only in (None, k)}
    entries = make(chosen(MAKERS), arguments.each, arguments.seed, root, "operator")
    entries += make(chosen(random_graphs.MAKERS), arguments.graphs, arguments.seed, root, "graph")
    root.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(map(json.dumps, entries))
    (root / "index.json").write_text(f'{{"onnx": "{onnx.__version__}", "cases": [\n{lines}\n]}}\n')
    print(f"{len(entries)} cases in {root}, of ONNX Runtime {onnxruntime.__version__}")


if __name__ == "__main__":
    main()
