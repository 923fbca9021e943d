"""Builds architectures that everybody knows, with seeded weights, as exporters write them; no torch is needed.

    pip install -r requirements.txt
    python make_architectures.py MODELS [--model NAME] [--external]

Writes MODELS/NAME.onnx, and with `--external` the weights to MODELS/NAME.onnx.data, as torch's exporter does by default. Every
file is run in ONNX Runtime before it counts as made.

* gpt2_small_last, gpt2_small_all: GPT-2 small (124 M weights), logits of the last token or of all of them. One table for
  embeddings and logits, learned positions from a Range, `gelu_new` by Tanh, and the causal mask of Hugging Face's eager attention:
  a buffer of booleans that is sliced to the length, and a Where with float32's smallest number.
* nanogpt: Karpathy's nanoGPT (4 layers, 64 wide, 64 tokens, 65 characters), masked with minus infinity, GELU by Erf.
* bert_mini: an encoder (4 layers, 256 wide, 30,522 pieces) with Hugging Face's mask `(1 - mask) * finfo.min`, added, layer norms in
  elementary operators, and a pooler.
* resnet18_96, mobilenetv2_96: at 96x96, batch norms folded into the convolutions; `_bn`: the same networks, not folded.

Transformers: normal weights of GPT-2's and BERT's own initialisation, but twice as large for queries and keys, so that attention is not
uniform. Vision networks: He's initialisation, and batch norms with the statistics of real activations, of synthetic pictures. These
are computed with values that are rounded to multiples of 1/256, so that all sums are exact, and the files are the same on every machine.
MobileNetV2 has a row for each of 48 pictures among its classes, so that its largest logit means something (its samples are variants
of these pictures).
"""

import argparse
import math
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import pictures

SEED = 20_261_201
LOWEST = float(np.finfo(np.float32).min)
# Pictures that statistics are taken of, and the classes that MobileNetV2 knows; seeds of pictures.
STATISTICS = range(1000, 1016)
CLASSES = range(2000, 2048)
VARIANTS = 4


class Builder:
    """A graph under construction; every method that adds a node returns the name of its first output."""

    def __init__(self, name, opset):
        self.rng = np.random.Generator(np.random.PCG64([SEED, *name.encode()]))
        self.opset, self.nodes, self.weights, self.count = opset, [], [], 0

    def op(self, kind, *inputs, outputs=1, **attributes):
        self.count += 1
        names = [f"/{kind}_{self.count}_output_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, f"/{kind}_{self.count}", **attributes))
        return names[0] if outputs == 1 else names

    def weight(self, name, array):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def normal(self, name, shape, deviation, mean=0.0):
        values = self.rng.standard_normal(shape, np.float32) * np.float32(deviation) + np.float32(mean)
        return self.weight(name, values)

    def const(self, value, kind=np.float32):
        """A Constant node, as torch's exporter writes them."""
        return self.op("Constant", value=numpy_helper.from_array(np.array(value, kind)))

    def ints(self, *values):
        return self.const(list(values), np.int64)

    def size(self, x, axis):
        """The size of an axis, a scalar."""
        return self.op("Gather", self.op("Shape", x), self.const(axis, np.int64), axis=0)

    def reshape(self, x, *sizes):
        """Sizes are numbers, or names of scalars."""
        parts = [s if isinstance(s, str) else self.const(s, np.int64) for s in sizes]
        parts = [self.op("Unsqueeze", p, self.ints(0)) for p in parts]
        return self.op("Reshape", x, self.op("Concat", *parts, axis=0))

    def model(self, inputs, outputs, name):
        for output, (new, *_) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [output], [new], f"/{new}"))
        infos = [helper.make_tensor_value_info(*i) for i in inputs]
        results = [helper.make_tensor_value_info(*o) for o in outputs.values()]
        graph = helper.make_graph(self.nodes, name, infos, results, self.weights)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="make_architectures")


# Transformers.


def norm(b, x, name, width):
    """One LayerNormalization."""
    gain, bias = b.normal(f"{name}.weight", width, 0.1, 1.0), b.normal(f"{name}.bias", width, 0.05)
    return b.op("LayerNormalization", x, gain, bias, axis=-1, epsilon=1e-5)


def norm_in_parts(b, x, name, width):
    """The same from elementary operators, as exporters of opset 16 and below write it."""
    gain, bias = b.normal(f"{name}.weight", width, 0.1, 1.0), b.normal(f"{name}.bias", width, 0.05)
    centred = b.op("Sub", x, b.op("ReduceMean", x, axes=[-1]))
    variance = b.op("ReduceMean", b.op("Pow", centred, b.const(2.0)), axes=[-1])
    scaled = b.op("Div", centred, b.op("Sqrt", b.op("Add", variance, b.const(1e-12))))
    return b.op("Add", b.op("Mul", scaled, gain), bias)


def gelu_new(b, x):
    cubic = b.op("Mul", b.op("Pow", x, b.const(3.0)), b.const(0.044715))
    inner = b.op("Mul", b.op("Add", x, cubic), b.const(math.sqrt(2 / math.pi)))
    return b.op("Mul", b.op("Mul", x, b.const(0.5)), b.op("Add", b.op("Tanh", inner), b.const(1.0)))


def gelu(b, x):
    erf = b.op("Erf", b.op("Div", x, b.const(math.sqrt(2))))
    return b.op("Mul", b.op("Mul", x, b.op("Add", erf, b.const(1.0))), b.const(0.5))


def gpt2(all_logits, layers=12, width=768, heads=12, vocabulary=50_257, positions=1024):
    # One name for both: the same weights.
    b = Builder("gpt2", 17)
    size = width // heads

    def conv1d(x, name, n_in, n_out, deviation):
        """Hugging Face's Conv1D: a Gemm over all tokens."""
        w = deviation if isinstance(deviation, str) else b.normal(f"{name}.weight", (n_in, n_out), deviation)
        sizes = [b.size(x, 0), b.size(x, 1)]
        y = b.op("Gemm", b.op("Reshape", x, b.ints(-1, n_in)), w, b.normal(f"{name}.bias", n_out, 0.01))
        return b.reshape(y, *sizes, n_out)

    ids = "input_ids"
    tokens = b.op("Reshape", ids, b.op("Concat", b.ints(-1), b.op("Unsqueeze", b.size(ids, 1), b.ints(0)), axis=0))
    length = b.size(tokens, 1)
    places = b.op("Range", b.const(0, np.int64), length, b.const(1, np.int64))
    wte = b.normal("transformer.wte.weight", (vocabulary, width), 0.02)
    wpe = b.normal("transformer.wpe.weight", (positions, width), 0.01)
    x = b.op("Add", b.op("Gather", wte, tokens), b.op("Gather", wpe, b.op("Unsqueeze", places, b.ints(0))))
    buffer = b.weight("transformer.h.attn.bias", np.tril(np.ones((1, 1, positions, positions), bool)))
    for i in range(layers):
        at = f"transformer.h.{i}"
        h = norm(b, x, f"{at}.ln_1", width)
        qkv = b.rng.standard_normal((width, 3 * width), np.float32) * np.float32(0.02)
        qkv[:, : 2 * width] *= np.float32(2)
        joined = conv1d(h, f"{at}.attn.c_attn", width, 3 * width, b.weight(f"{at}.attn.c_attn.weight", qkv))
        parts = b.op("Split", joined, b.ints(width, width, width), outputs=3, axis=2)
        q, k, v = (b.reshape(p, b.size(p, 0), b.size(p, 1), heads, size) for p in parts)
        q, v = (b.op("Transpose", p, perm=[0, 2, 1, 3]) for p in (q, v))
        scores = b.op("MatMul", q, b.op("Transpose", k, perm=[0, 2, 3, 1]))
        scores = b.op("Div", scores, b.const(math.sqrt(size)))
        queries, keys = b.size(q, 2), b.size(v, 2)
        first = b.op("Unsqueeze", b.op("Sub", keys, queries), b.ints(0))
        last = b.op("Unsqueeze", keys, b.ints(0))
        rows = b.op("Slice", buffer, first, last, b.ints(2), b.ints(1))
        causal = b.op("Slice", rows, b.ints(0), last, b.ints(3), b.ints(1))
        scores = b.op("Where", b.op("Cast", causal, to=TensorProto.BOOL), scores, b.const(LOWEST))
        mixed = b.op("MatMul", b.op("Softmax", scores, axis=-1), v)
        mixed = b.op("Transpose", mixed, perm=[0, 2, 1, 3])
        mixed = b.reshape(mixed, b.size(mixed, 0), b.size(mixed, 1), width)
        narrow = 0.02 / math.sqrt(2 * layers)
        x = b.op("Add", conv1d(mixed, f"{at}.attn.c_proj", width, width, narrow), x)
        h = norm(b, x, f"{at}.ln_2", width)
        h = gelu_new(b, conv1d(h, f"{at}.mlp.c_fc", width, 4 * width, 0.02))
        x = b.op("Add", x, conv1d(h, f"{at}.mlp.c_proj", 4 * width, width, narrow))
    x = norm(b, x, "transformer.ln_f", width)
    if not all_logits:
        x = b.op("Slice", x, b.ints(-1), b.ints(np.iinfo(np.int64).max), b.ints(1), b.ints(1))
    logits = b.op("MatMul", x, b.op("Transpose", wte, perm=[1, 0]))
    inputs = [(ids, TensorProto.INT64, ["batch_size", "sequence_length"])]
    shape = ["batch_size", "sequence_length" if all_logits else 1, vocabulary]
    return b.model(inputs, {logits: ("logits", TensorProto.FLOAT, shape)}, "gpt2")


def nanogpt(layers=4, width=64, heads=4, vocabulary=65, length=64):
    b = Builder("nanogpt", 17)
    size = width // heads

    def linear(x, name, n_in, n_out, deviation):
        return b.op("MatMul", x, b.normal(f"{name}.weight", (n_in, n_out), deviation))

    wte = b.normal("transformer.wte.weight", (vocabulary, width), 0.5)
    wpe = b.normal("transformer.wpe.weight", (length, width), 0.2)
    places = b.op("Gather", wpe, b.weight("places", np.arange(length)))
    x = b.op("Add", b.op("Gather", wte, "idx"), places)
    hidden = b.weight("hidden", ~np.tril(np.ones((1, 1, length, length), bool)))
    ones = b.const(np.ones(width), np.float32)
    for i in range(layers):
        at = f"transformer.h.{i}"
        # LayerNorm without a bias, as nanoGPT has it.
        gain = b.normal(f"{at}.ln_1.weight", width, 0.1, 1.0)
        joined = linear(b.op("LayerNormalization", x, gain, axis=-1, epsilon=1e-5), f"{at}.attn.c_attn", width, 3 * width, 0.15)
        q, k, v = b.op("Split", joined, b.ints(width, width, width), outputs=3, axis=2)
        q, k, v = (
            b.op("Transpose", b.op("Reshape", p, b.ints(1, length, heads, size)), perm=[0, 2, 1, 3]) for p in (q, k, v)
        )
        scores = b.op("MatMul", q, b.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = b.op("Mul", scores, b.const(1 / math.sqrt(size)))
        scores = b.op("Where", hidden, b.const(-math.inf), scores)
        mixed = b.op("Transpose", b.op("MatMul", b.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        mixed = b.op("Reshape", mixed, b.ints(1, length, width))
        x = b.op("Add", x, linear(mixed, f"{at}.attn.c_proj", width, width, 0.1))
        gain = b.normal(f"{at}.ln_2.weight", width, 0.1, 1.0)
        h = gelu(b, linear(b.op("LayerNormalization", x, gain, axis=-1, epsilon=1e-5), f"{at}.mlp.c_fc", width, 4 * width, 0.15))
        x = b.op("Add", x, linear(h, f"{at}.mlp.c_proj", 4 * width, width, 0.05))
    x = b.op("LayerNormalization", x, ones, axis=-1, epsilon=1e-5)
    logits = b.op("MatMul", x, b.op("Transpose", wte, perm=[1, 0]))
    inputs = [("idx", TensorProto.INT64, [1, length])]
    return b.model(inputs, {logits: ("logits", TensorProto.FLOAT, [1, length, vocabulary])}, "nanogpt")


def bert_mini(layers=4, width=256, heads=4, vocabulary=30_522, positions=512):
    b = Builder("bert_mini", 14)
    size = width // heads

    def linear(x, name, n_in, n_out, deviation):
        y = b.op("MatMul", x, b.normal(f"{name}.weight", (n_in, n_out), deviation))
        return b.op("Add", b.normal(f"{name}.bias", n_out, 0.02), y)

    ids, mask, kinds = "input_ids", "attention_mask", "token_type_ids"
    wide = b.op("Unsqueeze", b.op("Unsqueeze", mask, b.ints(1)), b.ints(2))
    wide = b.op("Sub", b.const(1.0), b.op("Cast", wide, to=TensorProto.FLOAT))
    wide = b.op("Mul", wide, b.const(LOWEST))
    length = b.size(ids, 1)
    all_places = b.weight("embeddings.position_ids", np.arange(positions)[None])
    places = b.op("Slice", all_places, b.ints(0), b.op("Unsqueeze", length, b.ints(0)), b.ints(1), b.ints(1))
    deviation = 0.06
    words = b.op("Gather", b.normal("embeddings.word_embeddings.weight", (vocabulary, width), deviation), ids)
    types = b.op("Gather", b.normal("embeddings.token_type_embeddings.weight", (2, width), deviation / 3), kinds)
    where = b.op("Gather", b.normal("embeddings.position_embeddings.weight", (positions, width), deviation / 3), places)
    x = norm_in_parts(b, b.op("Add", b.op("Add", words, types), where), "embeddings.LayerNorm", width)
    for i in range(layers):
        at = f"encoder.layer.{i}"

        def split(name, deviation, perm):
            y = linear(x, f"{at}.attention.self.{name}", width, width, deviation)
            return b.op("Transpose", b.reshape(y, b.size(y, 0), b.size(y, 1), heads, size), perm=perm)

        q = split("query", 2 * deviation, [0, 2, 1, 3])
        k = split("key", 2 * deviation, [0, 2, 3, 1])
        v = split("value", deviation, [0, 2, 1, 3])
        scores = b.op("Add", b.op("Div", b.op("MatMul", q, k), b.const(math.sqrt(size))), wide)
        mixed = b.op("Transpose", b.op("MatMul", b.op("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        mixed = b.reshape(mixed, b.size(mixed, 0), b.size(mixed, 1), width)
        mixed = linear(mixed, f"{at}.attention.output.dense", width, width, deviation)
        x = norm_in_parts(b, b.op("Add", mixed, x), f"{at}.attention.output.LayerNorm", width)
        h = gelu(b, linear(x, f"{at}.intermediate.dense", width, 4 * width, deviation))
        h = linear(h, f"{at}.output.dense", 4 * width, width, deviation / 2)
        x = norm_in_parts(b, b.op("Add", h, x), f"{at}.output.LayerNorm", width)
    first = b.op("Gather", x, b.const(0, np.int64), axis=1)
    weight, bias = b.normal("pooler.dense.weight", (width, width), deviation), b.normal("pooler.dense.bias", width, 0.02)
    pooled = b.op("Tanh", b.op("Gemm", first, weight, bias, transB=1))
    shape = ["batch_size", "sequence_length"]
    outputs = {
        x: ("last_hidden_state", TensorProto.FLOAT, [*shape, width]),
        pooled: ("pooler_output", TensorProto.FLOAT, ["batch_size", width]),
    }
    return b.model([(name, TensorProto.INT64, shape) for name in (ids, mask, kinds)], outputs, "bert_mini")


# Vision networks.


def rounded(x):
    return np.round(256 * x) / 256


def convolve(x, w, stride, pad, groups):
    """A convolution of multiples of 1/256 with weights that are rounded to 1/4096: every sum is exact, in any order."""
    w = np.round(4096.0 * w) / 4096
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    k = w.shape[2]
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), (2, 3))[:, :, ::stride, ::stride]
    if groups == 1:
        n, c, h, v = windows.shape[:4]
        columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * v, c * k * k)
        y = (columns @ w.reshape(len(w), -1).T).reshape(n, h, v, len(w)).transpose(0, 3, 1, 2)
    else:
        y = sum(windows[..., i, j] * w[None, :, 0, i, j, None, None] for i in range(k) for j in range(k))
    return rounded(y)


class Vision(Builder):
    """A builder that also knows the activations of some pictures: a value is (name, activations)."""

    def __init__(self, name, folded):
        super().__init__(name, 17)
        self.folded = folded

    def start(self, images):
        return ("input", rounded(pictures.normalised(images).astype(np.float64)))

    def conv_norm(self, x, name, channels, kernel, stride=1, groups=1, gain=1.0):
        """Convolution and batch norm; the latter with the statistics of the pictures."""
        of = x[1].shape[1] // groups
        fan_in = of * kernel * kernel
        w = self.rng.standard_normal((channels, of, kernel, kernel), np.float32) * np.float32(math.sqrt(2 / fan_in))
        scale = (gain * (1 + 0.1 * self.rng.standard_normal(channels))).astype(np.float32)
        shift = (0.1 * self.rng.standard_normal(channels)).astype(np.float32)
        pad = (kernel - 1) // 2
        y = convolve(x[1], w.astype(np.float64), stride, pad, groups)
        count = y.size // channels
        # Sums of multiples of 1/256 and 1/65536: exact.
        mean = (y.sum((0, 2, 3)) / count).astype(np.float32)
        squares = (y * y).sum((0, 2, 3)) / count
        variance = np.maximum(squares - mean.astype(np.float64) ** 2, 1e-3).astype(np.float32)
        factor = (scale / np.sqrt(variance.astype(np.float64) + 1e-5)).astype(np.float64)
        offset = shift - factor * mean
        attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "group": groups}
        if self.folded:
            w = (w * factor[:, None, None, None]).astype(np.float32)
            bias = self.weight(f"{name}.bias", offset.astype(np.float32))
            out = self.op("Conv", x[0], self.weight(f"{name}.weight", w), bias, **attributes)
        else:
            out = self.op("Conv", x[0], self.weight(f"{name}.weight", w), **attributes)
            values = {"weight": scale, "bias": shift, "running_mean": mean, "running_var": variance}
            names = [self.weight(f"{name}.bn.{key}", value) for key, value in values.items()]
            out = self.op("BatchNormalization", out, *names, epsilon=1e-5)
        return out, rounded(y * factor[:, None, None] + offset[:, None, None])

    def relu(self, x):
        return self.op("Relu", x[0]), np.maximum(x[1], 0)

    def relu6(self, x):
        return self.op("Clip", x[0], self.const(0.0), self.const(6.0)), np.clip(x[1], 0, 6)

    def add(self, a, b):
        return self.op("Add", a[0], b[0]), a[1] + b[1]

    def pooled(self, x):
        features = x[1].sum((2, 3)) / (x[1].shape[2] * x[1].shape[3])
        return self.op("Flatten", self.op("GlobalAveragePool", x[0]), axis=1), rounded(features)

    def finish(self, x, w, bias, name):
        names = self.weight("fc.weight", w.astype(np.float32)), self.weight("fc.bias", bias.astype(np.float32))
        out = self.op("Gemm", x, *names, transB=1)
        inputs = [("input", TensorProto.FLOAT, ["batch_size", 3, 96, 96])]
        return self.model(inputs, {out: ("logits", TensorProto.FLOAT, ["batch_size", len(w)])}, name)


def statistics():
    return np.stack([pictures.picture(seed, 96, 96) for seed in STATISTICS])


def resnet18(folded):
    b = Vision("resnet18", folded)
    x = b.relu(b.conv_norm(b.start(statistics()), "conv1", 64, 7, 2))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x[1], ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3))
    pool = b.op("MaxPool", x[0], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = pool, windows[:, :, ::2, ::2].max((4, 5))
    for stage, channels in enumerate((64, 128, 256, 512)):
        for block in range(2):
            at, stride = f"layer{stage + 1}.{block}", 2 if stage and not block else 1
            y = b.relu(b.conv_norm(x, f"{at}.conv1", channels, 3, stride))
            y = b.conv_norm(y, f"{at}.conv2", channels, 3, gain=0.5)
            if stride == 2:
                x = b.conv_norm(x, f"{at}.downsample", channels, 1, 2)
            x = b.relu(b.add(y, x))
    name, features = b.pooled(x)
    w = b.rng.standard_normal((1000, 512)) * 0.05
    centre = features.sum(0) / len(features)
    return b.finish(name, w, -exact(w) @ rounded(centre) + 0.1 * b.rng.standard_normal(1000), "resnet18")


def exact(w):
    return np.round(4096 * w) / 4096


def mobilenetv2(folded):
    b = Vision("mobilenetv2", folded)
    rng = np.random.Generator(np.random.PCG64([SEED, 2]))
    classes = [pictures.varied(rng, pictures.picture(seed, 96, 96)) for seed in CLASSES for _ in range(VARIANTS)]
    x = b.relu6(b.conv_norm(b.start(np.concatenate([np.stack(classes), statistics()])), "features.0", 32, 3, 2))
    layers = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    at = 1
    for expand, channels, count, first in layers:
        for i in range(count):
            stride, own, y = first if i == 0 else 1, x[1].shape[1], x
            if expand > 1:
                y = b.relu6(b.conv_norm(y, f"features.{at}.expand", expand * own, 1))
            y = b.relu6(b.conv_norm(y, f"features.{at}.depthwise", expand * own, 3, stride, groups=expand * own))
            y = b.conv_norm(y, f"features.{at}.project", channels, 1)
            x = b.add(x, y) if stride == 1 and own == channels else y
            at += 1
    name, features = b.pooled(b.relu6(b.conv_norm(x, "features.18", 1280, 1)))
    # Rows: the mean features of a class's variants, less the mean of all, and random ones half as long for the other classes.
    centre = rounded(features.sum(0) / len(features))
    known = rounded(features[: len(classes)].reshape(len(CLASSES), VARIANTS, -1).sum(1) / VARIANTS) - centre
    lengths = np.sqrt((known * known).sum(1, keepdims=True))
    w = b.rng.standard_normal((1000, 1280)) * (0.5 / math.sqrt(1280))
    w[b.rng.permutation(1000)[: len(CLASSES)]] = known / lengths
    w *= 16 / np.sort(lengths, axis=None)[len(lengths) // 2]
    return b.finish(name, w, -exact(w) @ centre, "mobilenetv2")


MODELS = {
    "nanogpt": nanogpt,
    "bert_mini": bert_mini,
    "resnet18_96": lambda: resnet18(True),
    "resnet18_96_bn": lambda: resnet18(False),
    "mobilenetv2_96": lambda: mobilenetv2(True),
    "mobilenetv2_96_bn": lambda: mobilenetv2(False),
    "gpt2_small_last": lambda: gpt2(False),
    "gpt2_small_all": lambda: gpt2(True),
}


def check(path):
    """Runs it in ONNX Runtime on something; returns the shapes and ranges of the outputs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    # A second copy of the weights for each folded transposition is not needed for one run.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rng = np.random.Generator(np.random.PCG64(1))
    inputs = {}
    for i in session.get_inputs():
        shape = [{"batch_size": 1, "sequence_length": 16}.get(s, s) for s in i.shape]
        if i.type == "tensor(int64)":
            inputs[i.name] = np.ones(shape, np.int64) if "ids" not in i.name else rng.integers(0, 2, shape)
            if i.name == "idx" or i.name == "input_ids":
                inputs[i.name] = rng.integers(0, 65, shape)
        else:
            inputs[i.name] = pictures.normalised(pictures.picture(7, 96, 96)[None])
    outputs = session.run(None, inputs)
    lines = []
    for o, value in zip(session.get_outputs(), outputs):
        if not (np.isfinite(value).all() and value.std() > 1e-3):
            raise SystemExit(f"{path}: output {o.name} is constant or not finite")
        lines.append(f"{o.name} {list(value.shape)} {value.min():.3g} to {value.max():.3g}, deviation {value.std():.3g}")
    return "; ".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("models", type=pathlib.Path, help="the directory to write to")
    parser.add_argument("--model", choices=MODELS)
    parser.add_argument("--external", action="store_true", help="weights in NAME.onnx.data beside the model")
    arguments = parser.parse_args()
    arguments.models.mkdir(parents=True, exist_ok=True)
    for name, make in MODELS.items():
        if arguments.model not in (None, name):
            continue
        model = make()
        count = sum(math.prod(t.dims) for t in model.graph.initializer if t.data_type == TensorProto.FLOAT)
        path, data = arguments.models / f"{name}.onnx", arguments.models / f"{name}.onnx.data"
        data.unlink(missing_ok=True)
        external = {"save_as_external_data": True, "location": data.name} if arguments.external else {}
        onnx.save_model(model, path, **external)
        size = path.stat().st_size + (data.stat().st_size if data.exists() else 0)
        print(f"{name:18} {count:>11,} weights, {size:>11,} bytes; {check(path)}", flush=True)


if __name__ == "__main__":
    main()
