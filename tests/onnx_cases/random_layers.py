"""Makers of random models of one operator: recurrent layers, images, spectra, integers, losses."""

import numpy as np

from random_model import Skip, maker


# Recurrent layers.


@maker("LSTM", "GRU", "RNN")
def recurrent(c, op):
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    steps, batch, features, hidden = c.integer(1, 4), c.integer(1, 3), c.integer(1, 4), c.integer(1, 4)
    direction = c.pick([None, "forward", "reverse", "bidirectional"])
    d = 2 if direction == "bidirectional" else 1
    layout = c.maybe(c.integer(0, 1)) if c.opset >= 14 else None
    first = lambda shape: [shape[1], shape[0], *shape[2:]] if layout else shape
    x = c.input(c.any(first([steps, batch, features]), -1, 0.7))
    w, r = c.constant(c.weights([d, gates * hidden, features]), 0), c.constant(c.weights([d, gates * hidden, hidden]), 0)
    bias = c.constant(c.weights([d, 2 * gates * hidden]), 0) if c.chance(0.7) else ""
    lengths = c.constant(c.rng.integers(1, steps + 1, batch).astype(np.int32), 0) if c.chance(0.3) else ""
    state = lambda: c.either(c.real(first([d, batch, hidden]), -1, 1)) if c.chance(0.4) else ""
    inputs = [x, w, r, bias, lengths, state()]
    attributes = {"clip": c.maybe(float(c.rng.uniform(0.3, 3)), 0.25), "layout": layout, "direction": direction}
    if op == "LSTM":
        inputs += [state(), c.constant(c.weights([d, 3 * hidden]), 0) if c.chance(0.3) else ""]
        attributes["input_forget"] = c.maybe(c.integer(0, 1), 0.3)
    if op == "GRU":
        attributes["linear_before_reset"] = c.maybe(c.integer(0, 1))
    if c.chance(0.3):
        count = {"LSTM": 3, "GRU": 2, "RNN": 1}[op]
        gate, other = ["Sigmoid", "HardSigmoid"], ["Sigmoid", "Tanh", "Relu", "HardSigmoid", "Softsign"]
        one = [c.pick(other if op == "RNN" or i else gate) for i in range(count)]
        attributes["activations"] = one * d
    all_outputs = [c.name("y") for _ in range(3 if op == "LSTM" else 2)]
    wanted = [o if c.chance(0.7) else "" for o in all_outputs]
    wanted = wanted if any(wanted) else all_outputs[:1]
    while not wanted[-1]:
        wanted.pop()
    c.node(op, inputs, wanted, hidden_size=hidden, **attributes)
    # Nameless outputs give the node no name: its first named one is.
    c.nodes[-1].name = next(o for o in wanted if o)
    c.output(*wanted)


# Images.


@maker("Resize")
def resize(c, op):
    since = c.since(op)
    rank = c.pick([2, 3, 4, 4, 4])
    shape = [c.integer(1, 2) if rank == 4 and d < 2 else c.integer(1, 5) for d in range(rank)]
    mode = c.pick(["nearest", "linear", "cubic"] if since >= 11 else ["nearest", "linear"])
    if mode == "cubic" and rank != 4:
        raise Skip
    scales = [1.0 if rank == 4 and d < 2 else c.pick([0.5, 0.6, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0]) for d in range(rank)]
    x = c.input(c.any(shape))
    if since == 10:
        c.output(c.node(op, [x, c.constant(np.array(scales, np.float32), 0)], mode=mode))
        return
    modes = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize"]
    modes += ["half_pixel_symmetric"] if since >= 19 else []
    modes += ["tf_half_pixel_for_nn"] if since == 11 and mode == "nearest" else []
    coordinates = c.maybe(c.pick(modes), 0.8)
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    if mode == "nearest":
        attributes["nearest_mode"] = c.maybe(c.pick(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]))
    if mode == "cubic":
        attributes |= {"cubic_coeff_a": c.maybe(-0.5), "exclude_outside": c.maybe(c.integer(0, 1))}
    if since >= 18:
        if mode != "nearest" and c.chance(0.2):
            attributes["antialias"] = 1
    whole = all((s * v) % 1 == 0 for s, v in zip(shape, scales))
    if coordinates in ("align_corners", "pytorch_half_pixel") and not whole:
        raise Skip  # ONNX's own cases and ONNX Runtime disagree on the size that counts
    roi = ""
    if coordinates == "tf_crop_and_resize":
        attributes["extrapolation_value"] = c.maybe(0.7)
        starts = [0.0 if rank == 4 and d < 2 else float(c.rng.uniform(-0.1, 0.4)) for d in range(rank)]
        ends = [1.0 if rank == 4 and d < 2 else float(c.rng.uniform(0.6, 1.2)) for d in range(rank)]
        roi = c.constant(np.array(starts + ends, np.float32), 0)
    elif since == 11:
        roi = c.constant(np.zeros(0, np.float32), 0)
    axes = None
    if since >= 18 and rank == 4 and not roi and c.chance(0.3):
        axes = [2, 3] if c.chance() else [-2, -1]
        scales = scales[2:]
        attributes["axes"] = axes
    if c.chance():
        inputs = [x, roi, c.constant(np.array(scales, np.float32), 0)]
    else:
        sizes = [max(1, int(s * v)) for s, v in zip(shape[-len(scales) :], scales)]
        empty = c.constant(np.zeros(0, np.float32), 0) if since == 11 else ""
        inputs = [x, roi, empty, c.ints(sizes)]
        if since >= 18 and c.chance(0.3) and axes:
            attributes["keep_aspect_ratio_policy"] = c.pick(["stretch", "not_larger", "not_smaller"])
    c.output(c.node(op, inputs, **attributes))


@maker("Upsample")
def upsample(c, op):
    c.opset = c.integer(7, 9)
    rank = c.pick([2, 4])
    shape = [c.integer(1, 2) if rank == 4 and d < 2 else c.integer(1, 5) for d in range(rank)]
    scales = [1.0 if rank == 4 and d < 2 else c.pick([1.0, 1.5, 2.0, 2.5, 3.0]) for d in range(rank)]
    mode, x = c.maybe(c.pick(["nearest", "linear"])), c.input(c.any(shape))
    if c.opset < 9:
        c.output(c.node(op, [x], mode=mode, scales=scales))
    else:
        c.output(c.node(op, [x, c.constant(np.array(scales, np.float32), 0)], mode=mode))


@maker("GridSample")
def grid_sample(c, op):
    since = c.since(op)
    n, ch, h, w = c.integer(1, 2), c.integer(1, 2), c.integer(1, 5), c.integer(1, 5)
    modes = ["bilinear", "nearest", "bicubic"] if since == 16 else ["linear", "nearest", "cubic"]
    grid = c.real([n, c.integer(1, 4), c.integer(1, 4), 2], -1.3, 1.3)
    attributes = {
        "mode": c.maybe(c.pick(modes)),
        "padding_mode": c.maybe(c.pick(["zeros", "border", "reflection"])),
        "align_corners": c.maybe(c.integer(0, 1)),
    }
    c.output(c.node(op, [c.input(c.any([n, ch, h, w])), c.constant(grid, 0.1)], **attributes))


@maker("AffineGrid")
def affine_grid(c, op):
    c.since(op)
    two = c.chance(0.7)
    n = c.integer(1, 2)
    size = [n, c.integer(1, 2), *(c.integer(1, 4) for _ in range(2 if two else 3))]
    theta = c.real([n, 2, 3] if two else [n, 3, 4], -1, 1)
    c.output(c.node(op, [c.input(theta), c.ints(size)], align_corners=c.maybe(c.integer(0, 1))))


@maker("DFT")
def dft(c, op):
    since = c.since(op)
    shape = [c.integer(1, 2), c.integer(2, 7), c.pick([1, 1, 2])]
    if c.chance(0.4):
        shape.insert(1, c.integer(2, 5))
    inverse, onesided = c.integer(0, 1), c.integer(0, 1)
    axis = c.integer(1, len(shape) - 2)
    length = c.ints(c.integer(1, 8)) if c.chance(0.4) else ""
    attributes = {"inverse": c.maybe(inverse), "onesided": c.maybe(onesided)}
    if since < 20:
        c.output(c.node(op, [c.input(c.any(shape)), length], axis=axis, **attributes))
    else:
        c.output(c.node(op, [c.input(c.any(shape)), length, c.ints(axis)], **attributes))


@maker("STFT")
def stft(c, op):
    c.since(op)
    length, frame = c.integer(8, 24), c.integer(2, 8)
    x = c.any([c.integer(1, 2), length, 1])
    window = c.constant(c.real([frame], 0, 1), 0) if c.chance(0.6) else ""
    given = c.ints(frame) if not window or c.chance() else ""
    inputs = [c.input(x), c.ints(c.integer(1, 5)), window, given]
    c.output(c.node(op, inputs, onesided=c.maybe(c.integer(0, 1))))


@maker("HannWindow", "HammingWindow", "BlackmanWindow")
def window(c, op):
    c.since(op)
    n = c.integer(5, 12)
    made = c.node(op, [c.ints(n)], periodic=c.maybe(c.integer(0, 1)))
    c.output(c.node("Mul", [c.input(c.any([n])), made]))


# Integers with scales.


@maker("QuantizeLinear", "DequantizeLinear")
def scaled(c, op):
    since = c.since(op)
    shape = c.shape(1, 4)
    axis = c.axis(len(shape)) if since >= 13 else None
    per_axis = axis is not None and c.chance()
    own = [shape[axis]] if per_axis else []
    kind = c.pick([np.uint8, np.int8])
    scale = 2.0 ** c.rng.integers(-6, 1, own) if op == "QuantizeLinear" else c.rng.uniform(0.01, 0.5, own)
    scale = c.constant(np.asarray(scale, np.float32), 0)
    zero = c.constant(np.asarray(c.rng.integers(0, 100, own)).astype(kind), 0) if c.chance(0.7) else ""
    attributes = {"axis": axis} if per_axis else {}
    if op == "QuantizeLinear":
        c.output(c.node(op, [c.input(c.grid(shape)), scale, zero], **attributes))
        return
    if not zero:
        zero = c.constant(np.zeros(own, kind), 0)
    x = c.rng.integers(0, 128, shape).astype(kind)
    c.output(c.node(op, [c.input(x), scale, zero], **attributes))


@maker("MatMulInteger")
def matmul_integer(c, op):
    c.since(op)
    m, k, n = c.integer(1, 4), c.integer(1, 6), c.integer(1, 4)
    a = c.rng.integers(0, 256, [m, k]).astype(np.uint8)
    kind = c.pick([np.uint8, np.int8])
    b = c.rng.integers(0, 100, [k, n]).astype(kind)
    zeros = [c.constant(np.uint8(c.integer(0, 200)), 0), c.constant(kind(c.integer(0, 50)), 0)] if c.chance(0.7) else []
    c.output(c.node(op, [c.input(a), c.constant(b, 0), *zeros]))


@maker("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(c, op):
    c.since(op)
    n, classes = c.integer(1, 4), c.integer(1, 5)
    rest = c.shape(0, 2, 9)
    x = c.real([n, classes, *rest], -3, 3)
    target = c.rng.integers(0, classes, [n, *rest])
    inputs = [c.input(x), c.constant(target.astype(np.int64), 0.2)]
    if c.chance():
        inputs.append(c.constant(c.real([classes], 0.2, 2), 0))
    ignore = c.maybe(c.integer(0, classes - 1), 0.3)
    c.output(c.node(op, inputs, reduction=c.maybe(c.pick(["none", "sum", "mean"])), ignore_index=ignore))


@maker("Dropout")
def dropout(c, op):
    x = c.input(c.any(c.shape()))
    c.output(c.node(op, [x], ratio=c.maybe(0.3)) if c.opset < 12 else c.node(op, [x]))
