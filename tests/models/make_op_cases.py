"""Builds the operator fixtures: tests/ops/<family>/<case>.onnx and <case>.npz, and tests/ops/unsupported.onnx.

    pip install -r requirements.txt
    python make_op_cases.py

Each model is one node or a few, with seeded random weights. Its .npz holds 8 samples: `in_<name>` for every input
and `out_<name>` for every output, float32, shaped [8, *the tensor's shape]; the leading axis counts samples and the
model's own batch axis stays behind it. Outputs are ONNX Runtime's, one run per sample, graph optimisations off. A
case's random numbers depend on its own name only, so that adding a case changes no other file.
"""

import pathlib
import zlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parent.parent / "ops"
SAMPLES = 8
BOUND = 3.0


class Case:
    """A model under construction. `node` returns the name of the node's output; `const` that of an initialiser."""

    def __init__(self, name, opset):
        self.name, self.opset = name, opset
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.inputs, self.ranges, self.nodes, self.constants, self.outputs = {}, {}, [], [], []

    def input(self, *shape, low=-BOUND, high=BOUND, name=None):
        name = name or ("x" if not self.inputs else f"x{len(self.inputs) + 1}")
        self.inputs[name], self.ranges[name] = shape, (low, high)
        return name

    def const(self, value, dtype=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def ints(self, *values):
        return self.const(values, np.int64)

    def weight(self, *shape, low=-0.6, high=0.6):
        return self.const(self.rng.uniform(low, high, shape))

    def node(self, op, *inputs, out=None, **attributes):
        label = f"{op.lower()}_{len(self.nodes)}"
        out = out or f"{label}_out"
        self.nodes.append(helper.make_node(op, list(inputs), [out], label, **attributes))
        return out

    def conv(self, x, out, inp, *kernel, bias=True, **attributes):
        return self.node("Conv", x, self.weight(out, inp, *kernel), *([self.weight(out)] if bias else []),
                         kernel_shape=kernel, **attributes)

    def dense(self, x, out, inp):
        return self.node("Gemm", x, self.weight(out, inp), self.weight(out), alpha=1.0, beta=1.0, transB=1)

    def batchnorm(self, x, channels, epsilon=1e-5):
        scale, shift, mean = self.weight(channels, low=0.5, high=1.5), self.weight(channels), self.weight(channels)
        variance = self.weight(channels, low=0.3, high=2.0)
        return self.node("BatchNormalization", x, scale, shift, mean, variance, epsilon=epsilon)

    def model(self, shapes=None, types=None):
        """The model; `shapes` gives the outputs' shapes and `types` their types where they are not float."""
        info = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes, self.name.replace("/", "_"),
            [info(name, TensorProto.FLOAT, shape) for name, shape in self.inputs.items()],
            [info(name, (types or {}).get(name, TensorProto.FLOAT), shapes and shapes[name]) for name in self.outputs],
            self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def session(self, model):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def feeds(self):
        """The samples of every input."""
        feeds = {}
        for name, shape in self.inputs.items():
            concrete = [1 if isinstance(size, str) else size for size in shape]  # a symbolic batch is run as one
            feeds[name] = self.rng.uniform(*self.ranges[name], (SAMPLES, *concrete)).astype(np.float32)
        return feeds

    def stored(self, values):
        """Samples as the file holds them."""
        return values

    def finish(self, outputs):
        """Names the outputs (`y` for a lone one), samples inputs, runs the model, and writes both files."""
        if isinstance(outputs, str):
            outputs = {"y": outputs}
        rename = {old: new for new, old in outputs.items()}
        for node in self.nodes:
            node.input[:] = [rename.get(name, name) for name in node.input]
            node.output[:] = [rename.get(name, name) for name in node.output]
        self.outputs = list(outputs)
        session = self.session(self.model())
        feeds = self.feeds()
        runs = [session.run(self.outputs, {name: x[i] for name, x in feeds.items()}) for i in range(SAMPLES)]
        results = dict(zip(self.outputs, map(np.stack, zip(*runs))))
        symbol = next((s for shape in self.inputs.values() for s in shape if isinstance(s, str)), None)
        shapes = {name: ([symbol, *y.shape[2:]] if symbol else y.shape[1:]) for name, y in results.items()}
        model = self.model(shapes)
        onnx.checker.check_model(model, full_check=True)
        path = ROOT / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path.with_suffix(".onnx"))
        np.savez_compressed(path.with_suffix(".npz"), **{f"in_{name}": self.stored(x) for name, x in feeds.items()},
                            **{f"out_{name}": self.stored(y) for name, y in results.items()})


CASES = {}


def case(family, name=None, opset=13):
    """Registers a builder, which takes a Case and returns its output, or a dictionary from output names to tensors."""
    def register(build):
        label = f"{family}/{name or build.__name__}"
        assert label not in CASES, label
        CASES[label] = (build, opset)
        return build
    return register


def one(family, name, op, shape, opset=13, low=-BOUND, high=BOUND, constants=lambda c: (), **attributes):
    """A case of one node: an input, then `constants`, then attributes."""
    case(family, name, opset)(lambda c: c.node(op, c.input(*shape, low=low, high=high), *constants(c), **attributes))


def convolution(name, shape, out, inp, kernel, **attributes):
    case("conv", name)(lambda c: c.conv(c.input(*shape), out, inp, *kernel, **attributes))


# Convolutions. `inp` is the number of input channels per group.
convolution("basic", (1, 3, 6, 5), 4, 3, (3, 3))
convolution("stride2", (1, 3, 7, 6), 4, 3, (3, 3), strides=[2, 2], pads=[1, 1, 1, 1])
convolution("asymmetric_pads", (1, 2, 6, 5), 3, 2, (3, 2), pads=[0, 1, 2, 0])
convolution("dilation2", (1, 2, 7, 8), 3, 2, (3, 3), dilations=[2, 2], pads=[1, 1, 1, 1])
convolution("group2", (1, 4, 5, 5), 6, 2, (3, 3), group=2, pads=[1, 1, 1, 1])
convolution("depthwise", (1, 4, 5, 6), 4, 1, (3, 3), group=4, pads=[1, 1, 1, 1])
convolution("no_bias", (1, 3, 5, 5), 3, 3, (3, 3), bias=False)
convolution("same_upper", (1, 2, 5, 6), 3, 2, (2, 3), auto_pad="SAME_UPPER", strides=[2, 2])
convolution("same_lower", (1, 2, 5, 6), 3, 2, (2, 3), auto_pad="SAME_LOWER", strides=[2, 2])
convolution("pointwise", (1, 5, 4, 4), 6, 5, (1, 1))
convolution("batch2", (2, 2, 5, 4), 3, 2, (3, 3))
convolution("conv1d", (1, 3, 12), 4, 3, (3,))
convolution("conv1d_stride3", (1, 3, 14), 4, 3, (4,), strides=[3], pads=[1, 1])
convolution("conv1d_dilated_causal", (1, 3, 14), 4, 3, (3,), dilations=[2], pads=[4, 0])


@case("gemm")
def trans_b(c):
    return c.node("Gemm", c.input(1, 9), c.weight(6, 9), c.weight(6), transB=1)


@case("gemm")
def trans_a(c):
    return c.node("Gemm", c.input(7, 2), c.weight(7, 5), c.weight(5), transA=1)


@case("gemm")
def trans_both(c):
    return c.node("Gemm", c.input(7, 2), c.weight(5, 7), c.weight(5), transA=1, transB=1)


@case("gemm")
def alpha_beta(c):
    return c.node("Gemm", c.input(1, 8), c.weight(8, 5), c.weight(5), alpha=0.7, beta=-1.5)


@case("gemm")
def no_c(c):
    return c.node("Gemm", c.input(1, 8), c.weight(8, 5))


@case("gemm")
def scalar_c(c):
    return c.node("Gemm", c.input(1, 8), c.weight(8, 5), c.const(0.8))


@case("gemm")
def column_c(c):
    return c.node("Gemm", c.input(3, 6), c.weight(6, 4), c.weight(3, 1))


@case("matmul")
def const_right(c):
    return c.node("MatMul", c.input(1, 4, 6), c.weight(6, 5))


@case("matmul")
def const_left(c):
    return c.node("MatMul", c.weight(4, 3), c.input(1, 3, 5))


@case("matmul")
def const_right_batched(c):
    return c.node("MatMul", c.input(1, 2, 3, 4), c.weight(2, 4, 3))


@case("matmul")
def two_inputs(c):
    return c.node("MatMul", c.input(1, 2, 3, 4), c.input(1, 2, 4, 5))


@case("matmul")
def two_inputs_broadcast(c):
    return c.node("MatMul", c.input(1, 2, 3, 4), c.input(1, 1, 4, 2))


@case("matmul")
def vector_right(c):
    return c.node("MatMul", c.input(1, 5, 6), c.weight(6))


# Arithmetic with a constant on the right, then constants on the left, then two inputs. Divisors stay off zero.
for op in ("Add", "Sub", "Mul", "Div"):
    low, high = (0.5, 3.0) if op == "Div" else (-1.5, 1.5)
    lower = op.lower()
    for kind, shape in (("scalar", ()), ("per_channel", (3, 1, 1)), ("broadcast", (1, 3, 1, 4))):
        one("arith", f"{lower}_{kind}", op, (1, 3, 5, 4),
            constants=lambda c, s=shape, a=low, b=high: (c.weight(*s, low=a, high=b),))
    second = (0.5, 3.0) if op == "Div" else (-BOUND, BOUND)
    case("arith", f"{lower}_two_inputs")(
        lambda c, op=op, r=second: c.node(op, c.input(1, 3, 4, 3), c.input(1, 3, 4, 3, low=r[0], high=r[1])))
    case("arith", f"{lower}_two_inputs_broadcast")(
        lambda c, op=op, r=second: c.node(op, c.input(1, 3, 4, 3), c.input(1, 3, 1, 1, low=r[0], high=r[1])))
case("arith", "sub_const_left")(lambda c: c.node("Sub", c.weight(3, 1, 1), c.input(1, 3, 4, 3)))
case("arith", "add_grows")(lambda c: c.node("Add", c.input(1, 1, 4), c.weight(1, 3, 1)))  # the constant is the larger
case("arith", "square")(lambda c: (lambda x: c.node("Mul", x, x))(c.input(1, 3, 4, 3)))


@case("batchnorm")
def alone(c):
    return c.batchnorm(c.input(1, 4, 4, 4), 4)


@case("batchnorm")
def large_epsilon(c):
    return c.batchnorm(c.input(1, 5, 6), 5, epsilon=1e-2)


@case("batchnorm")
def after_conv(c):
    return c.batchnorm(c.conv(c.input(1, 2, 5, 5), 4, 2, 3, 3), 4)


@case("batchnorm")
def after_conv_no_bias(c):
    return c.batchnorm(c.conv(c.input(1, 2, 5, 5), 4, 2, 3, 3, bias=False), 4)


IMAGE = (1, 3, 5, 4)
one("activation", "relu", "Relu", IMAGE)
one("activation", "leakyrelu", "LeakyRelu", IMAGE, alpha=0.1)
one("activation", "leakyrelu_default", "LeakyRelu", IMAGE)
one("activation", "prelu_per_channel", "PRelu", IMAGE, constants=lambda c: (c.weight(3, 1, 1, low=-0.2, high=0.5),))
one("activation", "clip", "Clip", IMAGE, constants=lambda c: (c.const(-1.25), c.const(2.0)))
one("activation", "clip_relu6", "Clip", IMAGE, low=-8.0, high=8.0, constants=lambda c: (c.const(0.0), c.const(6.0)))
one("activation", "clip_min_only", "Clip", IMAGE, constants=lambda c: (c.const(-0.5),))
one("activation", "clip_max_only", "Clip", IMAGE, constants=lambda c: ("", c.const(0.75)))
one("activation", "sigmoid", "Sigmoid", IMAGE, low=-6.0, high=6.0)
one("activation", "tanh", "Tanh", IMAGE)
one("activation", "hardsigmoid", "HardSigmoid", IMAGE, low=-5.0, high=5.0)
one("activation", "hardsigmoid_alpha", "HardSigmoid", IMAGE, low=-5.0, high=5.0, alpha=1 / 6, beta=0.5)
one("activation", "hardswish", "HardSwish", IMAGE, opset=14, low=-5.0, high=5.0)

one("pool", "max_2x2", "MaxPool", (1, 2, 6, 6), kernel_shape=[2, 2], strides=[2, 2])
one("pool", "max_2x2_ragged", "MaxPool", (1, 2, 5, 7), kernel_shape=[2, 2], strides=[2, 2])
one("pool", "max_3x3_stride2_pad1", "MaxPool", (1, 2, 6, 7), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
one("pool", "max_negative_pad1", "MaxPool", (1, 2, 5, 5), low=-3.0, high=-1.0, kernel_shape=[3, 3], strides=[2, 2],
    pads=[1, 1, 1, 1])  # every value below zero: padding must never win
one("pool", "max_ceil_mode", "MaxPool", (1, 2, 6, 6), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
one("pool", "max_1d", "MaxPool", (1, 3, 10), kernel_shape=[3], strides=[2])
one("pool", "average_2x2", "AveragePool", (1, 2, 6, 6), kernel_shape=[2, 2], strides=[2, 2])
one("pool", "average_3x3_pad1", "AveragePool", (1, 2, 5, 5), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1],
    count_include_pad=0)
one("pool", "average_3x3_pad1_included", "AveragePool", (1, 2, 5, 5), kernel_shape=[3, 3], strides=[2, 2],
    pads=[1, 1, 1, 1], count_include_pad=1)
one("pool", "average_1d", "AveragePool", (1, 3, 10), kernel_shape=[3], strides=[2])
one("pool", "global_average", "GlobalAveragePool", (1, 4, 4, 5))
one("pool", "global_max", "GlobalMaxPool", (1, 4, 4, 5))

one("shape", "flatten", "Flatten", (1, 3, 4, 2))
one("shape", "flatten_axis2", "Flatten", (1, 3, 4, 2), axis=2)
one("shape", "reshape_minus_one", "Reshape", (1, 3, 4, 2), constants=lambda c: (c.ints(1, -1),))
one("shape", "reshape_zero", "Reshape", (1, 3, 4, 2), constants=lambda c: (c.ints(0, 0, -1),))
one("shape", "reshape_split", "Reshape", (1, 6, 4), constants=lambda c: (c.ints(0, 2, 3, -1),))
one("shape", "transpose", "Transpose", (1, 3, 4, 2), perm=[0, 3, 1, 2])
one("shape", "transpose_default", "Transpose", (1, 3, 4))
one("shape", "squeeze", "Squeeze", (1, 3, 1, 5), constants=lambda c: (c.ints(2),))
one("shape", "squeeze_all", "Squeeze", (1, 3, 1, 5))
one("shape", "squeeze_attribute", "Squeeze", (1, 3, 1, 5), opset=11, axes=[2])
one("shape", "unsqueeze", "Unsqueeze", (1, 3, 5), constants=lambda c: (c.ints(1, -1),))
one("shape", "unsqueeze_attribute", "Unsqueeze", (1, 3, 5), opset=11, axes=[1, 4])


@case("shape")
def concat_axis1(c):
    return c.node("Concat", c.input(1, 2, 3, 4), c.input(1, 3, 3, 4), axis=1)


@case("shape")
def concat_axis2(c):
    return c.node("Concat", c.input(1, 2, 3, 4), c.input(1, 2, 1, 4), axis=2)


@case("shape")
def concat_last(c):
    return c.node("Concat", c.input(1, 2, 3), c.input(1, 2, 5), axis=-1)


@case("shape")
def concat_self_transposed(c):
    x = c.input(1, 2, 4, 4)
    return c.node("Concat", x, c.node("Transpose", x, perm=[0, 1, 3, 2]), axis=1)


@case("shape")
def concat_self_scaled(c):
    x = c.input(1, 2, 3, 4)
    return c.node("Concat", x, c.node("Relu", x), c.node("Mul", x, c.const(0.25)), axis=1)


def slices(name, shape, *ranges):
    """One Slice node; `ranges` lists (axis, start, end, step)."""
    one("shape", name, "Slice", shape,
        constants=lambda c: [c.ints(*(r[i] for r in ranges)) for i in (1, 2, 0, 3)])


slices("slice", (1, 4, 5, 3), (1, 1, 3, 1), (2, 0, 4, 1))
slices("slice_steps", (1, 4, 7, 3), (2, 1, 7, 2), (1, 0, 4, 3))
slices("slice_negative", (1, 4, 5, 3), (-2, -4, -1, 1), (1, -3, 2**31 - 1, 1))
slices("slice_reversed", (1, 4, 5, 3), (2, -1, -(2**31), -2))
one("shape", "pad_value", "Pad", (1, 2, 3, 4), mode="constant",
    constants=lambda c: (c.ints(0, 0, 1, 2, 0, 0, 0, 1), c.const(1.5)))
one("shape", "pad_zero", "Pad", (1, 2, 3, 4), mode="constant", constants=lambda c: (c.ints(0, 1, 1, 0, 0, 0, 2, 1),))


def chain(name, shape, first, perm, last):
    @case("shape", name)
    def build(c):
        x = c.node("Reshape", c.input(*shape), c.ints(*first))
        return c.node("Reshape", c.node("Transpose", x, perm=perm), c.ints(*last))


chain("channel_shuffle", (1, 6, 3, 3), (1, 2, 3, 3, 3), [0, 2, 1, 3, 4], (1, 6, 3, 3))
chain("pixel_shuffle", (1, 8, 2, 3), (1, 2, 2, 2, 2, 3), [0, 1, 4, 2, 5, 3], (1, 2, 4, 6))
chain("heads", (1, 5, 12), (0, 0, 3, 4), [0, 2, 1, 3], (0, 3, -1))

one("reduce", "mean_spatial", "ReduceMean", (1, 3, 4, 5), axes=[2, 3], keepdims=1)
one("reduce", "mean_spatial_drop", "ReduceMean", (1, 3, 4, 5), axes=[2, 3], keepdims=0)
one("reduce", "mean_last", "ReduceMean", (1, 4, 6), axes=[-1], keepdims=1)
one("reduce", "mean_axes_input", "ReduceMean", (1, 3, 4, 5), opset=18, constants=lambda c: (c.ints(1, 3),), keepdims=0)
one("reduce", "sum_channel", "ReduceSum", (1, 3, 4, 5), constants=lambda c: (c.ints(1),), keepdims=0)
one("reduce", "sum_channel_keep", "ReduceSum", (1, 3, 4, 5), constants=lambda c: (c.ints(1),), keepdims=1)
one("reduce", "sum_axes", "ReduceSum", (1, 3, 4, 5), constants=lambda c: (c.ints(1, -1),), keepdims=0)
one("reduce", "sum_all", "ReduceSum", (1, 3, 4), keepdims=0)

one("softmax", "last", "Softmax", (1, 10), axis=-1)
one("softmax", "last_3d", "Softmax", (1, 3, 6), axis=2)
one("softmax", "axis1_3d", "Softmax", (1, 6, 3), axis=1)

one("misc", "identity", "Identity", IMAGE)


@case("misc")
def dropout(c):
    return c.node("Dropout", c.node("Relu", c.input(1, 3, 4, 4)), c.const(0.5))


@case("misc")
def constant_node(c):
    value = numpy_helper.from_array(c.rng.uniform(-1, 1, (3, 1, 1)).astype(np.float32), "value")
    return c.node("Add", c.input(1, 3, 4, 4), c.node("Constant", value=value))


@case("misc")
def constant_shape(c):
    """A Reshape whose target comes from a Constant node, as exporters write it."""
    shape = c.node("Constant", value=numpy_helper.from_array(np.asarray([1, -1], np.int64), "value"))
    return c.node("Reshape", c.input(1, 3, 4, 2), shape)


@case("misc")
def residual(c):
    x = c.input(1, 3, 5, 4)
    first = c.node("Relu", c.conv(x, 3, 3, 3, 3, pads=[1, 1, 1, 1]))
    second = c.conv(first, 3, 3, 3, 3, pads=[1, 1, 1, 1])
    return c.node("Relu", c.node("Add", second, x))


@case("misc")
def conv_relu_maxpool(c):
    x = c.node("Relu", c.conv(c.input(1, 2, 6, 6), 4, 2, 3, 3, pads=[1, 1, 1, 1]))
    return c.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])


@case("misc")
def conv_leakyrelu_maxpool(c):
    x = c.node("LeakyRelu", c.conv(c.input(1, 2, 6, 6), 4, 2, 3, 3, pads=[1, 1, 1, 1]), alpha=0.2)
    return c.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])


@case("misc")
def conv_bn_relu_gap_gemm(c):
    x = c.batchnorm(c.conv(c.input(1, 2, 6, 6), 6, 2, 3, 3, pads=[1, 1, 1, 1], bias=False), 6)
    x = c.node("GlobalAveragePool", c.node("Relu", x))
    return c.dense(c.node("Flatten", x), 4, 6)


@case("misc")
def mlp_sigmoid(c):
    x = c.node("Sigmoid", c.dense(c.input(1, 12), 8, 12))
    return c.dense(x, 4, 8)


@case("misc")
def two_outputs(c):
    x = c.node("Relu", c.dense(c.input(1, 10), 8, 10))
    return {"left": c.dense(x, 3, 8), "right": c.node("Sigmoid", c.dense(x, 5, 8))}


@case("misc")
def intermediate_output(c):
    hidden = c.node("Relu", c.dense(c.input(1, 10), 8, 10))
    return {"hidden": hidden, "y": c.dense(hidden, 4, 8)}


@case("misc")
def symbolic_batch(c):
    x = c.node("Relu", c.dense(c.input("N", 10), 8, 10))
    return c.dense(x, 4, 8)


@case("misc")
def symbolic_batch_conv(c):
    x = c.node("Relu", c.conv(c.input("N", 2, 5, 5), 3, 2, 3, 3))
    return c.dense(c.node("Flatten", x), 4, 27)


def unsupported():
    """Loads and runs in ONNX Runtime, but holds two nodes that the importer does not know."""
    c = Case("unsupported", 13)
    x = c.node("Relu", c.input(1, 3, 4))
    c.node("RandomUniformLike", x, out="y")
    c.node("NonZero", x, out="where")
    c.outputs = ["y", "where"]
    model = c.model({"y": (1, 3, 4), "where": (3, "found")}, {"where": TensorProto.INT64})
    onnx.checker.check_model(model, full_check=True)
    c.session(model).run(None, {"x": np.ones((1, 3, 4), np.float32)})
    onnx.save(model, ROOT / "unsupported.onnx")


def main():
    ROOT.mkdir(parents=True, exist_ok=True)
    for name, (build, opset) in CASES.items():
        c = Case(name, opset)
        c.finish(build(c))
    unsupported()
    total = sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file())
    print(f"{len(CASES)} cases, {total} bytes in {ROOT}")


if __name__ == "__main__":
    main()
