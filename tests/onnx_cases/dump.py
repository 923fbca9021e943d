"""Writes the operator cases of the PyPI package `onnx` to a directory, for `tests/tests/onnx_cases.rs`.

    pip install -r requirements.txt
    python dump.py DIRECTORY

Every case becomes `cases/<name>/` with `model.onnx`, `inputs.npz` and `outputs.npz`: its data set, by the names of the
graph's inputs and outputs. Types that .npz does not know (bfloat16, float8, 4 bits and less) become float32, half
floats too; none of them loses anything by it. `index.json` lists the cases with their ONNX types, and what ONNX calls
each input of the node (its role). A *direct* case is
one node; the others, `<name>_expanded`, are the same node written out as ONNX defines it. Cases with sequences,
optional values, maps or strings have no numbers to compare: the index lists them with what they hold as `not_tensors`,
without data. The package draws some inputs at random when it is loaded; the seed is set here, so that the same
versions write the same files.
"""

import argparse
import io
import json
import pathlib
import warnings
import zipfile

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

SEED = 0


def kind(info):
    """The ONNX type of a graph input or output, for people: FLOAT, or sequence, optional, map."""
    which = info.type.WhichOneof("value")
    if which == "tensor_type":
        return TensorProto.DataType.Name(info.type.tensor_type.elem_type)
    return (which or "none").removesuffix("_type")


def roles(graph, opsets):
    """What ONNX calls the inputs of a graph of one node, by name."""
    if len(graph.node) != 1:
        return {}
    node = graph.node[0]
    formal = onnx.defs.get_schema(node.op_type, opsets[node.domain], node.domain).inputs
    return {name: formal[min(i, len(formal) - 1)].name for i, name in reversed(list(enumerate(node.input)))}


def nodes(graph):
    """All nodes with what they read and define, those of subgraphs too.

    What a subgraph takes is defined, as far as the index says, by a nameless node that reads all that the node around
    it reads.
    """
    entries = []
    for node in graph.node:
        inputs = list(node.input)
        for body in [a.g for a in node.attribute if a.HasField("g")]:
            entries.append({"name": "", "inputs": inputs, "outputs": [i.name for i in body.input]})
            entries += nodes(body)
        entries.append({"name": node.name or next(filter(None, node.output), ""), "inputs": inputs, "outputs": list(node.output)})
    return entries


def array(value):
    """A numpy array of a type that .npz and its readers know, with the same values."""
    if isinstance(value, TensorProto):
        value = numpy_helper.to_array(value)
    value = np.asarray(value, order="C")
    known = value.dtype.kind in "biuf" and value.dtype.isbuiltin == 1
    return value if known and value.dtype != np.float16 else value.astype(np.float32)


def write_npz(path, infos, values):
    """Like numpy.savez, but with any names and the same bytes every time."""
    assert len(infos) == len(values), path
    with zipfile.ZipFile(path, "w") as archive:
        for info, value in zip(infos, values):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array(value), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{info.name}.npy"), buffer.getvalue())


def collect():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.random.seed(SEED)
        from onnx.backend.test.case.node import collect_testcases

        return sorted(collect_testcases(None), key=lambda case: case.name)


def dump(case, folder):
    """Writes one case; returns its entry in the index."""
    graph = case.model.graph
    inputs, outputs = case.data_sets[0]
    kinds = {kind(i) for i in [*graph.input, *graph.output]}
    strange = sorted(k for k in kinds if k == "STRING" or k not in TensorProto.DataType.keys())
    opsets = {o.domain: o.version for o in case.model.opset_import}
    role = roles(graph, opsets)
    entry = {
        "name": case.name,
        "direct": "_expanded" not in case.name,
        "operators": sorted({".".join(filter(None, [n.domain, n.op_type])) for n in graph.node}),
        "opset": opsets,
        "inputs": [{"name": i.name, "type": kind(i), "role": role.get(i.name, i.name)} for i in graph.input],
        "outputs": [{"name": o.name, "type": kind(o)} for o in graph.output],
        "nodes": nodes(graph),
        "not_tensors": strange,
    }
    if not strange:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_bytes(case.model.SerializeToString(deterministic=True))
        write_npz(folder / "inputs.npz", graph.input, inputs)
        write_npz(folder / "outputs.npz", graph.output, outputs)
    return entry


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    root = parser.parse_args().directory
    entries = [dump(case, root / "cases" / case.name) for case in collect()]
    root.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(map(json.dumps, entries))
    (root / "index.json").write_text(f'{{"onnx": "{onnx.__version__}", "cases": [\n{lines}\n]}}\n')
    direct = sum(e["direct"] for e in entries)
    print(f"{len(entries)} cases in {root}, {direct} of them direct, of onnx {onnx.__version__}")


if __name__ == "__main__":
    main()
