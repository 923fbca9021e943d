"""Builds the fixtures of the command line's tests: tests/cli/*.onnx and *.npz.

    pip install -r requirements.txt
    python make_cli_cases.py

`dims` leaves sizes open in every way a file can; `refused` holds nodes that are not supported, for several reasons;
`pixels` takes normalised images, and its .npz raw ones (`raw` uint8) with ONNX Runtime's outputs for
`(raw / 255 - mean) / std` (MEAN and STD below); `label` gives a label and scores, `regressor` one number. `external` is
`regressor` with its weights in external.onnx.data; types.npz has arrays of several types. Samples are named as the
models' inputs.
"""

import pathlib

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent / "cli"
MEAN = np.array([0.485, 0.456, 0.406])
STD = np.array([0.229, 0.224, 0.225])


def save(name, nodes, inputs, outputs, constants=()):
    value = lambda n, kind, shape: helper.make_tensor_value_info(n, kind, shape)
    graph = helper.make_graph(
        nodes, name, [value(*i) for i in inputs], [value(*o) for o in outputs],
        [numpy_helper.from_array(array, n) for n, array in constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="zkonnx", ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, ROOT / f"{name}.onnx")
    return model.SerializeToString()


def run(model, **inputs):
    """ONNX Runtime's outputs, one sample after another."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    count = len(next(iter(inputs.values())))
    rows = [session.run(None, {n: a[i] for n, a in inputs.items()}) for i in range(count)]
    return {o.name: np.stack([row[i] for row in rows]) for i, o in enumerate(session.get_outputs())}


def weights(rng, *shape):
    return rng.uniform(-0.6, 0.6, shape).astype(np.float32)


def dims():
    f = TensorProto.FLOAT
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], "relu_x"),
        helper.make_node("Relu", ["y"], ["b"], "relu_y"),
    ]
    # Axes with a symbol, one symbol twice, a question mark, an empty one, and a symbol for a shell to trip over.
    save("dims", nodes, [("x", f, ["batch", "height", None, "height"]), ("y", f, ["N", "?", "time steps"])],
         [("a", f, ["batch", "height", None, "height"]), ("b", f, ["N", "?", "time steps"])])


def refused():
    f = TensorProto.FLOAT
    nodes = [
        helper.make_node("Relu", ["x"], ["r"], "relu_0"),
        helper.make_node("NonZero", ["r"], ["n0"], "nonzero_1"),
        helper.make_node("NonZero", ["x"], ["n1"], "nonzero_2"),
        helper.make_node("Cast", ["x"], ["sizes"], "cast_3", to=TensorProto.INT64),
        helper.make_node("Reshape", ["x", "sizes"], ["y"], "reshape_4"),
        helper.make_node("FusedConv", ["x", "w"], ["z"], "fused_5", domain="com.microsoft"),
    ]
    graph = helper.make_graph(
        nodes, "refused", [helper.make_tensor_value_info("x", f, [2])],
        [helper.make_tensor_value_info("y", f, None), helper.make_tensor_value_info("z", f, None)],
        [numpy_helper.from_array(np.ones(2, np.float32), "w")])
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, producer_name="zkonnx", ir_version=8), ROOT / "refused.onnx")


def pixels():
    rng, f = np.random.default_rng(1), TensorProto.FLOAT
    nodes = [
        helper.make_node("Conv", ["pixels", "w0", "b0"], ["c"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["e"], "flatten"),
        helper.make_node("Gemm", ["e", "w1", "b1"], ["scores"], "gemm", transB=1),
    ]
    constants = [("w0", weights(rng, 4, 3, 3, 3)), ("b0", weights(rng, 4)), ("w1", weights(rng, 6, 4)), ("b1", weights(rng, 6))]
    model = save("pixels", nodes, [("pixels", f, [1, 3, 8, 8])], [("scores", f, [1, 6])], constants)
    raw = rng.integers(0, 256, (40, 1, 3, 8, 8), np.uint8)
    normal = (raw / 255 - MEAN[:, None, None]) / STD[:, None, None]
    np.savez_compressed(ROOT / "pixels_raw.npz", pixels=raw)
    np.savez_compressed(ROOT / "pixels_normal.npz", pixels=normal.astype(np.float32))
    np.savez_compressed(ROOT / "pixels_expected.npz", **run(model, pixels=normal.astype(np.float32)))


def label():
    rng, f = np.random.default_rng(2), TensorProto.FLOAT
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["scores"], "gemm", transB=1),
        helper.make_node("ArgMax", ["scores"], ["label"], "argmax", axis=1, keepdims=0),
    ]
    constants = [("w", weights(rng, 7, 5)), ("b", weights(rng, 7))]
    save("label", nodes, [("x", f, [1, 5])], [("label", TensorProto.INT64, [1]), ("scores", f, [1, 7])], constants)
    np.savez_compressed(ROOT / "label_samples.npz", x=rng.normal(size=(60, 1, 5)).astype(np.float32))


def regressor():
    rng, f = np.random.default_rng(3), TensorProto.FLOAT
    nodes = [
        helper.make_node("Gemm", ["x", "w0", "b0"], ["h"], "hidden", transB=1),
        helper.make_node("Tanh", ["h"], ["t"], "tanh"),
        helper.make_node("Gemm", ["t", "w1", "b1"], ["y"], "out", transB=1),
    ]
    constants = [("w0", weights(rng, 8, 5)), ("b0", weights(rng, 8)), ("w1", weights(rng, 1, 8)), ("b1", weights(rng, 1))]
    save("regressor", nodes, [("x", f, [1, 5])], [("y", f, [1, 1])], constants)
    np.savez_compressed(ROOT / "regressor_samples.npz", x=rng.normal(size=(60, 1, 5)).astype(np.float32))


def external():
    """After `regressor`."""
    (ROOT / "external.onnx.data").unlink(missing_ok=True)
    model = onnx.load(ROOT / "regressor.onnx")
    onnx.save(model, ROOT / "external.onnx", save_as_external_data=True, location="external.onnx.data", size_threshold=0)


def types():
    np.savez_compressed(
        ROOT / "types.npz", ids=np.array([[101, 30521, -1]]), half=np.array([1 / 3, -65504], np.float16),
        brain=np.array([1 / 3, -2.5]).astype(ml_dtypes.bfloat16), mask=np.array([[True, False], [False, True]]),
        large=np.array([2**63], np.uint64), columns=np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)))


def scorer():
    """Takes the score of `regressor`."""
    f = TensorProto.FLOAT
    nodes = [
        helper.make_node("Mul", ["s", "steep"], ["m"], "scale"),
        helper.make_node("Sigmoid", ["m"], ["z"], "sigmoid"),
    ]
    save("scorer", nodes, [("s", f, [1, 1])], [("z", f, [1, 1])], [("steep", np.array([[3.0]], np.float32))])


if __name__ == "__main__":
    ROOT.mkdir(exist_ok=True)
    for make in (dims, refused, pixels, label, regressor, external, types, scorer):
        make()
