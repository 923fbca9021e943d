"""Makers of random models of one operator: functions of elements."""

import math

import numpy as np

from random_model import Skip, maker


# Functions of one tensor: interval, or None for any magnitude; attributes.
FUNCTIONS = {
    "Abs": None, "Neg": None, "Relu": None, "Identity": None,
    "Acos": (-0.99, 0.99), "Asin": (-0.99, 0.99), "Atanh": (-0.95, 0.95), "Acosh": (1.1, 50), "Tan": (-1.3, 1.3),
    "Asinh": (-100, 100), "Atan": (-20, 20), "Cos": (-20, 20), "Sin": (-20, 20), "Cosh": (-6, 6), "Sinh": (-6, 6),
    "Erf": (-4, 4), "Exp": (-8, 8), "Gelu": (-3, 8), "HardSwish": (-8, 8), "Mish": (-8, 8), "Sigmoid": (-12, 12),
    "Softplus": (-12, 12), "Softsign": (-20, 20), "Swish": (-10, 10), "Tanh": (-6, 6), "Sqrt": (0, 90),
    "Elu": (-8, 8), "Selu": (-8, 8), "Celu": (-8, 8), "LeakyRelu": None, "HardSigmoid": (-8, 8),
}  # fmt: skip


@maker(*FUNCTIONS)
def function(c, op):
    c.since(op)
    interval = FUNCTIONS[op]
    shape = c.shape(0 if c.chance(0.1) else 1)
    if interval is None:
        x = c.any(shape)
    else:
        lo, hi = interval
        a, b = sorted(c.rng.uniform(lo, hi, 2)) if c.chance() else (lo, hi)
        x = c.real(shape, a, b)
    attributes = {}
    if op in ("Elu", "Celu", "LeakyRelu", "Swish", "HardSigmoid"):
        attributes["alpha"] = c.maybe(float(c.rng.uniform(0.05, 2.0)))
    if op == "Selu":
        attributes = {"alpha": c.maybe(1.3), "gamma": c.maybe(0.7)}
    if op == "HardSigmoid":
        attributes["beta"] = c.maybe(float(c.rng.uniform(-0.5, 0.9)))
    if op == "Gelu":
        attributes["approximate"] = c.maybe(c.pick(["none", "tanh"]))
    c.output(c.node(op, [c.input(x)], **attributes))


@maker("Log", "Reciprocal")
def positive_function(c, op):
    x = c.positive(c.shape(), 30 if op == "Log" else 8)
    c.output(c.node(op, [c.input(-x if op == "Reciprocal" and c.chance(0.3) else x)]))


@maker("Ceil", "Floor", "Round", "Sign", "ThresholdedRelu", "Shrink")
def steps(c, op):
    c.since(op)
    attributes = {}
    if op == "ThresholdedRelu":
        attributes = {"alpha": c.maybe(c.pick([0.0, 0.5, 2.0, -1.0]))}
    if op == "Shrink":
        attributes = {"lambd": c.maybe(c.pick([0.25, 1.0, 2.0])), "bias": c.maybe(c.pick([0.25, -1.0]))}
    c.output(c.node(op, [c.input(c.grid(c.shape()))], **attributes))


def two(c, left, right):
    """Shapes that broadcast, in any order; one of both is an input."""
    shape = c.shape()
    shapes = [shape, c.part(shape)]
    if c.chance():
        shapes.reverse()
    a, b = left(shapes[0]), right(shapes[1])
    which = c.integer(0, 2)
    return (c.input(a) if which != 0 else c.constant(a)), (c.input(b) if which != 1 else c.constant(b))


@maker("Add", "Sub", "Mul")
def arithmetic(c, op):
    draw = c.any
    if c.chance(0.2):
        kind = c.pick([np.int32, np.int64])
        draw = lambda shape: c.rng.integers(-50, 51, shape).astype(kind)
    elif op != "Mul" and c.chance(0.7):
        size = c.magnitude()
        draw = lambda shape: c.real(shape, -size, size)
    c.output(c.node(op, two(c, draw, draw)))


@maker("Div")
def quotient(c, op):
    if c.chance(0.3):
        kind = c.pick([np.int32, np.int64])
        b = c.rng.choice([1, 2, 3, 5, 7, -2, -3, -7], c.shape(1, 1)).astype(kind)
        a = c.rng.integers(-60, 61, [*c.shape(0, 2), len(b)]).astype(kind)
        c.output(c.node(op, [c.input(a), c.constant(b)]))
        return
    sign = c.pick([1, 1, -1])
    c.output(c.node(op, two(c, c.any, lambda shape: sign * c.positive(shape, 6))))


@maker("Mod")
def remainder(c, op):
    kind = c.pick([np.int32, np.int64, np.float32])
    whole = kind != np.float32
    if not whole and c.opset < 10:
        raise Skip
    a = c.rng.integers(-60, 61, c.shape(1, 3)).astype(kind)
    choices = [1, 2, 3, 5, 7, -2, -3] if whole else [1, 2, 4, 8, -2]
    b = np.asarray(c.rng.choice(choices, c.part(a.shape))).astype(kind)
    fmod = c.integer(0, 1) if whole else 1
    scale = 1 if whole else 2.0 ** c.integer(-4, 2)
    c.output(c.node(op, [c.input((a * scale).astype(kind)), c.constant((b * scale).astype(kind))], fmod=fmod))


@maker("Pow")
def power(c, op):
    shape = c.shape()
    kind = c.integer(0, 4)
    if kind == 0:
        x, e = c.any(shape, -1, 1), np.float32(c.pick([2, 3, 4, 1, 0]))
    elif kind == 1:
        x, e = c.positive(shape), np.float32(c.pick([0.5, -0.5, -1, 1.5, 2.7, -2]))
    elif kind == 2:
        x, e = c.positive(shape, 4), c.rng.choice([0.5, 1, 2, -1, 0.3], c.part(shape)).astype(np.float32)
    elif kind == 3:
        x, e = c.real(shape, -2, 2), c.rng.choice([0, 1, 2, 3, 5], c.part(shape)).astype(np.float32)
    else:
        base = np.float32(c.pick([2, 0.5, 10, math.e]))
        c.output(c.node(op, [c.constant(base), c.input(c.real(shape, -3, 3))]))
        return
    if c.opset >= 12 and c.chance(0.3) and (e == np.round(e)).all():
        e = e.astype(np.int64)
    c.output(c.node(op, [c.input(x), c.constant(e, 0)]))


@maker("Max", "Min", "Mean", "Sum")
def variadic(c, op):
    shape = c.shape()
    size = c.magnitude()
    values = [c.real(shape if i == 0 else c.part(shape), -size, size) for i in range(c.integer(1, 4))]
    if c.opset < 8:
        values = [c.real(shape, -size, size) for _ in values]
    names = [c.input(values[0])] + [c.either(v) for v in values[1:]]
    c.output(c.node(op, [names[i] for i in c.rng.permutation(len(names))]))


@maker("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
def comparison(c, op):
    c.since(op)
    step = 2.0 ** c.integer(-5, 2)
    kind = c.pick([np.float32, np.float32, np.int64, np.int32])
    draw = lambda shape: (c.rng.integers(-5, 6, shape) * (step if kind == np.float32 else 1)).astype(kind)
    c.output(c.node(op, two(c, draw, draw)))


@maker("And", "Or", "Xor", "Not")
def truth(c, op):
    draw = lambda shape: c.rng.random(shape) < 0.5
    inputs = [c.input(draw(c.shape()))] if op == "Not" else two(c, draw, draw)
    c.output(c.node(op, inputs))


@maker("BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot", "BitShift")
def bits(c, op):
    c.since(op)
    kind = c.pick([np.uint8, np.int32, np.int64, np.uint16])
    if op == "BitShift":
        kind = c.pick([np.uint8, np.uint32, np.uint64])
    lo = -30 if np.dtype(kind).kind == "i" else 0
    shape = c.shape()
    x = c.input(c.rng.integers(lo, 100, shape).astype(kind))
    if op == "BitwiseNot":
        c.output(c.node(op, [x]))
        return
    other = c.rng.integers(0, 5 if op == "BitShift" else 100, c.part(shape)).astype(kind)
    c.output(c.node(op, [x, c.constant(other, 0)], direction=c.pick(["LEFT", "RIGHT"]) if op == "BitShift" else None))


@maker("Where")
def where(c, op):
    c.since(op)
    shape = c.shape()
    size = c.magnitude()
    draw = lambda: c.real(c.part(shape), -size, size)
    condition = c.rng.random(shape) < 0.5
    if c.chance():
        name = c.node("Greater", [c.input(c.grid(shape)), c.constant(np.float32(1))]) if c.opset > 8 else None
        if name is None:
            raise Skip
    else:
        name = c.either(condition)
    c.output(c.node(op, [name, c.input(draw()), c.either(draw())]))


@maker("Cast")
def cast(c, op):
    source, target = c.pick([np.float32, np.int32, np.int64, np.bool_]), c.pick([1, 6, 7, 9, 11, 2, 3])
    x = c.grid(c.shape()) if source == np.float32 else c.rng.integers(-40, 41, c.shape()).astype(source)
    if target in (2, 3):
        x = np.abs(x) if target == 2 and source != np.bool_ else x
    c.output(c.node(op, [c.input(x)], to=target))


@maker("Clip")
def clip(c, op):
    x = c.any(c.shape())
    lo, hi = sorted(float(v) for v in c.rng.uniform(x.min() - 0.1, x.max() + 0.1, 2))
    if c.chance(0.05):
        lo, hi = hi, lo
    lo, hi = c.maybe(lo, 0.7), c.maybe(hi, 0.7)
    if c.since(op) < 11:
        c.output(c.node(op, [c.input(x)], min=lo, max=hi))
        return
    bound = lambda v: "" if v is None else c.constant(np.float32(v))
    c.output(c.node(op, [c.input(x), bound(lo), bound(hi)]))


@maker("PRelu")
def prelu(c, op):
    x = c.any(c.shape(2, 4))
    slope = c.pick([[1], c.part(x.shape), [x.shape[1]] + [1] * (x.ndim - 2), list(x.shape)])
    c.output(c.node(op, [c.input(x), c.constant(c.weights(slope))]))
