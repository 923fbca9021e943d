//! Layers and rounds over slots: node `t` has the slots `2t` and `2t + 1`.
//!
//! Nodes stay where they are while variables are bound: after `r` rounds node `t` stands at the place of node `t·2^r`. So nothing is
//! moved, and pairs can be worked on at once. A node beyond the last is made of two fractions `0/1`.

use super::{rows::Sides, Level, Rounds};
use crate::sumcheck::{add, bind, min_blocks, Sums};
use ff::{BatchInvert, Field};
use pasta_curves::{
    deferred::{DeferredField, Product},
    Fp,
};
use rayon::prelude::*;
use zkonnx_circuits::field::eq_vector;

/// The layer above. A single last slot is added to `0/1`.
pub(super) fn next_level(children: &Level, rows: usize) -> Level {
    let mut level = Level::zero((children.p.len() / rows).div_ceil(2), rows);
    let parts = level.p.par_chunks_mut(rows).zip(level.q.par_chunks_mut(rows));
    let children = children.p.par_chunks(2 * rows).zip(children.q.par_chunks(2 * rows));
    parts.zip(children).with_min_len(min_blocks(rows)).for_each(|((p, q), (child_p, child_q))| {
        if child_p.len() == rows {
            p.copy_from_slice(child_p);
            q.copy_from_slice(child_q);
            return;
        }
        let ((p0, p1), (q0, q1)) = (child_p.split_at(rows), child_q.split_at(rows));
        p.copy_from_slice(p0);
        q.copy_from_slice(q0);
        add_fractions(p, q, p1, q1);
    });
    level
}

/// `p/q ← p/q + p1/q1`, row by row.
pub(super) fn add_fractions(p: &mut [Fp], q: &mut [Fp], p1: &[Fp], q1: &[Fp]) {
    for i in 0..p.len() {
        p[i] = p[i] * q1[i] + p1[i] * q[i];
        q[i] *= q1[i];
    }
}

/// Nodes whose children are both looked up: `p0 = p1 = 1`, so that `F = q1 + q0 + λ·q0·q1`. One product is left of it:
/// `w·F = a·b − w/λ` with `a = λ·w·(q0 + 1/λ)`, `b = q1 + 1/λ`.
#[derive(Clone, Debug, Default)]
pub(super) struct Plain {
    /// `a`, one block for each node.
    pub(super) a: Vec<Fp>,
    /// `b`, one block for each node.
    pub(super) b: Vec<Fp>,
}

/// The nodes of a layer, with the weights `w` of rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    /// The first ones. They are made when a variable is bound already, and stand by one place closer for it.
    pub(super) plain: Plain,
    /// `w·p0` and `p1 + λ·q1` of the others, two blocks for each.
    pub(super) p: Vec<Fp>,
    /// `w·q0` and `q1`.
    pub(super) q: Vec<Fp>,
    /// Slot variables that are bound already.
    pub(super) bound: usize,
}

impl Nodes {
    /// No variable is bound; no node is plain.
    pub(super) fn of_children(children: Level, lambda: Fp, weights: &[Fp]) -> Self {
        let rows = weights.len();
        let Level { mut p, mut q } = children;
        if (p.len() / rows) % 2 == 1 {
            p.resize(p.len() + rows, Fp::ZERO);
            q.resize(q.len() + rows, Fp::ONE);
        }
        let nodes = p.par_chunks_mut(2 * rows).zip(q.par_chunks_mut(2 * rows));
        nodes.with_min_len(min_blocks(rows)).for_each(|(p, q)| weigh(p, q, lambda, weights));
        Self { p, q, ..Self::default() }
    }

    /// Places between nodes that are left.
    fn step(&self) -> usize {
        1 << self.bound
    }

    /// The same of plain nodes.
    fn plain_step(&self) -> usize {
        (1 << self.bound) / 2
    }

    fn num_plain(&self, rows: usize) -> usize {
        match self.plain_step() {
            0 => 0,
            step => (self.plain.a.len() / rows).div_ceil(step),
        }
    }

    fn num_mixed(&self, rows: usize) -> usize {
        (self.p.len() / (2 * rows)).div_ceil(self.step())
    }
}

/// From the fractions of a node to its sides: `p0, p1` to `w·p0, p1 + λ·q1`; `q0, q1` to `w·q0, q1`.
pub(super) fn weigh(p: &mut [Fp], q: &mut [Fp], lambda: Fp, weights: &[Fp]) {
    let rows = weights.len();
    let ((p0, p1), (q0, q1)) = (p.split_at_mut(rows), q.split_at_mut(rows));
    for i in 0..rows {
        p0[i] *= weights[i];
        q0[i] *= weights[i];
        p1[i] += lambda * q1[i];
    }
}

/// `h(0)` and the coefficient of `X²` of a pair of nodes of one side each.
#[derive(Clone, Copy)]
struct Sum(Product<Fp>, Product<Fp>);

impl Sum {
    const ZERO: Self = Self(Product::ZERO, Product::ZERO);

    /// Adds the product of two sides that go from low to high values.
    fn add(&mut self, (a_low, a_high): (&[Fp], &[Fp]), (b_low, b_high): (&[Fp], &[Fp])) {
        for (((a0, a1), b0), b1) in a_low.iter().zip(a_high).zip(b_low).zip(b_high) {
            Fp::mul_accumulate(&mut self.0, a0, b0);
            Fp::mul_accumulate(&mut self.1, &(*a1 - a0), &(*b1 - b0));
        }
    }

    fn weighted(self, weight: Fp) -> Sums {
        [Fp::reduce(self.0) * weight, Fp::reduce(self.1) * weight]
    }
}

/// The rounds over the `count` slot variables, as far as they are not bound yet; gives the sides of the one node that is left.
pub(super) fn prove(mut nodes: Nodes, lambda: Fp, count: usize, weights: &[Fp], rounds: &mut Rounds<'_>) -> Sides {
    let rows = weights.len();
    let padding = Padding::new(lambda, weights);
    while nodes.bound < count {
        padding.align(&mut nodes);
        let plain_pairs = nodes.num_plain(rows) / 2;
        let pairs = plain_pairs + nodes.num_mixed(rows).div_ceil(2);
        let eq = eq_vector(&rounds.rest()[1..count - nodes.bound], pairs);
        let [c0, c2] =
            add(plain_sums(&nodes, &eq[..plain_pairs], &padding), mixed_sums(&nodes, &eq[plain_pairs..], &padding));
        // All that is not there is λ.
        let c0 = c0 + lambda * (Fp::ONE - eq.iter().sum::<Fp>());
        let sigma = rounds.send(c0, c2);
        fold_plain(&mut nodes, rows, sigma);
        fold_mixed(&mut nodes, sigma, &padding);
        nodes.bound += 1;
    }
    padding.finish(nodes)
}

fn plain_sums(nodes: &Nodes, eq: &[Fp], padding: &Padding<'_>) -> Sums {
    let rows = padding.weights.len();
    let at = nodes.plain_step() * rows;
    if eq.is_empty() {
        return [Fp::ZERO; 2];
    }
    let pairs = nodes.plain.a.par_chunks(2 * at).zip(nodes.plain.b.par_chunks(2 * at)).zip(eq);
    let sums = pairs.with_min_len(min_blocks(4 * rows)).map(|((a, b), eq)| {
        let mut sum = Sum::ZERO;
        sum.add((&a[..rows], &a[at..at + rows]), (&b[..rows], &b[at..at + rows]));
        let [c0, c2] = sum.weighted(*eq);
        [c0 - padding.lambda_inverse * eq, c2]
    });
    sums.reduce(|| [Fp::ZERO; 2], add)
}

/// The message of the nodes that are not plain, without what is not there.
pub(super) fn mixed_sums(nodes: &Nodes, eq: &[Fp], padding: &Padding<'_>) -> Sums {
    let rows = padding.weights.len();
    let at = 2 * nodes.step() * rows;
    let pairs = nodes.p.par_chunks(2 * at).zip(nodes.q.par_chunks(2 * at)).zip(eq);
    let sums = pairs.with_min_len(min_blocks(4 * rows)).map(|((p, q), eq)| {
        let mut sum = Sum::ZERO;
        let node = 2 * rows;
        if p.len() > at {
            let (p_high, q_high) = (&p[at..at + node], &q[at..at + node]);
            sum.add((&p[..rows], &p_high[..rows]), (&q[rows..node], &q_high[rows..]));
            sum.add((&q[..rows], &q_high[..rows]), (&p[rows..node], &p_high[rows..]));
        } else {
            sum.add((&p[..rows], &padding.constant(Fp::ZERO)), (&q[rows..node], &padding.constant(Fp::ONE)));
            sum.add((&q[..rows], padding.weights), (&p[rows..node], &padding.constant(padding.lambda)));
        }
        sum.weighted(*eq)
    });
    sums.reduce(|| [Fp::ZERO; 2], add)
}

fn fold_plain(nodes: &mut Nodes, rows: usize, sigma: Fp) {
    let at = nodes.plain_step() * rows;
    if at == 0 {
        return;
    }
    for values in [&mut nodes.plain.a, &mut nodes.plain.b] {
        values.par_chunks_mut(2 * at).with_min_len(min_blocks(4 * rows)).for_each(|values| {
            let (low, high) = values.split_at_mut(at);
            bind(&mut low[..rows], &high[..rows], sigma);
        });
    }
}

/// Binds the next variable of the nodes that are not plain.
pub(super) fn fold_mixed(nodes: &mut Nodes, sigma: Fp, padding: &Padding<'_>) {
    let rows = padding.weights.len();
    let (at, node) = (2 * nodes.step() * rows, 2 * rows);
    let pairs = nodes.p.par_chunks_mut(2 * at).zip(nodes.q.par_chunks_mut(2 * at));
    pairs.with_min_len(min_blocks(4 * rows)).for_each(|(p, q)| {
        if p.len() > at {
            for values in [p, q] {
                let (low, high) = values.split_at_mut(at);
                bind(&mut low[..node], &high[..node], sigma);
            }
        } else {
            bind(&mut p[..rows], &padding.constant(Fp::ZERO), sigma);
            bind(&mut p[rows..node], &padding.constant(padding.lambda), sigma);
            bind(&mut q[..rows], padding.weights, sigma);
            bind(&mut q[rows..node], &padding.constant(Fp::ONE), sigma);
        }
    });
}

/// What stands where no slot is: `a = 0`, `b = 1`, `c = w`, `d = λ`.
pub(super) struct Padding<'a> {
    pub(super) lambda: Fp,
    pub(super) lambda_inverse: Fp,
    pub(super) weights: &'a [Fp],
}

impl<'a> Padding<'a> {
    pub(super) fn new(lambda: Fp, weights: &'a [Fp]) -> Self {
        Self { lambda, lambda_inverse: lambda.invert().unwrap_or(Fp::ZERO), weights }
    }

    fn constant(&self, value: Fp) -> Vec<Fp> {
        vec![value; self.weights.len()]
    }

    /// A plain node whose pair is none becomes the first of the others.
    fn align(&self, nodes: &mut Nodes) {
        let rows = self.weights.len();
        let count = nodes.num_plain(rows);
        if count.is_multiple_of(2) {
            return;
        }
        let at = (count - 1) * nodes.plain_step() * rows;
        let [a, b] = [&nodes.plain.a, &nodes.plain.b].map(|values| values[at..at + rows].to_vec());
        let (p, q) = self.sides(&a, &b);
        nodes.plain.a.truncate(at);
        nodes.plain.b.truncate(at);
        let place = 2 * nodes.step() * rows;
        for (mut own, values) in [(p, &mut nodes.p), (q, &mut nodes.q)] {
            if !values.is_empty() {
                own.resize(place, Fp::ZERO);
                own.append(values);
            }
            *values = own;
        }
    }

    /// The two pairs of sides of a plain node: `w, 1 + λ·q1` and `w·q0, q1`.
    fn sides(&self, a: &[Fp], b: &[Fp]) -> (Vec<Fp>, Vec<Fp>) {
        let mut p = self.weights.to_vec();
        p.extend(b.iter().map(|b| *b * self.lambda));
        let mut q: Vec<Fp> = a.iter().zip(self.weights).map(|(a, w)| (*a - w) * self.lambda_inverse).collect();
        q.extend(b.iter().map(|b| *b - self.lambda_inverse));
        (p, q)
    }

    /// The node that is left, without the weights of rows.
    fn finish(&self, mut nodes: Nodes) -> Sides {
        let rows = self.weights.len();
        if nodes.p.is_empty() {
            (nodes.p, nodes.q) = self.sides(&nodes.plain.a[..rows], &nodes.plain.b[..rows]);
        }
        let mut inverses = self.weights.to_vec();
        inverses.iter_mut().batch_invert();
        let bare = |values: &[Fp]| values.iter().zip(&inverses).map(|(value, inverse)| *value * inverse).collect();
        Sides {
            a: bare(&nodes.p[..rows]),
            b: nodes.q[rows..2 * rows].to_vec(),
            c: bare(&nodes.q[..rows]),
            d: nodes.p[rows..2 * rows].to_vec(),
        }
    }
}
