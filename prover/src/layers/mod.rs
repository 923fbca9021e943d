//! The layers of the lookup argument: a sum of fractions, two at a time (see [`zkonnx_verifier::argument::lookup`]).
//!
//! Arrays are blocks of `n` rows, one for each slot that is used; slots beyond are the fraction `0/1` and not stored. Slots are added up
//! first, the lowest bit of their number first, then rows, the highest bit first: so used slots stand at the front of every layer, and the work
//! is in proportion to them. Leaves are not stored: the layer above them is made from the integers, and so is their first round. Of many
//! leaves the layer above them is not stored either: it is made again when its turn comes, and all others are gone.
//!
//! Cost: about ten multiplications a leaf; 64 bytes a leaf, of many leaves 32.

mod leaves;
mod rows;
mod slots;

pub use leaves::{LeafSlot, Leaves};

use crate::sumcheck::next_claim;
use ff::{BatchInvert, Field};
use pasta_curves::Fp;
use slots::Nodes;
use zkonnx_circuits::slots::row_vector;

/// From so many leaves the largest layer is made twice instead of stored: half a multiplication and 32 bytes a leaf.
const MANY_LEAVES: usize = 1 << 18;

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
    /// Layers of slots and rows; the last has the most slots. It is empty where it is made again.
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
        self.claim = next_claim(self.claim, z, sigma, &[c1, c2]);
        self.round += 1;
        sigma
    }
}

impl<'a> Layers<'a> {
    /// Adds up all fractions.
    #[must_use]
    pub fn new(leaves: Leaves<'a>) -> Self {
        let again = leaves.num_slots() > 2 && leaves.num_slots() * leaves.num_rows() >= MANY_LEAVES;
        Self::added(leaves, again)
    }

    /// `again`: the layer above the leaves, which is not the last of slots, is made again.
    fn added(leaves: Leaves<'a>, again: bool) -> Self {
        let num_rows = leaves.num_rows();
        let mut slots = if again { vec![Level::default(), leaves.second_level()] } else { vec![leaves.first_level()] };
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
            Some(children) if children.p.is_empty() => {
                Nodes::of_children(self.leaves.first_level(), claim.lambda, &row_weights)
            }
            Some(children) => Nodes::of_children(std::mem::take(children), claim.lambda, &row_weights),
            None => self.leaves.first_round(claim.lambda, slot_rounds, &row_weights, &mut rounds),
        };
        let sides = slots::prove(nodes, claim.lambda, slot_rounds, &row_weights, &mut rounds);
        rows::prove(sides, claim.lambda, &mut rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::Column;
    use zkonnx_quantize::integers::Integers;

    /// Every message and every value at the end, with challenges that are counted up.
    fn transcript(mut layers: Layers<'_>) -> Vec<Fp> {
        let (mut all, mut count) = (Vec::new(), 5);
        let mut next = || {
            count += 1;
            Fp::from(count)
        };
        let mut point = Vec::new();
        for layer in 0..layers.len() {
            let lambda = next();
            let mut own = Vec::new();
            let mut exchange = |_: usize, claim: Fp, message: [Fp; 2]| {
                all.extend([claim, message[0], message[1]]);
                own.push(next());
                *own.last().unwrap_or(&Fp::ZERO)
            };
            let values = layers.prove(layer, &LayerClaim { point: &point, lambda, value: Fp::ONE }, &mut exchange);
            all.extend(values);
            // The order of variables is no matter here.
            point = [own, vec![next()]].concat();
        }
        all
    }

    #[test]
    fn a_layer_that_is_made_again_is_the_same() {
        let rows = 8;
        for slots in 3..=9 {
            let column =
                |slot: i64| Column::Integers(Integers::new(&(0..rows).map(|i| i * slot % 7 - 2).collect::<Vec<_>>()));
            let columns: Vec<Column> = (0..slots).map(column).collect();
            let leaves = |active_rows: usize| {
                let slot = |(slot, x): (u64, _)| LeafSlot::Lookup {
                    base: Fp::from(100 + slot),
                    x,
                    y: (slot % 4 == 2 || slot > 5).then_some(&columns[0]),
                };
                let slots = (0..).zip(&columns).map(slot).collect();
                Leaves::new(usize::try_from(rows).unwrap_or(0), active_rows, Fp::from(3), slots)
            };
            for active_rows in [8, 5] {
                let stored = transcript(Layers::added(leaves(active_rows), false));
                assert_eq!(stored, transcript(Layers::added(leaves(active_rows), true)), "{slots} slots");
                assert!(stored.len() > 20);
            }
        }
    }
}
