"""Makers of random models of several operators."""

import math

import numpy as np
from onnx import numpy_helper

from random_model import Skip

MAKERS = {}


def maker(function):
    def make(c):
        c.opset = c.integer(13, 22)
        function(c)

    MAKERS[function.__name__] = make
    return function


def constant(c, value):
    return c.constant(np.asarray(value, np.float32), 0)


def activation(c, x):
    op = c.pick(["Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "Softplus", "Elu", "Identity", "HardSwish"])
    return c.node("Relu" if op == "HardSwish" and c.opset < 14 else op, [x])


def dense(c, x, features, outputs):
    weight, bias = c.rng.normal(0, 1 / math.sqrt(features), [features, outputs]), c.rng.normal(0, 0.3, outputs)
    if c.chance():
        return c.node("Gemm", [x, constant(c, weight), constant(c, bias)])
    return c.node("Add", [c.node("MatMul", [x, constant(c, weight)]), constant(c, bias)])


@maker
def convolutions(c):
    channels, size = c.integer(1, 3), c.integer(4, 7)
    x = c.input(c.any([1, channels, size, size], -1, 1))
    y = x
    for _ in range(c.integer(1, 3)):
        n = c.integer(1, 4)
        weight = c.rng.normal(0, 0.5, [n, channels, 3, 3])
        inputs = [y, constant(c, weight)] + ([constant(c, c.rng.normal(0, 1, n))] if c.chance() else [])
        y = c.node("Conv", inputs, pads=[1, 1, 1, 1], strides=c.maybe([1, 1]))
        if c.chance(0.8):
            parts = [c.rng.normal(1, 0.3, n), c.rng.normal(0, 0.3, n), c.rng.normal(0, 1, n), c.rng.uniform(0.3, 3, n)]
            y = c.node("BatchNormalization", [y, *(constant(c, p) for p in parts)])
        before, channels = y, n
        y = activation(c, y)
        if c.chance(0.3):
            y = c.node("Add", [before, y])
    if c.chance(0.5):
        y = c.node("Flatten", [c.node("GlobalAveragePool", [y])])
        y = dense(c, y, channels, 3)
    c.output(*c.pick([[y], [y, before], [before, y]]))


@maker
def attention(c):
    heads, steps, d = c.integer(1, 2), c.integer(2, 5), c.integer(2, 4)
    shape = [1, heads, steps, d]
    q, k, v = c.input(c.any(shape, -0.5, 0.5)), c.input(c.any(shape, -0.5, 0.5)), c.input(c.any(shape, -1, 1))
    k = c.node("Transpose", [k], perm=[0, 1, 3, 2])
    scores = c.node("Div", [c.node("MatMul", [q, k]), constant(c, math.sqrt(d))])
    allowed = np.tril(np.ones([steps, steps], bool)) if c.chance() else c.rng.random([steps, steps]) < 0.6
    np.fill_diagonal(allowed, True)
    low = c.pick([-np.inf, -1e9, -1e4, float(np.finfo(np.float32).min)])
    kind = c.integer(0, 3)
    if kind == 0:
        scores = c.node("Add", [scores, constant(c, np.where(allowed, 0, low))])
    elif kind == 1:
        scores = c.node("Where", [c.constant(allowed, 0), scores, constant(c, low)])
    elif kind == 2:
        scores = c.node("Where", [c.input(allowed), scores, constant(c, low)])
    else:
        low = max(low, -1e9)
        mask = c.node("Cast", [c.input(allowed)], to=1)
        mask = c.node("Mul", [c.node("Sub", [constant(c, 1), mask]), constant(c, low)])
        scores = c.node("Add", [scores, mask])
    weights = c.node("Softmax", [scores], axis=-1)
    y = c.node("MatMul", [weights, v])
    c.output(*c.pick([[y], [y, weights]]))


@maker
def transformer(c):
    if c.opset < 17:
        c.opset = 17
    steps, d = c.integer(2, 4), c.integer(2, 5)
    x = c.input(c.any([1, steps, d], -1, 1))
    norm = lambda v: c.node("LayerNormalization", [v, constant(c, c.rng.normal(1, 0.2, d)), constant(c, c.rng.normal(0, 0.2, d))])
    matrix = lambda a, b: constant(c, c.rng.normal(0, 1 / math.sqrt(a), [a, b]))
    y = norm(x)
    q, k, v = (c.node("MatMul", [y, matrix(d, d)]) for _ in range(3))
    scores = c.node("MatMul", [q, c.node("Transpose", [k], perm=[0, 2, 1])])
    y = c.node("Add", [x, c.node("MatMul", [c.node("Softmax", [scores], axis=-1), v])])
    h = c.node("MatMul", [norm(y), matrix(d, 2 * d)])
    erf = c.node("Erf", [c.node("Div", [h, constant(c, math.sqrt(2))])])
    h = c.node("Mul", [c.node("Mul", [h, c.node("Add", [erf, constant(c, 1)])]), constant(c, 0.5)])
    y = c.node("Add", [y, c.node("MatMul", [h, matrix(2 * d, d)])])
    c.output(norm(y) if c.chance() else y)


@maker
def recurrent_then_dense(c):
    steps, batch, features, hidden = c.integer(1, 5), c.integer(1, 2), c.integer(1, 3), c.integer(1, 4)
    op = c.pick(["LSTM", "GRU"])
    gates = 4 if op == "LSTM" else 3
    x = c.input(c.any([steps, batch, features], -0.5, 0.5))
    w = [c.rng.normal(0, 0.7, [1, gates * hidden, n]) for n in (features, hidden)]
    b = c.rng.normal(0, 0.3, [1, 2 * gates * hidden])
    sequence, last = c.node(op, [x, *(constant(c, v) for v in [*w, b])], 2, hidden_size=hidden)
    if c.chance():
        y = c.node("Squeeze", [last, c.ints([0])])
    else:
        y = c.node("Gather", [c.node("Squeeze", [sequence, c.ints([1])]), c.constant(np.int64(-1), 0)])
    y = dense(c, y, hidden, 2)
    c.output(*c.pick([[y], [activation(c, y), y], [sequence, y]]))


@maker
def residual_choices(c):
    shape = c.shape(2, 3)
    grid = c.grid(shape)
    x = c.input(grid)
    mask = c.node(c.pick(["Greater", "Less", "GreaterOrEqual"]), [x, constant(c, c.pick([0, 1, -2]))])
    if c.chance(0.3):
        mask = c.node("Not", [mask])
    y = c.node("Where", [mask, x, c.node("Mul", [x, constant(c, c.pick([0.1, -1, 3]))])])
    y = c.node("Add", [y, c.either(c.real(c.part(shape), -1, 1) * np.float32(np.abs(grid).max() + 1))])
    y = c.node("Add", [x, activation(c, y)])
    c.output(*c.pick([[y], [y, mask], [mask, y]]))


@maker
def norms_over_axes(c):
    shape = c.shape(2, 4)
    x = c.input(c.any(shape, -1, 1.5))
    axis = c.axis(len(shape))
    axes = c.ints([axis])
    mean = c.node("ReduceMean", [x, axes]) if c.opset >= 18 else c.node("ReduceMean", [x], axes=[axis])
    centred = c.node("Sub", [x, mean])
    square = c.node(c.pick(["Mul"]), [centred, centred]) if c.chance() else c.node("Pow", [centred, constant(c, 2)])
    var = c.node("ReduceMean", [square, axes]) if c.opset >= 18 else c.node("ReduceMean", [square], axes=[axis])
    root = c.node("Sqrt", [c.node("Add", [var, constant(c, c.pick([1e-5, 1e-3, 1e-2]))])])
    y = c.node("Div", [centred, root])
    c.output(*c.pick([[y], [y, root], [mean, y]]))


@maker
def softmax_first_axis(c):
    shape = c.shape(2, 4)
    size = c.pick([0.1, 1, 5, 20])
    x = c.input(c.real(shape, -size, size))
    y = c.node("Softmax", [x], axis=c.pick([0, -len(shape)]))
    if c.chance():
        y = c.node("Mul", [y, x])
    elif c.chance():
        y = c.node("Log", [c.node("Add", [y, constant(c, 0.1)])])
    c.output(y)


@maker
def chain(c):
    """Functions one after another."""
    x = c.input(c.any(c.shape(1, 3), -1, 1))
    y, seen = x, []
    for _ in range(c.integer(2, 4)):
        op = c.pick(["Sigmoid", "Tanh", "Relu", "Abs", "Neg", "Softplus", "Softsign", "Erf", "Atan", "Sin", "Add", "Mul", "Max", "Clip"])
        if op in ("Add", "Mul", "Max"):
            other = c.pick([x, y, constant(c, c.rng.uniform(-2, 2))])
            y = c.node(op, [y, other])
        elif op == "Clip":
            y = c.node(op, [y, constant(c, -0.5), constant(c, 0.7)])
        else:
            y = c.node(op, [y])
        seen.append(y)
    c.output(*c.pick([[y], [seen[0], y], [y, seen[0]], seen]))


@maker
def odd_outputs(c):
    """Outputs that are inputs, constants, or the same value."""
    shape = c.shape(1, 3)
    x = c.input(c.any(shape))
    y = activation(c, x)
    kind = c.integer(0, 5)
    if kind == 0:
        c.output(y, x)
    elif kind == 1:
        c.output(y, c.node("Identity", [x]))
    elif kind == 2:
        c.output(y, constant(c, c.rng.normal(0, 1, [2, 3])))
    elif kind == 3:
        c.output(c.node("Shape", [x]), y)
    elif kind == 4:
        c.output(y, c.node("Identity", [y]), c.node("Reshape", [y, c.ints([-1])]))
    else:
        c.output(c.node("Mul", [x, constant(c, 0)]), y)


@maker
def scalars(c):
    """Values of rank 0."""
    a, b = c.input(c.any([])), c.input(c.any(c.pick([[], [3], [2, 1]])))
    y = c.node(c.pick(["Add", "Sub", "Max", "Min"]), [a, b])
    if c.chance():
        y = activation(c, y)
    if c.chance(0.3):
        y = c.node("Unsqueeze", [y, c.ints([0])])
    c.output(*c.pick([[y], [y, c.node("Neg", [a])]]))


@maker
def shadowed_input(c):
    """An initialiser with the name of an input, as old exporters write all of them; the default is not replaced."""
    shape = c.shape(1, 3)
    x = c.input(c.any(shape, -1, 1))
    default = constant(c, c.real(shape, -1, 1))
    tensor = next((i for i in c.initialisers if i.name == default), None)
    if tensor is None:
        raise Skip
    c.input(numpy_helper.to_array(tensor), default)
    c.output(c.node(c.pick(["Add", "Mul"]), [x, default]))


@maker
def shape_arithmetic(c):
    """Flattening as exporters write it: shapes taken apart and joined."""
    shape = c.shape(3, 4)
    x = c.input(c.any(shape))
    whole = c.node("Shape", [x])
    first = c.node("Gather", [whole, c.constant(np.int64(0), 0)])
    first = c.node("Unsqueeze", [first, c.ints([0])])
    target = c.node("Concat", [first, c.ints([-1])], axis=0)
    y = c.node("Reshape", [x, target])
    if c.chance():
        rest = c.node("Slice", [whole, c.ints([1]), c.ints([len(shape)])])
        count = c.node("ReduceProd", [rest], keepdims=0)
        y = c.node("Div", [y, c.node("Cast", [count], to=1)])
    c.output(y)


@maker
def choices(c):
    """Indices of the largest, and what is made of them."""
    shape = c.shape(2, 3)
    x = c.input(c.grid(shape, 6))
    axis = c.axis(len(shape))
    kind = c.integer(0, 3)
    if kind == 0:
        index = c.node("ArgMax", [x], axis=axis, keepdims=0)
        depth = c.constant(np.int64(shape[axis]), 0)
        y = c.node("OneHot", [index, depth, constant(c, [0, 1])])
    elif kind == 1:
        values, index = c.node("TopK", [x, c.ints([c.integer(1, shape[axis])])], 2, axis=axis)
        y = c.node("Mul", [values, c.node("Cast", [index], to=1)])
    elif kind == 2:
        y = c.node("Cast", [c.node("ArgMin", [x], axis=axis)], to=1)
        y = c.node("Sub", [x, y])
    else:
        axes = c.ints([axis])
        top = c.node("ReduceMax", [x, axes]) if c.opset >= 18 else c.node("ReduceMax", [x], axes=[axis])
        y = c.node("Cast", [c.node("Equal", [x, top])], to=1)
    c.output(y)
