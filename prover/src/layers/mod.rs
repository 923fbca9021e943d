//! The layers of the lookup argument: a sum of fractions, two at a time (see [`zkonnx_verifier::argument::lookup`]).
//!
//! Arrays are blocks of `n` rows, one for each slot that is used; slots beyond are the fraction `0/1` and not stored. Slots are added up
//! first, the lowest bit of their number first, then rows, the highest bit first: so used slots stand at the front of every layer, and the work
//! is in proportion to them. Leaves are not stored: the layer above them is made from the integers, and so is their first round.
//!
//! Cost: about ten multiplications a leaf; 64 bytes a leaf.

mod leaves;
mod rows;
mod slots;

pub use leaves::{LeafSlot, Leaves};

use ff::{BatchInvert, Field};
use pasta_curves::Fp;
use slots::Nodes;
use zkonnx_circuits::slots::row_vector;

/// Fewer field elements than this are not worth a second thread.
const PARALLEL: usize = 1 << 12;

/// Fractions `p/q`.
#[derive(Clone, Debug, Default)]
struct Level {
    p: Vec<Fp>,
    q: Vec<Fp>,
}

impl Level {
    /// So many blocks of zeros, with room for one more: a layer's last node may need it.
    fn zero(blocks: usize, rows: usize) -> Self {
        let values = || {
            let mut values = Vec::with_capacity(blocks.next_multiple_of(2) * rows);
            values.resize(blocks * rows, Fp::ZERO);
            values
        };
        Self { p: values(), q: values() }
    }
}

/// All layers, to be proven from the first to the last.
#[derive(Debug)]
pub struct Layers<'a> {
    leaves: Leaves<'a>,
    /// Layers of slots and rows; the last has the most slots.
    slots: Vec<Level>,
    /// Layers of rows alone; the last has the most rows.
    rows: Vec<Level>,
}

/// A claim about a layer, and what it is at the end of its sumcheck.
#[derive(Clone, Copy, Debug)]
pub struct LayerClaim<'a> {
    /// The point, one coordinate for each round.
    pub point: &'a [Fp],
    /// `λ`.
    pub lambda: Fp,
    /// `p(point) + λ·q(point)`.
    pub value: Fp,
}

/// The rounds of a sumcheck whose claim is known: makes messages and follows the claim.
pub(crate) struct Rounds<'a> {
    point: &'a [Fp],
    inverses: Vec<Fp>,
    round: usize,
    claim: Fp,
    exchange: &'a mut dyn FnMut(usize, Fp, [Fp; 2]) -> Fp,
}

impl<'a> Rounds<'a> {
    fn new(claim: &LayerClaim<'a>, exchange: &'a mut dyn FnMut(usize, Fp, [Fp; 2]) -> Fp) -> Self {
        let mut inverses = claim.point.to_vec();
        inverses.iter_mut().batch_invert();
        Self { point: claim.point, inverses, round: 0, claim: claim.value, exchange }
    }

    /// The point of the variables that are left.
    fn rest(&self) -> &'a [Fp] {
        &self.point[self.round..]
    }

    /// Sends the message for `h(0)` and the coefficient of `X²`; gives the challenge.
    fn send(&mut self, c0: Fp, c2: Fp) -> Fp {
        // (1 − z)·h(0) + z·h(1) is the claim.
        let z = self.point[self.round];
        let c1 = (self.claim - c0) * self.inverses[self.round] - c2;
        let sigma = (self.exchange)(self.round, self.claim, [c1, c2]);
        self.claim += (sigma - z) * c1 + (sigma.square() - z) * c2;
        self.round += 1;
        sigma
    }
}

impl<'a> Layers<'a> {
    /// Adds up all fractions.
    #[must_use]
    pub fn new(leaves: Leaves<'a>) -> Self {
        let num_rows = leaves.num_rows();
        let mut slots = vec![leaves.first_level()];
        while let Some(level) = slots.last().filter(|level| level.p.len() > num_rows) {
            slots.push(slots::next_level(level, num_rows));
        }
        let mut rows: Vec<Level> = Vec::new();
        while let Some(level) = rows.last().or(slots.last()).filter(|level| level.p.len() > 1) {
            rows.push(rows::next_level(level));
        }
        slots.reverse();
        rows.reverse();
        Self { leaves, slots, rows }
    }

    /// Number of layers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() + self.rows.len()
    }

    /// Whether there is none: never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Proves a layer, and drops what only it needs: layers in order, each once. `exchange` is given each round's number, claim and message
    /// `(c1, c2)` and gives its challenge. Gives `p0, p1, q0, q1` at the end.
    pub fn prove(
        &mut self,
        layer: usize,
        claim: &LayerClaim<'_>,
        exchange: &mut dyn FnMut(usize, Fp, [Fp; 2]) -> Fp,
    ) -> [Fp; 4] {
        let num_row_layers = self.rows.len();
        let mut rounds = Rounds::new(claim, exchange);
        if layer < num_row_layers {
            // The layer's children are the next one: of rows, or the first of slots, which is one block.
            let children = match self.rows.get_mut(layer + 1) {
                Some(children) => std::mem::take(children),
                None => std::mem::take(&mut self.slots[0]),
            };
            return rows::prove(rows::Sides::of_children(children, claim.lambda), claim.lambda, &mut rounds);
        }
        let slot_rounds = layer - num_row_layers;
        let row_weights = row_vector(&claim.point[slot_rounds..]);
        let nodes = match self.slots.get_mut(slot_rounds + 1) {
            Some(children) => Nodes::of_children(std::mem::take(children), claim.lambda, &row_weights),
            None => self.leaves.first_round(claim.lambda, slot_rounds, &row_weights, &mut rounds),
        };
        let sides = slots::prove(nodes, claim.lambda, slot_rounds, &row_weights, &mut rounds);
        rows::prove(sides, claim.lambda, &mut rounds)
    }
}
