"""Makers of random models of one operator: movement and choice of elements."""

import math

import numpy as np
from onnx import numpy_helper

from random_model import Skip, maker


@maker("Reshape")
def reshape(c, op):
    shape = c.shape()
    size = math.prod(shape)
    target, rest = [], size
    while rest > 1 and len(target) < 4:
        f = c.pick([d for d in range(1, rest + 1) if rest % d == 0])
        target.append(f)
        rest //= f
    target = target + [rest] if rest > 1 or c.chance(0.3) else target
    for d in range(min(len(target), len(shape))):
        if target[d] == shape[d] and c.chance():
            target[d] = 0
    if target and c.chance() and 0 not in target:
        target[c.integer(0, len(target) - 1)] = -1
    allow = c.maybe(1, 0.2) if c.opset >= 14 and 0 not in target else None
    c.output(c.node(op, [c.input(c.any(shape)), c.ints(target)], allowzero=allow))


@maker("Flatten")
def flatten(c, op):
    shape = c.shape()
    axis = c.maybe(c.integer(0 if c.opset < 11 else -len(shape), len(shape)))
    if axis is None and len(shape) == 0:
        raise Skip
    c.output(c.node(op, [c.input(c.any(shape))], axis=axis))


@maker("Transpose")
def transpose(c, op):
    shape = c.shape()
    perm = c.maybe([int(d) for d in c.rng.permutation(len(shape))], 0.8)
    c.output(c.node(op, [c.input(c.any(shape))], perm=perm))


@maker("Squeeze", "Unsqueeze")
def squeeze(c, op):
    shape = c.shape()
    rank = len(shape)
    sign = lambda a, r: a - r if c.chance(0.4) and c.opset >= 11 else a
    if op == "Squeeze":
        shape[c.integer(0, rank - 1)] = 1
        axes = c.maybe([sign(a, rank) for a in range(rank) if shape[a] == 1 and c.chance(0.8)], 0.7)
        axes = axes or None
    else:
        new = rank + c.integer(1, 2)
        axes = [sign(int(a), new) for a in c.rng.permutation(new)[: new - rank]]
    x = c.input(c.any(shape))
    if c.opset < 13:
        c.output(c.node(op, [x], axes=axes))
    else:
        c.output(c.node(op, [x, c.ints(axes) if axes else ""]))


@maker("Concat")
def concat(c, op):
    shape = c.shape()
    axis = c.axis(len(shape))
    names = []
    for i in range(c.integer(1, 4)):
        own = list(shape)
        own[axis] = c.integer(1, 4)
        names.append((c.input if i == 0 else c.either)(c.any(own, 0, 0.3)))
    if c.chance(0.2):
        names.append(names[0])
    c.output(c.node(op, [names[i] for i in c.rng.permutation(len(names))], axis=axis))


@maker("Split")
def split(c, op):
    shape = c.shape()
    axis = c.axis(len(shape)) if c.opset >= 11 else c.integer(0, len(shape) - 1)
    count = c.integer(1, shape[axis])
    given = c.maybe(axis, 0.8) if axis == 0 else axis
    cuts = np.sort(c.rng.permutation(np.arange(1, shape[axis]))[: count - 1])
    parts = [int(p) for p in np.diff([0, *cuts, shape[axis]])]
    x = c.input(c.any(shape))
    if c.chance():
        if c.opset < 18:
            shape[axis] = count * max(1, shape[axis] // count)
            c.inputs[x] = c.any(shape)
        out = c.node(op, [x], count, axis=given, num_outputs=count if c.opset >= 18 else None)
    elif c.opset < 13:
        out = c.node(op, [x], count, axis=given, split=parts)
    else:
        out = c.node(op, [x, c.ints(parts)], count, axis=given)
    out = [out] if isinstance(out, str) else out
    c.output(*[o for o in out if c.chance(0.8)] or out[:1])


@maker("Slice")
def slices(c, op):
    shape = c.shape()
    rank = len(shape)
    axes = sorted(int(a) for a in c.rng.permutation(rank)[: c.integer(1, rank)])
    starts, ends, steps = [], [], []
    for a in axes:
        step = c.pick([1, 1, 2, 3, -1, -2]) if c.opset >= 10 else 1
        start, end = sorted([c.integer(-shape[a], shape[a]), c.integer(-shape[a] - 2, shape[a] + 2)])
        if step < 0:
            start, end = end, start
        starts.append(start)
        ends.append(c.pick([end, end, 2**31 - 1 if step > 0 else -(2**31)]))
        steps.append(step)
    x = c.input(c.any(shape))
    if c.opset < 10:
        c.output(c.node(op, [x], axes=axes, starts=starts, ends=ends))
        return
    named = axes != list(range(len(axes))) or c.chance()
    signed = [a - rank if c.chance(0.3) and c.opset >= 11 else a for a in axes]
    stepped = c.chance(0.7) or any(s != 1 for s in steps)
    parts = [c.ints(starts), c.ints(ends), c.ints(signed) if named else "", c.ints(steps) if stepped else ""]
    c.output(c.node(op, [x, *parts]))


@maker("Pad")
def pad(c, op):
    shape = c.shape(1, 4)
    rank = len(shape)
    mode = c.pick(["constant", "reflect", "edge"] + (["wrap"] if c.opset >= 19 else []))
    limit = lambda s: s - 1 if mode == "reflect" else (s if mode == "wrap" else 3)
    pads = [c.integer(0, min(3, limit(s))) for s in shape * 2]
    if mode == "constant" and c.chance(0.3):
        d = c.integer(0, rank - 1)
        pads[d] = -c.integer(0, (shape[d] - 1) // 2)
    x = c.input(c.any(shape))
    value = c.maybe(float(c.rng.uniform(-1, 1)))
    given = c.maybe(mode, 0.3) if mode == "constant" else mode
    if c.opset < 11:
        c.output(c.node(op, [x], mode=given, pads=pads, value=value))
        return
    axes = ""
    if c.opset >= 18 and c.chance(0.4):
        some = c.axes(rank)
        pads = [pads[a % rank] for a in some] + [pads[a % rank + rank] for a in some]
        axes = c.ints(some)
    scalar = np.float32(value or 0)
    filled = c.constant(scalar) if value is not None else ""
    c.output(c.node(op, [x, c.ints(pads), filled, axes], mode=given))


@maker("Expand")
def expand(c, op):
    c.since(op)
    shape = c.shape()
    c.output(c.node(op, [c.input(c.any(c.part(shape))), c.ints([s if c.chance(0.7) else 1 for s in shape])]))


@maker("Tile")
def tile(c, op):
    shape = c.shape(most=60)
    c.output(c.node(op, [c.input(c.any(shape)), c.ints([c.integer(1, 3) for _ in shape])]))


@maker("DepthToSpace", "SpaceToDepth")
def blocks(c, op):
    b = c.integer(1, 3)
    n, d, h, w = c.integer(1, 2), c.integer(1, 3), c.integer(1, 3), c.integer(1, 3)
    if op == "DepthToSpace":
        x, mode = [n, d * b * b, h, w], c.maybe(c.pick(["DCR", "CRD"])) if c.opset >= 11 else None
    else:
        x, mode = [n, d, h * b, w * b], None
    c.output(c.node(op, [c.input(c.any(x))], blocksize=b, mode=mode))


@maker("Col2Im")
def col2im(c, op):
    c.since(op)
    rank = c.integer(1, 2)
    image, block = [c.integer(3, 6) for _ in range(rank)], [c.integer(1, 3) for _ in range(rank)]
    strides, dilations = [c.integer(1, 2) for _ in range(rank)], [c.integer(1, 2) for _ in range(rank)]
    pads = [c.integer(0, 1) for _ in range(2 * rank)]
    counts = [
        (image[d] + pads[d] + pads[rank + d] - dilations[d] * (block[d] - 1) - 1) // strides[d] + 1 for d in range(rank)
    ]
    if min(counts) < 1:
        raise Skip
    # ONNX Runtime misplaces all channels but the first of dilated blocks.
    channels = c.integer(1, 2) if max(dilations) == 1 else 1
    x = c.any([c.integer(1, 2), channels * math.prod(block), math.prod(counts)])
    inputs = [c.input(x), c.ints(image), c.ints(block)]
    c.output(c.node(op, inputs, strides=strides, dilations=dilations, pads=pads))


@maker("CenterCropPad")
def crop(c, op):
    c.since(op)
    shape = c.shape(1, 4)
    axes = c.maybe([*dict.fromkeys(a % len(shape) for a in c.axes(len(shape)))])
    target = [c.integer(1, 8) for _ in axes or shape]
    c.output(c.node(op, [c.input(c.any(shape)), c.ints(target)], axes=axes))


def indices(c, size, shape, negative=True):
    kind = c.pick([np.int64, np.int64, np.int32])
    return c.rng.integers(-size if negative and c.opset >= 11 else 0, size, shape).astype(kind)


@maker("Gather")
def gather(c, op):
    shape = c.shape(1, 4)
    axis = c.axis(len(shape))
    picked = indices(c, shape[axis], c.shape(0, 2, 12))
    c.output(c.node(op, [c.input(c.any(shape)), c.constant(picked, 0.2)], axis=axis))


@maker("GatherElements")
def gather_elements(c, op):
    c.since(op)
    shape = c.shape(1, 4)
    axis = c.axis(len(shape))
    own = [c.integer(1, s) for s in shape]
    own[axis] = c.integer(1, 5)
    c.output(c.node(op, [c.input(c.any(shape)), c.constant(indices(c, shape[axis], own), 0.2)], axis=axis))


@maker("GatherND", "ScatterND")
def rows(c, op):
    c.since(op)
    shape = c.shape(2, 4)
    batch = c.integer(0, 1) if op == "GatherND" and c.opset >= 12 else 0
    depth = c.integer(1, len(shape) - batch)
    lead = shape[:batch] + c.shape(0 if batch else 1, 2, 8)
    each = [indices(c, shape[batch + d], lead) for d in range(depth)]
    picked = np.stack([e.astype(np.int64) for e in each], -1)
    if op == "GatherND":
        c.output(c.node(op, [c.input(c.any(shape)), c.constant(picked, 0)], batch_dims=batch or None))
        return
    reduction = c.pick(["none", "add", "mul", "max", "min"][: 3 if c.opset < 18 else 5]) if c.opset >= 16 else None
    if reduction in (None, "none"):
        at = c.rng.permutation(math.prod(shape[:depth]))[: c.integer(1, 4)]
        picked = np.stack(np.unravel_index(at, shape[:depth]), -1)
    updates = c.either(c.any([*picked.shape[:-1], *shape[depth:]], 0, 0.3))
    c.output(c.node(op, [c.input(c.any(shape, 0, 0.3)), c.constant(picked, 0), updates], reduction=reduction))


@maker("Scatter", "ScatterElements")
def scatter(c, op):
    c.since(op)
    if op == "Scatter" and c.opset >= 11:
        c.opset = c.integer(9, 10)
    shape = c.shape(1, 4)
    axis = c.axis(len(shape))
    own = [c.integer(1, s) for s in shape]
    reduction = None
    if op == "ScatterElements" and c.opset >= 16:
        reduction = c.maybe(c.pick(["none", "add", "mul", "max", "min"][: 3 if c.opset < 18 else 5]))
    if reduction in (None, "none"):
        order = c.rng.permuted(np.broadcast_to(np.arange(shape[axis]).reshape([-1 if d == axis % len(shape) else 1 for d in range(len(shape))]), shape), axis=axis)
        at = order[tuple(slice(0, s) for s in own)].astype(np.int64)
    else:
        at = indices(c, shape[axis], own)
    updates = c.either(c.any(own, 0, 0.3))
    c.output(c.node(op, [c.input(c.any(shape, 0, 0.3)), c.constant(at, 0.1), updates], axis=axis, reduction=reduction))


@maker("Compress")
def compress(c, op):
    c.since(op)
    shape = c.shape()
    axis = c.maybe(c.axis(len(shape)) if c.opset >= 11 else c.integer(0, len(shape) - 1), 0.7)
    length = math.prod(shape) if axis is None else shape[axis]
    condition = c.rng.random(c.integer(1, length)) < 0.6
    c.output(c.node(op, [c.input(c.any(shape)), c.constant(condition, 0)], axis=axis))


@maker("ReverseSequence")
def reverse(c, op):
    c.since(op)
    shape = c.shape(2, 4)
    time, batch = c.pick([(0, 1), (1, 0)])
    lengths = c.rng.integers(1, shape[time] + 1, shape[batch])
    c.output(c.node(op, [c.input(c.any(shape)), c.ints(lengths)], time_axis=time, batch_axis=batch))


@maker("Trilu")
def trilu(c, op):
    c.since(op)
    k = c.ints(c.integer(-4, 4)) if c.chance(0.7) else ""
    c.output(c.node(op, [c.input(c.any(c.shape(2, 4))), k], upper=c.maybe(c.integer(0, 1))))


@maker("CumSum")
def cumulative(c, op):
    c.since(op)
    shape = c.shape()
    axis = c.constant(np.array(c.axis(len(shape)), c.pick([np.int32, np.int64])), 0)
    flags = {"exclusive": c.maybe(c.integer(0, 1)), "reverse": c.maybe(c.integer(0, 1))}
    c.output(c.node(op, [c.input(c.any(shape)), axis], **flags))


@maker("OneHot")
def one_hot(c, op):
    c.since(op)
    shape = c.shape(1, 3, 40)
    depth = c.integer(1, 6)
    kind = c.pick([np.int64, np.int32, np.float32])
    x = c.rng.integers(-depth if c.opset >= 11 else 0, depth, shape).astype(kind)
    values = c.constant(c.any([2]), 0.2)
    axis = c.maybe(c.integer(-len(shape) - 1, len(shape)))
    c.output(c.node(op, [c.input(x), c.constant(np.array(c.pick([depth, [depth]]), np.int64), 0), values], axis=axis))


@maker("ArgMax", "ArgMin")
def arguments(c, op):
    shape = c.shape()
    axis = c.axis(len(shape)) if c.opset >= 11 else c.integer(0, len(shape) - 1)
    last = c.maybe(c.integer(0, 1)) if c.opset >= 12 else None
    keep = c.maybe(c.integer(0, 1))
    x = c.input(c.grid(shape, c.pick([2, 40])))
    c.output(c.node(op, [x], axis=axis if c.chance(0.9) else None, keepdims=keep, select_last_index=last))


@maker("TopK")
def largest(c, op):
    shape = c.shape()
    axis = c.axis(len(shape)) if c.opset >= 11 else c.integer(0, len(shape) - 1)
    k = c.integer(1, shape[axis])
    x = c.input(c.grid(shape, c.pick([3, 40])))
    if c.opset < 10:
        out = c.node(op, [x], 2, axis=axis, k=k)
    else:
        largest = c.maybe(c.integer(0, 1)) if c.opset >= 11 else None
        out = c.node(op, [x, c.ints([k])], 2, axis=axis, largest=largest)
    c.output(*c.pick([out, out[:1], out[1:]]))


@maker("Shape", "Size", "EyeLike", "ConstantOfShape", "Range", "NonZero")
def constants(c, op):
    """A constant that is added to an input."""
    shape = c.shape(2, 2)
    x = c.input(c.any(shape))
    if op == "Shape":
        ends = {"start": c.maybe(c.integer(-2, 1)), "end": c.maybe(c.integer(-1, 3))} if c.opset >= 15 else {}
        made = c.node(op, [x], **ends)
        made = c.node("ReduceSum", [made], keepdims=0)
    elif op == "EyeLike":
        c.since(op)
        made = c.node(op, [x], k=c.maybe(c.integer(-3, 3)), dtype=c.maybe(1))
    elif op == "Size":
        made = c.node(op, [x])
    elif op == "ConstantOfShape":
        c.since(op)
        value = c.maybe(numpy_helper.from_array(np.array([c.rng.uniform(-2, 2)], np.float32)))
        made = c.node(op, [c.node("Shape", [x])], value=value)
    elif op == "Range":
        c.since(op)
        made = c.node(op, [c.constant(np.float32(v), 0) for v in (c.pick([0, 1.5, -2]), c.pick([4, 5.2]), c.pick([1, 0.5]))])
        made = c.node("Unsqueeze", [made], axes=[1]) if c.opset < 13 else c.node("Unsqueeze", [made, c.ints([1])])
        c.inputs[x] = c.any([1, shape[1]])
    else:
        c.since(op)
        made = c.node(op, [c.constant(c.rng.integers(0, 2, shape).astype(np.float32), 0)])
        made = c.node("ReduceMax", [made], keepdims=0)
    c.output(c.node("Add", [x, c.node("Cast", [made], to=1)]))
