"""Makers of random models of one operator: sums, windows, normalisations."""

import numpy as np

from random_model import Skip, maker


@maker("MatMul")
def matmul(c, op):
    m, k, n = c.integer(1, 6), c.integer(1, 7), c.integer(1, 6)
    batch = c.shape(0, 2, 12)
    a, b = [*batch, m, k], [*c.part(batch), k, n] if batch else [k, n]
    if c.chance(0.15):
        a = [k]
    elif c.chance(0.15):
        b = [k]
    a, b = c.any(a), c.any(b, -1, 1)
    if c.chance(0.2):
        c.output(c.node(op, [c.constant(a), c.input(b)]))
    else:
        c.output(c.node(op, [c.input(a), c.either(b)]))


@maker("Gemm")
def gemm(c, op):
    m, k, n = c.integer(1, 6), c.integer(1, 7), c.integer(1, 6)
    ta, tb = c.integer(0, 1), c.integer(0, 1)
    a, b = c.any([k, m] if ta else [m, k]), c.weights([n, k] if tb else [k, n])
    inputs = [c.input(a), c.either(b)]
    if c.opset < 11 or c.chance(0.7):
        inputs.append(c.either(c.weights(c.pick([[n], [1, n], [m, n], [m, 1], [], [1]]))))
    factors = {"alpha": c.maybe(float(c.rng.uniform(-2, 2))), "beta": c.maybe(float(c.pick([0.0, 0.5, -2.0])))}
    c.output(c.node(op, inputs, transA=ta or None, transB=c.maybe(tb, 0.5) if not tb else tb, **factors))


@maker("Einsum")
def einsum(c, op):
    c.since(op)
    size = {l: c.integer(1, 5) for l in "bhijkd"}
    text = c.pick(["bij,bjk->bik", "bhid,bhjd->bhij", "ij->ji", "ii->i", "ij,j->i", "ij->", "bi,bj->bij", "...ij,...jk->...ik",
                   "ij,jk", "bhij,bhjd->bihd", "ij,ij->i", "i,i->", "bijd->bd"])  # fmt: skip
    left = text.split("->")[0].replace("...", "b").split(",")
    values = [c.any([size[l] for l in part], -1, 1) for part in left]
    names = [c.input(v) if i == 0 else c.either(v) for i, v in enumerate(values)]
    c.output(c.node(op, names, equation=text))


def windows(c, rank, largest=3):
    lists = {
        "kernel_shape": [c.integer(1, largest) for _ in range(rank)],
        "strides": c.maybe([c.integer(1, 3) for _ in range(rank)]),
        "dilations": c.maybe([c.integer(1, 2) for _ in range(rank)], 0.4),
    }
    auto = c.pick([None, None, None, "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
    lists["auto_pad"] = auto
    if auto in (None, "NOTSET") and c.chance(0.7):
        lists["pads"] = [c.integer(0, k - 1) for k in lists["kernel_shape"] * 2]
    return lists


@maker("Conv", "ConvTranspose")
def conv(c, op):
    rank = c.pick([1, 2, 2, 3])
    group = c.pick([1, 1, 2, 3])
    w = windows(c, rank)
    image = [c.integer(1, 4 if rank == 3 else 7) for _ in range(rank)]
    cin, cout = group * c.integer(1, 2), group * c.integer(1, 2)
    x = c.any([c.integer(1, 2), cin, *image])
    extra = {}
    if op == "Conv":
        kernel = c.weights([cout, cin // group, *w["kernel_shape"]])
    else:
        kernel = c.weights([cin, cout // group, *w["kernel_shape"]])
        strides = w["strides"] or [1] * rank
        if c.chance(0.3):
            extra["output_padding"] = [c.integer(0, s - 1) for s in strides]
        elif c.chance(0.2):
            extra["output_shape"] = [i * s for i, s in zip(image, strides)]
            w.pop("pads", None)
    inputs = [c.input(x), c.constant(kernel)]
    if c.chance(0.6):
        inputs.append(c.constant(c.weights([cout])))
    if c.chance(0.4):
        w["kernel_shape"] = None
    c.output(c.node(op, inputs, group=c.maybe(group) if group == 1 else group, **w, **extra))


@maker("MaxPool", "AveragePool", "LpPool")
def pool(c, op):
    rank = c.pick([1, 2, 2, 3])
    w = windows(c, rank, 4)
    since = c.since(op)
    if (op == "MaxPool" and since < 10) or (op == "AveragePool" and since < 19) or (op == "LpPool" and since < 18):
        w["dilations"] = None
    if (op != "LpPool" and since >= 10) or since >= 18:
        w["ceil_mode"] = c.maybe(c.integer(0, 1))
    if op == "AveragePool":
        w["count_include_pad"] = c.maybe(c.integer(0, 1))
    if op == "LpPool":
        w["p"] = c.maybe(c.integer(1, 3))
    if w["dilations"] and str(w["auto_pad"]).startswith("SAME"):
        raise Skip  # ONNX Runtime pads as if the window were not dilated
    shape = [c.integer(1, 2), c.integer(1, 2), *(c.integer(2, 4 if rank == 3 else 7) for _ in range(rank))]
    c.output(c.node(op, [c.input(c.any(shape))], **w))


@maker("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(c, op):
    c.output(c.node(op, [c.input(c.any(c.shape(3, 5)))], p=c.maybe(c.integer(1, 3)) if op == "GlobalLpPool" else None))


REDUCTIONS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]


@maker(*(f"Reduce{r}" for r in REDUCTIONS))
def reduction(c, op):
    shape = c.shape(most=80)
    if op == "ReduceLogSum":
        x = c.positive(shape)
    elif op == "ReduceLogSumExp":
        x = c.real(shape, -6, 6)
    elif op == "ReduceProd":
        x = c.real(shape, 0.7, 1.3) * c.rng.choice([-1, 1], shape)
        x = np.asarray(x, np.float32)
    elif op in ("ReduceMax", "ReduceMin"):
        size = c.magnitude()
        x = c.real(shape, *c.pick([(-size, -size / 9), (size / 9, size)]))
    else:
        x = c.any(shape)
    axes = c.maybe(c.axes(len(shape)), 0.8)
    if axes and c.opset < 11:
        axes = [a % len(shape) for a in axes]
    keep = c.maybe(c.integer(0, 1))
    if c.opset >= (13 if op == "ReduceSum" else 18):
        empty = c.pick(["", c.constant(np.zeros(0, np.int64), 0)]) if axes is None else None
        noop = c.maybe(c.integer(0, 1))
        c.output(c.node(op, [c.input(x), empty if axes is None else c.ints(axes)], keepdims=keep, noop_with_empty_axes=noop))
    else:
        c.output(c.node(op, [c.input(x)], axes=axes, keepdims=keep))


@maker("Softmax", "LogSoftmax", "Hardmax")
def softmax(c, op):
    shape = c.shape(1, 4)
    x = c.grid(shape, 3) if op == "Hardmax" else c.real(shape, -1, 1) * c.pick([0.1, 1, 5, 30])
    axis = c.maybe(c.axis(len(shape)) if c.opset >= 11 else c.integer(0, len(shape) - 1), 0.7)
    c.output(c.node(op, [c.input(x.astype(np.float32))], axis=axis))


# Normalisations.


@maker("BatchNormalization")
def batch_norm(c, op):
    x = c.any(c.shape(2, 5))
    n = x.shape[1]
    size = np.abs(x).max() + 1e-3
    mean, var = c.real([n], -size, size), c.real([n], 0.1, 2) * size**2
    parts = [c.constant(np.asarray(v, np.float32)) for v in (c.weights([n]), c.weights([n]), mean, var)]
    c.output(c.node(op, [c.input(x), *parts], epsilon=c.maybe(1e-3)))


@maker("InstanceNormalization", "GroupNormalization")
def channel_norm(c, op):
    c.since(op)
    x = c.any(c.shape(3, 5), -1, 2)
    groups = c.pick([g for g in range(1, x.shape[1] + 1) if x.shape[1] % g == 0])
    n = groups if op == "GroupNormalization" and c.opset < 21 else x.shape[1]
    attributes = {"num_groups": groups} if op == "GroupNormalization" else {}
    parts = [c.constant(c.weights([n])), c.constant(c.weights([n]))]
    c.output(c.node(op, [c.input(x), *parts], epsilon=c.maybe(1e-2), **attributes))


@maker("LayerNormalization", "RMSNormalization")
def layer_norm(c, op):
    c.since(op)
    # Values that differ: the inverse deviation of equal ones is that of their rounding.
    shape = c.shape(1, 4)
    x = (c.rng.uniform(-1, 1, shape) * c.magnitude(-1, 2)).astype(np.float32)
    axis = c.axis(x.ndim)
    own = c.pick([list(x.shape[axis % x.ndim :]), [x.shape[-1]], c.part(x.shape[axis % x.ndim :])])
    inputs = [c.input(x), c.constant(c.weights(own))]
    if op == "LayerNormalization" and c.chance(0.7):
        inputs.append(c.constant(c.weights(own)))
    count = c.pick([1, 1, 3]) if op == "LayerNormalization" else 1
    out = c.node(op, inputs, count, axis=axis if axis != -1 else c.maybe(-1), epsilon=c.maybe(1e-2))
    c.output(*([out] if count == 1 else c.pick([out, out[:1], out[1:]])))


@maker("LpNormalization")
def lp_norm(c, op):
    shape = c.shape()
    c.output(c.node(op, [c.input(c.any(shape))], axis=c.maybe(c.axis(len(shape))), p=c.maybe(c.integer(1, 2))))


@maker("LRN")
def lrn(c, op):
    x = c.any(c.shape(3, 5), -1, 1.5)
    numbers = {"alpha": c.maybe(0.3), "beta": c.maybe(c.pick([0.5, 1.0, 0.9])), "bias": c.maybe(2.0)}
    c.output(c.node(op, [c.input(x)], size=c.pick([1, 3, 5]), **numbers))


@maker("MeanVarianceNormalization")
def mvn(c, op):
    c.since(op)
    shape = c.shape(4, 4)
    # Values that differ: there is nothing added to a variance of zero.
    x = (c.rng.uniform(-1, 1, shape) * c.magnitude(-1, 2)).astype(np.float32)
    c.output(c.node(op, [c.input(x)], axes=c.maybe(sorted({a % 4 for a in c.axes(4)}))))
