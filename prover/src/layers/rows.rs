//! Layers and rounds over rows: node `i` of `h` has the children `i` and `i + h`.

use super::{Level, Rounds};
use crate::sumcheck::{bind_highest, bound};
use pasta_curves::{
    deferred::{DeferredField, Product},
    Fp,
};
use zkonnx_circuits::slots::row_vector;

/// The sides of the products `a·b + c·d = p0·q1 + q0·(p1 + λ·q1)`.
#[derive(Clone, Debug)]
pub(super) struct Sides {
    pub(super) a: Vec<Fp>,
    pub(super) b: Vec<Fp>,
    pub(super) c: Vec<Fp>,
    pub(super) d: Vec<Fp>,
}

impl Sides {
    pub(super) fn of_children(children: Level, lambda: Fp) -> Self {
        let Level { p: mut a, q: mut c } = children;
        let half = a.len() / 2;
        let (mut d, b) = (a.split_off(half), c.split_off(half));
        d.iter_mut().zip(&b).for_each(|(d, b)| *d += lambda * b);
        Self { a, b, c, d }
    }
}

/// The layer above.
pub(super) fn next_level(children: &Level) -> Level {
    let half = children.p.len() / 2;
    let ((p0, p1), (q0, q1)) = (children.p.split_at(half), children.q.split_at(half));
    let nodes = p0.iter().zip(p1).zip(q0.iter().zip(q1));
    let p = nodes.map(|((p0, p1), (q0, q1))| *p0 * q1 + *p1 * q0).collect();
    Level { p, q: q0.iter().zip(q1).map(|(q0, q1)| *q0 * q1).collect() }
}

/// The rounds over all rows, the highest bit first; gives `p0, p1, q0, q1`.
pub(super) fn prove(mut sides: Sides, lambda: Fp, rounds: &mut Rounds<'_>) -> [Fp; 4] {
    while sides.a.len() > 1 {
        let weights = row_vector(&rounds.rest()[1..]);
        let half = weights.len();
        let Sides { a, b, c, d } = &mut sides;
        let (mut at_zero, mut square) = (Product::<Fp>::ZERO, Product::<Fp>::ZERO);
        for (i, weight) in weights.iter().enumerate() {
            let h = i + half;
            Fp::mul_accumulate(&mut at_zero, weight, &(a[i] * b[i] + c[i] * d[i]));
            let step = (a[h] - a[i]) * (b[h] - b[i]) + (c[h] - c[i]) * (d[h] - d[i]);
            Fp::mul_accumulate(&mut square, weight, &step);
        }
        let sigma = rounds.send(Fp::reduce(at_zero), Fp::reduce(square));
        for side in [a, b, c, d] {
            bind_highest(side, sigma);
        }
    }
    let [p0, q1, q0, d] = [&sides.a, &sides.b, &sides.c, &sides.d].map(|side| bound(side));
    [p0, d - lambda * q1, q0, q1]
}
