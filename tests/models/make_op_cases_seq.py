"""Builds the fixtures of recurrent layers, control flow, losses and attention, as make_op_cases.py does.

    pip install -r requirements.txt
    python make_op_cases_seq.py

Cases of tests/ops are also proven; those of tests/variants are compared with ONNX Runtime only, in floating point and
in integers.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import make_op_cases
from make_op_cases import Case

ROOT = make_op_cases.ROOT
PROVEN, VARIANTS = {}, {}


class SequenceCase(Case):
    """A case whose nodes may have several outputs, and whose model may have functions."""

    functions = ()

    def model(self, shapes=None, types=None):
        model = super().model(shapes, types)
        if self.functions:
            model.opset_import.append(helper.make_opsetid("own", 1))
            model.ir_version = 8
            model.functions.extend(self.functions)
        return model

    def nodes_of(self, op, inputs, count, **attributes):
        """Adds a node; `count` is its number of outputs, or a list of which are wanted."""
        wanted = [True] * count if isinstance(count, int) else count
        label = f"{op.lower()}_{len(self.nodes)}"
        outs = [f"{label}_out{i}" if want else "" for i, want in enumerate(wanted)]
        self.nodes.append(helper.make_node(op, list(inputs), outs, label, **attributes))
        return [out for out in outs if out]

    def recurrent(self, op, steps, features, hidden, wanted=(True, True, True), batch=1, bias=True, peepholes=False,
                  states=None, lengths=None, **attributes):
        """A recurrent layer over an input; `states` is None, "weights" or "inputs"."""
        gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
        directions = 2 if attributes.get("direction") == "bidirectional" else 1
        batch_first = attributes.get("layout", 0) == 1
        x = self.input(*((batch, steps, features) if batch_first else (steps, batch, features)), low=-2, high=2)
        inputs = [x, self.weight(directions, gates * hidden, features), self.weight(directions, gates * hidden, hidden)]
        inputs.append(self.weight(directions, 2 * gates * hidden) if bias else "")
        inputs.append(self.const(lengths, np.int32) if lengths else "")
        shape = (batch, directions, hidden) if batch_first else (directions, batch, hidden)
        for _ in range(2 if op == "LSTM" else 1):
            state = {None: lambda: "", "weights": lambda: self.weight(*shape),
                     "inputs": lambda: self.input(*shape, low=-1, high=1)}[states]
            inputs.append(state())
        if peepholes:
            inputs.append(self.weight(directions, 3 * hidden))
        while inputs[-1] == "":
            inputs.pop()
        wanted = list(wanted)[:3 if op == "LSTM" else 2]
        return self.nodes_of(op, inputs, wanted, hidden_size=hidden, **attributes)


def case(table, family, name=None, opset=14):
    def register(build):
        label = f"{family}/{name or build.__name__}"
        assert label not in table, label
        table[label] = (build, opset)
        return build
    return register


def named(outputs):
    """Outputs by number, where there are several."""
    return outputs[0] if len(outputs) == 1 else {f"y{i}": out for i, out in enumerate(outputs)}


def recurrent(table, name, op, *sizes, opset=14, **options):
    case(table, "recurrent", name, opset)(lambda c: named(c.recurrent(op, *sizes, **options)))


FIRST, LAST, ALL = (True, False, False), (False, True, False), (True, True, True)

recurrent(PROVEN, "lstm_bidirectional", "LSTM", 3, 3, 3, direction="bidirectional", states="weights")
recurrent(PROVEN, "lstm_peepholes", "LSTM", 3, 2, 3, wanted=LAST, peepholes=True, direction="reverse")
recurrent(PROVEN, "gru", "GRU", 3, 3, 3)
recurrent(PROVEN, "gru_linear_before_reset", "GRU", 3, 3, 3, wanted=FIRST, linear_before_reset=1, direction="reverse",
          states="inputs")
recurrent(PROVEN, "rnn_relu", "RNN", 4, 3, 4, activations=["Relu"], wanted=LAST)

for op in ("LSTM", "GRU", "RNN"):
    low = op.lower()
    for direction in ("forward", "reverse", "bidirectional"):
        recurrent(VARIANTS, f"{low}_{direction}", op, 5, 3, 4, batch=2, direction=direction)
        recurrent(VARIANTS, f"{low}_{direction}_states", op, 4, 3, 2, direction=direction, states="inputs")
        recurrent(VARIANTS, f"{low}_{direction}_lengths", op, 5, 2, 3, batch=4, direction=direction, lengths=[5, 2, 4, 2])
        recurrent(VARIANTS, f"{low}_{direction}_short", op, 5, 2, 3, batch=2, direction=direction, lengths=[3, 3],
                  states="inputs")
    recurrent(VARIANTS, f"{low}_no_bias", op, 4, 3, 4, bias=False, wanted=FIRST)
    recurrent(VARIANTS, f"{low}_clip", op, 4, 3, 4, clip=0.6, opset=7)
    recurrent(VARIANTS, f"{low}_last", op, 4, 3, 4, wanted=LAST)
recurrent(VARIANTS, "lstm_cell_only", "LSTM", 4, 3, 4, wanted=(False, False, True))
recurrent(VARIANTS, "lstm_coupled", "LSTM", 4, 3, 4, input_forget=1)
recurrent(VARIANTS, "lstm_coupled_peepholes", "LSTM", 4, 3, 4, input_forget=1, peepholes=True)
recurrent(VARIANTS, "lstm_peepholes_both", "LSTM", 4, 3, 4, peepholes=True, direction="bidirectional", states="weights")
recurrent(VARIANTS, "lstm_activations", "LSTM", 4, 3, 4, direction="bidirectional",
          activations=["HardSigmoid", "LeakyRelu", "Tanh", "Sigmoid", "ScaledTanh", "Relu"],
          activation_alpha=[0.3, 0.1, 0.7], activation_beta=[0.4, 0.8])
recurrent(VARIANTS, "gru_linear_both", "GRU", 4, 3, 4, linear_before_reset=1, direction="bidirectional", states="inputs")
recurrent(VARIANTS, "gru_activations", "GRU", 4, 3, 4, activations=["HardSigmoid", "Relu"])
for name, alpha, beta in (("Sigmoid", [], []), ("HardSigmoid", [0.4], [0.3]), ("LeakyRelu", [0.2], []),
                          ("Affine", [0.5], [0.1]), ("ScaledTanh", [0.9], [0.7])):
    parameters = ({"activation_alpha": alpha} if alpha else {}) | ({"activation_beta": beta} if beta else {})
    recurrent(VARIANTS, f"rnn_{name.lower()}", "RNN", 4, 3, 4, activations=[name], **parameters)


@case(VARIANTS, "recurrent")
def stacked_lstm(c):
    """As PyTorch exports two bidirectional layers and a head."""
    (y,) = c.recurrent("LSTM", 4, 3, 3, direction="bidirectional", wanted=FIRST)
    y = c.node("Transpose", y, perm=[0, 2, 1, 3])
    y = c.node("Reshape", y, c.ints(0, 0, -1))
    weights = [c.weight(2, 12, 6), c.weight(2, 12, 3), c.weight(2, 24)]
    (y,) = c.nodes_of("LSTM", [y, *weights], [True], hidden_size=3, direction="bidirectional")
    y = c.node("Reshape", c.node("Transpose", y, perm=[0, 2, 1, 3]), c.ints(0, 0, -1))
    last = c.node("Gather", y, c.const(-1, np.int64), axis=0)
    return c.dense(last, 2, 6)


def graph(name, nodes, inputs, outputs, constants=()):
    """A body or branch; inputs and outputs as name: (type, shape)."""
    info = lambda table: [helper.make_tensor_value_info(key, *value) for key, value in table.items()]
    return helper.make_graph(nodes, name, info(inputs), info(outputs),
                             [numpy_helper.from_array(np.asarray(v), k) for k, v in dict(constants).items()])


FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
node = helper.make_node


@case(PROVEN, "control")
def loop_recurrence(c):
    """h' = tanh(x W + h R) three times, with the states stacked; weights belong to the graph around the body."""
    x, w, r = c.input(1, 4), c.weight(4, 3), c.weight(3, 3)
    body = graph("body", [
        node("MatMul", [x, w], ["xw"]), node("MatMul", ["h_in", r], ["hr"]), node("Add", ["xw", "hr"], ["sum"]),
        node("Tanh", ["sum"], ["h_out"]), node("Identity", ["h_out"], ["scanned"]), node("Identity", ["going"], ["on"]),
    ], {"i": (INT64, []), "going": (BOOL, []), "h_in": (FLOAT, [1, 3])},
        {"on": (BOOL, []), "h_out": (FLOAT, [1, 3]), "scanned": (FLOAT, [1, 3])})
    start = c.weight(1, 3)
    return named(c.nodes_of("Loop", [c.const(3, np.int64), c.const(True, bool), start], 2, body=body))


@case(PROVEN, "control")
def scan_bidirectional(c):
    """Sums from the front along one axis and from the back along another."""
    x = c.input(4, 3)
    body = graph("body", [
        node("Add", ["total", "row"], ["next"]), node("Mul", ["next", "half"], ["out"]), node("Neg", ["row"], ["negated"]),
    ], {"total": (FLOAT, [3]), "row": (FLOAT, [3])},
        {"next": (FLOAT, [3]), "out": (FLOAT, [3]), "negated": (FLOAT, [3])}, {"half": np.float32(0.5)})
    return named(c.nodes_of("Scan", [c.weight(3), x], 3, body=body, num_scan_inputs=1, scan_input_directions=[1],
                            scan_output_axes=[0, 1], scan_output_directions=[1, 0]))


def branches():
    then = graph("then", [node("Relu", ["x"], ["then_out"])], {}, {"then_out": (FLOAT, [2, 3])})
    other = graph("other", [node("Mul", ["x", "two"], ["other_out"])], {}, {"other_out": (FLOAT, [2, 3])},
                  {"two": np.float32(2)})
    return {"then_branch": then, "else_branch": other}


for truth in (True, False):
    @case(VARIANTS, "control", f"if_{truth}".lower())
    def if_constant(c, truth=truth):
        c.input(2, 3)
        return named(c.nodes_of("If", [c.const(truth, bool)], 1, **branches()))


@case(VARIANTS, "control")
def if_of_inputs(c):
    x = c.input(2, 3)
    condition = c.node("Greater", c.node("ReduceSum", x, keepdims=0), c.const(0.0))
    return named(c.nodes_of("If", [condition], 1, **branches()))


@case(VARIANTS, "control")
def if_in_loop(c):
    """Even iterations add, odd ones subtract; the loop ends by its condition."""
    c.input(2, 3)
    then = graph("then", [node("Add", ["s_in", "x"], ["a"])], {}, {"a": (FLOAT, [2, 3])})
    other = graph("other", [node("Sub", ["s_in", "x2"], ["b"]), node("Identity", ["b"], ["b2"])], {},
                  {"b2": (FLOAT, [2, 3])})
    body = graph("body", [
        node("Mod", ["i", "two"], ["odd"]), node("Cast", ["odd"], ["is_odd"], to=BOOL), node("Less", ["i", "four"], ["on"]),
        node("Mul", ["x", "half"], ["x2"]),
        node("If", ["is_odd"], ["s_out"], then_branch=other, else_branch=then),
    ], {"i": (INT64, []), "going": (BOOL, []), "s_in": (FLOAT, [2, 3])},
        {"on": (BOOL, []), "s_out": (FLOAT, [2, 3])},
        {"two": np.int64(2), "four": np.int64(4), "half": np.float32(0.5)})
    return named(c.nodes_of("Loop", ["", "", c.weight(2, 3)], 1, body=body))


@case(VARIANTS, "control")
def loops_alike(c):
    """Two loops with the same names within."""
    x = c.input(2, 3)
    body = graph("body", [
        node("Mul", ["s_in", "x"], ["inner"]), node("Add", ["inner", "x"], ["s_out"]), node("Identity", ["going"], ["on"]),
    ], {"i": (INT64, []), "going": (BOOL, []), "s_in": (FLOAT, [2, 3])},
        {"on": (BOOL, []), "s_out": (FLOAT, [2, 3])})
    (s,) = c.nodes_of("Loop", [c.const(2, np.int64), "", c.weight(2, 3)], 1, body=body)
    return named(c.nodes_of("Loop", [c.const(1, np.int64), "", c.node("Relu", s)], 1, body=body))


@case(VARIANTS, "control")
def scan_lstm_cell(c):
    """A recurrent cell as exporters write it: gates of one product, split."""
    x = c.input(4, 1, 3)
    w, r = c.weight(3, 12), c.weight(3, 12)
    body = graph("body", [
        node("MatMul", ["x_t", w], ["xw"]), node("MatMul", ["h_in", r], ["hr"]), node("Add", ["xw", "hr"], ["gates"]),
        node("Split", ["gates"], ["i", "o", "f", "g"], axis=1), node("Sigmoid", ["i"], ["si"]),
        node("Sigmoid", ["o"], ["so"]), node("Sigmoid", ["f"], ["sf"]), node("Tanh", ["g"], ["tg"]),
        node("Mul", ["sf", "cell_in"], ["fc"]), node("Mul", ["si", "tg"], ["ig"]), node("Add", ["fc", "ig"], ["cell_out"]),
        node("Tanh", ["cell_out"], ["tc"]), node("Mul", ["so", "tc"], ["h_out"]), node("Identity", ["h_out"], ["seen"]),
    ], {"h_in": (FLOAT, [1, 3]), "cell_in": (FLOAT, [1, 3]), "x_t": (FLOAT, [1, 3])},
        {"h_out": (FLOAT, [1, 3]), "cell_out": (FLOAT, [1, 3]), "seen": (FLOAT, [1, 3])})
    states = [c.const(np.zeros((1, 3))), c.const(np.zeros((1, 3)))]
    return named(c.nodes_of("Scan", [*states, x], 3, body=body, num_scan_inputs=1))


@case(VARIANTS, "control", opset=8)
def scan_with_batch(c):
    body = graph("body", [node("Add", ["total", "row"], ["next"]), node("Mul", ["next", "row"], ["out"])],
                 {"total": (FLOAT, [3]), "row": (FLOAT, [3])}, {"next": (FLOAT, [3]), "out": (FLOAT, [3])})
    start, x = c.input(2, 3), c.input(2, 4, 3)
    return named(c.nodes_of("Scan", ["", start, x], 2, body=body, num_scan_inputs=1, directions=[1]))


@case(VARIANTS, "control")
def functions(c):
    """Functions of the model: attributes by reference, one that calls another, an input left out."""
    x = c.input(2, 3)
    sets = [helper.make_opsetid("", 14), helper.make_opsetid("own", 1)]
    slope = node("LeakyRelu", ["a"], ["b"])
    reference = onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    slope.attribute.append(reference)
    c.functions = [
        helper.make_function("own", "Leaky", ["a"], ["b"], [slope], sets[:1], ["slope"]),
        helper.make_function("own", "Twice", ["a", "lo"], ["d"], [
            node("Leaky", ["a"], ["b"], domain="own", slope=0.3), node("Leaky", ["b"], ["c"], domain="own"),
            node("Clip", ["c", "lo"], ["d"]),
        ], sets),
    ]
    y = c.node("Twice", x, domain="own")
    return c.node("Twice", y, c.const(-0.02), domain="own")


def simple(table, family, name, op, *shapes, opset=13, consts=(), low=-3, high=3, **attributes):
    """One node over inputs of these shapes, then constants."""
    def build(c):
        inputs = [c.input(*shape, low=low, high=high) for shape in shapes]
        return c.node(op, *inputs, *[c.const(value, kind) for value, kind in consts], **attributes)
    case(table, family, name, opset)(build)


simple(PROVEN, "losses", "log_softmax", "LogSoftmax", (2, 6))
simple(PROVEN, "losses", "hardmax", "Hardmax", (2, 4, 3), axis=1)
simple(VARIANTS, "losses", "log_softmax_axis0", "LogSoftmax", (4, 3), axis=0)
simple(VARIANTS, "losses", "log_softmax_axis1", "LogSoftmax", (2, 4, 3), axis=1)
simple(VARIANTS, "losses", "log_softmax_matrix", "LogSoftmax", (2, 4, 3), opset=11, axis=1)
simple(VARIANTS, "losses", "log_softmax_rows", "LogSoftmax", (2, 4, 3), opset=11)
simple(VARIANTS, "losses", "hardmax_matrix", "Hardmax", (2, 2, 3), opset=11, axis=1)
simple(VARIANTS, "losses", "hardmax_last", "Hardmax", (2, 5))


def loss(table, name, op, shape, opset=13, weights=False, outputs=1, targets=(), **attributes):
    """A loss with constant targets, class by class, some of them to be ignored if `targets` has them."""
    def build(c):
        count = int(np.prod([shape[0], *shape[2:]]))
        values = c.rng.integers(0, shape[1], count)
        values[:len(targets)] = targets
        inputs = [c.input(*shape), c.const(values.reshape([shape[0], *shape[2:]]), np.int64)]
        if weights:
            inputs.append(c.weight(shape[1], low=0.2, high=1.5))
        return named(c.nodes_of(op, inputs, outputs, **attributes))
    case(table, "losses", name, opset)(build)


NLL, CROSS = "NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"
loss(PROVEN, "cross_entropy", CROSS, (3, 4), weights=True, outputs=2)
for how in ("none", "sum", "mean"):
    loss(VARIANTS, f"nll_{how}", NLL, (3, 4), reduction=how)
    loss(VARIANTS, f"nll_{how}_weighted", NLL, (2, 3, 4), reduction=how, weights=True, targets=[1, 1], ignore_index=1)
    loss(VARIANTS, f"nll_{how}_ignored", NLL, (2, 3, 2, 2), reduction=how, targets=[1, 1], ignore_index=1)
    loss(VARIANTS, f"cross_entropy_{how}", CROSS, (3, 4, 2), reduction=how, outputs=2)
    loss(VARIANTS, f"cross_entropy_{how}_beyond", CROSS, (2, 3, 2), reduction=how, targets=[-7], ignore_index=-7, weights=True)


@case(VARIANTS, "losses")
def nll_targets_of_inputs(c):
    """Targets that the model computes; a mean by their weights."""
    x = c.input(3, 4)
    targets = c.node("ArgMax", c.input(3, 4), axis=1, keepdims=0)
    return c.node(NLL, x, targets, c.weight(4, low=0.2, high=1.5), ignore_index=2)


for exclusive in (0, 1):
    for reverse in (0, 1):
        simple(VARIANTS, "sums", f"cumsum_{exclusive}_{reverse}", "CumSum", (2, 5), consts=[(1, np.int64)], opset=14,
               exclusive=exclusive, reverse=reverse)
simple(PROVEN, "sums", "cumsum", "CumSum", (4, 3), consts=[(-2, np.int64)], opset=14)
for upper in (0, 1):
    for k in (-2, -1, 0, 1, 4):
        simple(VARIANTS, "sums", f"trilu_{upper}_{k}", "Trilu", (2, 3, 4), consts=[(k, np.int64)], opset=14, upper=upper)
simple(VARIANTS, "sums", "trilu_upper", "Trilu", (3, 3), opset=14)

EQUATIONS = {
    "transpose": ("ij->ji", (2, 3)), "rows": ("ij->i", (2, 3)), "trace": ("ii", (3, 3)), "diagonal": ("...ii->...i", (2, 3, 3)),
    "inner": ("i,i", (4,), (4,)), "batch": ("bij, bjk -> bik", (2, 3, 4), (2, 4, 2)), "outer": ("i,j->ij", (3,), (2,)),
    "implicit": ("ba,bc", (2, 3), (2, 4)), "heads": ("bqhd,bkhd->bhqk", (2, 3, 2, 4), (2, 5, 2, 4)),
    "bilinear": ("bi,oij,bj->bo", (2, 3), (2, 3, 2), (2, 2)), "dots": ("...ij,...jk->...ik", (2, 3, 4), (2, 4, 2)),
    "dots_lead": ("...i,...i->...", (2, 4, 3), (2, 4, 3)), "sum_all": ("ij,kj->", (2, 3), (4, 3)),
    "hadamard": ("ij,ij->ij", (2, 3), (2, 3)), "diagonal_product": ("ii,ij->j", (3, 3), (3, 2)),
}
for name, (equation, *shapes) in EQUATIONS.items():
    simple(VARIANTS, "einsum", name, "Einsum", *shapes, equation=equation, low=-2, high=2)
simple(PROVEN, "einsum", "attention_scores", "Einsum", (1, 3, 2, 4), (1, 2, 2, 4), equation="bqhd,bkhd->bhqk")

def attention(table, name, heads=(2, 2), queries=3, keys=4, size=4, value_size=None, batch=1, flat=False, mask=None,
              past=0, outputs=1, opset=23, **attributes):
    """`mask` is an array (a constant) or a shape (an input)."""
    def build(c):
        (q_heads, kv_heads), width = heads, value_size or size
        own = keys - past
        shapes = ([(batch, queries, q_heads * size), (batch, own, kv_heads * size), (batch, own, kv_heads * width)] if flat
                  else [(batch, q_heads, queries, size), (batch, kv_heads, own, size), (batch, kv_heads, own, width)])
        inputs = [c.input(*shape, low=-1.5, high=1.5, name=label) for shape, label in zip(shapes, ("q", "k", "v"))]
        if mask is None:
            inputs.append("")
        elif isinstance(mask, tuple):
            inputs.append(c.input(*mask, low=-2, high=2, name="mask"))
        else:
            inputs.append(c.const(mask, mask.dtype))
        if past:
            inputs += [c.input(batch, kv_heads, past, size, name="past_k"), c.input(batch, kv_heads, past, width, name="past_v")]
        while inputs[-1] == "":
            inputs.pop()
        extra = dict(q_num_heads=q_heads, kv_num_heads=kv_heads) if flat else {}
        return named(c.nodes_of("Attention", inputs, outputs, **extra, **attributes))
    case(table, "attention", name, opset)(build)


HIDE = -np.inf
SEEN = np.array([[1, 0, 1, 1], [1, 1, 0, 1], [0, 1, 1, 0]], bool)
BLIND = np.array([[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 1, 0]], bool)
ADDED = np.where(SEEN, np.float32(0.5), np.float32(HIDE)).astype(np.float32)
attention(PROVEN, "plain", heads=(1, 1))
attention(PROVEN, "causal_cache", heads=(2, 1), past=2, keys=4, queries=2, is_causal=1, outputs=3)
attention(VARIANTS, "scaled", scale=0.3)
attention(VARIANTS, "flat", flat=True, batch=2)
attention(VARIANTS, "groups", heads=(4, 2))
attention(VARIANTS, "groups_flat", heads=(4, 2), flat=True, value_size=3)
attention(VARIANTS, "causal", is_causal=1, queries=4)
attention(VARIANTS, "causal_short", is_causal=1, queries=3, keys=5)
attention(VARIANTS, "softcap", softcap=0.8)
attention(VARIANTS, "mask_of_truth", mask=SEEN)
attention(VARIANTS, "mask_added", mask=ADDED)
attention(VARIANTS, "mask_of_inputs", mask=(3, 4))
attention(VARIANTS, "mask_and_causal", mask=(2, 3, 4), is_causal=1)
attention(VARIANTS, "mask_of_truth_and_causal", mask=np.ones((1, 1, 4, 4), bool), queries=4, is_causal=1)
attention(VARIANTS, "cache", past=3, keys=5, outputs=3)
attention(VARIANTS, "scores", outputs=[True, False, False, True], mask=(3, 4), qk_matmul_output_mode=0)
attention(VARIANTS, "weights", outputs=[True, False, False, True], mask=SEEN, qk_matmul_output_mode=3)


@case(VARIANTS, "attention", opset=23)
def mask_computed(c):
    """Truth values that the model computes."""
    q, k, v = (c.input(1, 2, n, 4, low=-1.5, high=1.5, name=label) for label, n in (("q", 3), ("k", 4), ("v", 4)))
    mask = c.node("Greater", c.input(3, 4, name="m"), c.const(-1.5))
    return c.node("Attention", q, k, v, mask)


def rotary(name, shape, turned, count, interleaved=0, positions=True, **attributes):
    def build(c):
        flat = len(shape) == 3
        batch, length = (shape[0], shape[1]) if flat else (shape[0], shape[2])
        x = c.input(*shape)
        angles = c.rng.uniform(0, 3, (count, turned // 2) if positions else (batch, length, turned // 2))
        inputs = [x, c.const(np.cos(angles)), c.const(np.sin(angles))]
        if positions:
            inputs.append(c.const(c.rng.integers(0, count, (batch, length)), np.int64))
        return c.node("RotaryEmbedding", *inputs, interleaved=interleaved, **attributes)
    case(VARIANTS, "attention", f"rotary_{name}", 23)(build)


rotary("plain", (1, 2, 3, 4), 4, 5)
rotary("interleaved", (2, 2, 3, 4), 4, 5, interleaved=1)
rotary("flat", (2, 3, 8), 4, 5, num_heads=2)
rotary("part", (1, 2, 3, 6), 4, 5, rotary_embedding_dim=4, num_heads=2)
rotary("without_positions", (2, 2, 3, 4), 4, 0, positions=False)

REFUSED = {}


def refused(build):
    """Registers a model that has to be refused, in time; its file is tests/refused/<name>.onnx."""
    REFUSED[build.__name__] = build
    return build


def counting(name, nodes, constants=()):
    """A body that goes on; its only state is `<name>_s`."""
    return graph(name, [*nodes, node("Identity", [f"{name}_go"], [f"{name}_on"])],
                 {f"{name}_i": (INT64, []), f"{name}_go": (BOOL, []), f"{name}_s": (FLOAT, [2])},
                 {f"{name}_on": (BOOL, []), f"{name}_out": (FLOAT, [2])}, constants)


@refused
def loop_of_unknown_length(c):
    x, count = c.input(2), c.input(name="count")
    body = counting("b", [node("Add", ["b_s", x], ["b_out"])])
    return c.nodes_of("Loop", [c.node("Cast", count, to=INT64), "", x], 1, body=body)


@refused
def loop_without_end(c):
    x = c.input(2)
    return c.nodes_of("Loop", ["", "", x], 1, body=counting("b", [node("Add", ["b_s", x], ["b_out"])]))


@refused
def loops_in_loops(c):
    x = c.input(2)
    body = counting("b0", [node("Identity", ["b0_s"], ["b0_out"])])
    for depth in range(1, 5):
        loop = node("Loop", ["many", "", f"b{depth}_s"], [f"b{depth}_out"], body=body)
        body = counting(f"b{depth}", [loop], {"many": np.int64(16000)})
    return c.nodes_of("Loop", [c.const(16000, np.int64), "", x], 1, body=body)


@refused
def loop_of_large_constants(c):
    x = c.input(2)
    body = counting("b", [
        node("ConstantOfShape", ["size"], ["large"]), node("Add", ["large", "large"], ["larger"]),
        node("ReduceSum", ["larger"], ["sum"], keepdims=0), node("Add", ["b_s", "sum"], ["b_out"]),
    ], {"size": np.array([1 << 22], np.int64)})
    return c.nodes_of("Loop", [c.const(10000, np.int64), "", x], 1, body=body)


@refused
def function_of_itself(c):
    x = c.input(2)
    sets = [helper.make_opsetid("", 14), helper.make_opsetid("own", 1)]
    c.functions = [helper.make_function("own", "F", ["a"], ["b"], [node("F", ["a"], ["b"], domain="own")], sets)]
    return [c.node("F", x, domain="own")]


@refused
def functions_that_double(c):
    x = c.input(2)
    sets = [helper.make_opsetid("", 14), helper.make_opsetid("own", 1)]
    call = lambda i, a, b: node(f"F{i}", [a], [b], domain="own")
    c.functions = [helper.make_function("own", "F0", ["a"], ["b"], [node("Relu", ["a"], ["b"])], sets)]
    for i in range(30):
        c.functions.append(helper.make_function("own", f"F{i + 1}", ["a"], ["b"],
                                                [call(i, "a", "m"), call(i, "m", "b")], sets))
    return [c.node("F30", x, domain="own")]


@refused
def function_with_a_default(c):
    x = c.input(2)
    leaky = node("LeakyRelu", ["a"], ["b"])
    leaky.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT))
    function = helper.make_function("own", "F", ["a"], ["b"], [leaky], [helper.make_opsetid("", 14)])
    function.attribute_proto.append(helper.make_attribute("slope", 0.3))
    c.functions = [function]
    return [c.node("F", x, domain="own")]


@refused
def function_named_like_an_operator(c):
    x = c.input(2)
    c.functions = [helper.make_function("", "Relu", ["a"], ["b"], [node("Neg", ["a"], ["b"])],
                                        [helper.make_opsetid("", 14)])]
    return [c.node("Relu", x)]


@refused
def if_of_other_shapes(c):
    x = c.input(2)
    condition = c.node("Greater", c.node("ReduceSum", x, keepdims=0), c.const(0.0))
    then = graph("then", [node("Relu", [x], ["a"])], {}, {"a": (FLOAT, [2])})
    other = graph("other", [node("ReduceSum", [x], ["b"])], {}, {"b": (FLOAT, [1])})
    return c.nodes_of("If", [condition], 1, then_branch=then, else_branch=other)


@refused
def body_of_an_unknown_operator(c):
    x = c.input(2)
    body = counting("b", [node("Nonsense", ["b_s"], ["b_out"], domain="own")])
    return c.nodes_of("Loop", [c.const(3, np.int64), "", x], 1, body=body)


@refused
def lengths_of_inputs(c):
    lengths = c.input(2, name="lengths")
    x = c.input(3, 2, 4, name="x")
    weights = [c.weight(1, 12, 4), c.weight(1, 12, 3), ""]
    lengths = c.node("Cast", lengths, to=TensorProto.INT32)
    return c.nodes_of("LSTM", [x, *weights, lengths], 1, hidden_size=3)


@refused
def too_many_activation_parameters(c):
    return c.recurrent("RNN", 3, 2, 2, activations=["LeakyRelu"], activation_alpha=[0.1, 0.2], wanted=FIRST)


@refused
def activation_without_a_default(c):
    return c.recurrent("RNN", 3, 2, 2, activations=["Affine"], wanted=FIRST)


def main():
    folder = ROOT.parent / "refused"
    folder.mkdir(exist_ok=True)
    for name, build in REFUSED.items():
        c = SequenceCase(name, 14)
        c.outputs = build(c)
        onnx.save(c.model(), folder / f"{name}.onnx")
    for table, folder in ((PROVEN, ROOT), (VARIANTS, ROOT.parent / "variants")):
        make_op_cases.ROOT = folder
        for name, (build, opset) in table.items():
            c = SequenceCase(name, opset)
            c.finish(build(c))
        print(f"{len(table)} cases in {folder}")


if __name__ == "__main__":
    main()
