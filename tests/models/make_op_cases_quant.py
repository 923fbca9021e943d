"""Builds the fixtures of files that were quantised before, and of what exporters leave in files, as make_op_cases.py does.

    pip install -r requirements.txt
    python make_op_cases_quant.py

They are compared, not proven: tests/variants. `out_` are the right values. Where a file quantises its activations as it
runs, these are those of the same graph in floating point with the dequantised weights (that is what is imported), and
`file_` are what ONNX Runtime gives for the file itself: near them.
"""

import pathlib
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

import make_op_cases
from make_op_cases import SAMPLES
from make_op_cases_ops import OperatorCase

FLOAT, HALF, INT32, INT64, UINT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8
MICROSOFT = "com.microsoft"
CASES = {}


class QuantCase(OperatorCase):
    types = {}

    def microsoft(self, op, *inputs, **attributes):
        return self.node(op, *inputs, domain=MICROSOFT, **attributes)

    def byte(self, value):
        return self.const(value, np.uint8)

    def signed(self, value):
        return self.const(value, np.int8)

    def model(self, shapes=None, types=None):
        model = super().model(shapes, types)
        if any(node.domain == MICROSOFT for node in model.graph.node):
            model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
        for info in model.graph.input:
            info.type.tensor_type.elem_type = self.types.get(info.name, FLOAT)
        return model

    def named(self, outputs):
        """Names the outputs, and gives the model."""
        outputs = {"y": outputs} if isinstance(outputs, str) else outputs
        rename = {old: new for new, old in outputs.items()}
        for node in self.nodes:
            node.input[:] = [rename.get(name, name) for name in node.input]
            node.output[:] = [rename.get(name, name) for name in node.output]
        self.outputs = list(outputs)
        return self.model()

    def samples(self):
        dtype = lambda name: helper.tensor_dtype_to_np_dtype(self.types.get(name, FLOAT))
        return {name: self.rng.uniform(*self.ranges[name], (SAMPLES, *shape)).astype(dtype(name))
                for name, shape in self.inputs.items()}

    def run(self, model, feeds):
        session = self.session(model)
        runs = [session.run(self.outputs, {name: x[i] for name, x in feeds.items()}) for i in range(SAMPLES)]
        return dict(zip(self.outputs, map(np.stack, zip(*runs))))

    def write(self, model, feeds, right, file=None):
        """`right` are the right values, `file` those of the file where it rounds as it runs."""
        for info in model.graph.output:
            info.type.tensor_type.shape.Clear()
            for size in right[info.name].shape[1:]:
                info.type.tensor_type.shape.dim.add().dim_value = size
        path = make_op_cases.ROOT / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path.with_suffix(".onnx"))
        arrays = {f"in_{name}": np.asarray(x, np.float32) for name, x in feeds.items() if x.size}
        arrays |= {f"out_{name}": np.asarray(y, np.float32) for name, y in right.items()}
        arrays |= {f"file_{name}": y for name, y in (file or {}).items()}
        np.savez_compressed(path.with_suffix(".npz"), **arrays)


class Reader(CalibrationDataReader):
    def __init__(self, feeds):
        self.left = [{name: x[i] for name, x in feeds.items()} for i in range(SAMPLES)]

    def get_next(self):
        return self.left.pop() if self.left else None


def within(call, model):
    """The model that `call` writes to the second path for the one at the first."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = (str(pathlib.Path(folder) / name) for name in ("float.onnx", "quantised.onnx"))
        onnx.save(model, source)
        call(source, target)
        return onnx.load(target)


def dequantised(model, quantised):
    """The float model with the weights that stand in the quantised one."""
    own = {t.name: numpy_helper.to_array(t) for t in quantised.graph.initializer}
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        name = next((name for name in (tensor.name, f"{tensor.name}_Transposed") if f"{name}_quantized" in own), None)
        if name is None:
            continue
        q, scale, zero = (own[f"{name}_{part}"] for part in ("quantized", "scale", "zero_point"))
        shape = tuple(tensor.dims)
        if q.ndim == 3 and q.shape != shape or q.ndim == 3 and scale.ndim:
            # A recurrent layer's: scales per direction, or per column of each.
            spread = lambda v: np.reshape(v, (q.shape[0], 1, -1)).astype(np.float64)
            value = ((q - spread(zero)) * spread(scale)).transpose(0, 2, 1)
        else:
            axis = next((d for d in range(q.ndim) if scale.ndim and q.shape[d] == scale.size), 0)
            if scale.ndim and q.ndim == 2:
                axis = 1
            spread = lambda v: np.reshape(v, [-1 if d == axis else 1 for d in range(q.ndim)]).astype(np.float64)
            value = (q - spread(zero)) * spread(scale)
        value = value if value.shape == shape else value.T  # of a Gemm
        tensor.CopyFrom(numpy_helper.from_array(value.reshape(shape).astype(np.float32), tensor.name))
    return result


def case(family, opset=13):
    def register(build):
        label = f"{family}/{build.__name__}"
        assert label not in CASES, label
        CASES[label] = (build, opset)
        return build
    return register


def dynamic(name, build, opset=13, ops=None, **options):
    """A case of `quantize_dynamic`, with weights of 7 bits: in 8, sums of signed ones saturate on some processors."""
    def make(c):
        model = c.named(build(c))
        call = lambda source, target: quantize_dynamic(source, target, op_types_to_quantize=ops, reduce_range=True, **options)
        quantised = within(call, model)
        assert any("Dynamic" in node.op_type for node in quantised.graph.node), name
        feeds = c.samples()
        right, file = c.run(dequantised(model, quantised), feeds), c.run(quantised, feeds)
        for key, y in right.items():
            error = np.abs(file[key] - y).max() / np.abs(y).max()
            assert error < 0.03, (name, error)
        c.write(quantised, feeds, right, file)
    CASES[f"dynamic/{name}"] = (make, opset)


def static(name, build, opset=13, form=QuantFormat.QOperator, **options):
    """A case of `quantize_static`. Its scales come from other samples, off the grid: so that there are no ties, which
    depend on the precision of floats."""
    def make(c):
        model = c.named(build(c))
        seen = c.samples()
        call = lambda source, target: quantize_static(source, target, Reader(seen), quant_format=form, **options)
        quantised = within(call, model)
        c.on_grid()
        feeds = c.samples()
        c.write(quantised, feeds, c.run(quantised, feeds))
    CASES[f"quantised/{name}"] = (make, opset)


# Quantised as they run.

def two_layers(c):
    x = c.node("Relu", c.node("Add", c.node("MatMul", c.input(3, 8), c.weight(8, 6)), c.weight(6)))
    return c.node("Add", c.node("MatMul", x, c.weight(6, 4)), c.weight(4))


def one_read_twice(c):
    x = c.input(1, 4, 6)
    q, k = c.node("MatMul", x, c.weight(6, 6)), c.node("MatMul", x, c.weight(6, 6))
    return c.node("MatMul", q, c.node("Transpose", k, perm=[0, 2, 1]))


def convolution(c):
    x = c.node("Relu", c.conv(c.input(1, 2, 6, 5), 4, 2, 3, 3, pads=[1, 1, 1, 1]))
    return c.conv(x, 3, 4, 2, 2, strides=[2, 2])


dynamic("matmul", two_layers, weight_type=QuantType.QInt8)
dynamic("matmul_unsigned", two_layers, weight_type=QuantType.QUInt8)
dynamic("matmul_per_channel", two_layers, weight_type=QuantType.QInt8, per_channel=True)
dynamic("matmul_unsigned_per_channel", two_layers, weight_type=QuantType.QUInt8, per_channel=True)
dynamic("one_read_twice", one_read_twice, weight_type=QuantType.QInt8)
dynamic("gemm", lambda c: c.dense(c.input(2, 8), 5, 8), weight_type=QuantType.QInt8)
dynamic("convolution", convolution, weight_type=QuantType.QUInt8)
dynamic("convolution_per_channel", convolution, weight_type=QuantType.QUInt8, per_channel=True)


def recurrent(direction, wanted):
    def build(c):
        outputs = c.recurrent("LSTM", 4, 6, 5, direction=direction, states="inputs", wanted=wanted)
        return {f"y{i}": y for i, y in enumerate(outputs)}
    return build


for channels in (False, True):
    end = "_per_channel" if channels else ""
    dynamic(f"lstm{end}", recurrent("forward", (True, True, True)), opset=14, weight_type=QuantType.QInt8, per_channel=channels)
    dynamic(f"lstm_bidirectional{end}", recurrent("bidirectional", (True, False, False)), opset=14,
            weight_type=QuantType.QUInt8, per_channel=channels)


def by_hand(c, outputs, right):
    """A case of nodes written by hand; `right` gives the right values for a sample."""
    model = c.named(outputs)
    feeds = c.samples()
    file = c.run(model, feeds)
    values = {"y": np.stack([right(*(x[i] for x in feeds.values())) for i in range(SAMPLES)])}
    error = np.abs(file["y"] - values["y"]).max() / np.abs(values["y"]).max()
    assert error < 0.03, (c.name, error)
    c.write(model, feeds, values, file)


def columns(c, inputs, outputs):
    """Integer weights with zero points and scales per column, and the reals that they stand for."""
    q = c.rng.integers(0, 256, (inputs, outputs)).astype(np.uint8)
    zero, scale = c.rng.integers(100, 150, outputs).astype(np.uint8), c.rng.uniform(0.002, 0.01, outputs).astype(np.float32)
    return q, zero, scale, (q.astype(np.float64) - zero) * scale


@case("dynamic")
def product_with_bias(c):
    q, zero, scale, real = columns(c, 8, 5)
    bias = c.rng.uniform(-1, 1, 5).astype(np.float32)
    y = c.microsoft("DynamicQuantizeMatMul", c.input(3, 8), c.byte(q), c.const(scale), c.byte(zero), c.const(bias))
    by_hand(c, y, lambda x: x @ real + bias)


@case("dynamic")
def product_of_one_scale(c):
    q, _, _, _ = columns(c, 8, 5)
    y = c.microsoft("DynamicQuantizeMatMul", c.input(3, 8), c.byte(q), c.const(0.004), c.byte(131))
    by_hand(c, y, lambda x: x @ ((q.astype(np.float64) - 131) * np.float32(0.004)))


@case("dynamic")
def product_to_float(c):
    q, zero, scale, real = columns(c, 8, 5)
    bias = c.rng.uniform(-1, 1, 5).astype(np.float32)
    y, s, z = c.nodes_of("DynamicQuantizeLinear", [c.input(3, 8)], 3)
    y = c.microsoft("MatMulIntegerToFloat", y, c.byte(q), s, c.const(scale), z, c.byte(zero), c.const(bias))
    by_hand(c, y, lambda x: x @ real + bias)


@case("dynamic")
def there_and_back(c):
    """Moved as integers, and dequantised."""
    y, s, z = c.nodes_of("DynamicQuantizeLinear", [c.input(2, 6)], 3)
    y = c.node("Transpose", c.node("Reshape", y, c.ints(2, 3, 2)), perm=[1, 0, 2])
    y = c.node("Sigmoid", c.node("DequantizeLinear", y, s, z))
    by_hand(c, y, lambda x: 1 / (1 + np.exp(-x.reshape(2, 3, 2).transpose(1, 0, 2).astype(np.float64))))


@case("dynamic")
def scale_last(c):
    """The scale of activations is multiplied after that of the weights, and the sum is cast to integers of another type."""
    q, _, _, _ = columns(c, 6, 4)
    y, s, z = c.nodes_of("DynamicQuantizeLinear", [c.input(3, 6)], 3)
    y = c.node("Cast", c.node("MatMulInteger", y, c.byte(q), z, c.byte(120)), to=INT64)
    y = c.node("Mul", s, c.node("Mul", c.node("Cast", y, to=FLOAT), c.const(0.006)))
    by_hand(c, y, lambda x: x @ ((q.astype(np.float64) - 120) * np.float32(0.006)))


# Quantised before.

static("q_gemm", lambda c: c.dense(c.input(2, 8), 5, 8))
static("q_gemm_per_channel", lambda c: c.dense(c.input(2, 8), 5, 8), per_channel=True, weight_type=QuantType.QInt8,
       reduce_range=True)
static("q_gemm_signed", lambda c: c.dense(c.input(2, 8), 5, 8), activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
       reduce_range=True)
static("q_add", lambda c: c.node("Add", c.input(2, 3, 4), c.input(3, 1, low=-9, high=1)))
static("q_mul", lambda c: c.node("Mul", c.input(2, 3, 4), c.input(4, low=-1, high=2)))
static("q_global_average", lambda c: c.node("GlobalAveragePool", c.input(1, 3, 4, 5)))
static("q_average", lambda c: c.node("AveragePool", c.input(1, 2, 5, 5), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]))
static("q_concat", lambda c: c.node("Concat", c.input(1, 3, 4), c.input(1, 2, 4, low=-8, high=2), axis=1))
static("q_sigmoid", lambda c: c.node("Sigmoid", c.input(2, 6)))
static("q_leaky", lambda c: c.node("LeakyRelu", c.input(2, 6), alpha=0.2))
static("q_softmax", lambda c: c.node("Softmax", c.input(2, 6), axis=-1))
static("q_block", lambda c: c.node("Add", *(lambda x: (x, c.node("Relu", c.conv(x, 2, 2, 3, 3, pads=[1, 1, 1, 1]))))(c.input(1, 2, 5, 5))))
for bits, kind in (("uint16", QuantType.QUInt16), ("int16", QuantType.QInt16)):
    for opset in (13, 21):
        static(f"qdq_{bits}_{opset}", lambda c: c.node("Relu", c.dense(c.input(2, 8), 5, 8)), opset=opset, form=QuantFormat.QDQ,
               activation_type=kind, weight_type=QuantType.QInt8)


def as_it_is(c, outputs, right=None):
    """A case whose file is right as it is; `right` gives the values of a sample where ONNX Runtime does not run it."""
    model = c.named(outputs)
    feeds = c.samples()
    if right:
        values = {"y": np.stack([right(*(x[i] for x in feeds.values())) for i in range(SAMPLES)])}
    else:
        values = c.run(model, feeds)
    c.write(model, feeds, values)


@case("quantised")
def channels_last(c):
    c.on_grid()
    x = c.input(1, 4, 4, 3)
    q = c.node("QuantizeLinear", x, c.const(0.0473), c.byte(120))
    mean = c.microsoft("QLinearAveragePool", q, c.const(0.0473), c.byte(120), c.const(0.0291), c.byte(128), kernel_shape=[2, 2],
                       channels_last=1)
    mean = c.microsoft("QLinearGlobalAveragePool", mean, c.const(0.0291), c.byte(128), c.const(0.0187), c.byte(128), channels_last=1)
    as_it_is(c, c.node("DequantizeLinear", mean, c.const(0.0187), c.byte(128)))


@case("quantised")
def q_where(c):
    """Each side in units of its own."""
    c.on_grid()
    a = c.node("QuantizeLinear", c.input(2, 3), c.const(0.0473), c.byte(120))
    b = c.node("QuantizeLinear", c.input(2, 3, low=-8, high=1), c.const(0.0419), c.byte(200))
    mask = c.const([True, False, True], np.bool_)
    y = c.microsoft("QLinearWhere", mask, a, c.const(0.0473), c.byte(120), b, c.const(0.0419), c.byte(200), c.const(0.0473), c.byte(180))
    as_it_is(c, c.node("DequantizeLinear", y, c.const(0.0473), c.byte(180)))


@case("quantised")
def gemm_to_float(c):
    """Without a scale the result is real; both sides are transposed."""
    c.on_grid()
    q = c.node("QuantizeLinear", c.input(6, 3), c.const(0.0473), c.byte(120))
    w = c.byte(np.round(c.rng.uniform(0, 255, (4, 6))))
    y = c.microsoft("QGemm", q, c.const(0.0473), c.byte(120), w, c.const([0.0101, 0.0193, 0.0049, 0.0107]), c.byte([128, 100, 130, 120]),
                    c.const([30, -20, 500, 4], np.int32), transA=1, transB=1, alpha=0.5)
    as_it_is(c, y)


@case("quantised")
def weights_of_scale_zero(c):
    """A channel of zeros has the scale zero, as some tools write it."""
    c.on_grid()
    x = c.input(1, 2, 4, 4)
    weights = c.signed(np.round(c.rng.uniform(-60, 60, (3, 2, 3, 3))))
    scale, zero = c.const([0.0101, 0.0, 0.0193]), c.signed([0, 0, 0])
    plain = c.node("Conv", x, c.node("DequantizeLinear", weights, scale, zero, axis=0))
    q = c.node("QuantizeLinear", x, c.const(0.0473), c.byte(120))
    y = c.node("QLinearConv", q, c.const(0.0473), c.byte(120), weights, scale, zero, c.const(0.0937), c.byte(128))
    as_it_is(c, {"plain": plain, "y": c.node("DequantizeLinear", y, c.const(0.0937), c.byte(128))})


@case("quantised")
def all_weights_of_scale_zero(c):
    x = c.input(3, 4)
    w = c.node("DequantizeLinear", c.signed(np.round(c.rng.uniform(-90, 90, (4, 2)))), c.const(0.0), c.signed(0))
    as_it_is(c, c.node("Add", c.node("MatMul", x, w), c.node("ReduceSum", x, c.ints(1))))


# What exporters leave in files.

@case("files")
def out_of_order(c):
    x = c.input(2, 4)
    y = c.node("Add", c.node("Tanh", c.node("MatMul", x, c.weight(4, 3))), c.weight(3))
    c.nodes.reverse()
    as_it_is(c, y)


@case("files")
def empty_past(c):
    """A cache without entries: an input without elements, joined to what is new."""
    x, past = c.input(1, 3, 4), c.input(1, 0, 4, name="past")
    keys = c.node("Concat", past, c.node("MatMul", x, c.weight(4, 4)), axis=1)
    scores = c.node("MatMul", x, c.node("Transpose", keys, perm=[0, 2, 1]))
    length = c.node("Cast", c.node("Gather", c.node("Shape", past), c.const(1, np.int64)), to=FLOAT)
    as_it_is(c, c.node("Add", c.node("Softmax", scores, axis=-1), length))


@case("files")
def is_nan(c):
    """Attention that guards itself against lines that are masked altogether."""
    x = c.input(2, 4)
    mask = c.const([[0, 0, -np.inf, 0], [-np.inf, 0, 0, 0]])
    p = c.node("Softmax", c.node("Add", c.node("Div", x, c.const(2.0)), mask), axis=-1)
    p = c.node("Where", c.node("IsNaN", p), c.const(0.0), p)
    as_it_is(c, c.node("Where", c.node("IsInf", x), c.const(7.0), c.node("Add", p, c.node("Div", x, c.const(3.0)))))


@case("files")
def half(c):
    """A graph of 16-bit floats; the right values are those of the same numbers in 32 bits."""
    x = c.input(2, 5)
    c.types = {x: HALF}
    c.on_grid()
    w, b = (np.asarray(c.rng.uniform(-1, 1, shape), np.float16) for shape in ((5, 4), (4,)))
    y = c.node("Add", c.node("MatMul", x, c.const(w, np.float16)), c.const(b, np.float16))
    y = c.node("Clip", y, c.const(-65504, np.float16), c.const(65504, np.float16))
    right = lambda x: x.astype(np.float64) @ w.astype(np.float64) + b
    as_it_is(c, c.node("Cast", c.node("Relu", y), to=FLOAT), lambda x: np.maximum(right(x), 0))


@case("files", opset=13)
def brain_float(c):
    """Weights in bfloat16, cast where they are used."""
    x = c.input(2, 5)
    c.constants.append(helper.make_tensor("w", TensorProto.BFLOAT16, (5, 4), c.rng.uniform(-1, 1, 20)))
    as_it_is(c, c.node("MatMul", x, c.node("Cast", "w", to=FLOAT)))


@case("files", opset=6)
def old_broadcast(c):
    """Before operator set 7, an attribute says at which axis the second input is put."""
    a = c.input(2, 3, 4, 5)
    b, last, one = (c.rng.uniform(0.5, 2, shape).astype(np.float32) for shape in ((3, 4), (4, 5), (1,)))
    y = c.node("Add", a, c.const(b), broadcast=1, axis=1)
    y = c.node("Mul", y, c.const(last), broadcast=1)
    y = c.node("Div", y, c.const(one), broadcast=1)
    as_it_is(c, y, lambda a: (a + b[None, :, :, None]) * last / one)


for mode in ("reflect", "edge", "wrap"):
    def cut(c, mode=mode):
        as_it_is(c, c.node("Pad", c.input(1, 2, 6, 5), c.ints(0, 0, -1, 2, 0, 0, 3, -2), mode=mode))
    CASES[f"blocks/pad_{mode}_negative"] = (cut, 19)


# What is refused.

def found_as_it_runs(c):
    return c.nodes_of("DynamicQuantizeLinear", [c.input(2, 3)], 3)


def integers_found_as_it_runs(c):
    y, _, _ = found_as_it_runs(c)
    return c.node("Greater", y, c.byte(100))


def scale_found_as_it_runs(c):
    return found_as_it_runs(c)[1]


def past_without_entries(c):
    return c.node("Slice", c.input(1, 3), c.ints(0), c.ints(0), c.ints(1))


def nodes_in_a_circle(c):
    y = c.node("Add", c.input(1, 3), "later")
    c.node("Neg", y, out="later")
    return y


REFUSED = [integers_found_as_it_runs, scale_found_as_it_runs, past_without_entries, nodes_in_a_circle]


def main():
    root = make_op_cases.ROOT.parent
    make_op_cases.ROOT = root / "variants"
    for build in REFUSED:
        c = QuantCase(build.__name__, 13)
        onnx.save(c.named(build(c)), root / "refused" / f"{build.__name__}.onnx")
    for name, (build, opset) in CASES.items():
        build(QuantCase(name, opset))
    print(f"{len(CASES)} cases in {make_op_cases.ROOT}")


if __name__ == "__main__":
    main()
