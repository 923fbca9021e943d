"""Builds the fixtures of what transformers are exported as: masks, pooling, norms, and small whole models.

    pip install -r requirements.txt
    python make_op_cases_transformers.py

Cases of tests/variants/masks, pooling and transformers are compared with ONNX Runtime, in floating point and in integers
of several widths. Token ids, masks and positions are integers, as exporters have them. No query has all of its keys
hidden: what a softmax gives then depends on how a mask is written.
"""

import numpy as np
from onnx import TensorProto, helper

import make_op_cases
from make_op_cases import SAMPLES, Case

MIN = float(np.finfo(np.float32).min)
CASES = {}


class TextCase(Case):
    """A case some of whose inputs are integers, or floats of its own making."""

    def __init__(self, name, opset):
        super().__init__(name, opset)
        self.types, self.made = {}, {}

    def ids(self, name, *shape, high):
        """Token ids below `high`; the first samples hold the last one of them."""
        values = self.rng.integers(0, high, (SAMPLES, *shape))
        return self.typed(name, shape, TensorProto.INT64, values)

    def mask(self, name, *shape, element=TensorProto.INT64, left=False):
        """Ones, then zeros from another place on in every sample: at least one key stays."""
        length = shape[-1]
        kept = np.maximum(length - (3 * np.arange(SAMPLES)) % length, 1)
        places = np.arange(length)[::-1] if left else np.arange(length)
        values = (places[None] < kept[:, None]).reshape(SAMPLES, *([1] * (len(shape) - 1)), length)
        return self.typed(name, shape, element, np.broadcast_to(values, (SAMPLES, *shape)))

    def typed(self, name, shape, element, values):
        self.inputs[name], self.types[name] = shape, element
        self.made[name] = np.asarray(values).astype(helper.tensor_dtype_to_np_dtype(element))
        return name

    def model(self, shapes=None, types=None):
        model = super().model(shapes, types)
        for info in model.graph.input:
            info.type.tensor_type.elem_type = self.types.get(info.name, TensorProto.FLOAT)
        return model

    def feeds(self):
        return {name: self.made[name] if name in self.made else
                self.rng.uniform(*self.ranges[name], (SAMPLES, *shape)).astype(np.float32)
                for name, shape in self.inputs.items()}

    def stored(self, values):
        assert np.isfinite(values).all(), self.name
        return values.astype(np.float32)

    # Parts of transformers.

    def linear(self, x, inp, out, bias=True):
        y = self.node("MatMul", x, self.const(self.rng.normal(0, 1 / np.sqrt(inp), (inp, out))))
        return self.node("Add", y, self.const(self.rng.normal(0, 0.05, out))) if bias else y

    def heads(self, x, count, length, size):
        y = self.node("Reshape", x, self.ints(0, length, count, size))
        return self.node("Transpose", y, perm=[0, 2, 1, 3])

    def scores(self, q, k, size):
        y = self.node("MatMul", q, self.node("Transpose", k, perm=[0, 1, 3, 2]))
        return self.node("Div", y, self.const(np.sqrt(size)))

    def padding(self, mask, low, element=TensorProto.INT64):
        """Hugging Face's: `(1 − mask) · low`, for every query and head."""
        y = self.node("Unsqueeze", self.node("Unsqueeze", mask, self.ints(1)), self.ints(2))
        if element != TensorProto.FLOAT:
            y = self.node("Cast", y, to=TensorProto.FLOAT)
        return self.node("Mul", self.node("Sub", self.const(1.0), y), self.const(low))

    def causal(self, length, low):
        return self.const(np.where(np.tri(length, dtype=bool), 0.0, low).reshape(1, 1, length, length))

    def layer_norm(self, x, width):
        """Written out, as exporters did before operator set 17."""
        gamma, beta = self.weight(width, low=0.6, high=1.4), self.weight(width, low=-0.3, high=0.3)
        if self.opset >= 17:
            return self.node("LayerNormalization", x, gamma, beta, axis=-1, epsilon=1e-12)
        centred = self.node("Sub", x, self.node("ReduceMean", x, axes=[-1]))
        variance = self.node("ReduceMean", self.node("Pow", centred, self.const(2.0)), axes=[-1])
        root = self.node("Sqrt", self.node("Add", variance, self.const(1e-12)))
        return self.node("Add", self.node("Mul", self.node("Div", centred, root), gamma), beta)

    def rms_norm(self, x, width, divide=False):
        mean = self.node("ReduceMean", self.node("Pow", x, self.const(2.0)), axes=[-1])
        root = self.node("Sqrt", self.node("Add", mean, self.const(1e-6)))
        if divide:
            y = self.node("Div", x, root)
        else:
            y = self.node("Mul", x, self.node("Div", self.const(1.0), root))
        return self.node("Mul", self.weight(width, low=0.6, high=1.4), y)

    def gelu(self, x):
        y = self.node("Erf", self.node("Div", x, self.const(np.sqrt(2))))
        return self.node("Mul", self.node("Mul", x, self.node("Add", y, self.const(1.0))), self.const(0.5))

    def silu(self, x):
        return self.node("Mul", x, self.node("Sigmoid", x))

    def merged(self, x, length, width):
        return self.node("Reshape", self.node("Transpose", x, perm=[0, 2, 1, 3]), self.ints(0, length, width))

    def attention(self, x, width, count, length, mask, rotate=None):
        size = width // count
        q, k, v = (self.heads(self.linear(x, width, width), count, length, size) for _ in range(3))
        if rotate:
            q, k = rotate(q), rotate(k)
        weights = self.node("Softmax", mask(self.scores(q, k, size)), axis=-1)
        return self.linear(self.merged(self.node("MatMul", weights, v), length, width), width, width)

    def rotary(self, length, size):
        """Rotations by positions, as LLaMA has them: `x · cos + rotate_half(x) · sin`."""
        angles = np.arange(length)[:, None] / 10000.0 ** (np.arange(0, size, 2) / size)[None]
        angles = np.concatenate([angles, angles], -1)[None, None]
        cosine, sine = self.const(np.cos(angles)), self.const(np.sin(angles))

        def rotate(x):
            half = size // 2
            first = self.node("Slice", x, self.ints(0), self.ints(half), self.ints(3))
            second = self.node("Slice", x, self.ints(half), self.ints(size), self.ints(3))
            turned = self.node("Concat", self.node("Neg", second), first, axis=3)
            return self.node("Add", self.node("Mul", x, cosine), self.node("Mul", turned, sine))
        return rotate

    def pooled(self, x, mask, length, width):
        """The mean over the tokens that the mask keeps, as sentence-transformers has it."""
        wide = self.node("Expand", self.node("Unsqueeze", mask, self.ints(-1)), self.ints(1, length, width))
        wide = self.node("Cast", wide, to=TensorProto.FLOAT)
        total = self.node("ReduceSum", self.node("Mul", x, wide), self.ints(1), keepdims=0)
        count = self.node("ReduceSum", wide, self.ints(1), keepdims=0)
        return self.node("Div", total, self.node("Clip", count, self.const(1e-9)))

    def normalised(self, x, width):
        norm = self.node("ReduceL2", x, axes=[1], keepdims=1)
        norm = self.node("Clip", norm, self.const(1e-12))
        return self.node("Div", x, self.node("Expand", norm, self.ints(1, width)))


def case(family, name=None, opset=13):
    def register(build):
        label = f"{family}/{name or build.__name__}"
        assert label not in CASES, label
        CASES[label] = (build, opset)
        return build
    return register


HEADS, TOKENS = 2, 6


def masked(c, mask, name="scores"):
    """Attention weights of scores that are an input, times values."""
    scores = c.input(1, HEADS, TOKENS, TOKENS, low=-4, high=4, name=name)
    values = c.input(1, HEADS, TOKENS, 3, low=-1, high=1, name="values")
    scores = c.node("Mul", scores, c.const(1.25))
    return c.node("MatMul", c.node("Softmax", mask(scores), axis=-1), values)


for low, label in [(MIN, "min"), (-1e30, "1e30"), (-1e9, "1e9"), (-65504.0, "65504"), (-1e4, "1e4")]:
    @case("masks", f"product_{label}")
    def product(c, low=low):
        return masked(c, lambda s: c.node("Add", s, c.padding(c.mask("mask", 1, TOKENS), low)))

    @case("masks", f"constant_{label}")
    def constant(c, low=low):
        return masked(c, lambda s: c.node("Add", s, c.causal(TOKENS, low)))

    @case("masks", f"both_{label}")
    def both(c, low=low):
        return masked(c, lambda s: c.node("Add", c.node("Add", s, c.causal(TOKENS, low)),
                                          c.padding(c.mask("mask", 1, TOKENS), low)))

    @case("masks", f"where_{label}")
    def where(c, low=low):
        seen = c.node("Cast", c.mask("mask", 1, 1, 1, TOKENS), to=TensorProto.BOOL)
        return masked(c, lambda s: c.node("Where", seen, s, c.const(low)))

    @case("masks", f"filled_{label}")
    def filled(c, low=low):
        hidden = c.node("Not", c.node("Cast", c.mask("mask", 1, 1, 1, TOKENS), to=TensorProto.BOOL))
        return masked(c, lambda s: c.node("Where", hidden, c.const(low), s))

    @case("masks", f"where_of_both_{label}")
    def where_of_both(c, low=low):
        """A mask made once, of truth values."""
        seen = c.node("Cast", c.mask("mask", 1, 1, 1, TOKENS), to=TensorProto.BOOL)
        seen = c.node("And", seen, c.const(np.tri(TOKENS).reshape(1, 1, TOKENS, TOKENS), np.bool_))
        return masked(c, lambda s: c.node("Add", s, c.node("Where", seen, c.const(0.0), c.const(low))))


@case("masks")
def of_floats(c):
    """A mask that is an input of floats."""
    mask = c.mask("mask", 1, TOKENS, element=TensorProto.FLOAT)
    return masked(c, lambda s: c.node("Add", s, c.padding(mask, MIN, TensorProto.FLOAT)))


@case("masks")
def gpt2(c):
    """Causality by Where, then the padding is added."""
    seen = c.const(np.tri(TOKENS).reshape(1, 1, TOKENS, TOKENS), np.bool_)
    padding = c.padding(c.mask("mask", 1, TOKENS), MIN)
    return masked(c, lambda s: c.node("Add", c.node("Where", seen, s, c.const(MIN)), padding))


@case("masks")
def opt(c):
    """The sum is kept above the smallest float, and heads are joined before the softmax."""
    def mask(s):
        s = c.node("Add", s, c.padding(c.mask("mask", 1, TOKENS), MIN))
        s = c.node("Max", c.node("Add", s, c.causal(TOKENS, MIN)), c.const(MIN))
        s = c.node("Reshape", s, c.ints(HEADS, TOKENS, TOKENS))
        return c.node("Reshape", c.node("Softmax", s, axis=-1), c.ints(1, HEADS, TOKENS, TOKENS))
    scores = c.input(1, HEADS, TOKENS, TOKENS, low=-4, high=4, name="scores")
    values = c.input(1, HEADS, TOKENS, 3, low=-1, high=1, name="values")
    return c.node("MatMul", mask(c.node("Mul", scores, c.const(1.25))), values)


@case("masks", opset=11)
def before_13(c):
    """The softmax of a matrix."""
    mask = c.mask("mask", 1, TOKENS)
    wide = c.node("Cast", c.node("Unsqueeze", mask, axes=[1, 2]), to=TensorProto.FLOAT)
    wide = c.node("Mul", c.node("Sub", c.const(1.0), wide), c.const(-1e4))
    return masked(c, lambda s: c.node("Add", s, wide))


@case("masks")
def swin(c):
    """Windows that do not see each other: minus one hundred."""
    groups = np.array([0, 0, 1, 1, 1, 2])
    low = np.where(groups[:, None] == groups[None], 0.0, -100.0).reshape(1, 1, TOKENS, TOKENS)
    return masked(c, lambda s: c.node("Add", s, c.const(low)))


@case("masks")
def with_bias(c):
    """A learned bias of positions and the mask in one sum, as T5 has it."""
    bias = c.const(c.rng.uniform(-1, 1, (1, HEADS, TOKENS, TOKENS)))
    return masked(c, lambda s: c.node("Add", s, c.node("Add", bias, c.padding(c.mask("mask", 1, TOKENS), MIN))))


@case("masks")
def far_apart(c):
    """What is hidden would be the largest, and lines differ much in size."""
    scores = c.input(1, HEADS, TOKENS, TOKENS, low=-1, high=1, name="scores")
    values = c.input(1, HEADS, TOKENS, 3, low=-1, high=1, name="values")
    lift = np.where(np.tri(TOKENS, dtype=bool), np.arange(TOKENS)[:, None] * 3.0, 9.0)
    scores = c.node("Add", scores, c.const(lift.reshape(1, 1, TOKENS, TOKENS)))
    return c.node("MatMul", c.node("Softmax", c.node("Add", scores, c.causal(TOKENS, MIN)), axis=-1), values)


# Divisions by what the graph keeps away from zero.


@case("pooling")
def mean(c):
    """Of few tokens in some samples, of all in others."""
    return c.pooled(c.input(1, 8, 5), c.mask("mask", 1, 8), 8, 5)


@case("pooling")
def mean_of_all(c):
    """Every sample keeps all tokens."""
    mask = c.typed("mask", (1, 8), TensorProto.INT64, np.ones((SAMPLES, 1, 8)))
    return c.pooled(c.input(1, 8, 5), mask, 8, 5)


@case("pooling")
def mean_of_floats(c):
    """As written without Expand, of a mask of floats."""
    x, mask = c.input(1, 8, 5), c.node("Unsqueeze", c.mask("mask", 1, 8, element=TensorProto.FLOAT), c.ints(-1))
    total = c.node("ReduceSum", c.node("Mul", x, mask), c.ints(1), keepdims=0)
    count = c.node("ReduceSum", mask, c.ints(1), keepdims=0)
    return c.node("Div", total, c.node("Max", count, c.const(1e-9)))


@case("pooling")
def mean_by_a_reciprocal(c):
    x, mask = c.input(1, 8, 5), c.node("Unsqueeze", c.mask("mask", 1, 8, element=TensorProto.FLOAT), c.ints(-1))
    total = c.node("ReduceSum", c.node("Mul", x, mask), c.ints(1), keepdims=0)
    count = c.node("Clip", c.node("ReduceSum", mask, c.ints(1), keepdims=0), c.const(1e-9))
    return c.node("Mul", total, c.node("Reciprocal", count))


@case("pooling")
def unit_length(c):
    return c.normalised(c.input(1, 24), 24)


@case("pooling")
def unit_length_of_some_zeros(c):
    """One sample is zero: so is its result."""
    values = c.rng.uniform(-2, 2, (SAMPLES, 1, 24))
    values[3] = 0
    return c.normalised(c.typed("x", (1, 24), TensorProto.FLOAT, values), 24)


@case("pooling")
def by_a_root_with_epsilon(c):
    values = c.rng.uniform(-2, 2, (SAMPLES, 1, 24))
    values[3] = 0
    x = c.typed("x", (1, 24), TensorProto.FLOAT, values)
    square = c.node("ReduceSum", c.node("Mul", x, x), c.ints(1), keepdims=1)
    return c.node("Div", x, c.node("Sqrt", c.node("Add", square, c.const(1e-2))))


@case("pooling")
def by_a_sum_with_epsilon(c):
    values = c.rng.uniform(0, 2, (SAMPLES, 1, 24))
    values[3] = 0
    x = c.typed("x", (1, 24), TensorProto.FLOAT, values)
    return c.node("Div", x, c.node("Add", c.node("ReduceSum", x, c.ints(1), keepdims=1), c.const(1e-3)))


@case("pooling")
def instances_of_one(c):
    """Normalised over an axis of length 1: nothing is left but the bias."""
    x = c.input(1, 3, 1)
    y = c.node("InstanceNormalization", x, c.weight(3, low=0.6, high=1.4), c.weight(3))
    return c.node("Add", y, c.node("Mul", x, c.const(0.5)))


@case("pooling")
def standardised(c):
    """Divided by what may be small beside the values: epsilon is added to the deviation."""
    x = c.input(1, 3, 12)
    centred = c.node("Sub", x, c.node("ReduceMean", x, axes=[-1]))
    root = c.node("Sqrt", c.node("ReduceMean", c.node("Mul", centred, centred), axes=[-1]))
    return c.node("Div", centred, c.node("Add", root, c.const(1e-5)))


@case("pooling", opset=17)
def layer_norm_of_some_zeros(c):
    """Lines that are constant, such as silence or padding, have an inverse that is far larger than all others."""
    values = c.rng.uniform(-2, 2, (SAMPLES, 2, 24))
    values[3, 1] = 0
    values[5] = 0.25
    x = c.typed("x", (2, 24), TensorProto.FLOAT, values)
    return c.node("LayerNormalization", x, c.weight(24, low=0.6, high=1.4), c.weight(24), axis=-1, epsilon=1e-5)


@case("pooling", opset=17)
def layer_norm_of_uneven_lines(c):
    """One token is fifty times larger than the others, as in trained transformers."""
    x = c.linear(c.input(4, 24), 24, 24)
    x = c.node("Add", c.node("Mul", x, c.const([[50], [1], [1], [2]])), c.weight(24))
    return c.node("LayerNormalization", x, c.weight(24, low=0.6, high=1.4), c.weight(24), axis=-1, epsilon=1e-5)


@case("pooling")
def layer_norm_written_out(c):
    """The same, divided by the root; epsilon is tiny."""
    values = c.rng.uniform(-2, 2, (SAMPLES, 2, 24))
    values[3, 1] = 0
    return c.layer_norm(c.typed("x", (2, 24), TensorProto.FLOAT, values), 24)


@case("masks", opset=17)
def padded_with_infinity(c):
    """A mask of an input, made longer by hidden keys."""
    bias = c.node("Pad", c.padding(c.mask("mask", 1, TOKENS - 2), MIN), c.ints(0, 0, 0, 0, 0, 0, 0, 2),
                  c.const(-np.inf))
    return masked(c, lambda s: c.node("Add", c.node("Add", s, bias), c.causal(TOKENS, -np.inf)))


# Whole models.


def tokens(c, length, width, vocabulary, mask=True):
    ids = c.ids("input_ids", 1, length, high=vocabulary)
    x = c.node("Gather", c.const(c.rng.normal(0, 0.7, (vocabulary, width))), ids)
    return c.node("Add", x, c.const(c.rng.normal(0, 0.3, (1, length, width))))


def encoder(c, width, layers, low=MIN, length=8):
    x = c.layer_norm(tokens(c, length, width, 24), width)
    mask = c.mask("attention_mask", 1, length)
    padding = c.padding(mask, low)
    for _ in range(layers):
        y = c.attention(x, width, 4, length, lambda s: c.node("Add", s, padding))
        x = c.layer_norm(c.node("Add", x, y), width)
        y = c.linear(c.gelu(c.linear(x, width, 2 * width)), 2 * width, width)
        x = c.layer_norm(c.node("Add", x, y), width)
    return x, mask


@case("transformers", opset=13)
def bert(c):
    return encoder(c, 16, 2)[0]


@case("transformers", opset=17)
def sentence(c):
    """BERT, mean pooling, unit length."""
    x, mask = encoder(c, 16, 2)
    return c.normalised(c.pooled(x, mask, 8, 16), 16)


@case("transformers", opset=17)
def gpt(c):
    """LayerNorm first, a causal mask, and the logits of the last position."""
    width, length = 16, 8
    x = tokens(c, length, width, 24)
    for _ in range(2):
        y = c.attention(c.layer_norm(x, width), width, 2, length,
                        lambda s: c.node("Where", c.const(np.tri(length)[None, None], np.bool_), s, c.const(MIN)))
        x = c.node("Add", x, y)
        y = c.linear(c.gelu(c.linear(c.layer_norm(x, width), width, 4 * width)), 4 * width, width)
        x = c.node("Add", x, y)
    x = c.node("Gather", c.layer_norm(x, width), c.ints(length - 1), axis=1)
    return c.linear(x, width, 24, bias=False)


@case("transformers", opset=13)
def llama(c):
    """RMSNorm, rotary positions, gated feed-forward."""
    width, length = 16, 8
    x = tokens(c, length, width, 24)
    padding = c.padding(c.mask("attention_mask", 1, length), MIN)
    rotate = c.rotary(length, width // 2)
    for layer in range(2):
        y = c.attention(c.rms_norm(x, width, divide=layer == 0), width, 2, length,
                        lambda s: c.node("Add", c.node("Add", s, c.causal(length, MIN)), padding), rotate)
        x = c.node("Add", x, y)
        z = c.rms_norm(x, width, divide=layer == 0)
        gate = c.node("Mul", c.silu(c.linear(z, width, 2 * width, False)), c.linear(z, width, 2 * width, False))
        x = c.node("Add", x, c.linear(gate, 2 * width, width, False))
    return c.linear(c.rms_norm(x, width), width, 24, bias=False)


def main():
    make_op_cases.ROOT = make_op_cases.ROOT.parent / "variants"
    for label, (build, opset) in CASES.items():
        c = TextCase(label, opset)
        c.finish(build(c))
    print(f"{len(CASES)} cases")


if __name__ == "__main__":
    main()
