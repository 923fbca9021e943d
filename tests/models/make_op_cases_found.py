"""Builds fixtures of what random models found, as make_op_cases.py does; they are compared, not proven.

    pip install -r requirements.txt
    python make_op_cases_found.py
"""

import numpy as np
from onnx import TensorProto

import make_op_cases
from make_op_cases import Case

CASES = {}


class Grid:
    """Random numbers that are multiples of 1/4."""

    def __init__(self, rng):
        self.rng = rng

    def uniform(self, low, high, shape):
        return np.round(4 * self.rng.uniform(low, high, shape)) / 4


def found(build):
    CASES[build.__name__] = build
    return build


@found
def root_from_zero(c):
    """A curve in parts: each is constant beyond its ends."""
    return c.node("Sqrt", c.input(40, low=0, high=90))


@found
def wide_logarithm(c):
    return c.node("Log", c.input(40, low=0.8, high=30))


@found
def product_of_equal_inputs(c):
    """An input of which one value was seen: its integers are not so large that products lose them."""
    return c.node("ReduceProd", c.input(5, 3, low=0.84, high=0.84), axes=[0])


@found
def layer_of_equal_inputs(c):
    x = c.input(3, 1, 2, low=-0.57, high=-0.57)
    return c.node("RNN", x, c.weight(1, 3, 2), c.weight(1, 3, 3), hidden_size=3)


@found
def whole_numbers_are_cast(c):
    """Truncation takes the floor of all that is known."""
    x = c.input(30, low=-10, high=10)
    c.rng = Grid(c.rng)
    return c.node("Cast", c.node("Cast", x, to=TensorProto.INT32), to=TensorProto.FLOAT)


def main():
    make_op_cases.ROOT = make_op_cases.ROOT.parent / "variants"
    for name, build in CASES.items():
        c = Case(f"found/{name}", 13)
        c.finish(build(c))
    print(f"{len(CASES)} cases")


if __name__ == "__main__":
    main()
