"""Builds the fixtures of plain operators, as make_op_cases.py does.

    pip install -r requirements.txt
    python make_op_cases_ops.py

Cases of tests/ops are also proven, so each holds several operators; those of tests/variants are compared with ONNX
Runtime only, in floating point and in integers. Where results jump, inputs are multiples of 1/8.
"""

import numpy as np
from onnx import TensorProto

import make_op_cases
from make_op_cases_seq import SequenceCase, case, named

ROOT = make_op_cases.ROOT
PROVEN, VARIANTS = {}, {}
FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64


class Eighths:
    """Random numbers that are multiples of 1/8."""

    def __init__(self, rng):
        self.rng = rng

    def uniform(self, low, high, size=None):
        return np.round(self.rng.uniform(low, high, size) * 8) / 8


class OperatorCase(SequenceCase):
    def on_grid(self):
        self.rng = Eighths(self.rng)

    def floats(self, x):
        return self.node("Cast", x, to=FLOAT)

    def each(self, x, *nodes):
        """One output for every operator: a name, or a name with constants and attributes."""
        outputs = {}
        for node in nodes:
            op, *rest = node if isinstance(node, tuple) else (node,)
            attributes = rest.pop() if rest and isinstance(rest[-1], dict) else {}
            outputs[f"{op.lower()}{len(outputs)}"] = self.node(op, x, *rest, **attributes)
        return outputs


def one(table, family, name, op, shape, opset=13, low=-3.0, high=3.0, grid=False, constants=lambda c: (), outputs=1,
        **attributes):
    """A case of one node: an input, then `constants`, then attributes."""
    @case(table, family, name, opset)
    def build(c):
        if grid:
            c.on_grid()
        return named(c.nodes_of(op, [c.input(*shape, low=low, high=high), *constants(c)], outputs, **attributes))


# Proven cases.


@case(PROVEN, "functions", opset=20)
def smooth(c):
    return c.each(c.input(1, 6), "Erf", "Gelu", ("Gelu", {"approximate": "tanh"}), "Elu", "Selu", ("Celu", {"alpha": 0.7}),
                  "Mish", "Softplus", "Softsign", "Sin", "Atan")


@case(PROVEN, "functions")
def of_positive(c):
    x = c.input(1, 6, low=0.4, high=3.0)
    return c.each(x, "Log", "Sqrt", "Reciprocal", ("Pow", c.const(-0.5)), ("Pow", c.const(1.7)), ("Pow", c.const(3.0)))


@case(PROVEN, "functions", opset=14)
def steps(c):
    c.on_grid()
    x = c.input(1, 6)
    return c.each(x, "Floor", "Ceil", "Round", "Sign", ("ThresholdedRelu", {"alpha": 0.75}),
                  ("Shrink", {"lambd": 0.75, "bias": 0.25}), ("Mod", c.const(0.75), {"fmod": 1}))


@case(PROVEN, "logic", opset=16)
def truth(c):
    c.on_grid()
    a, b = c.input(1, 8, low=-1, high=1), c.input(1, 8, low=-1, high=1)
    greater, equal = c.node("Greater", a, b), c.node("Equal", a, b)
    at_most = c.node("LessOrEqual", a, c.const(0.25))
    either = c.node("Xor", c.node("Or", greater, equal), c.node("Not", at_most))
    return {"chosen": c.node("Where", c.node("And", greater, at_most), a, b), "either": c.floats(either),
            "mean": c.node("Mean", a, b, c.node("Min", a, b)), "whole": c.floats(c.node("Cast", a, to=INT64))}


@case(PROVEN, "reductions", opset=13)
def norms(c):
    return c.each(c.input(1, 3, 4), ("ReduceL1", {"axes": [2]}), ("ReduceL2", {"axes": [1], "keepdims": 0}),
                  ("ReduceLogSumExp", {"axes": [2]}), ("ReduceSumSquare", {"axes": [1, 2]}),
                  ("ReduceMin", {"axes": [-1]}), ("ReduceProd", {"axes": [1]}))


@case(PROVEN, "reductions", opset=13)
def places(c):
    c.on_grid()
    x = c.input(1, 2, 5, low=-0.5, high=0.5)
    values, indices = c.nodes_of("TopK", [x, c.ints(2)], 2, axis=2, largest=0)
    return {"first": c.floats(c.node("ArgMax", x, axis=2)), "values": values, "indices": c.floats(indices),
            "last": c.floats(c.node("ArgMin", x, axis=2, select_last_index=1, keepdims=0))}


@case(PROVEN, "normalisation", opset=21)
def layers(c):
    x = c.input(1, 4, 3)
    scale, bias = c.weight(4, low=0.5, high=1.5), c.weight(4)
    return {"layer": c.node("LayerNormalization", x, c.weight(3, low=0.5, high=1.5), c.weight(3), axis=-1),
            "group": c.node("GroupNormalization", x, scale, bias, num_groups=2),
            "instance": c.node("InstanceNormalization", x, scale, bias),
            "unit": c.node("LpNormalization", x, axis=1, p=2)}


@case(PROVEN, "normalisation", opset=13)
def neighbours(c):
    return c.node("LRN", c.input(1, 5, 2, 2), size=3, alpha=0.4, beta=0.75, bias=1.2)


@case(PROVEN, "indices", opset=16)
def gathered(c):
    x, u = c.input(1, 3, 4), c.input(1, 2, 4)
    return {"elements": c.node("GatherElements", x, c.const([[[2, 0, 1, -1]]], np.int64), axis=1),
            "tuples": c.node("GatherND", x, c.const([[0, 2, 1], [0, 0, 3]], np.int64)),
            "scattered": c.node("ScatterElements", x, c.const([[[0, 1, 1, 2], [0, 2, 1, 0]]], np.int64), u, axis=1,
                                reduction="add"),
            "compressed": c.node("Compress", x, c.const([True, False, True, True], np.bool_), axis=2)}


@case(PROVEN, "indices", opset=13)
def by_value(c):
    """An embedding, and one-hot vectors, of indices that are computed."""
    x = c.input(1, 3, 4)
    index = c.node("ArgMax", x, axis=2, keepdims=0)
    return {"rows": c.node("Gather", c.weight(4, 3), index, axis=0),
            "hot": c.node("OneHot", index, c.ints(5), c.const([-0.5, 1.5]), axis=1)}


@case(PROVEN, "blocks", opset=18)
def rearranged(c):
    x = c.input(1, 4, 2, 2)
    left, right = c.nodes_of("Split", [x, c.ints(1, 3)], 2, axis=1)
    return {"tiled": c.node("Tile", left, c.ints(1, 2, 1, 2)), "right": right,
            "space": c.node("DepthToSpace", x, blocksize=2, mode="CRD"),
            "reflected": c.node("Pad", x, c.ints(0, 0, 1, 1, 0, 0, 0, 1), mode="reflect"),
            "cropped": c.node("CenterCropPad", x, c.ints(1, 3, 3, 1))}


@case(PROVEN, "resize", opset=18)
def scaled(c):
    x = c.input(1, 2, 3, 3)
    return {"nearest": c.node("Resize", x, "", c.const([1, 1, 2, 1.5]), mode="nearest", nearest_mode="floor"),
            "linear": c.node("Resize", x, "", "", c.ints(1, 2, 5, 4), mode="linear"),
            "cubic": c.node("Resize", x, "", "", c.ints(1, 2, 4, 5), mode="cubic",
                            coordinate_transformation_mode="align_corners")}


@case(PROVEN, "convolutions", opset=18)
def transposed(c):
    x, line = c.input(1, 3, 3, 3), c.input(1, 2, 4)
    return {"up": c.node("ConvTranspose", x, c.weight(3, 2, 4, 4), c.weight(2), strides=[2, 2], pads=[1, 1, 1, 1]),
            "line": c.node("ConvTranspose", line, c.weight(2, 2, 3), strides=[3], dilations=[2], output_padding=[1])}


@case(PROVEN, "convolutions", opset=18)
def volumes(c):
    x = c.input(1, 2, 3, 4, 3)
    return {"conv": c.conv(x, 2, 2, 2, 2, 2, pads=[0, 1, 0, 0, 0, 1]),
            "max": c.node("MaxPool", x, kernel_shape=[2, 2, 2], strides=[1, 2, 1]),
            "norm": c.node("LpPool", x, kernel_shape=[2, 3, 2], p=2)}


@case(PROVEN, "quantised", opset=13)
def there_and_back(c):
    """A convolution between integers of 8 bits, as quantised models have it."""
    c.on_grid()
    x = c.input(1, 2, 4, 4)
    byte = lambda v: c.const(v, np.uint8)
    scale, zero = c.const(0.125), byte(100)
    q = c.node("QuantizeLinear", x, scale, zero)
    weights = c.const(np.round(c.rng.uniform(-90, 90, (2, 2, 3, 3))), np.int8)
    per_channel = c.const([0.0078125, 0.0123])
    plain = c.node("Conv", c.node("DequantizeLinear", q, scale, zero),
                   c.node("DequantizeLinear", weights, per_channel, c.const([0, 0], np.int8), axis=0))
    whole = c.node("MatMulInteger", q, c.const(np.round(c.rng.uniform(-9, 9, (4, 3))), np.int8), zero)
    return {"y": plain, "whole": c.floats(whole)}


# Variants.

X = (1, 3, 4)
for op in ("Asinh", "Cos", "Cosh", "Erf", "Exp", "HardSwish", "Mish", "Selu", "Sin", "Sinh", "Softplus", "Softsign"):
    one(VARIANTS, "functions", op.lower(), op, X, opset=18)
for op in ("Acos", "Asin", "Atanh"):
    one(VARIANTS, "functions", op.lower(), op, X, low=-0.9, high=0.9)
for op in ("Acosh", "Log", "Reciprocal", "Sqrt"):
    one(VARIANTS, "functions", f"{op.lower()}_wide", op, X, low=1.05, high=60.0)
one(VARIANTS, "functions", "tan", "Tan", X, low=-1.2, high=1.2)
for exponent in (0, 1, 2, 3, 4, 5, 0.5, -1, -2, 1.5):
    one(VARIANTS, "functions", f"pow_{exponent}", "Pow", X, low=0.5, high=2.0,
        constants=lambda c, e=exponent: (c.const(float(e)),))
one(VARIANTS, "functions", "pow_several", "Pow", X, low=0.5, high=2.0, constants=lambda c: (c.const([2, 0.5, -1, 3]),))
case(VARIANTS, "functions", "power_of")(lambda c: c.node("Pow", c.const(2.0), c.input(1, 5)))
for op in ("Floor", "Ceil", "Round"):
    for divisor in (0.3, 3.0, 2.0):
        @case(VARIANTS, "functions", f"{op.lower()}_of_{divisor}")
        def build(c, op=op, divisor=divisor):
            c.on_grid()
            return c.node(op, c.node("Mul", c.input(1, 12), c.const(divisor)))
for fmod in (0, 1):
    @case(VARIANTS, "functions", f"mod_integers_{fmod}")
    def build(c, fmod=fmod):
        x = c.node("Cast", c.input(1, 12, low=-20, high=20), to=INT32)
        return c.floats(c.node("Mod", x, c.const([5, -3, 4] * 4, np.int32), fmod=fmod))


@case(VARIANTS, "functions")
def divide_integers(c):
    x = c.node("Cast", c.input(1, 12, low=-20, high=20), to=INT64)
    return c.floats(c.node("Div", x, c.ints(*[5, -3, 4] * 4)))


for op in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal"):
    @case(VARIANTS, "logic", op.lower(), 16)
    def build(c, op=op):
        c.on_grid()
        a, b = c.input(1, 2, 6, low=-0.5, high=0.5), c.input(1, 1, 6, low=-0.5, high=0.5)
        return {"two": c.floats(c.node(op, a, b)), "right": c.floats(c.node(op, a, c.const(0.25))),
                "left": c.floats(c.node(op, c.const([[0.25], [-0.125]]), a))}


for op in ("ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
           "ReduceSumSquare"):
    for axes in ([], [0, 2], [-1]):
        label = f"{op.lower()}_{'_'.join(map(str, axes)) or 'all'}"
        one(VARIANTS, "reductions", f"{label}_input", op, X, opset=18, keepdims=0,
            constants=lambda c, a=axes: (c.const(a, np.int64),) if a else ())
        one(VARIANTS, "reductions", f"{label}_attribute", op, X, opset=12, **({"axes": axes} if axes else {}))
one(VARIANTS, "reductions", "reducelogsum", "ReduceLogSum", X, low=0.5, axes=[1])
for largest in (0, 1):
    for axis in (1, 2):
        @case(VARIANTS, "reductions", f"topk_{largest}_{axis}")
        def build(c, largest=largest, axis=axis):
            c.on_grid()
            x = c.input(1, 3, 5, low=-0.5, high=0.5)
            values, indices = c.nodes_of("TopK", [x, c.ints(3)], 2, axis=axis, largest=largest)
            return {"values": values, "indices": c.floats(indices)}
for op in ("ArgMax", "ArgMin"):
    for last in (0, 1):
        @case(VARIANTS, "reductions", f"{op.lower()}_{last}")
        def build(c, op=op, last=last):
            c.on_grid()
            x = c.input(1, 3, 5, low=-0.5, high=0.5)
            return {"rows": c.floats(c.node(op, x, axis=1, select_last_index=last)),
                    "columns": c.floats(c.node(op, x, axis=-1, select_last_index=last, keepdims=0))}

for axis in (1, 2):
    one(VARIANTS, "normalisation", f"layer_{axis}", "LayerNormalization", (1, 3, 4), opset=17, axis=axis, outputs=3,
        constants=lambda c, s=(3, 4)[axis - 1:]: (c.weight(*s), c.weight(*s)))
one(VARIANTS, "normalisation", "unit_sum", "LpNormalization", (1, 4, 3), axis=-1, p=1)
one(VARIANTS, "normalisation", "mean_variance", "MeanVarianceNormalization", (1, 2, 4, 3), axes=[0, 2, 3])

for axis in (0, 1, 2):
    one(VARIANTS, "indices", f"gather_{axis}", "Gather", X, axis=axis,
        constants=lambda c: (c.const([[0, -1], [0, 0]], np.int64),))
for reduction in ("none", "add", "mul", "max", "min"):
    one(VARIANTS, "indices", f"scatter_{reduction}", "ScatterElements", X, opset=18, axis=2, reduction=reduction,
        constants=lambda c, r=reduction: (c.const([[[0, 3], [2, 1], [1, 1 - (r == "none")]]], np.int64), c.weight(1, 3, 2)))
    one(VARIANTS, "indices", f"scatter_rows_{reduction}", "ScatterND", X, opset=18, reduction=reduction,
        constants=lambda c, r=reduction: (c.const([[0, 1], [0, 2], [0, (r == "none") and 0 or 2]], np.int64),
                                          c.weight(3, 4)))
one(VARIANTS, "indices", "reverse", "ReverseSequence", (4, 3, 2), batch_axis=1, time_axis=0,
    constants=lambda c: (c.ints(4, 2, 1),))

for mode in ("reflect", "edge", "wrap"):
    one(VARIANTS, "blocks", f"pad_{mode}", "Pad", X, opset=19, mode=mode, constants=lambda c: (c.ints(0, 2, 1, 0, 1, 3),))
one(VARIANTS, "blocks", "split_attribute", "Split", (1, 5, 2), opset=11, axis=1, split=[2, 3], outputs=2)
one(VARIANTS, "blocks", "split_uneven", "Split", (1, 5, 2), opset=18, axis=1, num_outputs=3, outputs=3)
one(VARIANTS, "blocks", "space_to_depth", "SpaceToDepth", (1, 2, 4, 6), blocksize=2)
one(VARIANTS, "blocks", "columns", "Col2Im", (1, 8, 12), opset=18, strides=[1, 1], pads=[0, 1, 0, 0],
    constants=lambda c: (c.ints(4, 4), c.ints(2, 2)))

for coordinates in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
    for mode in ("nearest", "linear", "cubic"):
        one(VARIANTS, "resize", f"{mode}_{coordinates}", "Resize", (1, 1, 4, 3), mode=mode,
            coordinate_transformation_mode=coordinates, constants=lambda c: ("", "", c.ints(1, 1, 7, 5)))
one(VARIANTS, "resize", "antialias", "Resize", (1, 1, 6, 6), opset=18, mode="linear", antialias=1,
    constants=lambda c: ("", c.const([1, 1, 0.5, 0.6]), ""))
one(VARIANTS, "resize", "crop", "Resize", (1, 1, 4, 4), mode="linear", extrapolation_value=0.5,
    coordinate_transformation_mode="tf_crop_and_resize",
    constants=lambda c: (c.const([0, 0, 0.2, 0.3, 1, 1, 0.8, 1.2]), "", c.ints(1, 1, 3, 3)))
one(VARIANTS, "resize", "upsample", "Upsample", (1, 1, 3, 3), opset=9, constants=lambda c: (c.const([1, 1, 2, 3]),))
for padding in ("zeros", "border", "reflection"):
    one(VARIANTS, "resize", f"sampled_{padding}", "GridSample", (1, 2, 3, 4), opset=16, padding_mode=padding,
        constants=lambda c: (c.weight(1, 2, 3, 2, low=-1.4, high=1.4),))

up = lambda name, shape, weights, **attributes: one(
    VARIANTS, "convolutions", name, "ConvTranspose", shape, constants=lambda c: (c.weight(*weights),), **attributes)
up("strides", (1, 2, 3, 4), (2, 3, 3, 2), strides=[3, 2])
up("groups", (1, 4, 3, 3), (4, 2, 3, 3), strides=[2, 2], group=2, pads=[1, 0, 1, 1])
up("dilated", (1, 2, 4), (2, 1, 3), strides=[2], dilations=[3])
up("given_shape", (1, 2, 3, 3), (2, 1, 3, 3), strides=[2, 2], output_shape=[6, 5], auto_pad="SAME_UPPER")
up("same_lower", (1, 2, 3, 3), (2, 1, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER")
up("volume", (1, 1, 2, 3, 2), (1, 2, 2, 2, 3), strides=[2, 1, 2])
for p in (1, 3):
    one(VARIANTS, "convolutions", f"norm_{p}", "LpPool", (1, 2, 5, 5), opset=18, p=p, kernel_shape=[3, 2], pads=[1, 0, 1, 1])
one(VARIANTS, "convolutions", "mean_dilated", "AveragePool", (1, 2, 6, 6), opset=19, kernel_shape=[2, 2], dilations=[2, 3],
    ceil_mode=1, strides=[2, 2])
one(VARIANTS, "convolutions", "max_dilated", "MaxPool", (1, 2, 6, 6), opset=12, kernel_shape=[2, 3], dilations=[3, 1],
    pads=[1, 1, 1, 1])
one(VARIANTS, "convolutions", "fourier", "DFT", (1, 6, 1), opset=17, onesided=1)


@case(VARIANTS, "quantised")
def linear_matmul(c):
    c.on_grid()
    byte = lambda v: c.const(v, np.uint8)
    q = c.node("QuantizeLinear", c.input(3, 8), c.const(0.125), byte(90))
    y = c.node("QLinearMatMul", q, c.const(0.125), byte(90), byte(np.round(c.rng.uniform(0, 255, (8, 3)))), c.const(0.003),
               byte(130), c.const(0.05), byte(120))
    return c.floats(y)


@case(VARIANTS, "quantised")
def linear_conv(c):
    c.on_grid()
    byte = lambda v: c.const(v, np.uint8)
    q = c.node("QuantizeLinear", c.input(1, 2, 4, 4), c.const(0.125), byte(90))
    weights = byte(np.round(c.rng.uniform(0, 255, (2, 2, 3, 3))))
    y = c.node("QLinearConv", q, c.const(0.125), byte(90), weights, c.const(0.002), byte(128), c.const(0.031), byte(110),
               c.const([300, -200], np.int32), pads=[1, 1, 1, 1])
    return c.floats(y)


def main():
    for table, folder in ((PROVEN, ROOT), (VARIANTS, ROOT.parent / "variants")):
        make_op_cases.ROOT = folder
        for name, (build, opset) in table.items():
            c = OperatorCase(name, opset)
            c.finish(build(c))
        print(f"{len(table)} cases in {folder}")


if __name__ == "__main__":
    main()
