"""The models that are measured, and what every system gets of them.

    python models.py MODEL DIRECTORY INPUTS CALIBRATION

writes the model as the peers need it (the same function, which is checked with ONNX Runtime), the inputs in each system's
form, and ONNX Runtime's float outputs. A process of its own, since onnx and ONNX Runtime are large.
"""

import json
import sys
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[2] / "tests" / "models"

# Name on the command line: fixture, title in the table, --bits of `zkonnx quantize` (the README's recipe).
MODELS = {
    "mlp": ("mlp", "MLP", 10),
    "lenet": ("lenet", "LeNet", 10),
    "cifar": ("cifar", "CIFAR CNN", 10),
    "tcn": ("series_tcn", "temporal CNN", 16),
    "trees": ("diabetes_gbr", "boosted trees", 16),
    "lstm": ("series_lstm", "LSTM", 16),
}
DEFAULT_MODELS = ["mlp", "lenet", "cifar", "tcn", "trees"]
# Of the float output's range; what ONNX Runtime's own order of summation may change.
SAME = 1e-5


def attribute(node, name, default=None):
    import onnx

    for found in node.attribute:
        if found.name == name:
            return onnx.helper.get_attribute_value(found)
    return default


def set_attribute(node, name, value):
    import onnx

    for found in list(node.attribute):
        if found.name == name:
            node.attribute.remove(found)
    node.attribute.append(onnx.helper.make_attribute(name, value))


def explicit(model):
    """Every node named once, and the attributes that JSTprove does not know the defaults of written out."""
    import onnx
    from onnx import numpy_helper

    model = onnx.ModelProto.FromString(model.SerializeToString())
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    taken = set()
    for index, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type.lower()}_{index}"
            while node.name in taken:
                node.name += "_"
        taken.add(node.name)
        defaults = {}
        if node.op_type == "Gemm":
            defaults = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}
        elif node.op_type == "Conv" and node.input[1] in weights:
            kernel = list(weights[node.input[1]].shape[2:])
            defaults = {"kernel_shape": kernel, "dilations": [1] * len(kernel), "strides": [1] * len(kernel), "group": 1}
            if attribute(node, "auto_pad", b"NOTSET") == b"NOTSET":
                defaults["pads"] = [0] * (2 * len(kernel))
        for name, value in defaults.items():
            if attribute(node, name) is None:
                set_attribute(node, name, value)
    onnx.checker.check_model(model)
    return model


def undilated(model):
    """Convolutions along one axis as products of a matrix and shifted slices, for EZKL, which refuses dilations and has an
    argument for matrix products; None where nothing is dilated."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = []
    if all(set(attribute(node, "dilations", [1])) == {1} for node in graph.node):
        return None

    def constant(name, array):
        graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    for node in graph.node:
        dilation = (attribute(node, "dilations") or [1])[0]
        simple = node.op_type == "Conv" and node.input[1] in weights and weights[node.input[1]].ndim == 3
        if not simple or attribute(node, "group") != 1 or attribute(node, "strides") != [1]:
            nodes.append(node)
            continue
        nodes += unfolded(node, weights, dilation, constant, helper)
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input}
    for tensor in list(graph.initializer):
        if tensor.name not in used:
            graph.initializer.remove(tensor)
    onnx.checker.check_model(model)
    return model


def unfolded(node, weights, dilation, constant, helper):
    """One convolution: padded, cut into one slice for each tap, and multiplied by the taps side by side."""
    import numpy as np

    kernel = weights[node.input[1]]
    taps, name = kernel.shape[2], node.name
    left, right = attribute(node, "pads")
    pads = constant(f"{name}_pads", np.array([0, 0, left, 0, 0, right], dtype=np.int64))
    made = [helper.make_node("Pad", [node.input[0], pads], [f"{name}_padded"], name=f"{name}_pad")]
    axis = constant(f"{name}_axis", np.array([2], dtype=np.int64))
    slices = []
    for tap in range(taps):
        start = tap * dilation
        # The last slice ends with the tensor, the others as much before.
        end = start - (taps - 1) * dilation or np.iinfo(np.int64).max
        limits = [constant(f"{name}_{what}{tap}", np.array([at], dtype=np.int64)) for what, at in (("start", start), ("end", end))]
        slices.append(f"{name}_slice{tap}")
        made.append(helper.make_node("Slice", [f"{name}_padded", *limits, axis], [slices[-1]], name=slices[-1]))
    made.append(helper.make_node("Concat", slices, [f"{name}_taps"], name=f"{name}_concat", axis=1))
    matrix = constant(f"{name}_matrix", np.ascontiguousarray(kernel.transpose(0, 2, 1).reshape(kernel.shape[0], -1)))
    bias = node.input[2] if len(node.input) > 2 and node.input[2] in weights else None
    product = f"{name}_product" if bias else node.output[0]
    made.append(helper.make_node("MatMul", [matrix, f"{name}_taps"], [product], name=f"{name}_matmul"))
    if bias:
        column = constant(f"{name}_bias", weights[bias].reshape(-1, 1))
        made.append(helper.make_node("Add", [product, column], [node.output[0]], name=f"{name}_add"))
    return made


def outputs(model, samples):
    """ONNX Runtime's outputs of samples without their leading axis, one row each."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    if len(session.get_inputs()) != 1 or len(session.get_outputs()) != 1:
        raise SystemExit("models of one input and one output only")
    entry = session.get_inputs()[0]
    rows = [session.run(None, {entry.name: sample.reshape(entry.shape)})[0].ravel() for sample in samples]
    return np.stack(rows).astype(np.float64)


def same_function(model, rewritten, samples):
    """The largest difference over the samples, as a share of the output's range; ends the program where it is too large."""
    before, after = outputs(model, samples), outputs(rewritten, samples)
    difference = float(abs(before - after).max() / (before.max() - before.min()))
    if not difference <= SAME:
        raise SystemExit(f"the rewritten model is another function: {difference:.2e} of the output's range apart")
    return difference


def prepare(name, directory, inputs, calibration):
    import numpy as np
    import onnx

    fixture = MODELS[name][0]
    model = onnx.load(str(FIXTURES / f"{fixture}.onnx"))
    entry = model.graph.input[0]
    shape = [axis.dim_value for axis in entry.type.tensor_type.shape.dim]
    samples = np.load(FIXTURES / f"{fixture}_calibration.npz")[entry.name].astype(np.float32)
    # `zkonnx quantize` holds the last fifth out of its calibration; these are of it.
    if inputs > len(samples) // 5 or calibration > len(samples) - inputs:
        raise SystemExit(f"{len(samples)} samples are too few")
    chosen = samples[len(samples) - inputs :]
    reference = outputs(model, samples)
    rewritten = explicit(model)
    onnx.save(rewritten, str(directory / "explicit.onnx"))
    summary = {
        "fixture": fixture,
        "input": entry.name,
        "output": model.graph.output[0].name,
        "float_outputs": reference[len(samples) - inputs :].tolist(),
        "output_range": float(reference.max() - reference.min()),
        "rewriting": same_function(model, rewritten, samples[: 20 + inputs]),
    }
    wide = undilated(rewritten)
    if wide is not None:
        onnx.save(wide, str(directory / "undilated.onnx"))
        summary["rewriting_undilated"] = same_function(model, wide, samples[: 20 + inputs])
    flat = samples[:calibration].ravel().astype(float).tolist()
    (directory / "calibration.json").write_text(json.dumps({"input_data": [flat]}))
    for index, sample in enumerate(chosen):
        np.savez(directory / f"input{index}.npz", **{entry.name: sample.reshape(shape)})
        flat = sample.ravel().astype(float).tolist()
        (directory / f"input{index}.ezkl.json").write_text(json.dumps({"input_data": [flat]}))
        (directory / f"input{index}.jstprove.json").write_text(json.dumps({"input": flat}))
    (directory / "model.json").write_text(json.dumps(summary))


if __name__ == "__main__":
    prepare(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
