//! The leaves: fractions of cells and table rows, and the layer and round that are made from their integers.

use super::{
    slots::{add_fractions, fold_mixed, mixed_sums, weigh, Nodes, Padding},
    Level, Rounds,
};
use crate::{
    columns::{Column, Embedding, Multiples},
    sumcheck::{add, min_blocks, Sums},
};
use ff::Field;
use pasta_curves::Fp;
use rayon::prelude::*;
use zkonnx_circuits::{
    field::eq_vector,
    weighted::{weighted_inner_product, Weights},
};
use zkonnx_quantize::{
    integers::{IntegerSlice, Integers},
    with_integer_slice,
};

/// One slot of the lookup argument.
#[derive(Clone, Debug)]
pub enum LeafSlot<'a> {
    /// `1/(base + x + θ·y)` on active rows.
    Lookup {
        /// `φ + θ²·tag`.
        base: Fp,
        /// The column that is looked up.
        x: &'a Column,
        /// The value of a function.
        y: Option<&'a Column>,
    },
    /// `−m/d` on as many rows as there are `d`.
    Table {
        /// Multiplicities.
        multiplicities: &'a Column,
        /// The fingerprints of the rows.
        fingerprints: Vec<Fp>,
    },
}

/// All leaves.
#[derive(Clone, Debug)]
pub struct Leaves<'a> {
    num_rows: usize,
    active_rows: usize,
    theta: Fp,
    /// Multiples of `θ` by values of functions.
    values: Multiples,
    slots: Vec<LeafSlot<'a>>,
    /// Whether a slot is of small integers that are looked up on all rows.
    is_plain: Vec<bool>,
    embedding: Embedding,
}

/// Sums of two products of two differences of integers of so many bits are still integers of 64 bits.
const PLAIN_BITS: u32 = 29;

/// The columns of a slot of small integers that is looked up, and what is added to them: `base + x + θ·y`.
#[derive(Clone, Copy)]
struct PlainSlot<'a> {
    base: Fp,
    x: &'a Integers,
    y: Option<&'a Integers>,
}

/// A node of two such slots.
type PlainNode<'a> = [PlainSlot<'a>; 2];

impl<'a> Leaves<'a> {
    /// Slots of `num_rows` rows, of which the first ones are active. There are two slots at least.
    #[must_use]
    pub fn new(num_rows: usize, active_rows: usize, theta: Fp, slots: Vec<LeafSlot<'a>>) -> Self {
        let is_plain = slots.iter().map(|slot| match slot {
            LeafSlot::Lookup { x, y, .. } => [Some(*x), *y].into_iter().flatten().all(|column| {
                let is_small = |own: &Integers| own.len() == num_rows && own.magnitude() >> PLAIN_BITS == 0;
                active_rows == num_rows && column.integers().is_some_and(is_small)
            }),
            LeafSlot::Table { .. } => false,
        });
        let is_plain = is_plain.collect();
        let values = slots.iter().filter_map(|slot| match slot {
            LeafSlot::Lookup { y, .. } => y.and_then(Column::integers).map(bits_of),
            LeafSlot::Table { .. } => None,
        });
        let values = Multiples::new(theta, values.max().unwrap_or(0));
        Self { num_rows, active_rows, theta, values, is_plain, slots, embedding: Embedding::new() }
    }

    pub(super) fn num_rows(&self) -> usize {
        self.num_rows
    }

    /// The fractions of a slot; `0/1` beyond the last.
    fn fill(&self, slot: usize, p: &mut [Fp], q: &mut [Fp]) {
        let used = match self.slots.get(slot) {
            Some(LeafSlot::Lookup { base, x, y }) => {
                let used = self.active_rows;
                p[..used].fill(Fp::ONE);
                self.embed(x, *base, &mut q[..used]);
                match y {
                    Some(Column::Integers(y)) => add_multiples(&mut q[..used], &self.values, y),
                    Some(y) => q[..used].iter_mut().enumerate().for_each(|(row, q)| *q += self.theta * y.get(row)),
                    None => {}
                }
                used
            }
            Some(LeafSlot::Table { multiplicities, fingerprints }) => {
                let used = fingerprints.len();
                q[..used].copy_from_slice(fingerprints);
                p[..used].iter_mut().enumerate().for_each(|(row, p)| *p = -multiplicities.get(row));
                used
            }
            None => 0,
        };
        p[used..].fill(Fp::ZERO);
        q[used..].fill(Fp::ONE);
    }

    /// `base + x` on all rows of `q`.
    fn embed(&self, x: &Column, base: Fp, q: &mut [Fp]) {
        match x {
            Column::Integers(values) => with_integer_slice!(values.as_slice(), values => {
                q.iter_mut().zip(values).for_each(|(q, x)| *q = base + self.embedding.of(*x));
                q.iter_mut().skip(values.len()).for_each(|q| *q = base);
            }),
            Column::Field(_) => q.iter_mut().enumerate().for_each(|(row, q)| *q = base + x.get(row)),
        }
    }

    pub(super) fn num_slots(&self) -> usize {
        self.slots.len()
    }

    /// The fraction of a node of the layer above the leaves; `scratch` has two blocks.
    fn node(&self, node: usize, p: &mut [Fp], q: &mut [Fp], scratch: &mut [Fp]) {
        let (p1, q1) = scratch.split_at_mut(self.num_rows);
        self.fill(2 * node, p, q);
        self.fill(2 * node + 1, p1, q1);
        if self.plain(node).is_some() {
            for i in 0..p.len() {
                p[i] = q[i] + q1[i];
                q[i] *= q1[i];
            }
        } else {
            add_fractions(p, q, p1, q1);
        }
    }

    /// The layer above the leaves.
    pub(super) fn first_level(&self) -> Level {
        let rows = self.num_rows;
        let mut level = Level::zero(self.slots.len().div_ceil(2), rows);
        let blocks = level.p.par_chunks_mut(rows).zip(level.q.par_chunks_mut(rows)).enumerate();
        let scratch = || vec![Fp::ZERO; 2 * rows];
        blocks
            .with_min_len(min_blocks(rows))
            .for_each_init(scratch, |scratch, (node, (p, q))| self.node(node, p, q, scratch));
        level
    }

    /// The layer above that, without storing it.
    pub(super) fn second_level(&self) -> Level {
        let rows = self.num_rows;
        let nodes = self.slots.len().div_ceil(2);
        let mut level = Level::zero(nodes.div_ceil(2), rows);
        let blocks = level.p.par_chunks_mut(rows).zip(level.q.par_chunks_mut(rows)).enumerate();
        let scratch = || vec![Fp::ZERO; 4 * rows];
        blocks.with_min_len(min_blocks(2 * rows)).for_each_init(scratch, |scratch, (t, (p, q))| {
            let (high, scratch) = scratch.split_at_mut(2 * rows);
            self.node(2 * t, p, q, scratch);
            if 2 * t + 1 < nodes {
                let (p1, q1) = high.split_at_mut(rows);
                self.node(2 * t + 1, p1, q1, scratch);
                add_fractions(p, q, p1, q1);
            }
        });
        level
    }

    /// The node's columns if both are small integers that are looked up on all rows.
    fn plain(&self, node: usize) -> Option<PlainNode<'_>> {
        let own = |slot: usize| match self.slots.get(slot)? {
            LeafSlot::Lookup { base, x, y } if self.is_plain[slot] => {
                Some(PlainSlot { base: *base, x: x.integers()?, y: y.and_then(Column::integers) })
            }
            _ => None,
        };
        Some([own(2 * node)?, own(2 * node + 1)?])
    }

    /// The first round of the layer whose children are the leaves, as far as there is one, from the integers; gives the nodes after it.
    pub(super) fn first_round(&self, lambda: Fp, slot_rounds: usize, weights: &[Fp], rounds: &mut Rounds<'_>) -> Nodes {
        let count = self.slots.len().div_ceil(2);
        // Pairs of plain nodes at the front; all others are made of field elements.
        let plain = (0..count).take_while(|node| self.plain(*node).is_some()).count();
        let pairs = if slot_rounds == 0 { 0 } else { plain / 2 };
        let mut nodes = self.mixed_nodes(2 * pairs..count, lambda, weights);
        if slot_rounds == 0 {
            return nodes;
        }
        let padding = Padding::new(lambda, weights);
        let eq = eq_vector(&rounds.rest()[1..slot_rounds], pairs + (count - 2 * pairs).div_ceil(2));
        let ready = Weights::new(weights);
        let sums = (0..pairs).into_par_iter().filter_map(|pair| {
            let (low, high) = (self.plain(2 * pair)?, self.plain(2 * pair + 1)?);
            let [c0, c2] = plain_sums((&low, &high), (lambda, padding.lambda_inverse), self.theta, &ready);
            Some([c0 * eq[pair], c2 * eq[pair]])
        });
        let sums = sums.reduce(|| [Fp::ZERO; 2], add);
        let [c0, c2] = add(sums, mixed_sums(&nodes, &eq[pairs..], &padding));
        let c0 = c0 + lambda * (Fp::ONE - eq.iter().sum::<Fp>());
        let sigma = rounds.send(c0, c2);
        fold_mixed(&mut nodes, sigma, &padding);
        nodes.bound = 1;
        self.fold_plain(&mut nodes, pairs, sigma, &padding);
        nodes
    }

    /// Nodes of field elements.
    fn mixed_nodes(&self, nodes: std::ops::Range<usize>, lambda: Fp, weights: &[Fp]) -> Nodes {
        let rows = self.num_rows;
        let first = nodes.start;
        let (mut p, mut q) = (vec![Fp::ZERO; 2 * nodes.len() * rows], vec![Fp::ZERO; 2 * nodes.len() * rows]);
        let blocks = p.par_chunks_mut(2 * rows).zip(q.par_chunks_mut(2 * rows)).enumerate();
        blocks.with_min_len(min_blocks(rows)).for_each(|(node, (p, q))| {
            let slot = 2 * (first + node);
            let ((p0, p1), (q0, q1)) = (p.split_at_mut(rows), q.split_at_mut(rows));
            self.fill(slot, p0, q0);
            self.fill(slot + 1, p1, q1);
            weigh(p, q, lambda, weights);
        });
        Nodes { p, q, ..Nodes::default() }
    }

    /// The plain nodes after the first round: `a = λ·w·(q0 + 1/λ)`, `b = q1 + 1/λ` of folded `q0`, `q1`.
    fn fold_plain(&self, nodes: &mut Nodes, pairs: usize, sigma: Fp, padding: &Padding<'_>) {
        let (rows, lambda) = (self.num_rows, padding.lambda);
        let all = self.slots.iter().take(4 * pairs).filter_map(|slot| match slot {
            LeafSlot::Lookup { x, y, .. } => Some((x.integers().map_or(0, bits_of), y.and_then(Column::integers))),
            LeafSlot::Table { .. } => None,
        });
        let (bits, value_bits) = all.fold((0, 0), |most, (x, y)| (most.0.max(x), most.1.max(y.map_or(0, bits_of))));
        let rest = Fp::ONE - sigma;
        let [low0, high0, low1, high1] = [lambda * rest, lambda * sigma, rest, sigma]
            .map(|factor| [Multiples::new(factor, bits), Multiples::new(factor * self.theta, value_bits)]);
        nodes.plain.a = vec![Fp::ZERO; pairs * rows];
        nodes.plain.b = vec![Fp::ZERO; pairs * rows];
        let blocks = nodes.plain.a.par_chunks_mut(rows).zip(nodes.plain.b.par_chunks_mut(rows)).enumerate();
        blocks.with_min_len(min_blocks(rows)).for_each(|(pair, (a, b))| {
            let (Some(low), Some(high)) = (self.plain(2 * pair), self.plain(2 * pair + 1)) else { return };
            let base = |side: usize| low[side].base + sigma * (high[side].base - low[side].base);
            a.fill(lambda * base(0) + Fp::ONE);
            add_slot(a, &low0, low[0]);
            add_slot(a, &high0, high[0]);
            a.iter_mut().zip(padding.weights).for_each(|(a, w)| *a *= w);
            b.fill(base(1) + padding.lambda_inverse);
            add_slot(b, &low1, low[1]);
            add_slot(b, &high1, high[1]);
        });
    }
}

/// The bits of the largest of some integers.
fn bits_of(values: &Integers) -> u32 {
    u64::BITS - values.magnitude().leading_zeros()
}

/// `out[i] += values[i]·factor`.
fn add_multiples(out: &mut [Fp], factor: &Multiples, values: &Integers) {
    with_integer_slice!(values.as_slice(), values => {
        out.iter_mut().zip(values).for_each(|(out, value)| *out += factor.of(*value));
    });
}

/// Adds the columns of a slot, times a factor: its multiples, and those of `θ` times it.
fn add_slot(out: &mut [Fp], [of_x, of_y]: &[Multiples; 2], slot: PlainSlot<'_>) {
    add_multiples(out, of_x, slot.x);
    if let Some(y) = slot.y {
        add_multiples(out, of_y, y);
    }
}

/// A column `x + θ·y` of integers.
struct Pair {
    x: Vec<i64>,
    y: Option<Vec<i64>>,
}

impl Pair {
    fn new(slot: PlainSlot<'_>) -> Self {
        Self { x: slot.x.to_vec(), y: slot.y.map(Integers::to_vec) }
    }

    /// What is between two columns.
    fn minus(&self, other: &Self) -> Self {
        let minus = |a: &[i64], b: &[i64]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        let y = match (&self.y, &other.y) {
            (Some(a), Some(b)) => Some(minus(a, b)),
            (Some(a), None) => Some(a.clone()),
            (None, Some(b)) => Some(b.iter().map(|b| -b).collect()),
            (None, None) => None,
        };
        Self { x: minus(&self.x, &other.x), y }
    }

    /// `Σ_i w_i·(x + θ·y)(i)`.
    fn sum(&self, theta: Fp, weights: &Weights) -> Fp {
        let sum = |values: &[i64]| weighted_inner_product(IntegerSlice::I64(values), weights);
        sum(&self.x) + self.y.as_ref().map_or(Fp::ZERO, |y| theta * sum(y))
    }

    /// `Σ_i w_i·(x + θ·y)(i)·(x' + θ·y')(i)`: three sums of integers.
    fn product(&self, other: &Self, theta: Fp, weights: &Weights) -> Fp {
        let sum = |values: &[i64]| weighted_inner_product(IntegerSlice::I64(values), weights);
        let times = |a: &[i64], b: &[i64]| -> Vec<i64> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
        let mut total = sum(&times(&self.x, &other.x));
        let mut cross: Option<Vec<i64>> = self.y.as_ref().map(|y| times(y, &other.x));
        if let Some(y) = &other.y {
            let more = times(&self.x, y);
            cross = Some(match cross {
                Some(own) => own.iter().zip(&more).map(|(a, b)| a + b).collect(),
                None => more,
            });
        }
        if let Some(cross) = cross {
            total += theta * sum(&cross);
        }
        if let (Some(a), Some(b)) = (&self.y, &other.y) {
            total += theta.square() * sum(&times(a, b));
        }
        total
    }
}

/// `Σ_i w_i·F(i)` at the low node, and the coefficient of `X²` of the pair, for `F = λ·(q0 + 1/λ)·(q1 + 1/λ) − 1/λ` and `Σ_i w_i = 1`.
fn plain_sums(
    (low, high): (&PlainNode<'_>, &PlainNode<'_>),
    (lambda, inverse): (Fp, Fp),
    theta: Fp,
    weights: &Weights,
) -> Sums {
    let at_low = low.map(Pair::new);
    let steps = [0, 1].map(|side| Pair::new(high[side]).minus(&at_low[side]));
    // Σ w·(base + c)·(base' + c').
    let product = |base: [Fp; 2], columns: &[Pair; 2]| {
        let [first, second] = [0, 1].map(|side| columns[side].sum(theta, weights));
        base[0] * base[1] + base[0] * second + base[1] * first + columns[0].product(&columns[1], theta, weights)
    };
    let base = low.map(|slot| slot.base + inverse);
    let step = [0, 1].map(|side| high[side].base - low[side].base);
    [lambda * product(base, &at_low) - inverse, lambda * product(step, &steps)]
}
