"""Builds the fixtures of recurrent layers, control flow, losses and attention, as make_op_cases.py does.

    pip install -r requirements.txt
    python make_op_cases_seq.py

Cases of tests/ops are also proven; those of tests/variants are compared with ONNX Runtime only, in floating point and
in integers.
"""

import numpy as np
from onnx import helper

import make_op_cases
from make_op_cases import Case

ROOT = make_op_cases.ROOT
PROVEN, VARIANTS = {}, {}


class SequenceCase(Case):
    """A case whose nodes may have several outputs."""

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


def main():
    for table, folder in ((PROVEN, ROOT), (VARIANTS, ROOT.parent / "variants")):
        make_op_cases.ROOT = folder
        for name, (build, opset) in table.items():
            c = SequenceCase(name, opset)
            c.finish(build(c))
        print(f"{len(table)} cases in {folder}")


if __name__ == "__main__":
    main()
