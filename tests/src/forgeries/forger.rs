//! Something false, and the messages that make it true for a verifier that does not draw one challenge.

use super::KNOWN;
use crate::lies::{claim_excess, force, place_of};
use ff::{Field, PrimeField};
use pasta_curves::Fp;
use zkonnx_circuits::{
    compiled::CompiledModel,
    field::from_i64,
    gate_system::gate_chi,
    messages::{Challenges, GateWeights, Piece, Rounds},
    slots::{ProductSlot, RowForm},
    witness::{assign, Cells},
    words::WordId,
};
use zkonnx_prover::deviation::{Deviation, FoldView, PieceView};
use zkonnx_quantize::eval::Trace;
use zkonnx_verifier::{checks::Check, statement::StatementDigest};

/// What is false: other cells, and the equations that do not hold because of them.
#[derive(Clone, Debug, Default)]
pub struct Lie {
    /// Elements of words: (word, element, value).
    pub words: Vec<(WordId, usize, i64)>,
    /// Cells of word columns: (column, row, value).
    pub cells: Vec<(usize, usize, i64)>,
    /// What is added to cells of word columns, then multiplicities: (column, row, value).
    pub strays: Vec<(usize, usize, Fp)>,
    /// Relations that do not hold: (relation, element, left − right).
    pub relations: Vec<(usize, usize, Fp)>,
    /// Product gates that do not hold: (slot, row, `C − A·B`).
    pub products: Vec<(usize, usize, Fp)>,
    /// Linear gates that do not hold: (slot, row, value).
    pub linear: Vec<(usize, usize, Fp)>,
}

impl Lie {
    /// Writes an element of the field into a word of one limb.
    pub fn write(&mut self, model: &CompiledModel, word: WordId, element: usize, value: Fp) {
        let small = (-64..64).find(|small| from_i64(*small) == value);
        self.words.push((word, element, small.unwrap_or(0)));
        if small.is_none() {
            let (column, row) = place_of(model, word, 0, element);
            self.strays.push((column, row, value));
        }
    }

    /// Finds the gates that the cells of a trace violate with this lie.
    #[must_use]
    pub fn with_false_gates(mut self, model: &CompiledModel, trace: &Trace) -> Self {
        let mut cells = assign(model, trace);
        self.cells(model, &mut cells);
        let mut columns: Vec<Vec<Fp>> =
            cells.columns.iter().map(|c| c.iter().map(|value| from_i64(*value)).collect()).collect();
        for (column, row, value) in &self.strays {
            if let Some(cell) = columns.get_mut(*column).and_then(|c| c.get_mut(*row)) {
                *cell += value;
            }
        }
        let form = |form: &RowForm, row: usize| {
            let terms = form.terms.iter().map(|(column, coef)| columns[*column][row] * from_i64(*coef));
            from_i64(form.constant) + terms.sum::<Fp>()
        };
        let rows = || 0..model.shape.num_active_rows();
        let is_false = |(_, _, error): &(usize, usize, Fp)| *error != Fp::ZERO;
        let slots = &model.shape.slots;
        let product =
            |(s, p): (usize, &ProductSlot), row| (s, row, form(&p.c, row) - form(&p.a, row) * form(&p.b, row));
        let products = slots.products.iter().enumerate();
        self.products = products.flat_map(|slot| rows().map(move |row| product(slot, row))).filter(is_false).collect();
        let linear = slots.linear.iter().enumerate();
        let value = |(s, own): (usize, &RowForm), row| (s, row, form(own, row));
        self.linear = linear.flat_map(|slot| rows().map(move |row| value(slot, row))).filter(is_false).collect();
        self
    }

    /// By how much the claim of the relations is larger than what it is about.
    #[must_use]
    pub fn excess(&self, model: &CompiledModel, challenges: &Challenges) -> Fp {
        let of_relations = self
            .relations
            .iter()
            .map(|(relation, element, by)| *by * claim_excess(model, challenges, *relation, *element, 1));
        let of_gates = |gates: &[(usize, usize, Fp)], count: usize, weight: Fp| -> Fp {
            if count == 0 {
                // halo2 proves them.
                return Fp::ZERO;
            }
            let (slots, rows) = gate_chi(model, &challenges.rho, count);
            gates.iter().map(|(slot, row, by)| weight * slots[*slot] * rows[*row] * by).sum()
        };
        let shape = &model.shape;
        of_relations.sum::<Fp>()
            + of_gates(&self.products, shape.num_product_slots(), challenges.gates.products)
            + of_gates(&self.linear, shape.num_linear_slots(), challenges.gates.linear)
    }
}

impl Deviation for Lie {
    fn cells(&mut self, model: &CompiledModel, cells: &mut Cells) {
        for (word, element, value) in &self.words {
            force(model, cells, *word, *element, *value);
        }
        for (column, row, value) in &self.cells {
            cells.columns[*column][*row] = *value;
        }
    }
    fn strays(&mut self, _: &CompiledModel) -> Vec<(usize, usize, Fp)> {
        self.strays.clone()
    }
}

/// Tells a lie to a verifier for which a challenge is [`KNOWN`].
#[derive(Clone, Debug)]
pub struct Forger {
    lie: Lie,
    model: CompiledModel,
    /// What the verifier lacks.
    lacks: Vec<Check>,
    /// The layer of a layer's challenge, or its number among those of its name; and its round.
    at: (usize, usize),
    /// What the known challenge is.
    value: Fp,
    /// Whether the prover itself uses the known challenges: if not, it plays by the real rules, and only hopes for them.
    plays_along: bool,
    /// By how much the lie moves the claim of the relations, in the combined claim.
    relations: Fp,
    excess: Fp,
    /// By how much the combined claim is wrong at the end, and the one linear equation.
    product: Fp,
    equation: Fp,
}

impl Forger {
    /// A prover who tells `lie`.
    #[must_use]
    pub fn new(model: &CompiledModel, lie: Lie, lacks: &[Check]) -> Self {
        Self {
            lie,
            model: model.clone(),
            lacks: lacks.to_vec(),
            at: (0, 0),
            value: Fp::from(KNOWN),
            plays_along: true,
            relations: Fp::ZERO,
            excess: Fp::ZERO,
            product: Fp::ZERO,
            equation: Fp::ZERO,
        }
    }

    /// At which layer, and in which round of it. Without layers: in which round.
    #[must_use]
    pub fn at(mut self, layer: usize, round: usize) -> Self {
        self.at = (layer, round);
        self
    }

    /// Known challenges are this, and not [`KNOWN`].
    #[must_use]
    pub fn knowing(mut self, value: Fp) -> Self {
        self.value = value;
        self
    }

    /// The same messages, with challenges as they are drawn.
    #[must_use]
    pub fn by_the_rules(mut self) -> Self {
        self.plays_along = false;
        self
    }

    fn lacks(&self, check: Check) -> bool {
        self.lacks.contains(&check)
    }

    /// Errors of a layer's values that nobody sees who knows a challenge.
    fn values(&self, layer: usize, view: &PieceView, values: &mut [Fp]) {
        let [_, p1, q0, q1] = [values[0], values[1], values[2], values[3]];
        // By how much the product is to be larger.
        let wanted = view.claim - view.truth;
        if layer < self.at.0 {
            // Every product is as claimed, and the false claim goes on.
            values[1] += wanted * inverse(q0);
        } else if layer == self.at.0 && self.lacks(Check::Line) {
            let beta = self.value;
            let by = wanted * inverse((Fp::ONE - beta) * q0 - beta * q1);
            values[0] -= beta * by;
            values[1] += (Fp::ONE - beta) * by;
        } else if layer == self.at.0 && self.lacks(Check::Lambda) {
            // λ of the next layer is known.
            let lambda = self.value;
            let by = wanted * inverse(p1 + (view.lambda - lambda) * q1);
            values[0] -= lambda * by;
            values[2] += by;
        } else if layer == self.at.0 && self.lacks(Check::Omega) {
            // Both p wrong by e: the claim about the next layer is wrong by e whatever β, λ and σ, hence its product by −e.
            let by = wanted * inverse(q0 + q1 - self.value);
            values[0] += by;
            values[1] += by;
        }
    }
}

fn inverse(x: Fp) -> Fp {
    Option::from(x.invert()).expect("not zero")
}

impl Deviation for Forger {
    fn cells(&mut self, model: &CompiledModel, cells: &mut Cells) {
        self.lie.cells(model, cells);
    }
    fn strays(&mut self, model: &CompiledModel) -> Vec<(usize, usize, Fp)> {
        self.lie.strays(model)
    }
    fn header(&mut self, digest: &mut StatementDigest) {
        if self.lacks(Check::Header) {
            *digest = StatementDigest([0; 32]);
        }
    }
    fn challenge(&mut self, name: Check, challenge: &mut Fp) {
        if self.lacks(name) && self.plays_along {
            *challenge = self.value;
        }
        if name == Check::Omega {
            // The relations' equation is the last one.
            let rounds = Rounds::of(&self.model);
            let half = Fp::TWO_INV.pow_vartime([rounds.pair_rounds as u64]);
            self.relations = self.excess * challenge.pow_vartime([rounds.layers as u64]) * half;
        }
    }
    fn gates(&mut self, weights: &mut GateWeights) {
        if self.lacks(Check::Gates) {
            weights.products = Fp::ZERO;
        }
        if self.lacks(Check::LinearGates) {
            weights.linear = Fp::ZERO;
        }
    }
    fn relations(&mut self, challenges: &Challenges) {
        self.excess = self.lie.excess(&self.model, challenges);
    }
    fn piece(&mut self, piece: Piece, view: &PieceView, values: &mut [Fp]) {
        let layers = [Check::LayerSigma, Check::Line, Check::Lambda, Check::Omega];
        let half = Fp::TWO_INV;
        match piece {
            Piece::LayerValues { layer } if layers.into_iter().any(|check| self.lacks(check)) => {
                self.values(layer, view, values);
            }
            // By c2: z may be known too, and then σ − z is zero.
            Piece::LayerRound { layer, round } if self.lacks(Check::LayerSigma) && self.at == (layer, round) => {
                values[1] += (view.truth - view.claim) * inverse(self.value.square() - view.z);
            }
            // The prover's own claim does not know of the lie: the verifier's is larger by the excess.
            Piece::ContractionRound(round) if self.lacks(Check::Sigma) && round == self.at.1 => {
                values[0] -= (view.claim + self.excess - view.truth) * inverse(self.value - half);
            }
            Piece::PairRound(round) if self.lacks(Check::PairSigma) && round == self.at.1 => {
                values[0] -= (view.claim + self.relations - view.truth) * inverse(self.value - half);
            }
            _ => {}
        }
    }
    fn clear(&mut self, claim: Fp, (l, r): &mut (Fp, Fp)) {
        self.product = *l * *r - claim - self.relations;
        if self.lacks(Check::Eta) {
            // l + e moves the equation of l by η²·e, and that of the product by η⁴·r·e.
            let (square, fourth) = (self.value.square(), self.value.square().square());
            *l -= fourth * self.product * inverse(square + fourth * *r);
        }
    }
    fn linear(&mut self, challenges: &Challenges, _: (Fp, Fp)) {
        self.equation = challenges.eta.square().square() * self.product;
    }
    fn fold(&mut self, view: &FoldView<'_>, cross: &mut (Fp, Fp)) {
        let last = view.round + 1 == view.num_rounds;
        if self.lacks(Check::Tau) && view.round == self.at.1 {
            cross.1 += self.equation * inverse(self.value);
        }
        if self.lacks(Check::Z) && last {
            let low: Fp = view.low.iter().sum();
            cross.1 += self.fold_on_generator(view).1 * low * self.value;
        }
    }
    fn fold_on_generator(&mut self, view: &FoldView<'_>) -> (Fp, Fp) {
        if !self.lacks(Check::Z) || view.round + 1 < view.num_rounds {
            return (Fp::ZERO, Fp::ZERO);
        }
        // X_R moves the folded column by z·τ·g on G_0: z·g·b_hi makes up for the excess, z·τ·g·b_lo goes into c_R.
        let high: Fp = view.high.iter().sum();
        (Fp::ZERO, -self.equation * inverse(high * self.value))
    }
    fn mask(&mut self) -> Fp {
        if self.lacks(Check::Xi) {
            self.equation * inverse(self.value)
        } else {
            Fp::ZERO
        }
    }
    fn round_of_opening(&mut self, round: usize) -> (Fp, Fp) {
        if self.lacks(Check::U) && round == self.at.1 {
            (self.equation * self.value, Fp::ZERO)
        } else {
            (Fp::ZERO, Fp::ZERO)
        }
    }
}
