"""A random model that is being made, and what ONNX Runtime says of it."""

import math

import numpy as np
import onnx
import onnxruntime
from onnx import helper

NEWEST = 26
IR_VERSION = 10


# Makers of models of one operator, by operator.
MAKERS = {}


def maker(*names):
    """A maker for these operators; it gets the case and the operator."""

    def register(function):
        for name in names:
            MAKERS[name] = lambda c, name=name: function(c, name)
        return function

    return register


class Skip(Exception):
    """These choices make no model."""


class Case:
    """A model that is being made."""

    def __init__(self, seed, opset=None):
        self.rng = np.random.default_rng(seed)
        self.opset = opset or self.pick([*range(7, NEWEST + 1)])
        self.nodes, self.initialisers, self.inputs, self.outputs = [], [], {}, []
        self.domains = {}
        self.count = 0

    # Choices.

    def pick(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, p=0.5):
        return bool(self.rng.random() < p)

    def integer(self, lo, hi):
        """An integer from lo to hi, both included."""
        return int(self.rng.integers(lo, hi + 1))

    def shape(self, lo=1, hi=5, most=240, largest=7):
        """Of rank lo to hi; an axis of 1 is common."""
        while True:
            shape = [1 if self.chance(0.15) else self.integer(1, largest) for _ in range(self.integer(lo, hi))]
            if math.prod(shape) <= most:
                return shape

    def axis(self, rank, before=0):
        """An axis, sometimes counted from the end."""
        axis = self.integer(0, rank - 1 - before)
        return axis - rank if self.chance(0.4) else axis

    def axes(self, rank, lo=1, hi=None):
        count = self.integer(min(lo, rank), min(hi or rank, rank))
        chosen = self.rng.permutation(rank)[:count]
        return [int(a) - rank if self.chance(0.3) else int(a) for a in chosen]

    def part(self, shape):
        """A shape that broadcasts to `shape`."""
        return [s if self.chance(0.7) else 1 for s in shape][self.pick([0, 0, self.integer(0, len(shape))]) :]

    def magnitude(self, lo=-2.0, hi=2.0):
        return 10.0 ** self.rng.uniform(lo, hi)

    # Values.

    def real(self, shape, lo=-1.0, hi=1.0):
        """Floats from lo to hi: even, bell-shaped, few different ones, equal ones, zeros among them."""
        kind = self.rng.random()
        if kind < 0.45:
            values = self.rng.uniform(lo, hi, shape)
        elif kind < 0.7:
            middle, width = (lo + hi) / 2, (hi - lo) / 6
            values = np.clip(self.rng.normal(middle, width, shape), lo, hi)
        elif kind < 0.85:
            values = self.rng.choice(self.rng.uniform(lo, hi, 3), shape)
        elif kind < 0.9:
            values = np.full(shape, self.rng.uniform(lo, hi))
        else:
            values = self.rng.uniform(lo, hi, shape)
            if lo <= 0 <= hi:
                values = values * (self.rng.random(shape) < 0.5)
        return np.asarray(values, np.float32)

    def any(self, shape, lo=-2.0, hi=2.0):
        """Floats of any magnitude and sign."""
        size = self.magnitude(lo, hi)
        low, high = self.pick([(-1, 1), (-1, 1), (-1, 1), (0, 1), (-1, 0), (-0.2, 1)])
        return self.real(shape, low * size, high * size)

    def weights(self, shape):
        return np.asarray(self.rng.normal(0, self.magnitude(-1, 0.5), shape), np.float32)

    def grid(self, shape, most=40):
        """Multiples of a power of two."""
        low = self.pick([-most, -most, 0])
        return np.asarray(self.rng.integers(low, most + 1, shape) * 2.0 ** self.integer(-5, 2), np.float32)

    def positive(self, shape, spread=8.0):
        """Positive floats within a factor of `spread`."""
        size = self.magnitude()
        return self.real(shape, size / spread, size)

    # The graph.

    def name(self, stem):
        self.count += 1
        return f"{stem}{self.count}"

    def input(self, value, name=None):
        name = name or self.name("x")
        self.inputs[name] = np.asarray(value)
        return name

    def constant(self, value, as_input=0.08):
        """An initialiser; sometimes a Constant node, or an input."""
        value = np.asarray(value)
        if self.chance(as_input) and value.size:
            return self.input(value, self.name("w"))
        name = self.name("w")
        tensor = onnx.numpy_helper.from_array(np.array(value, order="C"), name)
        if self.chance(0.1):
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.initialisers.append(tensor)
        return name

    def either(self, value):
        """An input or an initialiser."""
        return self.input(value) if self.chance() else self.constant(value)

    def ints(self, values):
        return self.constant(np.array(values, np.int64), as_input=0.04)

    def node(self, op, inputs, outputs=1, domain="", **attributes):
        """Adds a node; its one output, or all of them, "" for those that are left out."""
        names = [self.name("y") for _ in range(outputs)] if isinstance(outputs, int) else list(outputs)
        inputs = list(inputs)
        while inputs and inputs[-1] == "":
            inputs.pop()
        attributes = {k: v for k, v in attributes.items() if v is not None}
        # Named after its output, as the index names it.
        self.nodes.append(helper.make_node(op, inputs, names, name=names[0] or None, domain=domain, **attributes))
        if domain:
            self.domains[domain] = {"ai.onnx.ml": self.integer(1, 3)}[domain]
        return names[0] if len(names) == 1 else names

    def since(self, op):
        """The version of the operator at this operator set."""
        try:
            return onnx.defs.get_schema(op, self.opset, "").since_version
        except onnx.defs.SchemaError:  # no such operator yet
            raise Skip from None

    def maybe(self, value, p=0.5):
        return value if self.chance(p) else None

    def output(self, *names):
        self.outputs += [n for n in names if n]

    # Running.

    def run(self):
        """The model, with the outputs of ONNX Runtime; None when there is nothing to compare."""
        typed = lambda n, v: helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        graph = helper.make_graph(
            self.nodes,
            "random",
            [typed(n, v) for n, v in self.inputs.items()],
            [onnx.ValueInfoProto(name=n) for n in self.outputs],
            self.initialisers,
        )
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(d, v) for d, v in self.domains.items())]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        try:
            session = onnxruntime.InferenceSession(model.SerializeToString(), options)
            outputs = session.run(None, dict(self.inputs))
        except Exception:  # refused: ONNX Runtime has many kinds
            return None
        for value in outputs:
            if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf" or value.size == 0:
                return None
            if not np.isfinite(value.astype(np.float64)).all() or np.abs(value.astype(np.float64)).max() > 1e30:
                return None
            if not well_spread(np.asarray(value, np.float64), value.dtype.kind):
                return None
        del model.graph.output[:]
        model.graph.output.extend(typed(n, np.asarray(v)) for n, v in zip(self.outputs, outputs))
        return model, outputs


def well_spread(value, kind):
    """Whether an error of 1 % of its range is far above the precision of its magnitude."""
    spread, size = np.ptp(value), np.abs(value).max()
    return kind != "f" or spread <= 1e-4 * size or spread >= 0.02 * size
