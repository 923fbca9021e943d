"""The one linear equation of a proof, by literal summation: a second description of verifier/docs/protocol.md, in another language.

Reads shape.json (facts of a small model, written by tests/tests/vector.rs) and writes coefficients.json: the order of the transcript by name,
challenges made from these names, and every coefficient of `sum_i eta^i * E_i`. Python 3, no packages: python3 tests/vectors/coefficients.py
Nothing of the table in section 7 is used: every equation is built as an affine function of cells, from sections 4 to 6.
"""

import hashlib
import json
import os

P = 0x40000000000000000000000000000000224698FC094CF91B992D30ED00000001
HALF = pow(2, P - 2, P)


class Lin:
    """constant + sum of coefficient * cell; a cell is (column or piece, row)."""

    def __init__(self, constant=0, cells=None):
        self.constant, self.cells = constant % P, dict(cells or {})

    def __add__(self, other):
        other = other if isinstance(other, Lin) else Lin(other)
        cells = dict(self.cells)
        for cell, coef in other.cells.items():
            cells[cell] = (cells.get(cell, 0) + coef) % P
        return Lin(self.constant + other.constant, cells)

    def __mul__(self, factor):
        return Lin(self.constant * factor, {cell: coef * factor % P for cell, coef in self.cells.items()})

    def __sub__(self, other):
        return self + (other if isinstance(other, Lin) else Lin(other)) * -1

    __radd__, __rmul__ = __add__, __mul__


def cell(column, row):
    return Lin(0, {(column, row): 1})


def affine(form):
    constant, terms = form
    return sum((coef * cell(column, row) for coef, column, row in terms), Lin(constant))


def on_row(form, row):
    constant, terms = form
    return sum((coef * cell(column, row) for coef, column in terms), Lin(constant))


def bits(count):
    """Bits of an index below count."""
    return (count - 1).bit_length()


def eq(point, index):
    """Bit b of the index belongs to coordinate b."""
    value = 1
    for b, z in enumerate(point):
        value = value * (z if index >> b & 1 else 1 - z) % P
    return value


def product(values):
    value = 1
    for x in values:
        value = value * x % P
    return value


class Model:
    """Sizes that follow from the facts."""

    def __init__(self, facts):
        self.__dict__.update(facts)
        self.n = 1 << self.k
        self.u = self.n if self.gates == "relations" else self.n - 6
        self.slots = len(self.lookups) + len(self.tables)
        self.layers = bits(self.slots) + self.k
        has_gates = self.gates == "relations"
        self.products, self.linear = (self.products, self.linear) if has_gates else ([], [])
        self.gate_variables = bits(len(self.products)) + self.k if self.products else 0
        linear_variables = bits(len(self.linear)) + self.k if self.linear else 0
        spaces = [sum(map(bits, relation["sizes"])) for relation in self.relations]
        self.rho = max(spaces + [self.gate_variables, linear_variables])
        for own in self.contractions:
            own["inner"] = [a for a in range(len(own["sizes"])) if a >= own["outer"] or all(a in r for r in own["reads"])]
            own["variables"] = sum(bits(own["sizes"][a]) for a in own["inner"])
        self.rounds = max([own["variables"] for own in self.contractions] + [self.gate_variables])
        hidden = sum(all(own["hidden"]) for own in self.contractions)
        self.pairs = 2 * self.layers + hidden + (1 if self.products else 0)
        self.pair_rounds = bits(self.pairs + 2)
        self.words = [f"w{c}" for c in range(self.columns)]
        self.counts = [f"m{g}" for g in range(len(self.tables))]
        self.pieces = [(f"layer {l} round {j}", 2) if j < l else (f"layer {l} values", 4)
                       for l in range(self.layers) for j in range(l + 1)]
        self.pieces += [(f"contraction {j}", 2) for j in range(self.rounds)]
        self.pieces += [(f"pair {j}", 2 if j else 4) for j in range(self.pair_rounds)]

    def order(self):
        """Section 9: everything that enters the transcript or is drawn from it."""
        forms = [f for gate in self.all_gates for f in gate]
        gated = set() if self.gates == "relations" else {column for _, terms in forms for _, column in terms}
        order = ["header"]
        order += [f"point {w}" for w in self.words if w not in gated] + [f"point {m}" for m in self.counts]
        if gated:
            order += ["halo2"]
        order += ["challenge theta", "challenge phi"]
        for l in range(self.layers):
            if l:
                order += [f"challenge lambda {l}"]
            for j in range(l):
                order += [f"piece layer {l} round {j}", f"challenge sigma {l}.{j}"]
            order += [f"piece layer {l} values", f"challenge beta {l}"]
        order += [f"challenge rho {j}" for j in range(self.rho)] + ["challenge mu"]
        for j in range(self.rounds):
            order += [f"piece contraction {j}", f"challenge sigma {j}"]
        order += ["challenge omega"]
        for j in range(self.pair_rounds):
            order += [f"piece pair {j}", f"challenge delta {j}"]
        order += ["scalar l", "scalar r", "challenge eta"]
        params = self.params["pooled"] + self.params["combined"]
        for j in range(bits(len(self.words) + len(self.counts) + params + len(self.pieces))):
            order += [f"point X_L {j}", f"point X_R {j}", f"challenge tau {j}"]
        order += ["challenge z", "point S", "challenge xi"]
        for j in range(self.k):
            order += [f"point L {j}", f"point R {j}", f"challenge u {j}"]
        # The protocol's r, which weights both equations; another r is sent in step 5.
        return order + ["scalar c", "scalar f"] + (["challenge both"] if gated else [])


class Equation:
    """Section 6, step by step."""

    def __init__(self, model, drawn):
        self.m, self.drawn = model, drawn

    def some(self, name, count):
        return [self.drawn[f"{name}{j}"] for j in range(count)]

    def after(self, claim, piece, z, sigma):
        """Section 5: what a round makes of a claim."""
        return claim + (sigma - z) * cell(piece, 0) + (sigma * sigma - z) * cell(piece, 1)

    def slot_and_row(self, point, slot, row):
        """Section 4: the bits of the slot, lowest first, then those of the row, highest first."""
        k = self.m.k
        split = len(point) - k
        return eq(point[:split], slot) * eq(point[split:][::-1], row) % P

    def leaves(self, z):
        m, theta, phi = self.m, self.drawn["theta"], self.drawn["phi"]
        p, q = Lin(), Lin(1)
        for s, (x, y, tag) in enumerate(m.lookups):
            for i in range(m.u):
                weight = self.slot_and_row(z, s, i)
                d = phi + theta * theta * tag + cell(x, i)
                if y is not None:
                    d = d + theta * cell(y, i)
                p, q = p + weight, q + weight * (d - 1)
        for g, rows in enumerate(m.tables):
            for i, (tag, x, y) in enumerate(rows):
                weight = self.slot_and_row(z, len(m.lookups) + g, i)
                p = p - weight * cell(m.counts[g], i)
                q = q + Lin(weight * (phi + theta * theta * tag + x + theta * y - 1))
        return p, q

    def lookups(self):
        """Step 3: E0, E1, and the layers' claims and pairs."""
        z, p, q = [], Lin(), Lin()
        for l in range(self.m.layers):
            lam = self.drawn[f"lambda {l}"] if l else 0
            claim = p + lam * q
            sigma = self.some(f"sigma {l}.", l)
            for j in range(l):
                claim = self.after(claim, f"layer {l} round {j}", z[j], sigma[j])
            p0, p1, q0, q1 = (cell(f"layer {l} values", row) for row in range(4))
            self.claims.append(claim)
            self.pairs += [(l, p0, q1), (l, q0, p1 + lam * q1)]
            beta = self.drawn[f"beta {l}"]
            z = [beta] + sigma
            p, q = (1 - beta) * p0 + beta * p1, (1 - beta) * q0 + beta * q1
        leaf_p, leaf_q = self.leaves(z)
        return [p - leaf_p, q - leaf_q]

    def slice(self, sizes, axis):
        start = sum(map(bits, sizes[:axis]))
        return self.rho[start:start + bits(sizes[axis])]

    def chi(self, sizes, point):
        """One factor for each axis, each with its own slice of rho."""
        return [eq(self.slice(sizes, axis), index) for axis, index in enumerate(point)]

    def relation(self, sizes, elements):
        total = Lin()
        for index, form in enumerate(elements):
            point = []
            for size in reversed(sizes):
                point.insert(0, index % size)
                index //= size
            total = total + product(self.chi(sizes, point)) * affine(form)
        return total

    def contraction(self, own, sigma):
        """kappa' * p(sigma) and q(sigma), by all p(j) and q(j)."""
        sizes, outer, inner, reads = own["sizes"], own["outer"], own["inner"], own["reads"]
        ends = []
        for is_right, side in enumerate(own["sides"]):
            table = {}
            for point, form in side:
                chi = self.chi(sizes[:outer], point[:outer])
                weight = product(chi[a] for a in range(outer) if a in reads[is_right] and not (is_right and a in reads[0]))
                j, at = 0, 0
                for axis in inner:
                    j |= point[axis] << at
                    at += bits(sizes[axis])
                table[j] = table.get(j, Lin()) + weight * affine(form)
            point = sigma[len(sigma) - own["variables"]:]
            ends.append(sum((eq(point, j) * value for j, value in table.items()), Lin()))
        free = product(sum(eq(self.slice(sizes, a), i) for i in range(sizes[a]))
                       for a in range(outer) if not any(a in r for r in reads))
        kappa = pow(self.drawn["mu"], own["relation"], P) * own["coef"] * free * pow(2, own["variables"], P) % P
        return kappa * ends[0], ends[1]

    def gates(self, sigma):
        """The two relations of gates: their part of the claim, and the contraction's two sides."""
        m, mu, claim = self.m, self.drawn["mu"], Lin()
        weight = pow(mu, len(m.relations), P)
        chi = lambda s, i, count: eq(self.rho[:m.k + bits(count)], i | s << m.k)
        for s, form in enumerate(m.linear):
            for i in range(m.n):
                claim = claim + weight * chi(s, i, len(m.linear)) % P * on_row(form, i)
        if m.linear:
            weight = weight * mu % P
        point = sigma[len(sigma) - m.gate_variables:]
        p, q = Lin(), Lin()
        for s, (a, b, c) in enumerate(m.products):
            for i in range(m.n):
                own, end = chi(s, i, len(m.products)), self.slot_and_row(point, s, i)
                claim = claim + weight * own % P * on_row(c, i)
                p, q = p + own * end % P * on_row(a, i), q + end * on_row(b, i)
        return claim, (weight * pow(2, m.gate_variables, P) % P * p, q) if m.products else None

    def contractions(self):
        """Step 4: the last claim, and its pairs."""
        m, mu = self.m, self.drawn["mu"]
        self.rho = self.some("rho ", m.rho)
        sigma = self.some("sigma ", m.rounds)
        claim = Lin()
        for number, relation in enumerate(m.relations):
            claim = claim + pow(mu, number, P) * self.relation(relation["sizes"], relation["elements"])
        gates, gate_pair = self.gates(sigma)
        claim = claim + gates
        for j in range(m.rounds):
            claim = self.after(claim, f"contraction {j}", HALF, sigma[j])
        for own in m.contractions:
            left, right = self.contraction(own, sigma)
            if all(own["hidden"]):
                self.pairs.append((m.layers, left, right))
            else:
                known, other = (left, right) if own["hidden"][1] else (right, left)
                assert not known.cells
                claim = claim - known.constant * other
        if gate_pair:
            self.pairs.append((m.layers, *gate_pair))
        self.claims.append(claim)

    def total(self):
        m, omega, eta = self.m, self.drawn["omega"], self.drawn["eta"]
        self.claims, self.pairs = [], []
        equations = self.lookups()
        self.contractions()
        assert len(self.pairs) == m.pairs
        # Step 5.
        delta = self.some("delta ", m.pair_rounds)
        left, right = eq(delta, m.pairs) * cell("pair 0", 2), eq(delta, m.pairs + 1) * cell("pair 0", 3)
        for t, (e, a, b) in enumerate(self.pairs):
            left, right = left + eq(delta, t) * pow(omega, e, P) % P * a, right + eq(delta, t) * b
        claim = sum((pow(omega, e, P) * own for e, own in enumerate(self.claims)), Lin())
        claim = pow(HALF, m.pair_rounds, P) * claim
        for j in range(m.pair_rounds):
            claim = self.after(claim, f"pair {j}", HALF, delta[j])
        l, r = self.drawn["l"], self.drawn["r"]
        equations += [Lin(l) - left, Lin(r) - right, Lin(l * r) - claim]
        # Step 6.
        return sum((pow(eta, i, P) * own for i, own in enumerate(equations)), Lin())


def vector(name, facts):
    model = Model(facts | {"all_gates": facts["products"] + [[c] for c in facts["linear"]]})
    order = model.order()
    drawn = {}
    for entry in order:
        label = entry.removeprefix("challenge ").removeprefix("scalar ")
        if label != entry:
            drawn[label] = int.from_bytes(hashlib.sha512(f"zkonnx vector {name} {label}".encode()).digest(), "big") % P
    total = Equation(model, drawn).total()
    columns = [(c, model.n) for c in model.words + model.counts + [f"p{c}" for c in range(model.params["columns"])]]
    columns += model.pieces
    hexed = lambda x: f"{x % P:064x}"
    coefficients = {c: [hexed(total.cells.get((c, row), 0)) for row in range(rows)] for c, rows in columns}
    assert all(column in coefficients and row < len(coefficients[column]) for column, row in total.cells)
    used = {label: hexed(value) for label, value in drawn.items()}
    return {"order": order, "drawn": used, "coefficients": coefficients, "constant": hexed(total.constant)}


def text(value, depth=0):
    """JSON with a line for each entry of an object."""
    if not isinstance(value, dict):
        return json.dumps(value)
    entries = [f"{json.dumps(key)}: {text(entry, depth + 1)}" for key, entry in value.items()]
    return "{\n" + ",\n".join(" " * depth + " " + entry for entry in entries) + "\n" + " " * depth + "}"


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "shape.json")) as file:
        cases = json.load(file)
    vectors = {name: vector(name, facts) for name, facts in cases.items()}
    with open(os.path.join(here, "coefficients.json"), "w") as file:
        file.write(text(vectors) + "\n")
