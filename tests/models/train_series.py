"""Trains the forecasters among the fixture models on hourly temperatures and writes the committed files.

The series is the typical meteorological year (TMY3) of Greensboro, USA, inside the package pvlib: 8760 hours as
measured at the airport, each month from a year of its own. A window holds 24 hours of five features; the target is
the temperature's change over the next hour. Windows whose target is in the first 80 % of the series are for training,
those wholly in the rest are held out.

    pip install -r requirements.txt
    python train_series.py --model series_lstm|series_tcn|all

For each model M: M.onnx, M_calibration.npz (256 training windows under the input's name), M_heldout.npz (`window` and
`target`) and M_expected.npz (ONNX Runtime's `change` on the held-out windows). Seeds are fixed; floating point may
differ between machines, so the files that count are the committed ones.
"""

import argparse
import csv
import importlib.util
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import optax
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20261121
STEPS, FEATURES, HIDDEN, CHANNELS, KERNEL, DILATIONS = 24, 5, 64, 128, 3, (1, 2, 4, 8)
CLIP = 8.0
BATCH = 64


def windows():
    """Training and held-out windows [samples, 24, 5], each with its targets."""
    folder = pathlib.Path(importlib.util.find_spec("pvlib").origin).parent
    with open(folder / "data/723170TYA.CSV") as file:
        next(file)  # the station
        rows = list(csv.DictReader(file))
    temperature = np.array([float(row["Dry-bulb (C)"]) for row in rows])
    dew = np.array([float(row["Dew-point (C)"]) for row in rows])
    change = np.diff(temperature, prepend=temperature[0])
    split = len(rows) * 4 // 5
    angle = 2 * np.pi * np.arange(len(rows)) / 24
    columns = [(x - x[:split].mean()) / x[:split].std() for x in (temperature, change, dew)]
    columns += [np.sqrt(2) * np.sin(angle), np.sqrt(2) * np.cos(angle)]
    features = np.clip(np.stack(columns, 1), -CLIP, CLIP).astype(np.float32)
    target = (change / change[:split].std()).astype(np.float32)  # not centred: its sign is the change's
    pick = lambda ends: (np.stack([features[end - STEPS:end] for end in ends]), target[ends])
    return pick(np.arange(STEPS, split)), pick(np.arange(split + STEPS, len(rows)))


# Weights are named and laid out as ONNX has them; `forward` takes windows as the model's input has them.

def lstm_initialise(rng):
    scale = 1 / np.sqrt(HIDDEN)
    uniform = lambda *shape: rng.uniform(-scale, scale, shape)
    bias = np.zeros((1, 8 * HIDDEN))
    bias[0, 2 * HIDDEN:3 * HIDDEN] = 1  # the forget gate's, of the order i, o, f, c
    return {"lstm_w": uniform(1, 4 * HIDDEN, FEATURES), "lstm_r": uniform(1, 4 * HIDDEN, HIDDEN), "lstm_b": bias,
            "gemm_w": uniform(1, HIDDEN), "gemm_b": np.zeros(1)}


def lstm_forward(params, x, drop):
    w, r, b = params["lstm_w"][0], params["lstm_r"][0], params["lstm_b"][0]
    bias = b[:4 * HIDDEN] + b[4 * HIDDEN:]

    def step(state, x):
        hidden, cell = state
        i, o, f, c = jnp.split(x @ w.T + hidden @ r.T + bias, 4, axis=1)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(c)
        return (jax.nn.sigmoid(o) * jnp.tanh(cell), cell), None

    zero = jnp.zeros((len(x), HIDDEN), jnp.float32)
    (hidden, _), _ = jax.lax.scan(step, (zero, zero), x.transpose(1, 0, 2))
    return drop(hidden) @ params["gemm_w"].T + params["gemm_b"]


def lstm_nodes():
    node = helper.make_node
    return [
        node("Transpose", ["window"], ["transpose_out"], "transpose", perm=[1, 0, 2]),
        node("LSTM", ["transpose_out", "lstm_w", "lstm_r", "lstm_b"], ["", "lstm_hidden"], "lstm", hidden_size=HIDDEN),
        node("Squeeze", ["lstm_hidden", "squeeze_axes"], ["squeeze_out"], "squeeze"),
        node("Gemm", ["squeeze_out", "gemm_w", "gemm_b"], ["change"], "gemm", alpha=1.0, beta=1.0, transB=1),
    ], {"squeeze_axes": np.array([0], np.int64)}


def tcn_initialise(rng):
    params = {}
    inp = FEATURES
    for block in range(len(DILATIONS)):
        for label, kernel, channels in (("a", KERNEL, inp), ("b", KERNEL, CHANNELS), ("skip", 1, inp)):
            if label == "skip" and inp == CHANNELS:
                continue  # the identity
            scale = np.sqrt((1 if label == "skip" else 2) / (channels * kernel))
            params[f"block{block}_{label}_w"] = rng.normal(0, scale, (CHANNELS, channels, kernel))
            params[f"block{block}_{label}_b"] = np.zeros(CHANNELS)
        inp = CHANNELS
    params["gemm_w"] = rng.normal(0, 0.1 / np.sqrt(CHANNELS), (1, CHANNELS))
    params["gemm_b"] = np.zeros(1)
    return params


def tcn_forward(params, x, drop):
    def conv(x, label, dilation=1):
        w, b = params[f"{label}_w"], params[f"{label}_b"]
        past = (w.shape[2] - 1) * dilation
        return jax.lax.conv_general_dilated(x, w, (1,), [(past, 0)], rhs_dilation=(dilation,)) + b[None, :, None]

    for block, dilation in enumerate(DILATIONS):
        y = drop(jax.nn.relu(conv(x, f"block{block}_a", dilation)))
        y = drop(jax.nn.relu(conv(y, f"block{block}_b", dilation)))
        skip = conv(x, f"block{block}_skip") if f"block{block}_skip_w" in params else x
        x = jax.nn.relu(y + skip)
    return x[:, :, -1] @ params["gemm_w"].T + params["gemm_b"]


def tcn_nodes():
    nodes = []

    def node(label, op, inputs, out=None, **attributes):
        out = out or f"{label}_out"
        nodes.append(helper.make_node(op, inputs, [out], label, **attributes))
        return out

    def conv(x, label, kernel, dilation=1):
        return node(label, "Conv", [x, f"{label}_w", f"{label}_b"], kernel_shape=[kernel], dilations=[dilation],
                    pads=[(kernel - 1) * dilation, 0], strides=[1], group=1)

    x = "window"
    for block, dilation in enumerate(DILATIONS):
        label, y = f"block{block}", x
        for part in "ab":
            y = conv(y, f"{label}_{part}", KERNEL, dilation)
            y = node(f"{label}_{part}_relu", "Relu", [y])
        skip = conv(x, f"{label}_skip", 1) if block == 0 else x
        x = node(f"{label}_relu", "Relu", [node(f"{label}_add", "Add", [y, skip])])
    last = node("last", "Gather", [x, "last_index"], axis=2)
    node("gemm", "Gemm", [last, "gemm_w", "gemm_b"], "change", alpha=1.0, beta=1.0, transB=1)
    return nodes, {"last_index": np.array(-1, np.int64)}


# Per model: initial weights, forward pass, ONNX nodes with their constants, order of a window's axes, epochs, learning
# rate, share of activations that are dropped in training.
MODELS = {
    "series_lstm": (lstm_initialise, lstm_forward, lstm_nodes, (0, 1, 2), 30, 3e-3, 0.2),
    "series_tcn": (tcn_initialise, tcn_forward, tcn_nodes, (0, 2, 1), 14, 1e-3, 0.1),
}


def train(name, x, y):
    initialise, forward, _, _, epochs, rate, dropped = MODELS[name]
    rng = np.random.default_rng(SEED)
    params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), initialise(rng))
    per_epoch = len(x) // BATCH
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(
        optax.cosine_onecycle_schedule(epochs * per_epoch, rate), weight_decay=1e-2))
    state = optimiser.init(params)
    key = jax.random.PRNGKey(SEED)

    @jax.jit
    def step(params, state, x, y, key):
        def loss(params):
            keys = iter(jax.random.split(key, 16))
            drop = lambda a: a * jax.random.bernoulli(next(keys), 1 - dropped, a.shape) / (1 - dropped)
            return jnp.mean((forward(params, x, drop)[:, 0] - y) ** 2)

        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimiser.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    for epoch in range(epochs):
        order = rng.permutation(len(x))
        total = 0.0
        for i in range(per_epoch):
            pick = order[i * BATCH:(i + 1) * BATCH]
            key, own = jax.random.split(key)
            params, state, value = step(params, state, x[pick], y[pick], own)
            total += float(value)
        print(f"{name} epoch {epoch + 1}: loss {total / per_epoch:.4f}", flush=True)
    return jax.tree.map(np.asarray, params)


def export(name, params, shape):
    nodes, constants = MODELS[name][2]()
    initialisers = [numpy_helper.from_array(value, label) for label, value in (params | constants).items()]
    window = helper.make_tensor_value_info("window", TensorProto.FLOAT, shape)
    change = helper.make_tensor_value_info("change", TensorProto.FLOAT, (1, 1))
    graph = helper.make_graph(nodes, name, [window], [change], initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, HERE / f"{name}.onnx")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="all", choices=[*MODELS, "all"])
    arguments = parser.parse_args()
    (x, y), (held, target) = windows()
    for name in MODELS if arguments.model == "all" else [arguments.model]:
        axes = MODELS[name][3]
        lay = lambda a: np.ascontiguousarray(a.transpose(axes))
        params = train(name, lay(x), y)
        export(name, params, (1, *lay(held).shape[1:]))
        sample = np.sort(np.random.default_rng(SEED + 1).choice(len(x), 256, replace=False))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(HERE / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
        change = np.concatenate([session.run(["change"], {"window": w[None]})[0] for w in lay(held)])
        np.savez_compressed(HERE / f"{name}_calibration.npz", window=lay(x[sample]))
        np.savez_compressed(HERE / f"{name}_heldout.npz", window=lay(held), target=target)
        np.savez_compressed(HERE / f"{name}_expected.npz", change=change)
        error, moved = change[:, 0] - target, target != 0
        small = np.abs(change) < 1e-3 * (change.max() - change.min())
        print(f"{name}: {len(x)} training windows, {len(held)} held out, "
              f"{sum(a.size for a in params.values())} parameters, RMSE {np.sqrt(np.mean(error ** 2)):.4f}, "
              f"R2 {1 - np.sum(error ** 2) / np.sum((target - target.mean()) ** 2):.4f}, sign of {moved.sum()} changes "
              f"{np.mean((change[:, 0] > 0) == (target > 0), where=moved):.4f}, outputs {change.min():.3f} to "
              f"{change.max():.3f}, {small.sum()} of them below 0.1 % of that range")


if __name__ == "__main__":
    main()
