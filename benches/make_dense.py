"""Writes the dense network of the README's table: 1024-1536-1024-512-256-10 with ReLU, 3.8 million seeded weights.

    python benches/make_dense.py dense.onnx     # also dense_calibration.npz beside it

Needs the packages onnx and numpy. Nothing is trained: weights are normal, scaled so that activations keep their size.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZES = [1024, 1536, 1024, 512, 256, 10]
SEED = 12


def main() -> None:
    path = Path(sys.argv[1])
    random = np.random.default_rng(SEED)
    nodes, weights, value = [], [], "input"
    for layer, (inputs, outputs) in enumerate(zip(SIZES, SIZES[1:])):
        last = layer + 2 == len(SIZES)
        scale = np.sqrt(2.0 / inputs)
        weights.append(numpy_helper.from_array((random.standard_normal((outputs, inputs)) * scale).astype(np.float32), f"w{layer}"))
        weights.append(numpy_helper.from_array((random.standard_normal(outputs) * 0.1).astype(np.float32), f"b{layer}"))
        out = "output" if last else f"dense{layer}"
        nodes.append(helper.make_node("Gemm", [value, f"w{layer}", f"b{layer}"], [out], transB=1))
        if not last:
            value = f"relu{layer}"
            nodes.append(helper.make_node("Relu", [out], [value]))
    vector = lambda name, size: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
    graph = helper.make_graph(nodes, "dense", [vector("input", SIZES[0])], [vector("output", SIZES[-1])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    onnx.save(model, path)
    samples = random.standard_normal((32, 1, SIZES[0])).astype(np.float32)
    np.savez_compressed(path.with_name(path.stem + "_calibration.npz"), input=samples)


main()
